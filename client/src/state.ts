// The page's state and how events change it. Pure: no DOM, no clock, no network; the views draw what is here.
//
// Lines that an action does not touch keep their identity, so that a view may compare by `===`.

import type { Citation, FloorState, LatencyParts, Quality, SearchState, Stamped, TurnOutcome } from "./events.js";
import type { Problem } from "./problem.js";
import { endingInWords } from "./problem.js";
import { emptyTimeline, extend, type Timeline } from "./timeline.js";

export interface CallerLine {
  kind: "caller";
  turn: number;
  at_ms: number;
  text: string;
  /** Words at the beginning of a partial that will hardly change any more. */
  stable: number;
  /** False while the text is a partial that may still change. */
  final: boolean;
  typed: boolean;
}

export interface AgentLine {
  kind: "agent";
  turn: number;
  at_ms: number;
  heard: string;
  /** What was generated and not played; known when the turn has ended. */
  unheard: string;
  /** Pictures that it showed. */
  shown: string;
  /** Places that it took something from. */
  citations: readonly Citation[];
  /** What the web was asked for it, and what came of it; empty where it was not asked. */
  search: string;
  /** Null while it plays. */
  outcome: TurnOutcome | null;
  latency: LatencyParts;
}

export interface JudgementLine {
  kind: "judgement";
  turn: number;
  at_ms: number;
  moment: string;
  proposed?: string;
  overruled_by?: string;
  rests_on?: string;
  judge: string;
  action: string;
  reason: string;
  probabilities: Record<string, number>;
  took_ms: number;
}

export interface TroubleLine {
  kind: "trouble";
  at_ms: number;
  code: string;
  detail: string;
}

/** The caller showed that they listen; the agent went on. */
export interface AsideLine {
  kind: "aside";
  at_ms: number;
  text: string;
}

/** From here on the agent sees nothing of what was said before. */
export interface TopicLine {
  kind: "topic";
  at_ms: number;
}

export type Line = CallerLine | AgentLine | JudgementLine | AsideLine | TopicLine | TroubleLine;

/**
 * `ready`: the page waits for the Call button. `starting`: microphone and offer. `connecting`: answered, no media yet.
 * `live`: the call runs. `ended`: over, and its conversation stays on the page.
 */
export type Phase = "ready" | "starting" | "connecting" | "live" | "ended";

export interface Ending {
  reason: string;
  sentence: string;
  at_ms: number;
}

export interface ViewState {
  phase: Phase;
  call: string | null;
  persona: string | null;
  floor: FloorState;
  lines: readonly Line[];
  timeline: Timeline;
  /** How the caller's sound arrives; null until the server has told. */
  quality: Quality | null;
  /** The newest moment that the server has told, milliseconds since the call began. */
  at_ms: number;
  /** What the caller could ask next; empty once another turn has begun. */
  followUps: readonly string[];
  /** The server keeps the sound of this call. */
  recorded: boolean;
  muted: boolean;
  /** False for a call that goes on by typing alone. */
  microphone: boolean;
  /** Set while the network seems to be gone and may come back. */
  wavering: boolean;
  problem: Problem | null;
  ending: Ending | null;
}

export type Action =
  | { kind: "dial"; persona: string }
  | { kind: "answered"; microphone: boolean }
  | { kind: "live" }
  | { kind: "wavering"; on: boolean }
  | { kind: "mute"; on: boolean }
  | { kind: "microphone-gone" }
  | { kind: "event"; event: Stamped }
  | { kind: "problem"; problem: Problem }
  | { kind: "problem-read" }
  | { kind: "ended"; reason: string; at_ms: number; problem?: Problem };

export const initial: ViewState = {
  phase: "ready",
  call: null,
  persona: null,
  floor: "idle",
  lines: [],
  timeline: emptyTimeline,
  quality: null,
  at_ms: 0,
  followUps: [],
  recorded: false,
  muted: false,
  microphone: true,
  wavering: false,
  problem: null,
  ending: null,
};

export function reduce(state: ViewState, action: Action): ViewState {
  switch (action.kind) {
    case "dial":
      return { ...initial, phase: "starting", persona: action.persona };
    case "answered":
      return { ...state, phase: "connecting", microphone: action.microphone };
    case "live":
      return state.phase === "ended" ? state : { ...state, phase: "live", wavering: false };
    case "wavering":
      return state.phase === "live" ? { ...state, wavering: action.on } : state;
    case "mute":
      return { ...state, muted: action.on };
    case "microphone-gone":
      return { ...state, microphone: false };
    case "event":
      return applyEvent(
        { ...state, at_ms: Math.max(state.at_ms, action.event.at_ms), timeline: extend(state.timeline, action.event) },
        action.event,
      );
    case "problem":
      // A problem while dialling puts the page back to where a call can be tried again.
      return { ...state, problem: action.problem, phase: state.phase === "starting" ? "ready" : state.phase };
    case "problem-read":
      return { ...state, problem: null };
    case "ended":
      return end({ ...state, problem: action.problem ?? state.problem }, action.reason, "", action.at_ms);
  }
}

