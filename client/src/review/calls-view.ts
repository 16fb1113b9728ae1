// The list of calls: filters above, the newest first, a hundred at a time.

import { byId, el } from "../view/dom.js";
import { type Row, rows } from "./api.js";
import { counted, type Filters, listed, PAGE } from "./list.js";

/** A reader who types is not asked about at every key. */
const PAUSE_MS = 250;

const COLUMNS: readonly [string, string, boolean][] = [
  ["started_utc", "Began (UTC)", false],
  ["caller", "Caller", false],
  ["persona", "Answered", false],
  ["duration_s", "Length, s", true],
  ["caller_turns", "Turns", true],
  ["interruptions", "Cut in", true],
  ["response_median_ms", "Answer, ms", true],
  ["response_slowest_ms", "Slowest", true],
  ["loss_percent", "Lost, %", true],
  ["end_reason", "Ended", false],
];

export class CallsView {
  readonly #body = byId("calls-rows", HTMLTableSectionElement);
  readonly #more = byId("calls-more", HTMLButtonElement);
  readonly #failed: (error: unknown) => void;
  #shown = 0;
  /** Answers to older questions are not shown. */
  #asked = 0;
  #pause = 0;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
    byId("calls-head", HTMLTableRowElement).append(...COLUMNS.map(([, title, number]) => el("th", number ? "number" : "", title)));
    const form = byId("filters", HTMLFormElement);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      clearTimeout(this.#pause);
      this.#pause = window.setTimeout(() => void this.show(), PAUSE_MS);
    });
    this.#more.addEventListener("click", () => void this.#page(this.#asked));
  }

  /** What can be chosen, as it stands in the database. */
  async choices(): Promise<void> {
    const personas = await rows("SELECT DISTINCT persona AS name FROM calls ORDER BY persona");
    const endings = await rows("SELECT reason AS name, meaning FROM end_reasons ORDER BY reason");
    const options = (all: string, list: Row[]) => [
      new Option(all, ""),
      ...list.map((row) => new Option(String(row["name"]), String(row["name"]))),
    ];
    byId("filter-persona", HTMLSelectElement).replaceChildren(...options("anybody", personas));
    byId("filter-ending", HTMLSelectElement).replaceChildren(...options("any end", endings), new Option("still open", "open"));
  }

  #filters(): Filters {
    const value = (id: string) => byId(id, HTMLSelectElement).value;
    return {
      text: byId("filter-text", HTMLInputElement).value,
      persona: value("filter-persona"),
      ending: value("filter-ending"),
      what: value("filter-what"),
    };
  }

  /** Asks anew. */
  async show(): Promise<void> {
    const asked = ++this.#asked;
    this.#shown = 0;
    try {
      const [count] = await rows(...counted(this.#filters()));
      if (asked !== this.#asked) return;
      this.#body.replaceChildren();
      const calls = Number(count?.["calls"] ?? 0);
      byId("calls-count", HTMLParagraphElement).textContent = calls === 1 ? "1 call" : `${calls} calls`;
      this.#more.hidden = calls <= PAGE;
      await this.#page(asked, calls);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #page(asked: number, calls = Number.POSITIVE_INFINITY): Promise<void> {
    try {
      const found = await rows(...listed(this.#filters(), this.#shown));
      if (asked !== this.#asked) return;
      this.#shown += found.length;
      this.#body.append(...found.map(line));
      this.#more.hidden = found.length < PAGE || this.#shown >= calls;
    } catch (error) {
      this.#failed(error);
    }
  }
}

function line(row: Row): HTMLTableRowElement {
  const cells = COLUMNS.map(([name, , number], n) => {
    const value = row[name] ?? "";
    const words = name === "started_utc" ? String(value).slice(0, 19).replace("T", " ") : String(value);
    if (n > 0) return el("td", number ? "number" : "", words);
    const link = el("a", "", words);
    link.href = `#call=${encodeURIComponent(String(row["call"]))}`;
    return el("td", "", link);
  });
  return el("tr", "", ...cells);
}
