// What the server remembers of this page's caller: read, put right, taken out. The name is the caller's secret.

import { Refused } from "./microphone.js";
import { problemOfResponse, unreachable } from "./problem.js";

export interface Fact {
  id: number;
  text: string;
  value: string;
  said_times: number;
  /** Null for what the caller has put right by hand. */
  turn: number | null;
}

/** What is told beside the facts: open promises and what earlier calls were about. */
export interface Memory {
  relation: string;
  calls: number;
  facts: Fact[];
  rest: string[];
}

interface Answer {
  relation: string;
  calls: number;
  facts: (Fact & { valid_to_utc_ms: number | null })[];
  commitments: { who: string; what: string; due: string | null; state: string }[];
  summaries: { started_utc_ms: number; text: string }[];
}

/** Earlier calls that are told of. */
const CALLS_TOLD = 5;

/** What of the server's answer a caller wants to see: what holds now. */
export function memoryOf(answer: Answer): Memory {
  const promises = answer.commitments
    .filter(({ state }) => state === "open")
    .map(({ who, what, due }) => `${who === "caller" ? "You" : "The agent"} promised to ${what}${due === null ? "" : `, due ${due}`}`);
  const calls = answer.summaries
    .slice(0, CALLS_TOLD)
    .map(({ started_utc_ms, text }) => `Call of ${new Date(started_utc_ms).toISOString().slice(0, 10)}: ${text}`);
  return {
    relation: answer.relation,
    calls: answer.calls,
    facts: answer.facts.filter(({ valid_to_utc_ms }) => valid_to_utc_ms === null),
    rest: [...promises, ...calls],
  };
}

const urlOf = (caller: string, fact?: number) =>
  `/v1/callers/${encodeURIComponent(caller)}/memory${fact === undefined ? "" : `/facts/${fact}`}`;

/** Null where the server does not know the thing: a caller who has never called, a fact that is gone. */
async function ask(url: string, init: RequestInit = {}): Promise<Response | null> {
  const response = await fetch(url, init).catch(() => {
    throw new Refused(unreachable);
  });
  if (response.status === 404) return null;
  if (response.ok) return response;
  throw new Refused(problemOfResponse(response.status, response.headers.get("content-type"), await response.text()));
}

/** Everything that is remembered; null: nothing, the server does not know the caller. */
export async function recollect(caller: string): Promise<Memory | null> {
  const response = await ask(urlOf(caller));
  return response && memoryOf((await response.json()) as Answer);
}

/** Gives a fact another value. */
export async function correct(caller: string, fact: number, value: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  await ask(urlOf(caller, fact), { method: "PUT", headers, body: JSON.stringify({ value }) });
}

/** Takes one fact out, or, without one, the caller: facts, promises, summaries, and the words of every call. */
export async function forget(caller: string, fact?: number): Promise<void> {
  await ask(urlOf(caller, fact), { method: "DELETE" });
}
