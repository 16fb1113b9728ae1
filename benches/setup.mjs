#!/usr/bin/env node
// Calls from headless Chromium, one after another: what benches/setup.py makes a table of, a file for each call in OUT. benches/setup.sh
// runs it; the browser is the tests' (tests/browser).
//
//   benches/setup.mjs URL CALLS MIC.wav OUT

import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { openBrowser } from "../tests/browser/browser.mjs";

const [url, calls, mic, out] = process.argv.slice(2);

/** One call of the page's own making, as client/src/call.ts makes it. Times are the page's, ms after the offer was sent. */
async function dial() {
  const { performance } = globalThis;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  peer.addTransceiver(stream.getAudioTracks()[0], { direction: "sendrecv", streams: [stream] });
  peer.createDataChannel("events", { ordered: true });
  const gathered = new Promise((done) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  await peer.setLocalDescription();
  await gathered;
  const sent = performance.now();
  const since = () => performance.now() - sent;
  const setup = { answered_ms: null, connected_ms: null, first_packet_ms: null };
  peer.onconnectionstatechange = () => {
    if (peer.connectionState === "connected") setup.connected_ms = since();
  };
  const answer = await fetch("/v1/calls?persona=porter", {
    method: "POST",
    headers: { "content-type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  const sdp = await answer.text();
  setup.answered_ms = since();
  await peer.setRemoteDescription({ type: "answer", sdp });
  // Chromium makes a report every 50 ms at most, but says when the last packet came; the agent's are 20 ms apart.
  while (setup.first_packet_ms === null && since() < 10_000) {
    const reports = [...(await peer.getStats()).values()];
    const inbound = reports.find((report) => report.type === "inbound-rtp" && report.packetsReceived > 0);
    if (inbound) {
      const last_ms = inbound.lastPacketReceivedTimestamp - performance.timeOrigin - sent;
      setup.first_packet_ms = last_ms - 20 * (inbound.packetsReceived - 1);
    }
  }
  await fetch(answer.headers.get("location"), { method: "DELETE" });
  peer.close();
  for (const track of stream.getTracks()) track.stop();
  return setup;
}

const { page, close } = await openBrowser({ executable: "/usr/bin/chromium", mic: resolve(mic) });
try {
  await page.goto(url);
  await page.evaluate(dial);
  for (let call = 1; call <= Number(calls); call += 1) {
    writeFileSync(join(out, `call${call}.jsonl`), `${JSON.stringify({ setup: await page.evaluate(dial) })}\n`);
  }
} finally {
  await close();
}
