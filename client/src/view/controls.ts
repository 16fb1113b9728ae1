// During the call: mute, hang up, the text box and their keys; after it: why it ended, and the way on.

import type { Persona } from "../call.js";
import { TEXT_MAX_CHARS } from "../events.js";
import type { ViewState } from "../state.js";
import { byId, key } from "./dom.js";

export interface ControlOrders {
  mute(on: boolean): void;
  hangUp(): void;
  /** False when it could not be sent: the text stays in the box. */
  say(text: string): boolean;
  /** What was recorded of this call is to go. */
  stopRecording(): void;
  /** Somebody else is to answer. */
  switchTo(persona: string): void;
  again(): void;
  back(): void;
}

/** How long a first Esc waits for the second. */
const CONFIRM_MS = 3000;

export class ControlView {
  readonly #mute = byId("mute", HTMLButtonElement);
  readonly #hangUp = byId("hang-up", HTMLButtonElement);
  readonly #text = byId("text", HTMLInputElement);
  readonly #send = byId("send", HTMLButtonElement);
  readonly #switch = byId("switch", HTMLSelectElement);
  readonly #again = byId("again", HTMLButtonElement);
  readonly #orders: ControlOrders;
  #state: ViewState | null = null;
  #confirming = 0;

  constructor(orders: ControlOrders) {
    this.#orders = orders;
    this.#text.maxLength = TEXT_MAX_CHARS;
    if (matchMedia("(hover: hover)").matches) this.#text.placeholder += " (T)";
    this.#text.setAttribute("aria-keyshortcuts", "T");
    this.#mute.setAttribute("aria-keyshortcuts", "M");
    this.#hangUp.setAttribute("aria-keyshortcuts", "Escape Escape");
    this.#mute.addEventListener("click", () => this.#toggleMute());
    this.#hangUp.addEventListener("click", () => orders.hangUp());
    this.#again.addEventListener("click", () => orders.again());
    byId("record-stop", HTMLButtonElement).addEventListener("click", () => orders.stopRecording());
    byId("back", HTMLButtonElement).addEventListener("click", () => orders.back());
    this.#switch.addEventListener("change", () => {
      orders.switchTo(this.#switch.value);
      // It shows who answers, and that is told by the call.
      this.#switch.value = this.#state?.persona ?? "";
    });
    byId("say", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text && orders.say(text)) this.#text.value = "";
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Who can take a call over. */
  showPersonas(personas: readonly Persona[]): void {
    const options = personas.filter(({ talks }) => talks).map(({ name, title }) => new Option(title || name, name));
    this.#switch.replaceChildren(...options);
  }

  render(state: ViewState): void {
    const before = this.#state;
    this.#state = state;
    const running = state.phase === "connecting" || state.phase === "live";
    byId("conversation", HTMLElement).hidden = !running && state.phase !== "ended";
    byId("controls", HTMLElement).hidden = !running;
    byId("recorded", HTMLParagraphElement).hidden = !running || !state.recorded;
    byId("ending", HTMLElement).hidden = state.phase !== "ended";
    byId("ending-sentence", HTMLParagraphElement).textContent = state.ending?.sentence ?? "";
    this.#text.disabled = this.#send.disabled = state.phase !== "live";
    // An echo is nobody who could be relieved, and one persona alone is no choice.
    const relievable = [...this.#switch.options].some(({ value }) => value === state.persona);
    this.#switch.hidden = !relievable || this.#switch.options.length < 2;
    this.#switch.disabled = state.phase !== "live";
    if (relievable && before?.persona !== state.persona) this.#switch.value = state.persona ?? "";
    this.#mute.disabled = !state.microphone;
    this.#mute.ariaPressed = String(state.muted);
    if (!before || before.muted !== state.muted || before.microphone !== state.microphone) {
      const label = !state.microphone ? "No microphone" : state.muted ? "Unmute" : "Mute";
      this.#mute.replaceChildren(label, state.microphone ? key("M") : "");
    }
    if (before?.phase !== state.phase) this.#phase(state, running);
  }

  #phase(state: ViewState, running: boolean): void {
    this.#confirm(false);
    // The button that had the focus is gone: put it where the keys make sense.
    if (running && !this.#inConversation()) {
      if (state.microphone) byId("transcript", HTMLOListElement).focus();
      else this.#text.focus();
    }
    if (state.phase === "live" && !state.microphone) this.#text.focus();
    if (state.phase === "ended") {
      this.#text.value = "";
      this.#again.focus();
    }
  }

  #inConversation(): boolean {
    return byId("conversation", HTMLElement).contains(document.activeElement);
  }

  #toggleMute(): void {
    if (this.#state?.microphone) this.#orders.mute(!this.#state.muted);
  }

  #confirm(on: boolean): void {
    clearTimeout(this.#confirming);
    this.#confirming = on ? window.setTimeout(() => this.#confirm(false), CONFIRM_MS) : 0;
    this.#hangUp.classList.toggle("sure", on);
    this.#hangUp.replaceChildren(on ? "Hang up?" : "Hang up", key("Esc"));
  }

  #key(event: KeyboardEvent): void {
    const phase = this.#state?.phase;
    if ((phase !== "live" && phase !== "connecting") || event.ctrlKey || event.metaKey || event.altKey) return;
    // Keys that are typed somewhere else are meant there.
    if (event.target !== this.#text && event.target instanceof Element && event.target.closest("input, select")) return;
    const typing = event.target === this.#text;
    if (event.key === "Escape" && !event.repeat) {
      // Out of the box first: a habit should not end the call.
      if (typing) this.#text.blur();
      else if (this.#confirming) this.#orders.hangUp();
      else this.#confirm(true);
    } else if (!typing && event.key.toLowerCase() === "m" && !event.repeat) {
      this.#toggleMute();
    } else if (!typing && event.key.toLowerCase() === "t") {
      event.preventDefault();
      this.#text.focus();
    }
  }
}
