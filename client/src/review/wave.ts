// Both sides of a recording: the caller above the line, the agent below it; a click or a key goes there.

import type { Peaks } from "./api.js";
import { inks, penOf } from "./chart.js";

/** What an arrow key moves, seconds. */
const STEP_S = 5;

/** The loudest of each stretch, for so many columns: 0..=1. */
export function columns(peaks: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, n) => {
    const from = Math.floor((n * peaks.length) / count);
    const until = Math.max(from + 1, Math.floor(((n + 1) * peaks.length) / count));
    return Math.max(0, ...peaks.slice(from, until)) / 255;
  });
}

export class WaveView {
  readonly #canvas: HTMLCanvasElement;
  readonly #sound: HTMLAudioElement;
  #peaks: Peaks = { per_second: 20, caller: [], agent: [] };
  /** Moments that are marked: decisions, seconds of the recording. */
  #marks: number[] = [];

  constructor(canvas: HTMLCanvasElement, sound: HTMLAudioElement) {
    this.#canvas = canvas;
    this.#sound = sound;
    canvas.addEventListener("click", (event) => this.#seek((event.offsetX / canvas.clientWidth) * this.#seconds()));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    sound.addEventListener("timeupdate", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(peaks: Peaks, marks: number[]): void {
    this.#peaks = peaks;
    this.#marks = marks;
    this.#canvas.ariaValueMax = String(Math.round(this.#seconds()));
    this.draw();
  }

  #seconds(): number {
    return this.#peaks.caller.length / this.#peaks.per_second;
  }

  #seek(seconds: number): void {
    this.#sound.currentTime = Math.min(Math.max(0, seconds), this.#seconds());
    this.draw();
  }

  #key(event: KeyboardEvent): void {
    const now = this.#sound.currentTime;
    const to: Record<string, number> = {
      ArrowLeft: now - STEP_S,
      ArrowRight: now + STEP_S,
      Home: 0,
      End: this.#seconds(),
    };
    const place = to[event.key];
    if (place !== undefined) this.#seek(place);
    else if (event.key === " ") void (this.#sound.paused ? this.#sound.play() : this.#sound.pause());
    else return;
    event.preventDefault();
  }

  draw(): void {
    const drawing = penOf(this.#canvas);
    if (!drawing || this.#seconds() === 0) return;
    const { pen, width, height } = drawing;
    const { caller, agent, dim, ink } = inks(this.#canvas);
    const middle = height / 2;
    const upper = columns(this.#peaks.caller, width);
    const lower = columns(this.#peaks.agent, width);
    for (let x = 0; x < width; x++) {
      pen.fillStyle = caller;
      pen.fillRect(x, middle - 1 - (upper[x] ?? 0) * (middle - 4), 1, (upper[x] ?? 0) * (middle - 4));
      pen.fillStyle = agent;
      pen.fillRect(x, middle + 1, 1, (lower[x] ?? 0) * (middle - 4));
    }
    pen.fillStyle = dim;
    for (const mark of this.#marks) pen.fillRect((mark / this.#seconds()) * width, 0, 1, 6);
    const now = this.#sound.currentTime;
    pen.fillStyle = ink;
    pen.fillRect((now / this.#seconds()) * width, 0, 1.5, height);
    this.#canvas.ariaValueNow = String(Math.round(now));
    this.#canvas.ariaValueText = `${Math.floor(now / 60)} minutes ${Math.floor(now % 60)} seconds`;
  }
}
