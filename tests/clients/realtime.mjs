// The official OpenAI SDK for JavaScript holds a conversation with the server, as a page in a browser would: with a key that holds for a
// while (`client_secrets`), shown in the WebSocket's subprotocol; and then another one in a telephone's format.
//
// usage: realtime.mjs URL KEY    (URL as in http://127.0.0.1:8080)
// Prints one JSON object: what was seen.

import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { WebSocket } from "ws";

// Node has one of its own from version 22 on.
globalThis.WebSocket ??= WebSocket;

const [url, key] = process.argv.slice(2);
const WITHIN_MS = 60_000;
const RATE_HZ = { "audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000 };

/** 16 bit samples that a detector by energy takes for speech, then silence. */
function voice(rate_hz, seconds, then_silent) {
  const samples = new Int16Array(Math.round(rate_hz * (seconds + then_silent)));
  for (let n = 0; n < rate_hz * seconds; n++) {
    const t = (n / rate_hz) * 2 * Math.PI;
    let buzz = 0;
    for (let k = 1; k <= 12; k++) buzz += Math.sin(t * 140 * k) / k;
    samples[n] = 32_767 * Math.max(-1, Math.min(1, 0.2 * buzz * (0.7 + 0.3 * Math.sin(t * 4))));
  }
  return samples;
}

/** G.711 (ITU-T G.711, from the definition of its segments). */
function mulaw(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32_635) + 132;
  const exponent = Math.floor(Math.log2(magnitude)) - 7;
  return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f)) & 0xff;
}

function fromMulaw(byte) {
  const code = ~byte & 0xff;
  const magnitude = (((code & 0x0f) << 3) + 132 << ((code >> 4) & 7)) - 132;
  return code & 0x80 ? -magnitude : magnitude;
}

/** Bytes as they go into `input_audio_buffer.append`. */
function bytes(format, samples) {
  return format === "audio/pcm" ? Buffer.from(samples.buffer) : Buffer.from(Uint8Array.from(samples, mulaw));
}

/** How loud sound is, 0 to 1. */
function loudness(format, sound) {
  const count = format === "audio/pcm" ? sound.length / 2 : sound.length;
  let sum = 0;
  for (let n = 0; n < count; n++) {
    const sample = format === "audio/pcm" ? sound.readInt16LE(2 * n) : fromMulaw(sound[n]);
    sum += sample * sample;
  }
  return Math.sqrt(sum / Math.max(1, count)) / 32_768;
}

/** One connection with a memory, so that nothing that comes early is missed. */
class Conversation {
  constructor(apiKey) {
    const client = new OpenAI({ apiKey, baseURL: `${url}/v1` });
    // The SDK knows TLS alone.
    const onURL = (address) => (address.protocol = url.startsWith("https") ? "wss:" : "ws:");
    this.socket = new OpenAIRealtimeWebSocket({ model: "gpt-realtime", onURL }, client);
    this.events = [];
    this.place = 0;
    this.wake = () => {};
    this.errors = [];
    this.socket.on("event", (event) => {
      this.events.push(event);
      this.wake();
    });
    this.socket.on("error", (error) => this.errors.push(error.message));
  }

  /** Everything up to the next event of this kind. */
  async until(kind) {
    const seen = [];
    const end = Date.now() + WITHIN_MS;
    for (;;) {
      while (this.place < this.events.length) {
        const event = this.events[this.place++];
        seen.push(event);
        if (event.type === kind) return seen;
      }
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no ${kind}: ${seen.map(({ type }) => type)} ${this.errors}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  /** In pieces of 100 ms, as fast as they go. */
  say(format, seconds, then_silent) {
    const rate_hz = RATE_HZ[format];
    const all = bytes(format, voice(rate_hz, seconds, then_silent));
    const piece = (all.length / (rate_hz * (seconds + then_silent))) * (rate_hz / 10);
    for (let at = 0; at < all.length; at += piece) {
      this.socket.send({ type: "input_audio_buffer.append", audio: all.subarray(at, at + piece).toString("base64") });
    }
  }
}

const of = (events, type) => events.filter((event) => event.type === type);

/** What was said in a response, and how loud and long it was. */
function spoken(events, format) {
  const sound = Buffer.concat(of(events, "response.output_audio.delta").map(({ delta }) => Buffer.from(delta, "base64")));
  const samples = format === "audio/pcm" ? sound.length / 2 : sound.length;
  const { status, output } = of(events, "response.done")[0].response;
  return {
    status,
    transcript: output[0].content[0].transcript,
    seconds: samples / RATE_HZ[format],
    loudness: loudness(format, sound),
  };
}

async function talk(apiKey, format) {
  const call = new Conversation(apiKey);
  const out = {};
  out.created = of(await call.until("session.created"), "session.created")[0].session.type;
  if (format !== "audio/pcm") {
    const audio = { input: { format: { type: format } }, output: { format: { type: format } } };
    call.socket.send({ type: "session.update", session: { type: "realtime", audio } });
    const { session } = of(await call.until("session.updated"), "session.updated")[0];
    out.formats = [session.audio.input.format.type, session.audio.output.format.type];
  }
  out.greeting = spoken(await call.until("response.done"), format);
  call.say(format, 1.2, 2.0);
  const answered = await call.until("response.done");
  out.heard = of(answered, "conversation.item.input_audio_transcription.completed")[0].transcript;
  out.answer = spoken(answered, format);
  out.errors = call.errors;
  call.socket.close();
  return out;
}

const client = new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 });
const secret = await client.realtime.clientSecrets.create({
  expires_after: { anchor: "created_at", seconds: 60 },
  session: { type: "realtime", model: "gpt-realtime", audio: { output: { voice: "marin" } } },
});
const refused = async (params, apiKey = key) => {
  const asks = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
  return asks.realtime.clientSecrets.create(params).then(() => 200, (error) => error.status);
};
console.log(
  JSON.stringify({
    secret: [secret.value.slice(0, 3), secret.expires_at - Math.round(Date.now() / 1000), secret.session.type],
    refused: [
      await refused({}, "another"),
      await refused({}, secret.value),
      await refused({ session: { type: "realtime", instructions: "Be brief." } }),
      await refused({ expires_after: { anchor: "created_at", seconds: 5 } }),
    ],
    pcm: await talk(secret.value, "audio/pcm"),
    pcmu: await talk(secret.value, "audio/pcmu"),
  }),
);
