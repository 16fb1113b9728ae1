// WAV files of 16-bit PCM, and how loud they are.

import { readFileSync, writeFileSync } from "node:fs";

/** Reads 16-bit PCM; returns channel 0. */
export function readWav(path) {
  const file = readFileSync(path);
  if (file.toString("latin1", 0, 4) !== "RIFF" || file.toString("latin1", 8, 12) !== "WAVE") {
    throw new Error(`${path} is not a WAV file`);
  }
  let format;
  for (let at = 12; at + 8 <= file.length; ) {
    const id = file.toString("latin1", at, at + 4);
    const size = file.readUInt32LE(at + 4);
    const body = file.subarray(at + 8, at + 8 + size);
    if (id === "fmt ") format = { coding: body.readUInt16LE(0), channels: body.readUInt16LE(2), rate: body.readUInt32LE(4), bits: body.readUInt16LE(14) };
    if (id === "data") {
      if (!format || format.bits !== 16 || ![1, 0xfffe].includes(format.coding)) throw new Error(`${path} is not 16-bit PCM`);
      const frames = Math.floor(body.length / 2 / format.channels);
      const samples = new Int16Array(frames);
      for (let i = 0; i < frames; i++) samples[i] = body.readInt16LE(i * 2 * format.channels);
      return { rate_hz: format.rate, samples };
    }
    at += 8 + size + (size & 1);
  }
  throw new Error(`${path} has no data`);
}

export function writeWav(path, rate_hz, samples) {
  const data = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate_hz, 24);
  head.writeUInt32LE(rate_hz * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(data.length, 40);
  writeFileSync(path, Buffer.concat([head, data]));
}

/** A copy of a WAV file with silence before and after it. */
export function padWav(from, to, lead_ms, tail_ms) {
  const { rate_hz, samples } = readWav(from);
  const lead = Math.round((lead_ms / 1000) * rate_hz);
  const tail = Math.round((tail_ms / 1000) * rate_hz);
  const padded = new Int16Array(lead + samples.length + tail);
  padded.set(samples, lead);
  writeWav(to, rate_hz, padded);
}

/** Above this a stretch of 10 ms counts as voiced, dBFS: far over the comfort noise of a codec, far under speech. */
const VOICED_DB = -45;

/** Duration, loudness and where there is sound. */
export function describe(rate_hz, samples) {
  const frame = Math.round(rate_hz / 100);
  let peak = 0;
  let voiced = 0;
  let first = null;
  let last = null;
  for (let at = 0; at + frame <= samples.length; at += frame) {
    let sum = 0;
    for (let i = at; i < at + frame; i++) {
      sum += samples[i] * samples[i];
      peak = Math.max(peak, Math.abs(samples[i]));
    }
    if (10 * Math.log10(sum / frame / 32768 ** 2 + 1e-12) > VOICED_DB) {
      voiced += 10;
      const ms = Math.round((at / rate_hz) * 1000);
      first ??= ms;
      last = ms + 10;
    }
  }
  return {
    duration_ms: Math.round((samples.length / rate_hz) * 1000),
    voiced_ms: voiced,
    first_voiced_ms: first,
    last_voiced_ms: last,
    peak_dbfs: Math.round(20 * Math.log10(peak / 32768 + 1e-9) * 10) / 10,
  };
}
