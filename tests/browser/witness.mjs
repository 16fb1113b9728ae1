// Runs inside the page, before its own scripts: sees what the page sees and changes nothing of it. It keeps each event
// of the data channel, each partial that appeared on the page, and the remote audio as it was to be heard.

export function witness() {
  const seen = { events: [], partials: [], frames: [], peers: [], rate_hz: 48_000 };
  globalThis.witness = seen;

  const Peer = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Peer {
    constructor(...args) {
      super(...args);
      seen.peers.push(this);
      this.addEventListener("track", ({ track }) => void record(track));
    }
    createDataChannel(...args) {
      const channel = super.createDataChannel(...args);
      channel.addEventListener("message", ({ data }) => seen.events.push({ page_ms: performance.now(), data }));
      return channel;
    }
  };

  async function record(track) {
    // Chromium decodes a remote track only while an element plays it; a muted one of our own keeps it going.
    const element = new Audio();
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    await element.play();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      seen.rate_hz = value.sampleRate;
      seen.frames.push({ at_us: value.timestamp, page_ms: performance.now(), samples });
      value.close();
    }
  }

  function watchPartials() {
    const list = document.getElementById("transcript");
    // Pages without a call have none.
    if (!list) return;
    new MutationObserver(() => {
      const text = list.querySelector(".line.caller.partial .said")?.textContent ?? "";
      if (text && seen.partials.at(-1)?.text !== text) seen.partials.push({ page_ms: performance.now(), text });
    }).observe(list, { subtree: true, childList: true, characterData: true });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watchPartials);
  else watchPartials();
}

/**
 * Also inside the page: what was heard as one line of 16-bit samples. A frame follows the one before it; only where its own
 * time stamp says that it lies elsewhere by more than a frame is there a gap. (The stamps waver by some 0.2 ms: placed by
 * them alone, ten samples are missing or doubled at every other seam, which is 2 PESQ.)
 */
export function heard() {
  const { frames, rate_hz } = globalThis.witness;
  const first = frames[0];
  if (!first) return null;
  const stamped = (frame) => Math.round(((frame.at_us - first.at_us) * rate_hz) / 1e6);
  let drift = 0;
  let end = 0;
  const places = frames.map((frame) => {
    const off = stamped(frame) + drift - end;
    if (Math.abs(off) <= frame.samples.length) drift -= off;
    const place = stamped(frame) + drift;
    end = place + frame.samples.length;
    return place;
  });
  const line = new Int16Array(end);
  for (const [n, frame] of frames.entries()) {
    const pcm = Int16Array.from(frame.samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767);
    if (places[n] >= 0) line.set(pcm.subarray(0, line.length - places[n]), places[n]);
  }
  const bytes = new Uint8Array(line.buffer);
  let binary = "";
  // In pieces: an argument list has a limit.
  for (let at = 0; at < bytes.length; at += 32_768) binary += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return { rate_hz, first_page_ms: first.page_ms, frames: frames.length, pcm: btoa(binary) };
}

/** Also inside the page: the figures of the audio stream, both ways. */
export async function mediaFigures() {
  const figures = {};
  const peer = globalThis.witness.peers.at(-1);
  if (!peer) return figures;
  const wanted = ["packetsReceived", "packetsLost", "concealedSamples", "totalSamplesReceived", "packetsSent", "roundTripTime"];
  for (const report of (await peer.getStats()).values()) {
    if (!["inbound-rtp", "outbound-rtp", "remote-inbound-rtp"].includes(report.type)) continue;
    figures[report.type] = Object.fromEntries(wanted.filter((name) => name in report).map((name) => [name, report[name]]));
  }
  return figures;
}
