// What the judge thinks at the moment: its decision with the reason and the fact behind it, and how likely it held each action.

import type { JudgementLine, ViewState } from "../state.js";
import { byId, el } from "./dom.js";

/** Actions that are shown; what is less likely than this is not worth the place. */
const SHOWN_MOST = 4;
const SHOWN_FROM = 0.01;

/** The likeliest actions first, as they are shown. */
export function likeliest(probabilities: Record<string, number>): [string, number][] {
  const odds = Object.entries(probabilities).filter(([, p]) => p >= SHOWN_FROM);
  return odds.sort(([, a], [, b]) => b - a).slice(0, SHOWN_MOST);
}

/** A reason code in words: what stands behind the action's own name. */
export function reasonInWords(action: string, reason: string): string {
  return reason.replace(`${action}.`, "").replaceAll(/[-_.]/g, " ");
}

/** What the judge held likelier than what it chose: to leave somebody unanswered it must be surer than that. */
export function likelier(action: string, probabilities: Record<string, number>): string | null {
  const [name, p] = likeliest(probabilities)[0] ?? [action, 0];
  return name !== action && p > (probabilities[action] ?? 0) ? name : null;
}

export class MindView {
  readonly #mind = byId("mind", HTMLElement);
  readonly #decision = byId("mind-decision", HTMLParagraphElement);
  readonly #odds = byId("mind-odds", HTMLOListElement);
  #drawn: JudgementLine | null = null;

  render(state: ViewState): void {
    const newest = state.lines.findLast((line): line is JudgementLine => line.kind === "judgement") ?? null;
    this.#mind.hidden = newest === null || state.phase === "ended";
    if (newest === null || newest === this.#drawn) return;
    this.#drawn = newest;
    const { action, reason, moment, rests_on, overruled_by, proposed } = newest;
    const words = [reason && `: ${reasonInWords(action, reason)}`];
    const instead = likelier(action, newest.probabilities);
    if (overruled_by) words.push(`, not ${proposed ?? ""} (${overruled_by.replaceAll("-", " ")})`);
    else if (instead) words.push(`; ${instead} is likelier, and not sure enough`);
    if (moment === "caller") words.push(", while you speak");
    if (rests_on) words.push(`. It rests on: ${rests_on}`);
    this.#decision.replaceChildren(el("b", "", action), words.join(""));
    this.#odds.replaceChildren(
      ...likeliest(newest.probabilities).map(([name, p]) => {
        const item = el("li", name === action ? "chosen" : "", el("span", "", name), el("span", "", `${Math.round(p * 100)} %`));
        item.style.setProperty("--p", p.toFixed(3));
        return item;
      }),
    );
  }
}
