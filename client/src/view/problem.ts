// What went wrong and the way out, above everything else.

import type { Problem } from "../problem.js";
import { byId } from "./dom.js";

export interface ProblemOrders {
  retry(): void;
  typing(): void;
  close(): void;
}

export class ProblemView {
  readonly #box = byId("problem", HTMLElement);
  readonly #retry = byId("problem-retry", HTMLButtonElement);
  readonly #typing = byId("problem-type", HTMLButtonElement);
  #shown: Problem | null = null;

  constructor(orders: ProblemOrders) {
    this.#retry.addEventListener("click", () => orders.retry());
    this.#typing.addEventListener("click", () => orders.typing());
    byId("problem-close", HTMLButtonElement).addEventListener("click", () => orders.close());
  }

  /** `retriable`: a new attempt belongs here; in a call, and after it, other buttons are for that. */
  render(problem: Problem | null, retriable: boolean): void {
    this.#box.hidden = problem === null;
    this.#retry.hidden = !retriable;
    this.#typing.hidden = !retriable || !problem?.textOnly;
    if (problem && problem !== this.#shown) {
      byId("problem-title", HTMLHeadingElement).textContent = problem.title;
      byId("problem-detail", HTMLParagraphElement).textContent = problem.detail;
      byId("problem-fix", HTMLParagraphElement).textContent = problem.fix;
      if (retriable) this.#retry.focus();
    }
    this.#shown = problem;
  }
}
