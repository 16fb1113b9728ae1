// Before the call: who should answer, and the button.

import type { Persona } from "../call.js";
import type { ViewState } from "../state.js";
import { byId, el } from "./dom.js";

export interface StartOrders {
  call(persona: string, typing: boolean): void;
  /** Later calls are, or are not, to know this caller again. */
  remember(on: boolean): void;
}

export class StartView {
  readonly #form = byId("start", HTMLFormElement);
  readonly #personas = byId("personas", HTMLFieldSetElement);
  readonly #call = byId("call", HTMLButtonElement);
  readonly #typing = byId("call-typing", HTMLButtonElement);
  readonly #remember = byId("remember", HTMLInputElement);

  constructor(orders: StartOrders) {
    const call = (typing: boolean) => {
      const persona = this.chosen();
      if (persona) orders.call(persona, typing);
    };
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      call(false);
    });
    this.#typing.addEventListener("click", () => call(true));
    this.#remember.addEventListener("change", () => orders.remember(this.#remember.checked));
  }

  /** The persona that is marked, if any. */
  chosen(): string | null {
    const value = new FormData(this.#form).get("persona");
    return typeof value === "string" ? value : null;
  }

  show(personas: readonly Persona[], wanted: string | null): void {
    const marked = personas.find((persona) => persona.name === wanted) ?? personas[0];
    const cards = personas.map((persona) => {
      const radio = el("input", "");
      radio.type = "radio";
      radio.name = "persona";
      radio.value = persona.name;
      radio.checked = persona === marked;
      return el(
        "label",
        "card",
        radio,
        el("span", "title", persona.title || persona.name),
        el("span", "dim", persona.description),
      );
    });
    const state = byId("personas-state", HTMLParagraphElement);
    state.hidden = cards.length > 0;
    state.textContent = "This server has no personas: put one into its personas folder, then reload the page.";
    this.#personas.querySelectorAll(".card").forEach((card) => card.remove());
    this.#personas.append(...cards);
  }

  /** Whether callers are known again; a name in the address leaves nothing to choose. */
  showRemembered(on: boolean, fixed: boolean): void {
    this.#remember.checked = on;
    this.#remember.disabled = fixed;
  }

  /** Enter calls. */
  focus(): void {
    this.#call.focus();
  }

  failed(): void {
    byId("personas-state", HTMLParagraphElement).textContent = "Not known yet.";
  }

  render(state: ViewState): void {
    const here = state.phase === "ready" || state.phase === "starting";
    this.#form.hidden = !here;
    const free = state.phase === "ready" && this.#personas.querySelector(".card") !== null;
    this.#personas.disabled = state.phase === "starting";
    this.#call.disabled = !free;
    this.#typing.disabled = !free;
    this.#call.textContent = state.phase === "starting" ? "Calling…" : "Call";
  }
}
