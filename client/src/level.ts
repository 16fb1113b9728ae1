// How loud a stream is, for a meter.

/** What a meter shows as nothing and as full, in dBFS: a quiet room, and speech close to the microphone. */
const FLOOR_DB = -60;
const CEILING_DB = -10;

/** Root mean square of samples in -1..=1, on the meter's scale 0..=1. */
export function meterLevel(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}

export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(stream: MediaStream) {
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    // Not connected to the destination: it measures and is not heard.
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    void this.#context.resume();
  }

  /** 0..=1 over the last 20 ms or so. */
  read(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return meterLevel(this.#samples);
  }

  close(): void {
    void this.#context.close();
  }
}
