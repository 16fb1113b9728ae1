import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf } from "../src/review/chart.js";
import { counted, listed } from "../src/review/list.js";
import { decisionOf, inOrder, likelihoods, noteOf, turnAt, turnOf } from "../src/review/script.js";
import { columns } from "../src/review/wave.js";

const anything = { text: "", persona: "", ending: "", what: "" };

test("what a reviewer types is a parameter and never a part of the statement", () => {
  const hostile = "'; DROP TABLE calls; -- 100%_";
  const [statement, parameters] = listed({ ...anything, text: hostile, persona: hostile }, 0);
  assert.equal(statement.includes("DROP"), false);
  assert.deepEqual(parameters, ['"DROP"*', '"TABLE"*', '"calls"*', '"100"*', hostile]);
});

test("words are looked for in the index, and sentences without spaces in the turns themselves", () => {
  assert.deepEqual(listed({ ...anything, text: "don't 100%" }, 0)[1], ['"don t"*', '"100"*']);
  const [statement, parameters] = counted({ ...anything, text: "几点 open" });
  assert.deepEqual(parameters, ["%几点%", '"open"*']);
  assert.match(statement, /LIKE \?1 .*MATCH \?2/s);
});

test("calls without filters are all of them, a page at a time", () => {
  assert.deepEqual(counted(anything), ["SELECT count(*) AS calls FROM calls ", []]);
  assert.match(listed(anything, 200)[0], /LIMIT 100 OFFSET 200/);
});

test("an agent turn shows what was heard, and what was not", () => {
  const row = { turn: 2, speaker: "agent", started_ms: 900, ended_ms: 2000, text: "We open at nine. On Sundays at ten.", heard: "We open at nine.", outcome: "interrupted", typed: 0, first_packet_ms: 900, speech_end_ms: 0 };
  const turn = turnOf(row);
  assert.deepEqual([turn.said, turn.unheard, turn.latency], ["We open at nine.", " On Sundays at ten.", { first_packet_ms: 900, speech_end_ms: 0 }]);
});

test("things stand in the order of the clock, and the turn that is heard is found", () => {
  const turns = [
    turnOf({ turn: 1, speaker: "caller", started_ms: 0, ended_ms: 800, text: "When do you open?" }),
    turnOf({ turn: 2, speaker: "agent", started_ms: 900, ended_ms: 2000, text: "At nine.", heard: "At nine." }),
  ];
  const decision = decisionOf({ judgement: 7, turn: 1, at_ms: 880, action: "respond", reason: "respond.answerable", probabilities: '{"respond":0.9}' });
  assert.deepEqual(inOrder(turns, [decision], []).map(({ kind }) => kind), ["turn", "decision", "turn"]);
  assert.deepEqual([turnAt(turns, 400)?.turn, turnAt(turns, 1000)?.turn, turnAt(turns, 9000)], [1, 2, null]);
});

test("a row that is damaged is shown without what cannot be read", () => {
  for (const json of ["", "not JSON", "[1]", "null"]) assert.equal(Object.keys(likelihoods(json)).every((key) => key === "0"), true);
  assert.deepEqual(likelihoods('{"respond":0.5,"refuse":"much"}'), { respond: 0.5 });
});

test("an answer with names and figures can be drawn, others cannot", () => {
  const table = { columns: ["persona", "calls"], rows: [["porter", 3], ["clinic", 5]], cut: false };
  assert.deepEqual(barsOf(table), { title: "calls by persona", names: ["porter", "clinic"], values: [3, 5] });
  assert.equal(barsOf({ ...table, rows: [["porter", 3]] }), null);
  assert.equal(barsOf({ columns: ["a"], rows: [["x"], ["y"]], cut: false }), null);
});

test("bars are as tall as what counts, not as the number of a turn, and turns have names of their own", () => {
  const columns = ["call", "turn", "response_ms", "slowest_step"];
  const rows = [["01a21ace-2dd9-71b1-86ad-ec98084541a5", 3, 7760, "first token"], ["01a21ace-2dd9-71b1-86ad-ec98084541a5", 7, 3263, "asr"]];
  assert.deepEqual(barsOf({ columns, rows, cut: false }), { title: "response_ms by call and turn", names: ["…4541a5 3", "…4541a5 7"], values: [7760, 3263] });
  assert.equal(barsOf({ columns: ["call", "at_utc_ms"], rows: [["a", 1], ["b", 2]], cut: false }), null);
});

test("a note stands at its moment, and one about the whole call before its first word", () => {
  const turn = turnOf({ turn: 1, speaker: "caller", started_ms: 0, ended_ms: 800, text: "When do you open?" });
  const notes = [noteOf({ id: 1, at_ms: 500, text: "Slow here.", by: "Ada" }), noteOf({ id: 2, at_ms: null, text: "A good call.", by: "Ada" })];
  assert.deepEqual(inOrder([turn], [], notes).map((item) => (item.kind === "note" ? item.words : item.kind)), ["A good call.", "turn", "Slow here."]);
});

test("the loudest of each stretch is what is drawn", () => {
  assert.deepEqual(columns([0, 255, 51, 0], 2), [1, 0.2]);
  assert.deepEqual(columns([255], 3), [1, 1, 1]);
  assert.deepEqual(columns([], 2), [0, 0]);
});
