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
    new MutationObserver(() => {
      const text = list.querySelector(".line.caller.partial .said")?.textContent ?? "";
      if (text && seen.partials.at(-1)?.text !== text) seen.partials.push({ page_ms: performance.now(), text });
    }).observe(list, { subtree: true, childList: true, characterData: true });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watchPartials);
  else watchPartials();
}

/** Also inside the page: what was heard as one line of 16-bit samples, each frame where its own time stamp puts it. */
export function heard() {
  const { frames, rate_hz } = globalThis.witness;
  const first = frames[0];
  if (!first) return null;
  const place = (frame) => Math.round(((frame.at_us - first.at_us) * rate_hz) / 1e6);
  const last = frames.at(-1);
  const line = new Int16Array(place(last) + last.samples.length);
  for (const frame of frames) {
    const pcm = Int16Array.from(frame.samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767);
    if (place(frame) >= 0) line.set(pcm.subarray(0, line.length - place(frame)), place(frame));
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
