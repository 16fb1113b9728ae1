import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallEvent, Stamped } from "../src/events.js";
import { LEVEL_STEP_MS, LevelTrack } from "../src/levels.js";
import { emptyTimeline, extend, summary, type Timeline, unsaidMs } from "../src/timeline.js";
import { exampleCall } from "./fixtures.js";

const at = (at_ms: number, event: CallEvent): Stamped => ({ at_ms, ...event });
const after = (events: Stamped[]): Timeline => events.reduce(extend, emptyTimeline);
const floor = (at_ms: number, state: "idle" | "caller" | "thinking" | "agent" | "suspect") => at(at_ms, { type: "floor", state });
const latency = { speech_end_ms: 900, turn_end_ms: 1200, first_packet_ms: 1800 };

test("the example call lies on its timeline as it happened", () => {
  const { caller, agent, floor } = after(exampleCall());
  assert.deepEqual(
    caller.map(({ kind, from_ms, to_ms }) => [kind, from_ms, to_ms]),
    [
      ["turn", 3120, 4820],
      // A mm-hm that the agent spoke on over.
      ["aside", 7060, 7440],
      // Held up at 7900, and certain at 8240.
      ["turn", 7900, 8900],
      ["turn", 9420, 9900],
      ["typed", 14800, 14800],
    ],
  );
  assert.deepEqual(
    agent.map(({ turn, outcome, from_ms, to_ms }) => [turn, outcome, from_ms, to_ms]),
    [
      [1, "completed", 310, 1850],
      [3, "interrupted", 5760, 8240],
      [5, "revoked", 9120, 9420],
      [6, "failed", 10281, 11010],
      [8, "completed", 15390, 17320],
    ],
  );
  assert.equal(caller[1]?.said, "Mm-hm.");
  assert.deepEqual(agent[1]?.holds, [
    { from_ms: 7060, to_ms: 7440 },
    { from_ms: 7900, to_ms: 8240 },
  ]);
  assert.ok(floor.every(({ to_ms }) => to_ms !== null));
});

test("stretches of the floor follow each other without a hole", () => {
  const { floor } = after(exampleCall());
  floor.slice(1).forEach((stretch, index) => assert.equal(stretch.from_ms, floor[index]?.to_ms));
});

test("a sound that did not take the floor is told apart from a turn, and the agent goes on", () => {
  const events = [
    floor(1800, "agent"),
    at(1800, { type: "turn-started", turn: 2, latency }),
    floor(2500, "suspect"),
    floor(2700, "agent"),
  ];
  const { caller, agent } = after(events);
  assert.deepEqual(caller, [{ kind: "aside", from_ms: 2500, to_ms: 2700 }]);
  assert.deepEqual(agent[0]?.holds, [{ from_ms: 2500, to_ms: 2700 }]);
  assert.equal(agent[0]?.to_ms, null);
});

test("the silence at the end of a turn is no speech", () => {
  const events = [floor(100, "caller"), floor(1200, "thinking"), at(1800, { type: "turn-started", turn: 2, latency })];
  assert.deepEqual(after(events).caller, [{ kind: "turn", from_ms: 100, to_ms: 900 }]);
});

test("a draft that was thrown away is a withdrawn answer; one that was adopted is the answer itself", () => {
  const draft = { type: "draft", caller_turn: 1, tokens: 4 } as const;
  const { agent } = after([
    at(2000, { ...draft, turn: 2, adopted: false, spent_ms: 400 }),
    at(3000, { ...draft, turn: 3, adopted: true, spent_ms: 300 }),
    at(3200, { type: "turn-started", turn: 3, latency }),
  ]);
  assert.deepEqual(agent.map(({ turn, from_ms, to_ms, outcome }) => [turn, from_ms, to_ms, outcome]), [
    [2, 1600, 2000, "revoked"],
    [3, 3200, null, null],
  ]);
});

test("what was left unsaid is as long as its letters take at the pace of what was said", () => {
  const interrupted = after([
    at(1800, { type: "turn-started", turn: 2, latency }),
    at(3800, { type: "turn-ended", turn: 2, outcome: "interrupted", heard: "Twenty letters here.", generated: "Twenty letters here. Ten more..", latency }),
  ]).agent[0];
  assert.ok(interrupted);
  assert.equal(unsaidMs(interrupted), 1000);
  assert.equal(unsaidMs({ ...interrupted, outcome: "completed" }), 0);
  assert.ok(unsaidMs({ ...interrupted, unheard: "x".repeat(100_000) }) <= 5000);
});

test("the summary says the same in words", () => {
  const words = summary(after(exampleCall()), "Ada");
  assert.equal(
    words,
    "You spoke 4 times, Ada 4 times. You cut in 1 time: after “kilometres. Light needs”. " +
      "1 answer withdrawn before being heard. Answers began after 940 ms, 590 ms.",
  );
  assert.equal(summary(emptyTimeline, "Ada"), "You spoke 0 times, Ada 0 times.");
});

test("events in any order never make a stretch that ends before it begins", () => {
  const events = exampleCall();
  let seed = 7;
  const draw = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 200; round++) {
    let timeline = emptyTimeline;
    let at_ms = 0;
    for (let i = 0; i < 60; i++) {
      const event = events[draw(events.length)];
      // Moments go forward whatever happens at them.
      if (event) timeline = extend(timeline, { ...event, at_ms: (at_ms += draw(400)) });
      const all = [...timeline.floor, ...timeline.caller, ...timeline.agent, ...timeline.agent.flatMap(({ holds }) => holds)];
      for (const { from_ms, to_ms } of all) assert.ok(to_ms === null || to_ms >= from_ms, JSON.stringify(timeline));
      assert.ok(timeline.floor.filter(({ to_ms }) => to_ms === null).length <= 1);
    }
  }
});

test("levels are kept by their moment, the louder reading of each step, and what nobody read is silent", () => {
  const track = new LevelTrack();
  track.put(0, 0.2, 0);
  track.put(10, 0.6, 0);
  track.put(20, 0.4, 0.1);
  track.put(10 * LEVEL_STEP_MS, 0, 0.5);
  assert.ok(Math.abs(track.at("caller", 0) - 0.6) < 1e-6);
  assert.equal(track.at("caller", 5), 0);
  assert.equal(track.at("agent", 10), 0.5);
  assert.equal(track.at("agent", 11), 0);
  // An hour and a bit later the first of them is overwritten.
  track.put(3_700_000, 0.1, 0.1);
  assert.equal(track.at("caller", 0), 0);
  assert.equal(track.at("agent", 10), 0);
  track.clear();
  assert.equal(track.at("caller", 74_000), 0);
});
