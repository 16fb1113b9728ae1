// A narrow strip: does the caller come through? The sentence is spoken by screen readers when it changes, the figures are
// there to be looked up.

import { figuresOf, sentenceOf, verdictOf } from "../quality.js";
import type { ViewState } from "../state.js";
import { byId, el } from "./dom.js";

export class QualityView {
  readonly #strip = byId("quality", HTMLElement);
  readonly #sentence = byId("quality-sentence", HTMLElement);
  readonly #figures = byId("quality-figures", HTMLElement);
  #drawn: ViewState["quality"] = null;

  render(state: ViewState): void {
    this.#strip.hidden = state.phase !== "connecting" && state.phase !== "live";
    if (this.#drawn === state.quality && this.#figures.childElementCount > 0) return;
    this.#drawn = state.quality;
    const verdict = state.quality && verdictOf(state.quality);
    this.#strip.dataset["verdict"] = verdict ?? "unknown";
    const sentence = verdict ? sentenceOf(verdict) : "Listening for your line";
    if (this.#sentence.textContent !== sentence) this.#sentence.textContent = sentence;
    const nothing = { delay_ms: 0, loss: 0, late: 0, concealed: 0, recovered: 0 };
    const figures = figuresOf(state.quality ?? nothing).map(({ name, value, meaning }) => {
      const pair = el("div", "", el("dt", "", name), el("dd", "", state.quality ? value : "–"));
      pair.title = meaning;
      return pair;
    });
    this.#figures.replaceChildren(...figures);
  }
}
