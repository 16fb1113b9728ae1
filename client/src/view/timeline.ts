// Both voices on one line of time. The picture is for the eyes; the same in words stands in its summary and in the
// transcript. It scrolls as any other part of a page does: by finger, wheel and keys.

import { LevelTrack } from "../levels.js";
import type { ViewState } from "../state.js";
import { summary } from "../timeline.js";
import { byId } from "./dom.js";
import { draw, HEIGHT, type Inks, PX_PER_MS } from "./timeline-ink.js";

/** Free space to the right of the present moment, so that it is seen to come. */
const AHEAD_PX = 56;
/** Nearer to the end than this, the reader is taken along. */
const NEAR_END_PX = 24;
/** With reduced motion the line moves in steps. */
const CALM_STEP_MS = 1000;

export class TimelineView {
  readonly #box = byId("timeline", HTMLElement);
  readonly #scroller = byId("timeline-scroll", HTMLElement);
  readonly #spacer = byId("timeline-length", HTMLElement);
  readonly #canvas = byId("timeline-picture", HTMLCanvasElement);
  readonly #summary = byId("timeline-summary", HTMLElement);
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #levels = new LevelTrack();
  #state: ViewState | null = null;
  #other = "";
  #inks: Inks | null = null;
  #now_ms = 0;
  #following = true;
  #stale = true;

  constructor() {
    this.#box.style.height = `${HEIGHT}px`;
    const repaint = () => {
      this.#inks = null;
      this.#stale = true;
      if (this.#following) this.#toEnd();
    };
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", repaint);
    }
    new ResizeObserver(repaint).observe(this.#box);
    this.#scroller.addEventListener("scroll", () => {
      const { scrollWidth, scrollLeft, clientWidth } = this.#scroller;
      this.#following = scrollWidth - scrollLeft - clientWidth < NEAR_END_PX;
      this.#stale = true;
    });
    // Left and right scroll by themselves; these two scroll a page only upwards and downwards.
    this.#scroller.addEventListener("keydown", (event) => {
      if (event.key !== "Home" && event.key !== "End") return;
      event.preventDefault();
      this.#scroller.scrollLeft = event.key === "Home" ? 0 : this.#scroller.scrollWidth;
    });
  }

  render(state: ViewState, other: string): void {
    const before = this.#state;
    this.#state = state;
    this.#other = other;
    if (before?.timeline === state.timeline && before.phase === state.phase) return;
    if (state.phase === "connecting" && before?.phase !== "connecting") {
      this.#levels.clear();
      this.#now_ms = 0;
      this.#following = true;
    }
    this.#stale = true;
    if (state.ending) this.#now_ms = state.ending.at_ms;
    const words = state.timeline.floor.length > 0 ? summary(state.timeline, other) : "";
    if (this.#summary.textContent !== words) this.#summary.textContent = words;
  }

  /** The call's time, milliseconds, and the levels 0..=1 at it. */
  tick(ms: number, caller: number, agent: number): void {
    this.#levels.put(ms, caller, agent);
    const step = this.#calm.matches ? Math.floor(ms / CALM_STEP_MS) * CALM_STEP_MS : ms;
    if (step === this.#now_ms) return;
    this.#now_ms = step;
    this.#stale = true;
  }

  /** Draws if anything has changed. */
  frame(): void {
    const state = this.#state;
    if (!this.#stale || !state || this.#box.offsetParent === null) return;
    this.#stale = false;
    const width = this.#scroller.clientWidth;
    this.#stretch(Math.max(width, Math.ceil(this.#now_ms * PX_PER_MS) + AHEAD_PX));
    const context = this.#fit(width);
    if (!context) return;
    this.#inks ??= inks(this.#box);
    const left = this.#following ? Math.max(0, this.#now_ms * PX_PER_MS + AHEAD_PX - width) : this.#scroller.scrollLeft;
    draw(context, {
      timeline: state.timeline,
      levels: this.#levels,
      inks: this.#inks,
      width,
      from_ms: left / PX_PER_MS,
      now_ms: this.#now_ms,
      live: state.phase === "live",
      names: { caller: "You", agent: this.#other },
    });
  }

  /** As long as the call. In steps: each costs a layout of this box. */
  #stretch(px: number): void {
    const stepped = this.#state?.phase === "live" ? Math.ceil(px / AHEAD_PX) * AHEAD_PX : px;
    if (this.#spacer.offsetWidth === stepped) return;
    this.#spacer.style.width = `${stepped}px`;
    if (this.#following) this.#toEnd();
  }

  #toEnd(): void {
    this.#scroller.scrollLeft = this.#scroller.scrollWidth;
  }

  /** The canvas with as many dots as the screen has under it. */
  #fit(width: number): CanvasRenderingContext2D | null {
    const scale = devicePixelRatio || 1;
    const [dots, rows] = [Math.round(width * scale), Math.round(HEIGHT * scale)];
    if (this.#canvas.width !== dots || this.#canvas.height !== rows) {
      this.#canvas.width = dots;
      this.#canvas.height = rows;
    }
    const context = this.#canvas.getContext("2d");
    context?.setTransform(scale, 0, 0, scale, 0, 0);
    return context;
  }
}

function inks(box: HTMLElement): Inks {
  const style = getComputedStyle(box);
  const ink = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: ink("ground"),
    ink: ink("ink"),
    dim: ink("dim"),
    rule: ink("rule"),
    caller: ink("caller"),
    agent: ink("agent"),
    thinking: ink("thinking"),
    suspect: ink("suspect"),
    bad: ink("bad"),
    font: style.fontFamily,
  };
}
