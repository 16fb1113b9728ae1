// What a call says about itself and what the page may say to it: the TypeScript side of signaling/src/event.rs.
// signaling/PROTOCOL.md describes each; the tests read the same examples as the Rust tests do.

export type FloorState = "idle" | "caller" | "thinking" | "agent" | "suspect";
export type BridgeState = "asked" | "joined" | "parted" | "failed";
export type TransferState = "asked" | "ringing" | "done" | "failed";
export type TurnOutcome = "completed" | "interrupted" | "revoked" | "failed";

/** Where the time of a reply went: milliseconds since the call began, absent where a step did not happen. */
export interface LatencyParts {
  speech_end_ms?: number;
  turn_end_ms?: number;
  asr_ms?: number;
  judge_ms?: number;
  first_token_ms?: number;
  first_clause_ms?: number;
  first_audio_ms?: number;
  first_packet_ms?: number;
}

export type CallEvent =
  | { type: "call-started"; call: string; persona: string }
  | { type: "floor"; state: FloorState }
  /** The first `stable` words of the text will hardly change any more. */
  | { type: "partial"; turn: number; text: string; stable: number }
  | { type: "transcript"; turn: number; text: string; typed: boolean }
  | Judgement
  | { type: "turn-started"; turn: number; latency: LatencyParts }
  | { type: "words"; turn: number; heard: string }
  | { type: "backchannel"; turn: number; text: string }
  /** The agent's own sign of attention. */
  | { type: "attention"; turn: number; text: string }
  /** Somebody else answers from now on. */
  | { type: "persona"; name: string; title: string }
  /** What an answer took from somebody else's texts: shown as text, never as markup. */
  | { type: "citations"; turn: number; caller_turn: number; citations: Citation[] }
  /** The web is asked for an agent turn, and what came of it. */
  | { type: "search"; turn: number; query: string; state: SearchState; results: number; took_ms: number }
  /** From this turn on the model sees nothing of before. */
  | { type: "topic"; turn: number; asked_by: string }
  /** A phrase that a late answer begins with. */
  | { type: "transition"; turn: number; text: string }
  /** What the caller could ask next: to be shown until another turn begins, and sent as `text`. */
  | { type: "follow-ups"; turn: number; questions: string[] }
  /** The call is recorded from here on, or no more. */
  | { type: "recording"; on: boolean }
  /** The caller pressed a key of the telephone: 0 to 9, *, #, A to D. */
  | { type: "key"; key: string; held_ms: number }
  /** The caller's side has put the call on hold, or taken it back. */
  | { type: "hold"; on: boolean }
  /** The other side was asked to call somebody else in our place. */
  | { type: "transfer"; to: string; state: TransferState; detail: string }
  /** How it stands between this call and another one. */
  | { type: "bridge"; with: string; state: BridgeState; detail: string }
  /** Another telephone holds the call from here on. */
  | { type: "taken-over"; by: string }
  /** The agent's side presses these keys. */
  | { type: "keys-sent"; keys: string }
  /** A picture in the agent's text: shown, never spoken. */
  | { type: "express"; turn: number; emoji: string }
  /** What the persona's budget said to something that the agent meant to do. */
  | { type: "budget"; action: string; allowed: boolean; why: string; spent: number; most: number }
  | { type: "draft"; turn: number; caller_turn: number; adopted: boolean; tokens: number; spent_ms: number }
  | TurnEnded
  | { type: "line"; loss: number; jitter_ms: number; rtt_ms?: number; copies: number; hold_ms: number }
  | ({ type: "quality" } & Quality)
  | { type: "trouble"; code: string; detail: string }
  | { type: "call-ended"; reason: string; detail: string };

/** How the caller's sound arrives, since this was told last. Shares are 0..=1. */
export interface Quality {
  delay_ms: number;
  loss: number;
  late: number;
  concealed: number;
  recovered: number;
  /** Absent while it cannot be told. */
  drift_ppm?: number;
}

export type SearchState = "asked" | "found" | "nothing" | "late" | "failed" | "dropped";

/** A place that an answer rests on: a file of the persona's, or a page of the web. */
export interface Citation {
  origin: "file" | "web";
  source: string;
  heading: string;
  line?: number;
  page?: number;
}

export interface Judgement {
  type: "judgement";
  turn: number;
  /** Who held the floor: "caller" while the turn is spoken. */
  moment: string;
  judge: string;
  action: string;
  reason: string;
  probabilities: Record<string, number>;
  took_ms: number;
  /** The judge's own choice, and the rule that put another in its place. */
  proposed?: string;
  overruled_by?: string;
  /** The sentence of memory that decided it. */
  rests_on?: string;
}

export interface TurnEnded {
  type: "turn-ended";
  turn: number;
  outcome: TurnOutcome;
  heard: string;
  generated: string;
  latency: LatencyParts;
}

