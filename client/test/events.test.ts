import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClientMessage, eventTypes, parseEvent } from "../src/events.js";
import { exampleCall, lines } from "./fixtures.js";

test("each example event is read with nothing lost and nothing made up", () => {
  for (const line of lines("events.jsonl")) {
    assert.deepEqual(parseEvent(line), { kind: "event", event: JSON.parse(line) });
  }
});

test("every type of event has an example, and every example's type is known", () => {
  assert.deepEqual([...new Set(exampleCall().map(({ type }) => type))].sort(), [...eventTypes].sort());
});

test("the client's messages have the form of the examples", () => {
  const examples: ClientMessage[] = [
    { type: "text", text: "In miles, please." },
    { type: "mute", on: true },
    { type: "mute", on: false },
    { type: "playout", rtp_timestamp: 2_871_331_520, at_ms: 48_213 },
    { type: "new-topic" },
    { type: "persona", name: "clinic" },
    { type: "microphone", echo_cancelled: true },
    { type: "microphone", echo_cancelled: false },
    { type: "follow-ups", most: 3 },
    { type: "record", on: false },
    { type: "hangup" },
  ];
  assert.deepEqual(examples, lines("client-messages.jsonl").map((line) => JSON.parse(line)));
});

test("an event of a newer server is told apart from a broken one", () => {
  assert.deepEqual(parseEvent('{"at_ms":1,"type":"weather","sky":"blue"}'), { kind: "unknown", type: "weather" });
  assert.deepEqual(parseEvent('{"at_ms":1,"type":"toString"}'), { kind: "unknown", type: "toString" });
});

test("a new field in a known event does no harm", () => {
  const parsed = parseEvent('{"at_ms":1,"type":"partial","turn":1,"text":"so","stability":0.4}');
  assert.deepEqual(parsed, { kind: "event", event: { at_ms: 1, type: "partial", turn: 1, text: "so", stable: 0 } });
});

test("a transcript without `typed` was spoken", () => {
  const parsed = parseEvent('{"at_ms":1,"type":"transcript","turn":1,"text":"so"}');
  assert.deepEqual(parsed, { kind: "event", event: { at_ms: 1, type: "transcript", turn: 1, text: "so", typed: false } });
});

test("what is not an event is named, never thrown", () => {
  const broken = [
    "",
    "hello",
    "null",
    "[]",
    "7",
    '{"at_ms":1}',
    '{"type":"floor","state":"idle"}',
    '{"at_ms":"1","type":"floor","state":"idle"}',
    '{"at_ms":1,"type":"floor","state":"nobody"}',
    '{"at_ms":1,"type":"words","turn":1}',
    '{"at_ms":1,"type":"turn-started","turn":1,"latency":{"asr_ms":"soon"}}',
    '{"at_ms":1,"type":"judgement","turn":1,"judge":"rules","action":"respond","reason":"","probabilities":[],"took_ms":1}',
  ];
  for (const message of broken) {
    const parsed = parseEvent(message);
    assert.equal(parsed.kind, "malformed", message);
    assert.ok(parsed.kind === "malformed" && parsed.fault.length > 0, message);
  }
});

test("any cut of an example is malformed, not a crash", () => {
  for (const line of lines("events.jsonl")) {
    for (let end = 0; end < line.length; end++) assert.equal(parseEvent(line.slice(0, end)).kind, "malformed");
  }
});
