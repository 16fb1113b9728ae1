// The latency of one reply as a slim stacked bar that opens into a list.

import { inWords, type Latency } from "../latency.js";
import { el } from "./dom.js";

function segment(step: string, took_ms: number): HTMLElement {
  const made = el("span", `step ${step}`);
  // All bars of a call share one scale, which the transcript sets.
  made.style.setProperty("--ms", String(took_ms));
  return made;
}

export function latencyBar(latency: Latency): HTMLElement {
  const bar = el("span", "bar", ...latency.segments.map(({ step, took_ms }) => segment(step, took_ms)));
  bar.ariaHidden = "true";
  const since = latency.from === "speech" ? "after you stopped speaking" : "after you pressed Enter";
  const summary = el("summary", "", bar, el("span", "total", inWords(latency.total_ms)));
  summary.title = `The reply began ${inWords(latency.total_ms)} ${since}`;
  const parts = latency.segments.map(({ step, label, took_ms }) =>
    el("div", "", el("dt", "", el("i", `step ${step}`), label), el("dd", "", inWords(took_ms))),
  );
  const note = el("p", "dim", `The reply began ${inWords(latency.total_ms)} ${since}; each figure is the time since the one before it.`);
  return el("details", "latency", summary, el("dl", "", ...parts), note);
}