/** An event with its moment: milliseconds since the call began. */
export type Stamped = CallEvent & { at_ms: number };

export type ClientMessage =
  | { type: "text"; text: string }
  | { type: "mute"; on: boolean }
  /** What is coming out of the loudspeaker: an RTP timestamp, and when, on the page's own clock. */
  | { type: "playout"; rtp_timestamp: number; at_ms: number }
  | { type: "new-topic" }
  | { type: "persona"; name: string }
  | { type: "microphone"; echo_cancelled: boolean }
  /** So many questions that could be asked next are shown here. */
  | { type: "follow-ups"; most: number }
  /** Not to be recorded: what was recorded of this call goes. */
  | { type: "record"; on: false }
  | { type: "hangup" };

/** The longest typed turn that the server takes. */
export const TEXT_MAX_CHARS = 2000;

export type Parsed =
  | { kind: "event"; event: Stamped }
  /** Well formed, but of a type that this page does not know: a newer server. */
  | { kind: "unknown"; type: string }
  | { kind: "malformed"; fault: string };

type Fields = Record<string, unknown>;

class Fault extends Error {}

const floorStates: readonly string[] = ["idle", "caller", "thinking", "agent", "suspect"];
const outcomes: readonly string[] = ["completed", "interrupted", "revoked", "failed"];
/** The moments of a reply, in the order of the protocol. */
export const latencyNames = [
  "speech_end_ms",
  "turn_end_ms",
  "asr_ms",
  "judge_ms",
  "first_token_ms",
  "first_clause_ms",
  "first_audio_ms",
  "first_packet_ms",
] as const satisfies readonly (keyof LatencyParts)[];

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new Fault(`${name} is not a string`);
  return value;
}

/** A text that may be missing. */
function maybe<Name extends string>(fields: Fields, name: Name): { [N in Name]?: string } {
  const value = fields[name];
  return typeof value === "string" ? ({ [name]: value } as { [N in Name]?: string }) : {};
}

function number(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Fault(`${name} is not a number`);
  return value;
}

function record(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Fault(`${name} is not an object`);
  return value as Fields;
}

function oneOf<T extends string>(fields: Fields, name: string, allowed: readonly string[]): T {
  const value = text(fields, name);
  if (!allowed.includes(value)) throw new Fault(`${name} is ${JSON.stringify(value)}`);
  return value as T;
}

function latency(fields: Fields): LatencyParts {
  const given = record(fields["latency"], "latency");
  const parts: LatencyParts = {};
  for (const name of latencyNames) {
    if (given[name] !== undefined && given[name] !== null) parts[name] = number(given, name);
  }
  return parts;
}

function probabilities(fields: Fields): Record<string, number> {
  const given = record(fields["probabilities"], "probabilities");
  return Object.fromEntries(Object.keys(given).map((action) => [action, number(given, action)]));
}

const bridgeStates: readonly string[] = ["asked", "joined", "parted", "failed"];
const transferStates: readonly string[] = ["asked", "ringing", "done", "failed"];
const searchStates: readonly string[] = ["asked", "found", "nothing", "late", "failed", "dropped"];

function texts(fields: Fields, name: string): string[] {
  const given = fields[name];
  if (!Array.isArray(given) || !given.every((each) => typeof each === "string")) throw new Fault(`${name} is no list of strings`);
  return given;
}

function citations(fields: Fields): Citation[] {
  const given = fields["citations"];
  if (!Array.isArray(given)) throw new Fault("citations is not a list");
  return given.map((each) => {
    const place = record(each, "a citation");
    return {
      origin: oneOf<"file" | "web">(place, "origin", ["file", "web"]),
      source: text(place, "source"),
      heading: text(place, "heading"),
      ...(place["line"] === undefined ? {} : { line: number(place, "line") }),
      ...(place["page"] === undefined ? {} : { page: number(place, "page") }),
    };
  });
}

