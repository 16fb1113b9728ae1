// One call: how it sounded, what was said, what was decided and on what that rests, how the line was.

import { latencyOf } from "../latency.js";
import { latencyBar } from "../view/bar.js";
import { byId, clock, el } from "../view/dom.js";
import { likeliest, reasonInWords } from "../view/mind.js";
import { Refused } from "../microphone.js";
import { label, peaks, type Row, rows, sound } from "./api.js";
import { NoteForm, noteLine, reviewer } from "./notes.js";
import { inks, penOf } from "./chart.js";
import { type Decision, decisionOf, inOrder, type Item, legal, noteOf, type Trouble, type Turn, turnAt, turnOf } from "./script.js";
import { WaveView } from "./wave.js";

/** Events that are shown at most: an hour of partials is no reading. */
const EVENTS_MOST = 2_000;

const DECISIONS = `SELECT reasons.*, judgements.proposed, judgements.probabilities, judgements.took_ms, reviewed.label
FROM judgement_reasons AS reasons
JOIN judgements ON judgements.id = reasons.judgement
JOIN reviewed ON reviewed.judgement = reasons.judgement
WHERE reasons.call = ?1 AND (reasons.moment = 'end_of_turn' OR reasons.action <> 'listen') ORDER BY reasons.at_ms`;

const endings: Record<string, string> = {
  interrupted: "the caller cut in",
  revoked: "withdrawn before it was heard",
  failed: "broke off",
};

export class CallView {
  readonly #sound = byId("sound", HTMLAudioElement);
  readonly #script = byId("script", HTMLOListElement);
  readonly #wave = new WaveView(byId("wave", HTMLCanvasElement), this.#sound);
  #turns: Turn[] = [];
  #lines = new Map<Turn, HTMLLIElement>();
  /** The moment of the call with which the recording begins. */
  #started_ms = 0;
  /** Calls that were opened: what comes for an older one is not shown. */
  #opened = 0;

  readonly #notes = new NoteForm(
    () => (this.#sound.src === "" ? null : Math.round(this.#started_ms + this.#sound.currentTime * 1000)),
    (call) => this.show(call),
  );

  constructor() {
    this.#sound.addEventListener("timeupdate", () => this.#follow());
  }

