// The conversation as the text of a play: who, what was said, and what was thought in between.

import { latencyOf } from "../latency.js";
import type { Citation } from "../events.js";
import type { AgentLine, AsideLine, CallerLine, JudgementLine, Line, TroubleLine, ViewState } from "../state.js";
import { latencyBar } from "./bar.js";
import { byId, clock, el } from "./dom.js";
import { reasonInWords } from "./mind.js";

/** Bars of quick replies are not blown up to the full width. */
const SCALE_MIN_MS = 1500;
/** How far from the end a reader may have scrolled and still be taken along, pixels. */
const NEAR_END_PX = 80;

interface Drawn {
  line: Line;
  item: HTMLLIElement;
}

export class TranscriptView {
  readonly #list = byId("transcript", HTMLOListElement);
  readonly #announce = byId("announce", HTMLElement);
  #drawn: Drawn[] = [];
  /** The reader is at the end and wants to stay there. */
  #following = true;

  constructor() {
    const list = this.#list;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    });
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  /** Draws what has changed; `other` is the agent's name. */
  render(state: ViewState, other: string): void {
    const { lines } = state;
    if (lines.length === 0 && this.#drawn.length === 0) return;
    const list = this.#list;
    while (this.#drawn.length > lines.length) this.#drawn.pop()?.item.remove();
    lines.forEach((line, index) => {
      const drawn = this.#drawn[index];
      if (drawn?.line === line) return;
      const item = draw(line, drawn, other);
      if (!drawn) list.append(item);
      else if (drawn.item !== item) drawn.item.replaceWith(item);
      this.#drawn[index] = { line, item };
      this.#say(line, other);
    });
    list.style.setProperty("--scale-ms", String(scale(lines)));
    this.#follow();
  }

  #follow(): void {
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** For screen readers: what is settled, once, and not each partial. */
  #say(line: Line, other: string): void {
    if (line.kind === "caller" && line.final) this.#announce.textContent = `You: ${line.text}`;
    if (line.kind === "agent" && line.outcome && line.heard) this.#announce.textContent = `${other}: ${line.heard}`;
    if (line.kind === "trouble") this.#announce.textContent = line.detail;
  }
}

function scale(lines: readonly Line[]): number {
  const totals = lines.map((line) => (line.kind === "agent" ? (latencyOf(line.latency)?.total_ms ?? 0) : 0));
  return Math.max(SCALE_MIN_MS, ...totals);
}

function draw(line: Line, drawn: Drawn | undefined, other: string): HTMLLIElement {
  switch (line.kind) {
    case "caller":
      return caller(line);
    case "agent":
      return grow(line, drawn) ?? agent(line, other);
    case "judgement":
      return judgement(line);
    case "aside":
      return aside(line);
    case "topic":
      return el("li", "line topic", el("p", "said", "A new topic: what was said before is left behind."));
    case "trouble":
      return trouble(line);
  }
}

function who(name: string, at_ms: number): HTMLElement {
  return el("p", "speaker", el("span", "name", name), " ", el("time", "", clock(at_ms)));
}

function caller(line: CallerLine): HTMLLIElement {
  const [stays, open] = line.final ? [line.text, ""] : split(line.text, line.stable);
  const said = el("p", "said", el("span", "stable", stays), open || stays ? open : "…");
  const item = el("li", `line caller${line.final ? "" : " partial"}`, who("You", line.at_ms), said);
  if (line.typed) said.append(" ", el("span", "mark", "typed"));
  return item;
}

/** The words that will stay, and those that may still change, with the white space between them. */
export function split(text: string, stable: number): [string, string] {
  const ends = [...text.matchAll(/\S+/g)].map((word) => word.index + word[0].length);
  const at = stable > 0 ? (ends[Math.min(stable, ends.length) - 1] ?? 0) : 0;
  return [text.slice(0, at), text.slice(at)];
}

const endings = {
  interrupted: "you cut in",
  revoked: "withdrawn before it was heard",
  failed: "broke off",
} as const;

function agent(line: AgentLine, other: string): HTMLLIElement {
  const said = el("p", "said", el("span", "heard", line.heard));
  if (line.outcome === null && !line.heard) said.append(el("span", "dim", "…"));
  if (line.outcome && line.outcome !== "completed") {
    // The space before it is not struck through: nothing stands there to be unheard.
    if (line.unheard.trim()) said.append(/^\s/.test(line.unheard) ? " " : "", el("s", "unheard", line.unheard.trim()));
    said.append(" ", el("span", "mark", endings[line.outcome]));
  }
  if (line.shown) said.append(" ", el("span", "shown", line.shown));
  const latency = latencyOf(line.latency);
  const sources = line.citations.map(citation);
  const item = el("li", `line agent ${line.outcome ?? "playing"}`, who(other, line.at_ms), said, line.search ? el("p", "sources", line.search) : null, sources.length > 0 ? el("ul", "sources", ...sources) : null, latency && latencyBar(latency));
  if (line.outcome === "revoked" || line.outcome === "failed") item.classList.add("faded");
  return item;
}

/** While an agent turn plays, new words are put behind those that stand there, so that they alone fade in. */
function grow(line: AgentLine, drawn: Drawn | undefined): HTMLLIElement | null {
  const before = drawn?.line;
  if (before?.kind !== "agent" || line.outcome !== null || before.latency !== line.latency || before.shown !== line.shown || before.citations !== line.citations || before.search !== line.search) {
    return null;
  }
  const heard = drawn?.item.querySelector(".heard");
  if (!drawn || !heard || !before.heard || !line.heard.startsWith(before.heard)) return null;
  heard.append(el("span", "new", line.heard.slice(before.heard.length)));
  return drawn.item;
}

/** Where an answer took something from: as text, whatever it is called. A page of the web is opened elsewhere. */
function citation({ origin, source, heading, line, page }: Citation): HTMLLIElement {
  const place = page !== undefined ? `, page ${page}` : line !== undefined ? `, line ${line}` : "";
  if (origin === "file" || !/^https?:\/\//.test(source)) return el("li", "", `${heading || source} (${source}${place})`);
  const link = el("a", "", heading || source);
  link.href = source;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return el("li", "", link);
}

function judgement(line: JudgementLine): HTMLLIElement {
  const summary = el(
    "summary",
    "",
    el("b", "", line.action),
    line.reason ? `: ${reasonInWords(line.action, line.reason)}` : "",
    line.overruled_by ? `, not ${line.proposed ?? ""} (${line.overruled_by.replaceAll("-", " ")})` : "",
    line.moment === "caller" ? ", reading along" : "",
    " ",
    el("span", "took", `${line.judge}, ${line.took_ms < 10 ? line.took_ms.toFixed(1) : Math.round(line.took_ms)} ms`),
  );
  const odds = Object.entries(line.probabilities)
    .sort(([, a], [, b]) => b - a)
    .map(([action, p]) => el("div", "", el("dt", "", action), el("dd", "", `${Math.round(p * 100)} %`)));
  const fact = line.rests_on ? [el("p", "fact", `Rests on: ${line.rests_on}`)] : [];
  return el("li", "line judgement", el("details", "", summary, ...fact, el("dl", "", ...odds)));
}

function aside(line: AsideLine): HTMLLIElement {
  const said = el("p", "said", line.text, " ", el("span", "mark", "while listening"));
  return el("li", "line caller aside", who("You", line.at_ms), said);
}

function trouble(line: TroubleLine): HTMLLIElement {
  return el("li", "line trouble", el("p", "said", line.detail || line.code));
}