/** One reader a type; the compiler refuses a list that lacks one. */
const readers: { [T in CallEvent["type"]]: (f: Fields) => Extract<CallEvent, { type: T }> } = {
  "call-started": (f) => ({ type: "call-started", call: text(f, "call"), persona: text(f, "persona") }),
  floor: (f) => ({ type: "floor", state: oneOf<FloorState>(f, "state", floorStates) }),
  partial: (f) => ({
    type: "partial",
    turn: number(f, "turn"),
    text: text(f, "text"),
    stable: f["stable"] === undefined ? 0 : number(f, "stable"),
  }),
  transcript: (f) => ({
    type: "transcript",
    turn: number(f, "turn"),
    text: text(f, "text"),
    typed: f["typed"] === true,
  }),
  judgement: (f) => ({
    type: "judgement",
    turn: number(f, "turn"),
    moment: typeof f["moment"] === "string" ? f["moment"] : "end_of_turn",
    ...maybe(f, "proposed"),
    ...maybe(f, "overruled_by"),
    ...maybe(f, "rests_on"),
    judge: text(f, "judge"),
    action: text(f, "action"),
    reason: text(f, "reason"),
    probabilities: probabilities(f),
    took_ms: number(f, "took_ms"),
  }),
  "turn-started": (f) => ({ type: "turn-started", turn: number(f, "turn"), latency: latency(f) }),
  words: (f) => ({ type: "words", turn: number(f, "turn"), heard: text(f, "heard") }),
  attention: (f) => ({ type: "attention", turn: number(f, "turn"), text: text(f, "text") }),
  persona: (f) => ({ type: "persona", name: text(f, "name"), title: text(f, "title") }),
  citations: (f) => ({
    type: "citations",
    turn: number(f, "turn"),
    caller_turn: number(f, "caller_turn"),
    citations: citations(f),
  }),
  search: (f) => ({
    type: "search",
    turn: number(f, "turn"),
    query: text(f, "query"),
    state: oneOf<SearchState>(f, "state", searchStates),
    results: number(f, "results"),
    took_ms: number(f, "took_ms"),
  }),
  topic: (f) => ({ type: "topic", turn: number(f, "turn"), asked_by: text(f, "asked_by") }),
  transition: (f) => ({ type: "transition", turn: number(f, "turn"), text: text(f, "text") }),
  "follow-ups": (f) => ({ type: "follow-ups", turn: number(f, "turn"), questions: texts(f, "questions") }),
  recording: (f) => ({ type: "recording", on: f["on"] === true }),
  key: (f) => ({ type: "key", key: text(f, "key"), held_ms: number(f, "held_ms") }),
  hold: (f) => ({ type: "hold", on: f["on"] === true }),
  transfer: (f) => ({
    type: "transfer",
    to: text(f, "to"),
    state: oneOf<TransferState>(f, "state", transferStates),
    detail: text(f, "detail"),
  }),
  bridge: (f) => ({
    type: "bridge",
    with: text(f, "with"),
    state: oneOf<BridgeState>(f, "state", bridgeStates),
    detail: text(f, "detail"),
  }),
  "taken-over": (f) => ({ type: "taken-over", by: text(f, "by") }),
  "keys-sent": (f) => ({ type: "keys-sent", keys: text(f, "keys") }),
  express: (f) => ({ type: "express", turn: number(f, "turn"), emoji: text(f, "emoji") }),
  budget: (f) => ({
    type: "budget",
    action: text(f, "action"),
    allowed: f["allowed"] === true,
    why: text(f, "why"),
    spent: number(f, "spent"),
    most: number(f, "most"),
  }),
  backchannel: (f) => ({ type: "backchannel", turn: number(f, "turn"), text: text(f, "text") }),
  draft: (f) => ({
    type: "draft",
    turn: number(f, "turn"),
    caller_turn: number(f, "caller_turn"),
    adopted: f["adopted"] === true,
    tokens: number(f, "tokens"),
    spent_ms: number(f, "spent_ms"),
  }),
  "turn-ended": (f) => ({
    type: "turn-ended",
    turn: number(f, "turn"),
    outcome: oneOf<TurnOutcome>(f, "outcome", outcomes),
    heard: text(f, "heard"),
    generated: text(f, "generated"),
    latency: latency(f),
  }),
  line: (f) => ({
    type: "line",
    loss: number(f, "loss"),
    jitter_ms: number(f, "jitter_ms"),
    ...(f["rtt_ms"] === undefined ? {} : { rtt_ms: number(f, "rtt_ms") }),
    copies: number(f, "copies"),
    hold_ms: number(f, "hold_ms"),
  }),
  quality: (f) => ({
    type: "quality",
    delay_ms: number(f, "delay_ms"),
    loss: number(f, "loss"),
    late: number(f, "late"),
    concealed: number(f, "concealed"),
    recovered: number(f, "recovered"),
    ...(f["drift_ppm"] === undefined ? {} : { drift_ppm: number(f, "drift_ppm") }),
  }),
  trouble: (f) => ({ type: "trouble", code: text(f, "code"), detail: text(f, "detail") }),
  "call-ended": (f) => ({ type: "call-ended", reason: text(f, "reason"), detail: text(f, "detail") }),
};

export const eventTypes = Object.keys(readers) as CallEvent["type"][];

/** Reads one message of the data channel. Total: whatever comes, it never throws. */
export function parseEvent(message: string): Parsed {
  try {
    const fields = record(JSON.parse(message), "the message");
    const type = text(fields, "type");
    if (!Object.hasOwn(readers, type)) return { kind: "unknown", type };
    const event = readers[type as CallEvent["type"]](fields);
    return { kind: "event", event: { at_ms: number(fields, "at_ms"), ...event } };
  } catch (error) {
    return { kind: "malformed", fault: error instanceof Error ? error.message : String(error) };
  }
}
