// What the timeline shows, gathered from the events. Pure: no DOM, no clock. Moments are milliseconds of the call.

import type { FloorState, LatencyParts, Stamped, TurnOutcome } from "./events.js";
import { inWords, latencyOf } from "./latency.js";

export interface Stretch {
  from_ms: number;
  /** Null while it goes on. */
  to_ms: number | null;
}

/** The caller's voice. `aside`: it held the agent up for a moment and did not take the floor. */
export interface CallerStretch extends Stretch {
  kind: "turn" | "aside" | "typed";
  /** What was understood of an aside: that the caller listens. */
  said?: string;
}

export interface AgentStretch extends Stretch {
  turn: number;
  outcome: TurnOutcome | null;
  /** When the agent was held: it might have been interrupted. */
  holds: Stretch[];
  /** The last moment at which a word of it was heard. */
  heard_ms: number | null;
  heard: string;
  /** What was written and never heard; known when the turn is over. */
  unheard: string;
  latency: LatencyParts;
}

export interface FloorStretch extends Stretch {
  state: FloorState;
}

export interface Timeline {
  floor: readonly FloorStretch[];
  caller: readonly CallerStretch[];
  agent: readonly AgentStretch[];
}

export const emptyTimeline: Timeline = { floor: [], caller: [], agent: [] };

/** A withdrawn answer was never on the line; it is shown where it was being made, at least so long. */
const WITHDRAWN_MIN_MS = 300;
/** Speech without a measure of its own: 15 letters a second. */
const LETTER_MS = 66;
/** Longer than this, what was left unsaid is not drawn: it would lie under the rest of the call. */
const UNSAID_MAX_MS = 5000;

export function extend(timeline: Timeline, event: Stamped): Timeline {
  const { at_ms } = event;
  switch (event.type) {
    case "call-started":
      return { ...emptyTimeline, floor: [{ state: "idle", from_ms: at_ms, to_ms: null }] };
    case "floor":
      return enter(timeline, event.state, at_ms);
    case "transcript":
      return event.typed ? typed(timeline, at_ms) : timeline;
    case "turn-started":
      return withAgent(ended(timeline, event.latency), event.turn, at_ms, (turn) => ({ ...turn, latency: event.latency }));
    case "words":
      return withAgent(timeline, event.turn, at_ms, (turn) => ({ ...turn, heard: event.heard, heard_ms: at_ms }));
    case "backchannel":
      return aside(timeline, event.text);
    case "draft":
      return event.adopted ? timeline : thrownAway(timeline, event.turn, Math.max(0, at_ms - event.spent_ms), at_ms);
    case "turn-ended":
      return withAgent(ended(timeline, event.latency), event.turn, at_ms, (turn, fresh) => ({
        ...turn,
        from_ms: fresh ? withdrawnFrom(event.latency, at_ms) : turn.from_ms,
        to_ms: at_ms,
        holds: close(turn.holds, at_ms),
        outcome: event.outcome,
        heard: event.heard,
        unheard: event.generated.startsWith(event.heard) ? event.generated.slice(event.heard.length) : "",
        latency: event.latency,
      }));
    case "call-ended":
      return {
        floor: close(timeline.floor, at_ms),
        caller: close(timeline.caller, at_ms),
        agent: close(timeline.agent, at_ms),
      };
    default:
      return timeline;
  }
}

/** How long the part that was not heard would have gone on, by the pace of the part that was. */
export function unsaidMs(turn: AgentStretch): number {
  if (turn.outcome !== "interrupted" || turn.unheard.trim() === "") return 0;
  const held = turn.holds.reduce((sum, hold) => sum + ((hold.to_ms ?? hold.from_ms) - hold.from_ms), 0);
  const spoken = (turn.to_ms ?? turn.from_ms) - turn.from_ms - held;
  const letter_ms = turn.heard.length > 10 && spoken > 0 ? spoken / turn.heard.length : LETTER_MS;
  return Math.min(UNSAID_MAX_MS, turn.unheard.trim().length * letter_ms);
}

/** The timeline in words, for those who do not see it; `other` is the agent's name. */
export function summary(timeline: Timeline, other: string): string {
  const count = (n: number, one: string) => `${n} ${one}${n === 1 ? "" : "s"}`;
  const spoken = timeline.caller.filter(({ kind }) => kind !== "aside").length;
  const begun = timeline.agent.filter(({ outcome }) => outcome !== "revoked");
  const parts = [`You spoke ${count(spoken, "time")}, ${other} ${count(begun.length, "time")}.`];
  const cut = timeline.agent.filter(({ outcome }) => outcome === "interrupted");
  if (cut.length > 0) {
    const after = cut.map(({ heard }) => (heard ? `after “${heard.trim().split(/\s+/).slice(-3).join(" ")}”` : "before a word was heard"));
    parts.push(`You cut in ${count(cut.length, "time")}: ${after.join(", ")}.`);
  }
  const withdrawn = timeline.agent.length - begun.length;
  if (withdrawn > 0) parts.push(`${count(withdrawn, "answer")} withdrawn before being heard.`);
  const held = timeline.agent.filter(({ outcome, holds }) => outcome !== "interrupted" && holds.length > 0).length;
  if (held > 0) parts.push(`${other} was held up and went on in ${count(held, "turn")}.`);
  const waits = timeline.agent.map(({ latency }) => latencyOf(latency)?.total_ms).filter((ms) => ms !== undefined);
  if (waits.length > 0) parts.push(`Answers began after ${waits.map(inWords).join(", ")}.`);
  return parts.join(" ");
}

