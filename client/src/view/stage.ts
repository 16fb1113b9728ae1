// Who has the floor: a marker that slides between the two seats, each with its level, and the call's clock.

import type { FloorState } from "../events.js";
import type { ViewState } from "../state.js";
import { byId, clock } from "./dom.js";

function floorInWords(state: FloorState, other: string): string {
  switch (state) {
    case "idle":
      return "Nobody is speaking";
    case "caller":
      return "You are speaking";
    case "thinking":
      return `${other} is thinking`;
    case "agent":
      return `${other} is speaking`;
    case "suspect":
      return "On hold: are you speaking?";
  }
}

export class StageView {
  readonly #stage = byId("stage", HTMLElement);
  readonly #floor = byId("floor", HTMLElement);
  readonly #timer = byId("timer", HTMLElement);
  readonly #caller = byId("seat-caller", HTMLElement);
  readonly #agent = byId("seat-agent", HTMLElement);
  readonly #meters = { caller: byId("meter-caller", HTMLElement), agent: byId("meter-agent", HTMLElement) };

  render(state: ViewState, other: string): void {
    this.#stage.hidden = state.phase === "ended";
    this.#agent.textContent = other;
    this.#caller.textContent = !state.microphone ? "You, typing" : state.muted ? "You, muted" : "You";
    if (state.phase === "connecting") this.#mark("waiting", "Connecting…");
    else if (state.wavering) this.#mark("waiting", "The connection is shaky, waiting…");
    else this.#mark(state.floor, floorInWords(state.floor, other));
    this.#timer.hidden = state.phase !== "live" && state.phase !== "ended";
    if (state.ending) this.tick(state.ending.at_ms);
  }

  #mark(floor: FloorState | "waiting", words: string): void {
    this.#stage.dataset["floor"] = floor;
    if (this.#floor.textContent !== words) this.#floor.textContent = words;
  }

  /** The call's time, milliseconds. */
  tick(ms: number): void {
    const text = clock(ms);
    if (this.#timer.textContent !== text) this.#timer.textContent = text;
  }

  /** Levels 0..=1. */
  levels(caller: number, agent: number): void {
    this.#meters.caller.style.setProperty("--level", caller.toFixed(3));
    this.#meters.agent.style.setProperty("--level", agent.toFixed(3));
  }
}
