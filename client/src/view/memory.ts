// What is remembered of the caller, in sight and in the caller's hands: each fact can be put right or taken out.

import type { Fact, Memory } from "../memory.js";
import { byId, el } from "./dom.js";

export interface MemoryOrders {
  /** The panel was opened: what is remembered should be shown. */
  look(): void;
  correct(fact: number, value: string): void;
  forget(fact: number): void;
  forgetEverything(): void;
}

/** Longest value that the server takes, characters. */
const VALUE_MAX_CHARS = 200;

export class MemoryView {
  readonly #panel = byId("memory", HTMLDetailsElement);
  readonly #facts = byId("memory-facts", HTMLUListElement);
  readonly #orders: MemoryOrders;
  /** The fact that is being put right: its line is not drawn over. */
  #editing: number | null = null;

  constructor(orders: MemoryOrders) {
    this.#orders = orders;
    this.#panel.addEventListener("toggle", () => this.#panel.open && orders.look());
    byId("memory-erase", HTMLButtonElement).addEventListener("click", () => orders.forgetEverything());
    this.#title(null);
  }

  get open(): boolean {
    return this.#panel.open && !this.#panel.hidden;
  }

  /** Only a caller who is known by name has anything to look at. */
  known(on: boolean): void {
    this.#panel.hidden = !on;
    if (!on) this.#panel.open = false;
  }

  /** Null: nothing is remembered yet. */
  show(memory: Memory | null): void {
    if (this.#editing !== null) return;
    this.#title(memory);
    this.#state(memory === null || memory.facts.length + memory.rest.length === 0 ? "Nothing yet." : "");
    this.#facts.replaceChildren(...(memory?.facts ?? []).map((fact) => this.#line(fact)));
    byId("memory-rest", HTMLUListElement).replaceChildren(...(memory?.rest ?? []).map((text) => el("li", "", el("span", "", text))));
  }

  failed(why: string): void {
    this.#state(why);
  }

  #title(memory: Memory | null): void {
    const count = memory?.facts.length ?? 0;
    const told = count === 0 ? "" : ` (${count})`;
    byId("memory-summary", HTMLElement).textContent = `What is remembered of you${told}`;
  }

  #state(words: string): void {
    const state = byId("memory-state", HTMLParagraphElement);
    state.textContent = words;
    state.hidden = words === "";
  }

  #line(fact: Fact): HTMLLIElement {
    const item = el("li", "", el("span", "", fact.text));
    if (fact.turn === null) item.append(el("span", "dim", "put right by you"));
    else if (fact.said_times > 1) item.append(el("span", "dim", `said ${fact.said_times} times`));
    const correct = button("Correct", fact, () => this.#edit(item, fact));
    const forget = button("Forget", fact, () => this.#orders.forget(fact.id));
    item.append(correct, forget);
    return item;
  }

  #edit(item: HTMLLIElement, fact: Fact): void {
    this.#editing = fact.id;
    const input = el("input", "");
    input.type = "text";
    input.value = fact.value;
    input.maxLength = VALUE_MAX_CHARS;
    input.ariaLabel = `Instead of: ${fact.text}`;
    const form = el("form", "", input, el("button", "primary", "Keep"));
    const close = () => {
      this.#editing = null;
      item.replaceWith(this.#line(fact));
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const value = input.value.trim();
      close();
      if (value !== "" && value !== fact.value) this.#orders.correct(fact.id, value);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      // This Escape leaves the box, and does not hang up.
      event.stopPropagation();
      close();
    });
    item.replaceChildren(form);
    input.focus();
    input.select();
  }
}

function button(name: string, fact: Fact, work: () => void): HTMLButtonElement {
  const made = el("button", "", name);
  made.type = "button";
  made.ariaLabel = `${name}: ${fact.text}`;
  made.addEventListener("click", work);
  return made;
}
