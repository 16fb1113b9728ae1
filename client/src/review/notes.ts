// What reviewers have to say about a call: a form, and lines among what was said.

import { Refused } from "../microphone.js";
import { byId, el } from "../view/dom.js";
import { removeNote, writeNote } from "./api.js";
import type { Note } from "./script.js";

const REVIEWER = "duologue.reviewer";

/** Who reviews, asked once a tab; null where nobody says. */
export function reviewer(): string | null {
  const by = sessionStorage.getItem(REVIEWER) ?? window.prompt("Who says so? (It stands beside labels and notes.)", "")?.trim() ?? "";
  if (by === "") return null;
  sessionStorage.setItem(REVIEWER, by);
  return by;
}

const why = (error: unknown) => (error instanceof Refused ? error.problem.detail : "not kept");

export class NoteForm {
  readonly #form = byId("note-form", HTMLFormElement);
  readonly #text = byId("note-text", HTMLTextAreaElement);
  readonly #moment = byId("note-moment", HTMLInputElement);
  readonly #told = byId("note-told", HTMLSpanElement);
  #call = "";

  /** `now_ms`: the moment of the call that is heard, null where there is no recording. `changed`: there is one more note, or one less. */
  constructor(
    private readonly now_ms: () => number | null,
    private readonly changed: (call: string) => Promise<void>,
  ) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#keep();
    });
  }

  about(call: string): void {
    if (call !== this.#call) {
      this.#text.value = "";
      this.#told.textContent = "";
    }
    this.#call = call;
  }

  async remove(call: string, id: number): Promise<void> {
    await this.#tell(call, "taken away", () => removeNote(call, id));
  }

  async #keep(): Promise<void> {
    const [call, words] = [this.#call, this.#text.value.trim()];
    const by = words === "" ? null : reviewer();
    if (by === null) return;
    const at_ms = this.#moment.checked ? this.now_ms() : null;
    await this.#tell(call, "kept", async () => {
      await writeNote(call, words, by, at_ms);
      this.#text.value = "";
    });
  }

  async #tell(call: string, done: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
      await this.changed(call);
      this.#told.textContent = done;
    } catch (error) {
      this.#told.textContent = why(error);
    }
  }
}

export function noteLine(note: Note, when: HTMLElement | null, remove: () => Promise<void>): HTMLLIElement {
  const away = el("button", "away", "Take away");
  away.type = "button";
  away.addEventListener("click", () => void remove());
  const speaker = el("p", "speaker", el("span", "name", "Note"), " ");
  if (when) speaker.append(when);
  const line = el("li", "line note", speaker, el("p", "said", note.words, " ", el("span", "mark", note.by)), away);
  line.id = `note-${note.id}`;
  return line;
}
