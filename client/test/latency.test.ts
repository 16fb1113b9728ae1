import assert from "node:assert/strict";
import { test } from "node:test";
import { inWords, latencyOf } from "../src/latency.js";
import { exampleCall } from "./fixtures.js";

const spoken = {
  speech_end_ms: 1000,
  turn_end_ms: 1300,
  asr_ms: 1480,
  judge_ms: 1481,
  first_token_ms: 1700,
  first_clause_ms: 1850,
  first_audio_ms: 1900,
  first_packet_ms: 1920,
};

test("a spoken turn is timed from the end of speech to the first packet, step by step", () => {
  const latency = latencyOf(spoken);
  assert.equal(latency?.total_ms, 920);
  assert.equal(latency?.from, "speech");
  assert.deepEqual(
    latency?.segments.map(({ step, took_ms }) => [step, took_ms]),
    [["wait", 300], ["asr", 180], ["judge", 1], ["token", 219], ["clause", 150], ["audio", 50], ["packet", 20]],
  );
});

test("the stretches always add up to the total, also where steps overlap or are missing", () => {
  const early = { ...spoken, asr_ms: 1100, first_token_ms: 1250 };
  const { asr_ms: _a, first_clause_ms: _c, ...sparse } = spoken;
  const beforeSpeechEnd = { ...spoken, asr_ms: 900 };
  for (const parts of [spoken, early, sparse, beforeSpeechEnd]) {
    const latency = latencyOf(parts);
    assert.ok(latency);
    assert.equal(latency.segments.reduce((sum, { took_ms }) => sum + took_ms, 0), latency.total_ms);
    assert.ok(latency.segments.every(({ took_ms }) => took_ms >= 0));
  }
});

test("work that was done before the turn had certainly ended is drawn where it was done", () => {
  const latency = latencyOf({ ...spoken, asr_ms: 1100, first_token_ms: 1250 });
  assert.deepEqual(latency?.segments.slice(0, 3).map(({ step, took_ms }) => [step, took_ms]), [
    ["asr", 100],
    ["token", 150],
    ["wait", 50],
  ]);
});

test("a typed turn is timed from Enter", () => {
  const { speech_end_ms: _s, asr_ms: _a, ...typed } = spoken;
  const latency = latencyOf(typed);
  assert.equal(latency?.from, "turn");
  assert.equal(latency?.total_ms, 620);
  assert.deepEqual(latency?.segments.map(({ step }) => step), ["judge", "token", "clause", "audio", "packet"]);
});

test("there is no latency where nobody waited or nothing was sent", () => {
  assert.equal(latencyOf({}), null);
  assert.equal(latencyOf({ first_packet_ms: 310 }), null);
  assert.equal(latencyOf({ speech_end_ms: 900, turn_end_ms: 1000 }), null);
  assert.equal(latencyOf({ speech_end_ms: 900, first_packet_ms: 100 }), null);
});

test("the example call has the latencies that its events tell", () => {
  const totals = exampleCall().flatMap((event) => (event.type === "turn-started" ? [latencyOf(event.latency)?.total_ms ?? null] : []));
  assert.deepEqual(totals, [null, 940, 590]);
});

test("long waits are told in seconds", () => {
  assert.equal(inWords(812.4), "812 ms");
  assert.equal(inWords(12_345), "12.3 s");
});