  async show(call: string): Promise<void> {
    const opened = ++this.#opened;
    const [overview] = await rows("SELECT * FROM call_overview WHERE call = ?1", [call]);
    if (opened !== this.#opened) return;
    if (!overview) {
      byId("call-title", HTMLHeadingElement).textContent = "There is no such call.";
      return;
    }
    const turns = (await rows("SELECT * FROM turns WHERE call = ?1 ORDER BY turn", [call])).map(turnOf);
    const decisions = (await rows(DECISIONS, [call])).map(decisionOf);
    const events = await rows(`SELECT at_ms, type, json FROM events WHERE call = ?1 ORDER BY at_ms, id LIMIT ${EVENTS_MOST}`, [call]);
    const line = await rows("SELECT at_ms, packets_expected, packets_lost, rtt_ms FROM downlink_stats WHERE call = ?1 AND packets_expected > 0", [call]);
    const notes = (await rows("SELECT * FROM notes WHERE call = ?1 ORDER BY id", [call])).map(noteOf);
    const [recording] = await rows("SELECT * FROM recordings WHERE call = ?1", [call]);
    if (opened !== this.#opened) return;
    this.#head(overview);
    this.#turns = turns;
    this.#lines.clear();
    this.#notes.about(call);
    const items = inOrder(turns, decisions, [...troubles(events), ...notes]);
    this.#script.replaceChildren(...items.map((item) => this.#draw(item, call)));
    const longest = Math.max(1500, ...turns.map((turn) => latencyOf(turn.latency)?.total_ms ?? 0));
    this.#script.style.setProperty("--scale-ms", String(longest));
    byId("events", HTMLOListElement).replaceChildren(
      ...events.map((row) => el("li", "", this.#when(Number(row["at_ms"])), ` ${String(row["json"])}`)),
    );
    strip(line, Number(overview["duration_s"] ?? 0) * 1000);
    await this.#sounds(call, recording, decisions, opened);
  }

  #head(row: Row): void {
    byId("call-title", HTMLHeadingElement).textContent = `${String(row["started_utc"]).slice(0, 19).replace("T", " ")} UTC`;
    const told: [string, string][] = [
      ["caller", String(row["caller"] ?? "nobody by name")],
      ["answered", String(row["persona"])],
      ["length", row["duration_s"] === null ? "still open" : `${String(row["duration_s"])} s`],
      ["ended", String(row["end_reason"] ?? "")],
      ["answers after", row["response_median_ms"] === null ? "" : `${String(row["response_median_ms"])} ms`],
      ["cut in", String(row["interruptions"] ?? 0)],
      ["lost", `${String(row["loss_percent"] ?? 0)} %`],
      ["call", String(row["call"])],
    ];
    const shown = told.filter(([, value]) => value !== "").map(([name, value]) => el("div", "", el("dt", "", name), el("dd", "", value)));
    byId("call-facts", HTMLDListElement).replaceChildren(...shown);
  }

  async #sounds(call: string, recording: Row | undefined, decisions: Decision[], opened: number): Promise<void> {
    const gone = recording?.["removed_why"] ?? null;
    const there = recording !== undefined && gone === null && recording["sha256"] !== null;
    byId("player", HTMLDivElement).hidden = !there;
    const words = byId("no-sound", HTMLParagraphElement);
    words.hidden = there;
    words.textContent =
      recording === undefined ? "This call was not recorded." : gone === null ? "The recording is being written." : `The recording is gone: ${String(gone)}.`;
    // A sound that was fetched with a key stays in memory until it is let go.
    if (this.#sound.src.startsWith("blob:")) URL.revokeObjectURL(this.#sound.src);
    this.#sound.removeAttribute("src");
    if (!there) return;
    this.#started_ms = Number(recording["started_ms"]);
    const [loud, source] = await Promise.all([peaks(call), sound(call)]);
    if (opened !== this.#opened) return;
    this.#sound.src = source;
    this.#wave.show(loud, decisions.map(({ at_ms }) => (at_ms - this.#started_ms) / 1000));
  }

  /** The line that is heard now is marked. */
  #follow(): void {
    const now = turnAt(this.#turns, this.#started_ms + this.#sound.currentTime * 1000);
    for (const [turn, line] of this.#lines) line.classList.toggle("now", turn === now);
  }

  #goTo(ms: number): void {
    this.#sound.currentTime = Math.max(0, (ms - this.#started_ms) / 1000);
    this.#follow();
  }

  #when(ms: number): HTMLElement {
    const made = el("button", "when", clock(ms));
    made.type = "button";
    made.title = "Play from here";
    made.addEventListener("click", () => {
      this.#goTo(ms);
      void this.#sound.play().catch(() => undefined);
    });
    return made;
  }

  #draw(item: Item, call: string): HTMLLIElement {
    if (item.kind === "turn") return this.#turn(item);
    if (item.kind === "note") {
      return noteLine(item, item.about_ms === null ? null : this.#when(item.about_ms), () => this.#notes.remove(call, item.id));
    }
    if (item.kind === "decision") return decision(item);
    return el("li", "line trouble", el("p", "said", item.words));
  }

  #turn(turn: Turn): HTMLLIElement {
    const said = el("p", "said", el("span", "heard", turn.said));
    if (turn.unheard.trim()) said.append(" ", el("s", "unheard", turn.unheard.trim()));
    const ending = endings[turn.outcome];
    if (ending) said.append(" ", el("span", "mark", ending));
    if (turn.typed) said.append(" ", el("span", "mark", "typed"));
    const speaker = el("p", "speaker", el("span", "name", turn.speaker === "caller" ? "Caller" : "Agent"), " ", this.#when(turn.at_ms));
    const latency = turn.speaker === "agent" ? latencyOf(turn.latency) : null;
    const line = el("li", `line ${turn.speaker} ${turn.outcome}`, speaker, said, latency && latencyBar(latency));
    line.id = `turn-${turn.turn}`;
    this.#lines.set(turn, line);
    return line;
  }
}

function troubles(events: Row[]): Trouble[] {
  return events
    .filter((row) => row["type"] === "trouble")
    .map((row) => {
      const told = JSON.parse(String(row["json"])) as { code?: string; detail?: string };
      return { kind: "trouble", at_ms: Number(row["at_ms"]), words: `${told.code ?? ""}: ${told.detail ?? ""}` };
    });
}

function decision(item: Decision): HTMLLIElement {
  const words = [`: ${reasonInWords(item.action, item.reason)}`];
  if (item.overruled_by) words.push(`, not ${item.proposed} (${item.overruled_by.replaceAll("-", " ")})`);
  if (item.moment === "caller") words.push(", while the caller spoke");
  if (item.moment === "idle") words.push(", while nobody spoke");
  const summary = el("summary", "", el("b", "", item.action), words.join(""), " ", el("span", "took", `${item.judge}, ${item.took_ms.toFixed(1)} ms`));
  const odds = likeliest(item.probabilities).map(([action, p]) =>
    el("div", "", el("dt", "", action), el("dd", "", `${Math.round(p * 100)} %`)),
  );
  const details = el("details", "", summary);
  if (item.rests_on) {
    const fact = el("p", "fact", `It rests on: ${item.rests_on} `);
    if (item.fact_call) {
      const link = el("a", "", `said in turn ${item.fact_turn ?? "?"} of another call`);
      link.href = `#call=${encodeURIComponent(item.fact_call)}`;
      fact.append("(", link, ")");
    }
    details.append(fact);
  }
  details.append(el("dl", "", ...odds), verdict(item));
  return el("li", "line judgement", details);
}

/** A reviewer's word: was it right, and what should have been done? */
function verdict(item: Decision): HTMLElement {
  const choice = el("select", "");
  choice.ariaLabel = "What should have been done";
  choice.append(new Option("not reviewed", ""), ...legal(item.moment).map((action) => new Option(action, action)));
  choice.value = item.label;
  const told = el("span", "dim", "");
  told.role = "status";
  choice.addEventListener("change", () => {
    if (choice.value === "") return;
    const by = reviewer();
    if (by === null) {
      choice.value = item.label;
      return;
    }
    label(item.id, choice.value, by).then(
      () => {
        told.textContent = "kept";
      },
      (error: unknown) => {
        told.textContent = error instanceof Refused ? error.problem.detail : "not kept";
        choice.value = item.label;
      },
    );
  });
  return el("p", "verdict", "Should have been: ", choice, " ", told);
}

/** The way to the caller over the call: the redder, the more was lost. */
function strip(line: Row[], length_ms: number): void {
  const canvas = byId("strip", HTMLCanvasElement);
  const words = byId("strip-words", HTMLParagraphElement);
  const lossOf = (row: Row) => Number(row["packets_lost"]) / Math.max(1, Number(row["packets_expected"]));
  canvas.hidden = line.length === 0 || length_ms <= 0;
  const worst = Math.max(0, ...line.map(lossOf));
  words.textContent = line.length === 0 ? "" : `The way to the caller: ${line.length} reports, at worst ${Math.round(worst * 100)} % lost.`;
  const drawing = canvas.hidden ? null : penOf(canvas);
  if (!drawing) return;
  const { pen, width, height } = drawing;
  const { rule, bad } = inks(canvas);
  pen.fillStyle = rule;
  pen.fillRect(0, 0, width, height);
  let before = 0;
  for (const row of line) {
    const at = Number(row["at_ms"]);
    pen.globalAlpha = Math.min(1, lossOf(row) * 5);
    pen.fillStyle = bad;
    pen.fillRect((before / length_ms) * width, 0, ((at - before) / length_ms) * width, height);
    before = at;
  }
  pen.globalAlpha = 1;
}
