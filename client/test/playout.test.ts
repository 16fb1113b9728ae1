import assert from "node:assert/strict";
import { test } from "node:test";
import { cardDelayMs, reportOf } from "../src/playout.js";

const origin = 1_767_607_200_000;

test("a report names the sample that is heard now: what the track got a sound card's delay ago", () => {
  const source = { rtpTimestamp: 960_000, timestamp: origin + 5_000 };
  const report = { type: "playout", rtp_timestamp: 960_000 - 20 * 48, at_ms: 5_010 };
  assert.deepEqual(reportOf(source, 5_010, origin, 30), report);
});

test("RTP times wrap", () => {
  const source = { rtpTimestamp: 100, timestamp: origin + 5_000 };
  assert.equal(reportOf(source, 5_000, origin, 10)?.rtp_timestamp, 2 ** 32 - 380);
});

test("nothing is told of a stream that has not played, or no longer plays", () => {
  assert.equal(reportOf(undefined, 5_000, origin, 20), null);
  assert.equal(reportOf({ timestamp: origin + 5_000 }, 5_010, origin, 20), null, "a browser without RTP times");
  assert.equal(reportOf({ rtpTimestamp: 1, timestamp: origin + 1_000 }, 5_000, origin, 20), null, "stopped 4 s ago");
  assert.equal(reportOf({ rtpTimestamp: 1, timestamp: 5_000 }, 5_000, origin, 20), null, "a clock of another kind");
});

test("the sound card's delay is the mean since the reading before", () => {
  const before = { delay_s: 48_000 * 0.01, samples: 48_000 };
  const now = { delay_s: before.delay_s + 24_000 * 0.03, samples: 72_000 };
  assert.equal(Math.round(cardDelayMs(before, now) ?? 0), 30);
  assert.equal(cardDelayMs(now, now), null, "nothing was played in between");
  assert.equal(cardDelayMs(now, before), null, "totals do not shrink");
});