function close<T extends Stretch>(stretches: readonly T[], at_ms: number): T[] {
  return stretches.map((stretch) => (stretch.to_ms === null ? { ...stretch, to_ms: Math.max(at_ms, stretch.from_ms) } : stretch));
}

function enter(timeline: Timeline, state: FloorState, at_ms: number): Timeline {
  const before = timeline.floor.at(-1);
  if (before?.state === state && before.to_ms === null) return timeline;
  const floor = [...close(timeline.floor, at_ms), { state, from_ms: at_ms, to_ms: null }];
  let { caller, agent } = timeline;
  if (state === "caller") {
    // Over the agent's voice the caller began when it was held, and not only when that was certain.
    const heldUp = before?.state === "suspect" ? caller.at(-1) : undefined;
    caller = heldUp?.kind === "aside" && heldUp.to_ms === null ? caller.with(-1, { ...heldUp, kind: "turn" }) : [...close(caller, at_ms), { kind: "turn", from_ms: at_ms, to_ms: null }];
  } else if (state === "suspect") {
    caller = [...close(caller, at_ms), { kind: "aside", from_ms: at_ms, to_ms: null }];
    const speaking = agent.at(-1);
    if (speaking && speaking.to_ms === null) {
      agent = agent.with(-1, { ...speaking, holds: [...close(speaking.holds, at_ms), { from_ms: at_ms, to_ms: null }] });
    }
  } else {
    caller = close(caller, at_ms);
    agent = agent.map((turn) => (turn.to_ms === null && turn.holds.at(-1)?.to_ms === null ? { ...turn, holds: close(turn.holds, at_ms) } : turn));
  }
  return { floor, caller, agent };
}

function typed(timeline: Timeline, at_ms: number): Timeline {
  return { ...timeline, caller: [...close(timeline.caller, at_ms), { kind: "typed", from_ms: at_ms, to_ms: at_ms }] };
}

function aside(timeline: Timeline, said: string): Timeline {
  const index = timeline.caller.findLastIndex(({ kind }) => kind === "aside");
  const stretch = timeline.caller[index];
  return stretch ? { ...timeline, caller: timeline.caller.with(index, { ...stretch, said }) } : timeline;
}

/** A reply was begun too early. */
function thrownAway(timeline: Timeline, turn: number, from_ms: number, at_ms: number): Timeline {
  return withAgent(timeline, turn, from_ms, (stretch) => ({
    ...stretch,
    to_ms: Math.max(at_ms, stretch.from_ms),
    outcome: "revoked",
  }));
}

/** The server tells afterwards when the caller's last sound was: the silence behind it is no speech. */
function ended(timeline: Timeline, { speech_end_ms }: LatencyParts): Timeline {
  if (speech_end_ms === undefined) return timeline;
  const index = timeline.caller.findLastIndex(({ kind, from_ms }) => kind === "turn" && from_ms <= speech_end_ms);
  const stretch = timeline.caller[index];
  if (!stretch || stretch.to_ms === null || stretch.to_ms <= speech_end_ms) return timeline;
  return { ...timeline, caller: timeline.caller.with(index, { ...stretch, to_ms: speech_end_ms }) };
}

function withAgent(
  timeline: Timeline,
  turn: number,
  at_ms: number,
  change: (stretch: AgentStretch, fresh: boolean) => AgentStretch,
): Timeline {
  const index = timeline.agent.findLastIndex((stretch) => stretch.turn === turn);
  const known = timeline.agent[index];
  const fresh = { turn, from_ms: at_ms, to_ms: null, outcome: null, holds: [], heard_ms: null, heard: "", unheard: "", latency: {} };
  const changed = change(known ?? fresh, known === undefined);
  return { ...timeline, agent: known ? timeline.agent.with(index, changed) : [...timeline.agent, changed] };
}

/** From its first text, or from the verdict, to its end. */
function withdrawnFrom(latency: LatencyParts, at_ms: number): number {
  const began = latency.first_token_ms ?? latency.judge_ms ?? at_ms;
  return Math.max(0, Math.min(began, at_ms - WITHDRAWN_MIN_MS));
}
