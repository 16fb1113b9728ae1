#!/usr/bin/env node
// One call from headless Chromium through a relay: listens for so long, keeps what was to be heard as a WAV, and prints the
// browser's own figures of it as JSON. benches/downlink.sh runs it; the browser is the tests' (tests/browser).

import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { openBrowser } from "../tests/browser/browser.mjs";
import { padWav, writeWav } from "../tests/browser/wav.mjs";
import { heard } from "../tests/browser/witness.mjs";

const { url, relay, persona, mic, out, seconds, hold } = parseArgs({
  options: {
    url: { type: "string" },
    /** Port of the relay on this machine; without it the call goes straight. */
    relay: { type: "string" },
    persona: { type: "string" },
    mic: { type: "string" },
    out: { type: "string" },
    seconds: { type: "string" },
    /** "no": the page is kept from holding sound back, as a client of another make would not. */
    hold: { type: "string", default: "yes" },
  },
}).values;

/** What NetEQ says of itself, and what it has done; differences between two moments mean something. */
function inbound() {
  const peer = globalThis.witness.peers.at(-1);
  return peer.getStats().then((all) => [...all.values()].find((report) => report.type === "inbound-rtp" && report.kind === "audio"));
}

/** The server must have no way around the relay: it is told of no candidate, and the page only of the relay's. */
async function through(route) {
  const request = route.request();
  if (request.method() !== "POST") return route.continue();
  const bare = request.postData().split("\r\n").filter((line) => !line.startsWith("a=candidate:")).join("\r\n");
  const response = await route.fetch({ postData: bare });
  const named = new Set();
  let section = 0;
  const lines = (await response.text()).split("\r\n").flatMap((line) => {
    if (line.startsWith("m=")) section += 1;
    if (!line.startsWith("a=candidate:")) return [line];
    if (named.has(section)) return [];
    named.add(section);
    return [`a=candidate:1 1 udp 2130706431 127.0.0.1 ${relay} typ host`];
  });
  return route.fulfill({ response, body: lines.join("\r\n") });
}

mkdirSync(out, { recursive: true });
const silence = join(out, "microphone.wav");
padWav(mic, silence, 0, 1000 * Number(seconds));
const { page, close } = await openBrowser({ executable: "/usr/bin/chromium", mic: silence });
try {
  if (relay) await page.route("**/v1/calls?*", through);
  if (hold === "no") {
    await page.addInitScript(() => {
      Object.defineProperty(RTCRtpReceiver.prototype, "jitterBufferTarget", { set() {}, get: () => null });
    });
  }
  await page.goto(`${url}/?raw=1&persona=${persona}`);
  await page.waitForFunction(() => document.activeElement?.id === "call", null, { timeout: 20_000 });
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.body.dataset.phase === "live", null, { timeout: 60_000 });
  await page.waitForTimeout(10_000);
  const early = await page.evaluate(inbound);
  await page.waitForTimeout(1000 * (Number(seconds) - 10));
  const late = await page.evaluate(inbound);
  const sound = await page.evaluate(heard);
  writeWav(join(out, "heard.wav"), sound.rate_hz, new Int16Array(Uint8Array.from(Buffer.from(sound.pcm, "base64")).buffer));
  const events = await page.evaluate(() => globalThis.witness.events.map(({ data }) => JSON.parse(data)));
  const between = (name) => late[name] - early[name];
  const share = (part, whole) => Math.round((10_000 * part) / whole) / 100;
  console.log(
    JSON.stringify({
      packets: late.packetsReceived,
      lost_percent: share(between("packetsLost"), between("packetsReceived") + between("packetsLost")),
      concealed_percent: share(between("concealedSamples"), between("totalSamplesReceived")),
      concealed_percent_whole: share(late.concealedSamples, late.totalSamplesReceived),
      stretched_percent: share(
        between("insertedSamplesForDeceleration") + between("removedSamplesForAcceleration"),
        between("totalSamplesReceived"),
      ),
      delay_ms: Math.round((1000 * between("jitterBufferDelay")) / between("jitterBufferEmittedCount")),
      target_ms: Math.round((1000 * between("jitterBufferTargetDelay")) / between("jitterBufferEmittedCount")),
      fec_used: between("fecPacketsReceived") - between("fecPacketsDiscarded"),
      frames: sound.frames,
      line: events.filter((event) => event.type === "line"),
    }),
  );
} finally {
  await close();
}
