// A call as a list of things in the order of its clock. Pure.

import { latencyNames, type LatencyParts } from "../events.js";
import type { Row } from "./api.js";

export interface Turn {
  kind: "turn";
  turn: number;
  at_ms: number;
  until_ms: number;
  speaker: "caller" | "agent";
  said: string;
  /** Generated and never heard. */
  unheard: string;
  outcome: string;
  typed: boolean;
  latency: LatencyParts;
}

export interface Decision {
  kind: "decision";
  id: number;
  turn: number;
  at_ms: number;
  judge: string;
  action: string;
  reason: string;
  proposed: string;
  overruled_by: string;
  rests_on: string;
  /** Where the fact was said. */
  fact_call: string;
  fact_turn: number | null;
  probabilities: Record<string, number>;
  took_ms: number;
  moment: string;
  /** What a reviewer says that should have been done. */
  label: string;
}

export interface Trouble {
  kind: "trouble";
  at_ms: number;
  words: string;
}

/** What a reviewer has to say. */
export interface Note {
  kind: "note";
  id: number;
  /** Null: about the whole call. */
  about_ms: number | null;
  at_ms: number;
  words: string;
  by: string;
}

export type Item = Turn | Decision | Trouble | Note;

const text = (row: Row, name: string) => (row[name] === null || row[name] === undefined ? "" : String(row[name]));
const number = (row: Row, name: string) => Number(row[name] ?? 0);

export function turnOf(row: Row): Turn {
  const heard = text(row, "heard");
  const generated = text(row, "text");
  const agent = row["speaker"] === "agent";
  const latency: LatencyParts = {};
  for (const name of latencyNames) if (typeof row[name] === "number") latency[name] = row[name];
  return {
    kind: "turn",
    turn: number(row, "turn"),
    at_ms: number(row, "started_ms"),
    until_ms: number(row, "ended_ms"),
    speaker: agent ? "agent" : "caller",
    said: agent ? heard : generated,
    unheard: agent && generated.startsWith(heard) ? generated.slice(heard.length) : "",
    outcome: text(row, "outcome"),
    typed: row["typed"] === 1,
    latency,
  };
}

/** Likelihoods as the row has them; what is no JSON tells nothing. */
export function likelihoods(json: string): Record<string, number> {
  try {
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed !== "object" || parsed === null) return {};
    return Object.fromEntries(Object.entries(parsed).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
  } catch {
    return {};
  }
}

export function decisionOf(row: Row): Decision {
  return {
    kind: "decision",
    id: number(row, "judgement"),
    turn: number(row, "turn"),
    at_ms: number(row, "at_ms"),
    judge: text(row, "judge"),
    action: text(row, "action"),
    reason: text(row, "reason"),
    proposed: text(row, "proposed"),
    overruled_by: text(row, "overruled_by"),
    rests_on: text(row, "rests_on"),
    fact_call: text(row, "fact_call"),
    fact_turn: typeof row["fact_turn"] === "number" ? row["fact_turn"] : null,
    probabilities: likelihoods(text(row, "probabilities")),
    took_ms: number(row, "took_ms"),
    moment: text(row, "moment"),
    label: text(row, "label"),
  };
}

export function noteOf(row: Row): Note {
  const about_ms = typeof row["at_ms"] === "number" ? row["at_ms"] : null;
  // What is about the whole call stands before its first word.
  return { kind: "note", id: number(row, "id"), about_ms, at_ms: about_ms ?? -1, words: text(row, "text"), by: text(row, "by") };
}

/** What a judge may choose, by who held the floor. */
const LEGAL: Record<string, readonly string[]> = {
  caller: ["listen", "backchannel", "interrupt"],
  end_of_turn: ["respond", "refuse", "deflect", "silence", "listen", "block"],
  idle: ["silence", "initiate"],
};

export function legal(moment: string): readonly string[] {
  return LEGAL[moment] ?? [];
}

/** All of it in the order of the clock; a decision comes after the turn that it is about, before the answer. */
export function inOrder(turns: Turn[], decisions: Decision[], others: (Trouble | Note)[]): Item[] {
  const rank = { turn: 0, decision: 1, trouble: 2, note: 3 };
  return [...turns, ...decisions, ...others].sort((a, b) => a.at_ms - b.at_ms || rank[a.kind] - rank[b.kind]);
}

/** The turn that is heard at a moment of the call: the last that has begun and is not long over. */
export function turnAt(turns: readonly Turn[], ms: number): Turn | null {
  const spoken = turns.filter((turn) => !turn.typed && turn.at_ms <= ms && ms < turn.until_ms + 500);
  return spoken.at(-1) ?? null;
}
