// The call page: puts the parts together. Events change the state, the state is drawn, orders go to the call.

import { Call, fetchPersonas, type Link, type Persona } from "./call.js";
import { beKnown, beNobody, callerOf } from "./caller.js";
import { parseEvent } from "./events.js";
import { LevelMeter } from "./level.js";
import { correct, forget, recollect } from "./memory.js";
import { openMicrophone, openSilence, Refused, type Source } from "./microphone.js";
import { connectionLost, neverConnected, type Problem, problemOfMicrophone } from "./problem.js";
import { type Action, initial, reduce, type ViewState } from "./state.js";
import { ControlView } from "./view/controls.js";
import { byId } from "./view/dom.js";
import { MemoryView } from "./view/memory.js";
import { MindView } from "./view/mind.js";
import { ProblemView } from "./view/problem.js";
import { QualityView } from "./view/quality.js";
import { StageView } from "./view/stage.js";
import { StartView } from "./view/start.js";
import { TimelineView } from "./view/timeline.js";
import { TranscriptView } from "./view/transcript.js";

/** How long media may take to flow after the answer. */
const CONNECT_MS = 15_000;
/** How long after a turn what it gave to remember is looked at: the row is written beside the call. */
const REMEMBERED_MS = 600;

const query = new URLSearchParams(location.search);
const voice = byId("voice", HTMLAudioElement);

let state: ViewState = initial;
let personas: readonly Persona[] = [];
let call: Call | null = null;
/** Counts the calls that this page has dialled: what comes from one that is no longer its call is not heard. */
let dialled = 0;
/** The last call was to go without a microphone; "again" means the same kind of call. */
let byTyping = false;
let meters: { caller: LevelMeter | null; agent: LevelMeter | null } = { caller: null, agent: null };
/** `performance.now()` at the call's moment 0. */
let startedAt = 0;
let connecting = 0;
let looking = 0;

const start = new StartView({ call: (persona, typing) => void dial(persona, typing), remember });
const memory = new MemoryView({
  look: () => void look(),
  correct: (fact, value) => void amend((caller) => correct(caller, fact, value)),
  forget: (fact) => void amend((caller) => forget(caller, fact)),
  forgetEverything: () => confirmForget() && void amend((caller) => forget(caller)),
});
showRemembered();
const stage = new StageView();
const timeline = new TimelineView();
const quality = new QualityView();
const mind = new MindView();
const transcript = new TranscriptView();
const problem = new ProblemView({
  retry: () => (personas.length === 0 ? void loadPersonas() : redial(byTyping)),
  typing: () => redial(true),
  close: () => dispatch({ kind: "problem-read" }),
});
const controls = new ControlView({
  mute(on) {
    call?.mute(on);
    dispatch({ kind: "mute", on });
  },
  hangUp() {
    void call?.hangUp();
    over("caller-hangup");
  },
  say: (text) => call?.send({ type: "text", text }) ?? false,
  newTopic: () => void call?.send({ type: "new-topic" }),
  stopRecording: () => void call?.send({ type: "record", on: false }),
  switchTo: (name) => void call?.send({ type: "persona", name }),
  again: () => redial(byTyping),
  back() {
    state = initial;
    draw();
    start.focus();
  },
});

function dispatch(action: Action): void {
  state = reduce(state, action);
  draw();
}

function draw(): void {
  const other = personas.find(({ name }) => name === state.persona)?.title ?? state.persona ?? "";
  document.body.dataset["phase"] = state.phase;
  start.render(state);
  controls.render(state);
  stage.render(state, other);
  timeline.render(state, other);
  quality.render(state);
  mind.render(state);
  transcript.render(state, other);
  problem.render(state.problem, state.phase === "ready");
}

async function loadPersonas(): Promise<void> {
  dispatch({ kind: "problem-read" });
  try {
    personas = await fetchPersonas();
    start.show(personas, query.get("persona"));
    controls.showPersonas(personas);
    draw();
    start.focus();
  } catch (error) {
    start.failed();
    dispatch({ kind: "problem", problem: inWords(error) });
  }
}

function inWords(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  return {
    title: "The call could not be set up",
    detail: error instanceof Error ? error.message : String(error),
    fix: "Try again; another browser may help.",
  };
}

function remember(on: boolean): void {
  if (on) {
    beKnown(localStorage, () => crypto.randomUUID());
    showRemembered();
    return;
  }
  if (!confirmForget()) {
    showRemembered();
    return;
  }
  const gone = beNobody(localStorage);
  showRemembered();
  if (gone !== null) {
    void forget(gone).catch((error: unknown) => dispatch({ kind: "problem", problem: inWords(error) }));
  }
}

function confirmForget(): boolean {
  return window.confirm("Erase what is remembered of you, and the words of your calls?");
}

function showRemembered(): void {
  const known = callerOf(query, localStorage) !== null;
  start.showRemembered(known, query.get("caller") !== null);
  memory.known(known);
}

