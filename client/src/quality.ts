// How the caller's sound arrives, in words that a caller understands. Pure.

import type { Quality } from "./events.js";

export type Verdict = "good" | "fair" | "poor";

/** Above this share of made-up sound a stream is called poor, as in Microsoft Teams' call quality dashboard. */
const POOR_CONCEALED = 0.07;
/** Above one of these it is heard that something is amiss. */
const FAIR_CONCEALED = 0.02;
const FAIR_LOSS = 0.02;
const FAIR_DELAY_MS = 120;

export function verdictOf(quality: Quality): Verdict {
  if (quality.concealed > POOR_CONCEALED) return "poor";
  const fair = quality.concealed > FAIR_CONCEALED || quality.loss > FAIR_LOSS || quality.delay_ms > FAIR_DELAY_MS;
  return fair ? "fair" : "good";
}

/** The verdict as a sentence about the caller's own sound. */
export function sentenceOf(verdict: Verdict): string {
  switch (verdict) {
    case "good":
      return "You come through clearly";
    case "fair":
      return "Your line is uneven";
    case "poor":
      return "You come through in pieces";
  }
}

export interface Figure {
  name: string;
  value: string;
  meaning: string;
}

/** The figures behind the verdict, always the same ones in the same order. */
export function figuresOf(quality: Quality): Figure[] {
  return [
    { name: "delay", value: `${quality.delay_ms} ms`, meaning: "held back, so that packets which come late are still in time" },
    { name: "lost", value: percent(quality.loss), meaning: "of your packets never arrived" },
    { name: "restored", value: percent(quality.recovered), meaning: "of your sound came from the copy in a later packet" },
    { name: "made up", value: percent(quality.concealed), meaning: "of your sound was missing and had to be made up" },
  ];
}

function percent(share: number): string {
  const value = share * 100;
  return `${value === 0 || value >= 10 ? value.toFixed(0) : value.toFixed(1)} %`;
}
