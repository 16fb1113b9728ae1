import assert from "node:assert/strict";
import { test } from "node:test";
import type { Quality } from "../src/events.js";
import { figuresOf, sentenceOf, verdictOf } from "../src/quality.js";
import { type Action, initial, reduce } from "../src/state.js";
import { exampleCall } from "./fixtures.js";

const clear: Quality = { delay_ms: 32, loss: 0, late: 0, concealed: 0, recovered: 0 };

test("the verdict follows what is heard: made-up sound first, then loss and delay", () => {
  assert.equal(verdictOf(clear), "good");
  assert.equal(verdictOf({ ...clear, loss: 0.01, recovered: 0.01 }), "good");
  assert.equal(verdictOf({ ...clear, loss: 0.1, recovered: 0.1 }), "fair", "restored sound is duller");
  assert.equal(verdictOf({ ...clear, delay_ms: 180 }), "fair");
  assert.equal(verdictOf({ ...clear, concealed: 0.03 }), "fair");
  assert.equal(verdictOf({ ...clear, concealed: 0.08 }), "poor");
  assert.equal(new Set((["good", "fair", "poor"] as const).map(sentenceOf)).size, 3);
});

test("figures are short, and fine where they are small", () => {
  const figures = figuresOf({ delay_ms: 64, loss: 0.123, late: 0, concealed: 0.004, recovered: 0 });
  assert.deepEqual(figures.map(({ value }) => value), ["64 ms", "12 %", "0 %", "0.4 %"]);
  assert.ok(figures.every(({ meaning }) => meaning.length > 0));
});

test("the state keeps the newest word about the line, and a new call knows none", () => {
  const seen = exampleCall().map((event): Action => ({ kind: "event", event })).reduce(reduce, initial);
  assert.deepEqual(seen.quality, { delay_ms: 64, loss: 0.041, late: 0.002, concealed: 0.011, recovered: 0.034, drift_ppm: -12 });
  assert.equal(reduce(seen, { kind: "dial", persona: "host" }).quality, null);
});