/** Shows what is remembered now. */
async function look(): Promise<void> {
  const caller = callerOf(query, localStorage);
  if (caller === null) return;
  try {
    memory.show(await recollect(caller));
  } catch (error) {
    memory.failed(inWords(error).title);
  }
}

/** Changes what is remembered, then shows it. */
async function amend(change: (caller: string) => Promise<void>): Promise<void> {
  const caller = callerOf(query, localStorage);
  if (caller === null) return;
  try {
    await change(caller);
    await look();
  } catch (error) {
    dispatch({ kind: "problem", problem: inWords(error) });
  }
}

/** Looks again, once things have settled. */
function lookSoon(): void {
  clearTimeout(looking);
  if (memory.open) looking = window.setTimeout(() => void look(), REMEMBERED_MS);
}

function redial(typing: boolean): void {
  const persona = state.persona ?? start.chosen();
  if (persona) void dial(persona, typing);
}

async function dial(persona: string, typing: boolean): Promise<void> {
  if (state.phase !== "ready" && state.phase !== "ended") return;
  dispatch({ kind: "dial", persona });
  byTyping = typing;
  const number = ++dialled;
  const mine = () => number === dialled;
  try {
    const source = typing ? await openSilence() : await openMicrophone(query.get("raw") === "1");
    watch(source);
    const listener = {
      message: (text: string) => mine() && hear(text),
      audio: (stream: MediaStream) => mine() && play(stream),
      link: (link: Link) => mine() && follow(link),
    };
    call = await Call.dial(persona, callerOf(query, localStorage), source, listener, query.get("relay") === "only");
    dispatch({ kind: "answered", microphone: source.microphone });
    connecting = window.setTimeout(() => {
      call?.leave();
      over("never-connected", neverConnected);
    }, CONNECT_MS);
  } catch (error) {
    release();
    dispatch({ kind: "problem", problem: inWords(error) });
  }
}

function watch(source: Source): void {
  startedAt = performance.now();
  if (!source.microphone) return;
  meters.caller = new LevelMeter(new MediaStream([source.track]));
  source.track.addEventListener("ended", () => {
    dispatch({ kind: "microphone-gone" });
    dispatch({ kind: "problem", problem: problemOfMicrophone("NotReadableError", "") });
  });
}

function hear(message: string): void {
  const parsed = parseEvent(message);
  if (parsed.kind === "malformed") console.warn("duologue: an event that cannot be read:", parsed.fault, message);
  if (parsed.kind !== "event") return;
  const { event } = parsed;
  if (event.type === "call-started") startedAt = performance.now() - event.at_ms;
  dispatch({ kind: "event", event });
  if (event.type === "floor") call?.otherSpeaks(event.state === "agent" || event.state === "suspect");
  if (event.type === "line") call?.hold(event.hold_ms);
  if (event.type === "transcript" || event.type === "turn-ended") lookSoon();
  if (event.type === "call-ended") {
    call?.close();
    over(event.reason);
  }
}

function play(stream: MediaStream): void {
  voice.srcObject = stream;
  meters.agent = new LevelMeter(stream);
  void voice.play().catch(() => {
    const title = "The browser holds the sound back";
    dispatch({ kind: "problem", problem: { title, detail: "", fix: "Press any key, or click on the page, to hear it." } });
    const release = () => {
      void voice.play();
      dispatch({ kind: "problem-read" });
    };
    for (const gesture of ["keydown", "pointerdown"]) addEventListener(gesture, release, { once: true });
  });
}

function follow(link: Link): void {
  if (link === "connected") {
    clearTimeout(connecting);
    dispatch({ kind: "live" });
  } else if (link === "wavering") {
    dispatch({ kind: "wavering", on: true });
  } else {
    const connected = state.phase === "live";
    call?.leave();
    over(connected ? "network-gone" : "never-connected", connected ? connectionLost : neverConnected);
  }
}

/** The call is over for this page, whoever ended it. */
function over(reason: string, why?: Problem): void {
  const at_ms = Math.round(performance.now() - startedAt);
  release();
  dispatch({ kind: "ended", reason, at_ms, ...(why && { problem: why }) });
}

function release(): void {
  clearTimeout(connecting);
  meters.caller?.close();
  meters.agent?.close();
  meters = { caller: null, agent: null };
  voice.srcObject = null;
}

function frame(): void {
  if (state.phase === "live" || state.phase === "connecting") {
    const [caller, agent] = [meters.caller?.read() ?? 0, meters.agent?.read() ?? 0];
    stage.levels(caller, agent);
    if (state.phase === "live") {
      const ms = performance.now() - startedAt;
      stage.tick(ms);
      timeline.tick(ms, caller, agent);
    }
  }
  timeline.frame();
  requestAnimationFrame(frame);
}

addEventListener("pagehide", () => call?.leave());
draw();
requestAnimationFrame(frame);
void loadPersonas();
