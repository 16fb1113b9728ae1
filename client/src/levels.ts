// How loud both sides were, moment by moment, for the timeline.

/** One reading each 50 ms: at the timeline's scale a bar of two pixels and a gap. */
export const LEVEL_STEP_MS = 50;
/** The last hour of a call is kept; what came before is overwritten. */
const KEPT = (60 * 60 * 1000) / LEVEL_STEP_MS;

export type Side = "caller" | "agent";

/** Levels 0..=1 by their moment in the call. */
export class LevelTrack {
  readonly #levels = { caller: new Float32Array(KEPT), agent: new Float32Array(KEPT) };
  /** The step that was written last; -1: none. */
  #newest = -1;

  /** Keeps the louder one of the readings of a step. */
  put(at_ms: number, caller: number, agent: number): void {
    const step = Math.floor(at_ms / LEVEL_STEP_MS);
    if (!(step >= 0) || step < this.#newest) return;
    if (step > this.#newest) {
      // Steps that nobody read (a page in the background) are silent, not what stood there an hour ago.
      for (let missed = Math.max(this.#newest + 1, step - KEPT + 1); missed <= step; missed++) {
        this.#levels.caller[missed % KEPT] = this.#levels.agent[missed % KEPT] = 0;
      }
      this.#newest = step;
    }
    const at = step % KEPT;
    this.#levels.caller[at] = Math.max(this.#levels.caller[at] ?? 0, caller);
    this.#levels.agent[at] = Math.max(this.#levels.agent[at] ?? 0, agent);
  }

  /** 0 where nothing was read, or it is too long ago. */
  at(side: Side, step: number): number {
    if (step < 0 || step > this.#newest || step <= this.#newest - KEPT) return 0;
    return this.#levels[side][step % KEPT] ?? 0;
  }

  clear(): void {
    this.#newest = -1;
  }
}
