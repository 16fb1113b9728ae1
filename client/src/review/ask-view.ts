// The query box: questions with names to go on from, kept ones, the answer as a table and, where it has names and figures, bars.

import { byId, el } from "../view/dom.js";
import { csv, type Question, questions, sql, type Table } from "./api.js";
import { barsOf, drawBars } from "./chart.js";

const KEPT = "duologue.kept-questions";

/** Questions that this browser keeps. */
function kept(): Question[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(list) ? (list as Question[]).filter(({ sql: text }) => typeof text === "string") : [];
  } catch {
    return [];
  }
}

export class AskView {
  readonly #sql = byId("question-sql", HTMLTextAreaElement);
  readonly #names = byId("question-name", HTMLSelectElement);
  readonly #failed: (error: unknown) => void;
  #known: Question[] = [];

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
    this.#names.addEventListener("change", () => {
      this.#sql.value = this.#known.find(({ name }) => name === this.#names.value)?.sql ?? "";
      void this.#ask();
    });
    byId("question", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#sql.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void this.#ask();
    });
    byId("question-keep", HTMLButtonElement).addEventListener("click", () => this.#keep());
    byId("question-csv", HTMLButtonElement).addEventListener("click", () => void this.#save());
  }

  async show(): Promise<void> {
    this.#known = [...(await questions()), ...kept()];
    const options = this.#known.map(({ name, question }) => new Option(question, name));
    this.#names.replaceChildren(new Option("…", ""), ...options);
  }

  async #ask(): Promise<void> {
    const statement = this.#sql.value.trim();
    if (statement === "") return;
    try {
      this.#draw(await sql(statement));
    } catch (error) {
      this.#failed(error);
    }
  }

  #draw(table: Table): void {
    const count = table.rows.length === 1 ? "1 row" : `${table.rows.length} rows`;
    byId("answer-count", HTMLParagraphElement).textContent = table.cut ? `${count}, and more` : count;
    byId("answer-head", HTMLTableRowElement).replaceChildren(...table.columns.map((name) => el("th", "", name)));
    const cells = (row: Table["rows"][number]) =>
      row.map((value, n) => {
        const name = table.columns[n] ?? "";
        if (typeof value === "string" && /(^|_)call$/.test(name) && value !== "") {
          const link = el("a", "", value);
          link.href = `#call=${encodeURIComponent(value)}`;
          return el("td", "", link);
        }
        return el("td", typeof value === "number" ? "number" : "", value === null ? "" : String(value));
      });
    byId("answer-rows", HTMLTableSectionElement).replaceChildren(...table.rows.slice(0, 1_000).map((row) => el("tr", "", ...cells(row))));
    const bars = barsOf(table);
    const chart = byId("chart", HTMLCanvasElement);
    chart.hidden = bars === null;
    if (bars) {
      chart.title = bars.title;
      drawBars(chart, bars);
    }
  }

  #keep(): void {
    const statement = this.#sql.value.trim();
    const name = statement && window.prompt("By which name?", this.#names.value);
    if (!name) return;
    const others = kept().filter((question) => question.name !== name);
    localStorage.setItem(KEPT, JSON.stringify([...others, { name, question: `Kept: ${name}`, sql: statement }]));
    void this.show().then(() => {
      this.#names.value = name;
    });
  }

  async #save(): Promise<void> {
    const statement = this.#sql.value.trim();
    if (statement === "") return;
    try {
      const link = el("a", "");
      link.href = URL.createObjectURL(await csv(statement));
      link.download = "duologue.csv";
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      this.#failed(error);
    }
  }
}
