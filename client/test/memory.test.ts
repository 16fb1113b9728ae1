import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryOf } from "../src/memory.js";

const fact = { id: 1, text: "is in room 14", value: "14", said_times: 2, turn: 3, valid_to_utc_ms: null };

test("what holds now is shown, what held before is not", () => {
  const before = { ...fact, id: 0, text: "is in room 12", value: "12", valid_to_utc_ms: 5 };
  const memory = memoryOf({ relation: "regular", calls: 4, facts: [fact, before], commitments: [], summaries: [] });
  assert.deepEqual([memory.facts.map(({ text }) => text), memory.calls], [["is in room 14"], 4]);
});

test("open promises name whose they are and when they are due; kept ones are not told", () => {
  const commitments = [
    { who: "caller", what: "ask again", due: "2026-11-27", state: "open" },
    { who: "agent", what: "look it up", due: null, state: "open" },
    { who: "agent", what: "call back", due: null, state: "kept" },
  ];
  const { rest } = memoryOf({ relation: "stranger", calls: 1, facts: [], commitments, summaries: [] });
  assert.deepEqual(rest, ["You promised to ask again, due 2026-11-27", "The agent promised to look it up"]);
});

test("of earlier calls the newest five are told, with their day", () => {
  const summaries = Array.from({ length: 7 }, (_, day) => ({ started_utc_ms: Date.UTC(2026, 10, 20 - day), text: `Talk ${day}` }));
  const { rest } = memoryOf({ relation: "friend", calls: 7, facts: [], commitments: [], summaries });
  assert.deepEqual([rest.length, rest[0], rest[4]], [5, "Call of 2026-11-20: Talk 0", "Call of 2026-11-16: Talk 4"]);
});
