import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallEvent } from "../src/events.js";
import { type Action, type AgentLine, type CallerLine, initial, type Line, reduce, type ViewState } from "../src/state.js";
import { exampleCall } from "./fixtures.js";

const calling = [{ kind: "dial", persona: "host" }, { kind: "answered", microphone: true }] satisfies Action[];

function after(actions: Action[], from: ViewState = initial): ViewState {
  return actions.reduce(reduce, from);
}

/** A running call in which these events came, one every 100 ms. */
function afterEvents(...events: CallEvent[]): ViewState {
  return after([
    ...calling,
    { kind: "live" },
    ...events.map((event, index): Action => ({ kind: "event", event: { at_ms: index * 100, ...event } })),
  ]);
}

const exampleActions = exampleCall().map((event): Action => ({ kind: "event", event }));
const said = (state: ViewState) => state.lines.filter((line): line is CallerLine => line.kind === "caller");
const answered = (state: ViewState) => state.lines.filter((line): line is AgentLine => line.kind === "agent");

test("the example call reads as a conversation in the order in which it happened", () => {
  const { lines } = after([...calling, ...exampleActions]);
  const order = lines.map((line: Line) => ("turn" in line ? `${line.kind} ${line.turn}` : line.kind));
  assert.deepEqual(order, [
    "judgement 1",
    "agent 1",
    "caller 2",
    "judgement 2",
    "agent 3",
    "aside",
    "caller 4",
    "judgement 4",
    "agent 5",
    "trouble",
    "agent 6",
    "caller 7",
    "judgement 7",
    "agent 8",
    "topic",
  ]);
});

test("the example call ends with the server's reason in plain words", () => {
  const state = after([...calling, ...exampleActions]);
  assert.equal(state.phase, "ended");
  assert.deepEqual(state.ending, { reason: "caller-hangup", sentence: "You hung up.", at_ms: 19000 });
  assert.equal(state.floor, "idle");
});

test("the floor follows the events", () => {
  let state = after(calling);
  const floors = exampleActions.map((action) => (state = reduce(state, action)).floor);
  assert.deepEqual([...new Set(floors)], ["idle", "agent", "caller", "thinking", "suspect"]);
});

test("a partial replaces the partial before it, and the transcript replaces both, in one line", () => {
  const first = afterEvents(
    { type: "partial", turn: 1, text: "how far", stable: 0 },
    { type: "partial", turn: 1, text: "how far is", stable: 2 },
  );
  assert.deepEqual(said(first).map(({ text, stable, final }) => [text, stable, final]), [["how far is", 2, false]]);
  const transcript = { at_ms: 900, type: "transcript", turn: 1, text: "How far is it?", typed: false } as const;
  const second = reduce(first, { kind: "event", event: transcript });
  assert.deepEqual(said(second).map(({ text, final, at_ms }) => [text, final, at_ms]), [["How far is it?", true, 0]]);
});

test("a partial after the transcript opens the turn again: the caller went on", () => {
  const state = afterEvents(
    { type: "transcript", turn: 1, text: "In miles", typed: false },
    { type: "partial", turn: 1, text: "In miles, please", stable: 2 },
  );
  assert.deepEqual(said(state).map(({ text, final }) => [text, final]), [["In miles, please", false]]);
});

test("what was generated but not heard is kept apart from what was heard", () => {
  const latency = {};
  const state = afterEvents(
    { type: "turn-started", turn: 2, latency },
    { type: "words", turn: 2, heard: "One two" },
    { type: "turn-ended", turn: 2, outcome: "interrupted", heard: "One two three", generated: "One two three four.", latency },
  );
  assert.deepEqual(answered(state).map(({ heard, unheard, outcome }) => [heard, unheard, outcome]), [
    ["One two three", " four.", "interrupted"],
  ]);
});

test("a reply that was withdrawn unheard still has its line", () => {
  const state = afterEvents({ type: "turn-ended", turn: 2, outcome: "revoked", heard: "", generated: "It is", latency: {} });
  assert.deepEqual(answered(state).map(({ heard, unheard, outcome }) => [heard, unheard, outcome]), [["", "It is", "revoked"]]);
});

