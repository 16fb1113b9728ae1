// From the moments of a reply to a bar: which step took how long, in the order in which the steps came to an end.

import type { LatencyParts } from "./events.js";

export type Step = "wait" | "asr" | "judge" | "token" | "clause" | "audio" | "packet";

export interface Segment {
  step: Step;
  label: string;
  took_ms: number;
}

export interface Latency {
  segments: Segment[];
  /** From the end of the caller's speech (of the turn, when it was typed) to the first packet of the reply. */
  total_ms: number;
  /** What the total counts from. */
  from: "speech" | "turn";
}

const steps: readonly { step: Step; label: string; until: keyof LatencyParts }[] = [
  { step: "wait", label: "end of turn", until: "turn_end_ms" },
  { step: "asr", label: "transcript", until: "asr_ms" },
  { step: "judge", label: "judgement", until: "judge_ms" },
  { step: "token", label: "first words", until: "first_token_ms" },
  { step: "clause", label: "first clause", until: "first_clause_ms" },
  { step: "audio", label: "first audio", until: "first_audio_ms" },
  { step: "packet", label: "first packet", until: "first_packet_ms" },
];

/**
 * The bar of one reply, or null when there was nothing to wait for (the agent spoke first) or nothing was sent.
 *
 * Steps may overlap: work starts before the turn has certainly ended. Each moment therefore ends the stretch since
 * the moment before it, whichever that was, and the stretches add up to the total.
 */
export function latencyOf(parts: LatencyParts): Latency | null {
  const from = parts.speech_end_ms !== undefined ? "speech" : "turn";
  const start = parts.speech_end_ms ?? parts.turn_end_ms;
  const end = parts.first_packet_ms;
  if (start === undefined || end === undefined || end < start) return null;

  const moments = steps
    .map((step, order) => ({ ...step, order, at: parts[step.until] }))
    .filter((m): m is typeof m & { at: number } => m.at !== undefined && m.at >= start && m.at <= end)
    .sort((a, b) => a.at - b.at || a.order - b.order);

  let before = start;
  const segments: Segment[] = [];
  for (const { step, label, at } of moments) {
    if (!(step === "wait" && from === "turn")) segments.push({ step, label, took_ms: at - before });
    before = at;
  }
  return { segments, total_ms: end - start, from };
}

export function inWords(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