function applyEvent(state: ViewState, event: Stamped): ViewState {
  const { at_ms } = event;
  switch (event.type) {
    case "call-started":
      return { ...state, phase: "live", call: event.call, persona: event.persona };
    case "floor":
      return { ...state, floor: event.state, followUps: event.state === "idle" ? state.followUps : [] };
    case "partial":
      // Also after a transcript: the caller went on, and the turn is open again.
      return withCaller(state, event.turn, (line) => ({
        kind: "caller",
        turn: event.turn,
        at_ms: line?.at_ms ?? at_ms,
        text: event.text,
        stable: event.stable,
        final: false,
        typed: false,
      }));
    case "transcript":
      return withCaller(state, event.turn, (line) => ({
        kind: "caller",
        turn: event.turn,
        at_ms: line?.at_ms ?? at_ms,
        text: event.text,
        stable: 0,
        final: true,
        typed: event.typed,
      }));
    case "judgement":
      return withJudgement(state, event);
    case "turn-started":
      return withAgent(state, event.turn, at_ms, (line) => ({ ...line, latency: event.latency }));
    case "words":
      return withAgent(state, event.turn, at_ms, (line) => ({ ...line, heard: event.heard }));
    case "attention":
    case "transition":
    case "budget":
    // A telephone's, and this page is none.
    case "key":
    case "hold":
    case "transfer":
    case "taken-over":
    case "keys-sent":
    // Whoever is connected hears it.
    case "bridge":
      return state;
    case "citations":
      return withAgent(state, event.turn, at_ms, (line) => ({ ...line, citations: event.citations }));
    case "search":
      return withAgent(state, event.turn, at_ms, (line) => ({ ...line, search: searchInWords(event.query, event.state) }));
    case "topic":
      return { ...state, lines: [...state.lines, { kind: "topic", at_ms }] };
    case "follow-ups":
      return { ...state, followUps: event.questions };
    case "recording":
      return { ...state, recorded: event.on };
    case "persona":
      return { ...state, persona: event.name };
    case "express":
      return withAgent(state, event.turn, at_ms, (line) => ({ ...line, shown: line.shown + event.emoji }));
    case "backchannel":
      return { ...state, lines: [...state.lines, { kind: "aside", at_ms, text: event.text }] };
    case "draft":
      // Nobody heard it, and an adopted one is told by the turn that follows.
      return state;
    case "turn-ended":
      return withAgent(state, event.turn, at_ms, (line) => ({
        ...line,
        heard: event.heard,
        unheard: event.generated.startsWith(event.heard) ? event.generated.slice(event.heard.length) : "",
        outcome: event.outcome,
        latency: event.latency,
      }));
    case "line":
      // The call itself acts on it; there is nothing to show.
      return state;
    case "quality": {
      const { at_ms: _at, type: _type, ...quality } = event;
      return { ...state, quality };
    }
    case "trouble":
      return { ...state, lines: [...state.lines, { kind: "trouble", at_ms, code: event.code, detail: event.detail }] };
    case "call-ended":
      return end(state, event.reason, event.detail, at_ms);
  }
}

const searches: Record<SearchState, string> = {
  asked: "looking on the web",
  found: "found on the web",
  nothing: "the web knows nothing about it",
  late: "the web took too long",
  failed: "the web could not be asked",
  dropped: "no longer looked for on the web",
};

function searchInWords(query: string, state: SearchState): string {
  return `${searches[state]}: ${query}`;
}

/** The first word about the end stands: the server's, or the page's own where the server can no longer be heard. */
function end(state: ViewState, reason: string, detail: string, at_ms: number): ViewState {
  if (state.ending) return state;
  const ending = { reason, sentence: endingInWords(reason, detail), at_ms: Math.max(state.at_ms, at_ms) };
  const lines = state.lines.filter((line) => line.kind !== "caller" || line.final || line.text.trim() !== "");
  const timeline = extend(state.timeline, { type: "call-ended", at_ms: ending.at_ms, reason, detail });
  return { ...state, phase: "ended", floor: "idle", wavering: false, lines, timeline, ending };
}

function replaceOrAppend(state: ViewState, index: number, line: Line): ViewState {
  const lines = index < 0 ? [...state.lines, line] : state.lines.with(index, line);
  return { ...state, lines };
}

function withCaller(state: ViewState, turn: number, change: (line: CallerLine | undefined) => CallerLine): ViewState {
  const index = state.lines.findLastIndex((line) => line.kind === "caller" && line.turn === turn);
  return replaceOrAppend(state, index, change(state.lines[index] as CallerLine | undefined));
}

function withAgent(state: ViewState, turn: number, at_ms: number, change: (line: AgentLine) => AgentLine): ViewState {
  const index = state.lines.findLastIndex((line) => line.kind === "agent" && line.turn === turn);
  const fresh: AgentLine = { kind: "agent", turn, at_ms, heard: "", unheard: "", shown: "", citations: [], search: "", outcome: null, latency: {} };
  return replaceOrAppend(state, index, change((state.lines[index] as AgentLine | undefined) ?? fresh));
}

/** The judge speaks on each stable partial too: the newest verdict on a turn replaces the one before it. */
function withJudgement(state: ViewState, event: Extract<Stamped, { type: "judgement" }>): ViewState {
  const { type: _, ...fields } = event;
  const index = state.lines.findLastIndex((line) => line.kind === "judgement" && line.turn === event.turn);
  return replaceOrAppend(state, index, { kind: "judgement", ...fields });
}