test("the newest verdict on a turn stands in the place of the one before it", () => {
  const verdict = { type: "judgement", turn: 1, moment: "end_of_turn", judge: "rules", reason: "", probabilities: {}, took_ms: 0.1 } as const;
  const state = afterEvents(
    { type: "partial", turn: 1, text: "so", stable: 0 },
    { ...verdict, action: "listen" },
    { type: "transcript", turn: 1, text: "So.", typed: false },
    { ...verdict, action: "respond" },
  );
  assert.deepEqual(state.lines.map((line) => (line.kind === "judgement" ? line.action : line.kind)), ["caller", "respond"]);
});

test("lines that an event does not touch keep their identity", () => {
  const before = after([...calling, ...exampleActions.slice(0, 20)]);
  const event = { at_ms: 99_000, type: "trouble", code: "x", detail: "y" } as const;
  const later = reduce(before, { kind: "event", event });
  before.lines.forEach((line, index) => assert.equal(later.lines[index], line));
});

test("the first word about the end stands", () => {
  const hungUp = reduce(afterEvents({ type: "floor", state: "agent" }), { kind: "ended", reason: "caller-hangup", at_ms: 5000 });
  const ended = { at_ms: 5100, type: "call-ended", reason: "network-gone", detail: "No packets for 10 s." } as const;
  assert.equal(reduce(hungUp, { kind: "event", event: ended }).ending?.reason, "caller-hangup");
  assert.equal(reduce(hungUp, { kind: "live" }).phase, "ended");
});

test("an end for a reason that this page does not know speaks through its detail", () => {
  const state = afterEvents({ type: "call-ended", reason: "eclipse", detail: "The sun went away." });
  assert.equal(state.ending?.sentence, "The sun went away.");
});

test("a problem while dialling gives the Call button back; in a call it does not end the call", () => {
  const problem = { title: "t", detail: "d", fix: "f" };
  const dialling = after([{ kind: "dial", persona: "host" }, { kind: "problem", problem }]);
  assert.equal(dialling.phase, "ready");
  assert.equal(dialling.problem, problem);
  const live = reduce(afterEvents({ type: "floor", state: "idle" }), { kind: "problem", problem });
  assert.equal(live.phase, "live");
  assert.equal(reduce(live, { kind: "problem-read" }).problem, null);
});

test("a new call starts from an empty page and keeps who answers", () => {
  const again = reduce(after([...calling, ...exampleActions]), { kind: "dial", persona: "host" });
  assert.deepEqual(again, { ...initial, phase: "starting", persona: "host" });
});

test("a shaky connection is said only while the call lives", () => {
  assert.equal(after([{ kind: "wavering", on: true }]).wavering, false);
  const shaky = reduce(afterEvents(), { kind: "wavering", on: true });
  assert.equal(shaky.wavering, true);
  assert.equal(reduce(shaky, { kind: "live" }).wavering, false);
});

test("events in any order, twice over, never break the state", () => {
  // A small deterministic shuffle: the order differs, the test does not.
  let seed = 1;
  const draw = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 200; round++) {
    let state = after(calling);
    for (let i = 0; i < 60; i++) {
      const action = exampleActions[draw(exampleActions.length)];
      if (action) state = reduce(state, action);
      const keys = state.lines.map((line) => ("turn" in line ? `${line.kind} ${line.turn}` : null)).filter((k) => k !== null);
      assert.equal(new Set(keys).size, keys.length, "one line a turn and kind");
    }
  }
});

test("an answer shows where it comes from, and a new topic is a line of its own", () => {
  const citations = [{ origin: "file" as const, source: "clinic/hours.md", heading: "Opening hours", line: 3 }];
  const { lines } = afterEvents(
    { type: "search", turn: 2, query: "hours", state: "late", results: 0, took_ms: 1500 },
    { type: "citations", turn: 2, caller_turn: 1, citations },
    { type: "topic", turn: 3, asked_by: "words" },
  );
  const [line, topic] = lines;
  assert.deepEqual([line?.kind === "agent" && line.citations, line?.kind === "agent" && line.search], [citations, "the web took too long: hours"]);
  assert.equal(topic?.kind, "topic");
});

test("what could be asked next is shown until somebody speaks", () => {
  const proposed: CallEvent = { type: "follow-ups", turn: 2, questions: ["And on Sundays?"] };
  assert.deepEqual(afterEvents(proposed).followUps, ["And on Sundays?"]);
  assert.deepEqual(afterEvents(proposed, { type: "floor", state: "caller" }).followUps, []);
});
