// What a person does with the page, by keyboard, and what must be seen then. Each scene talks to a running server and
// returns what it saw; it throws when something that must happen does not.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bridged } from "./bridged.mjs";
import { openBrowser } from "./browser.mjs";
import { relay } from "./relay.mjs";
import { remembered } from "./remembered.mjs";
import { review } from "./review.mjs";
import { phase, shot, waitFor, words } from "./steps.mjs";
import { describe, padWav, writeWav } from "./wav.mjs";
import { heard, mediaFigures } from "./witness.mjs";

/** Opens the page; the Call button has the focus once the personas are there. */
async function openPage(page, options) {
  const query = new URLSearchParams({ raw: "1", ...(options.persona && { persona: options.persona }) });
  await page.goto(`${options.url}/?${query}`);
  await waitFor(page, "the Call button to have the focus", () => document.activeElement?.id === "call", null, options.wait_ms);
}

/** Calls with the keyboard alone. */
async function pressCall(page, options) {
  await openPage(page, options);
  await shot(page, options.out, "start");
  await page.keyboard.press("Enter");
}

/** The problem that the page shows, in words. */
async function problemShown(page, what, options) {
  await waitFor(page, what, () => !document.getElementById("problem").hidden, null, options.wait_ms);
  return page.locator("#problem").innerText();
}

/** Agent turns that were heard to their end below the last line that matches `selector`. */
function answersBelow([selector, count]) {
  const lines = [...document.querySelectorAll("#transcript > .line")];
  const from = lines.findLastIndex((line) => line.matches(selector));
  const heardBelow = lines
    .slice(from + 1)
    .filter((line) => line.matches(".agent.completed") && line.querySelector(".heard")?.textContent.trim());
  return from >= 0 && heardBelow.length >= count;
}

async function sayByKeyboard(page, options) {
  await page.keyboard.press("t");
  await page.keyboard.type(options.text);
  await page.keyboard.press("Enter");
  const answered = (text) => {
    const lines = [...document.querySelectorAll("#transcript > .line")];
    const typed = lines.findLastIndex((l) => l.matches(".caller") && l.querySelector(".said").firstChild.textContent.trim() === text);
    return typed >= 0 && lines.slice(typed + 1).some((l) => l.matches(".agent.completed") && l.querySelector(".heard").textContent.trim());
  };
  await waitFor(page, "an answer to the typed turn", answered, options.text, options.wait_ms);
}

async function hangUpByKeyboard(page, options) {
  // Out of the text box, then twice: one Esc alone must not end a call.
  await page.locator("#transcript").focus();
  await page.keyboard.press("Escape");
  if ((await page.evaluate(() => document.body.dataset.phase)) !== "live") throw new Error("one Esc ended the call");
  await page.keyboard.press("Escape");
  await phase(page, "ended", options.wait_ms);
  // The server takes the connection down meanwhile; that is no fault.
  await page.waitForTimeout(1000);
  if (await page.locator("#problem").isVisible()) throw new Error(`hanging up is told as a problem: ${await words(page)}`);
  return (await page.locator("#ending-sentence").textContent()) ?? "";
}

async function gather(page, out) {
  const seen = await page.evaluate(() => ({ events: globalThis.witness.events, partials: globalThis.witness.partials }));
  writeFileSync(join(out, "events.jsonl"), seen.events.map(({ data }) => `${data}\n`).join(""));
  const events = seen.events.map(({ page_ms, data }) => ({ page_ms, ...JSON.parse(data) }));
  const agent = events.filter(({ type }) => type === "turn-ended");
  return {
    call: events.find(({ type }) => type === "call-started")?.call ?? null,
    partials: seen.partials.map(({ text }) => text),
    transcripts: events.filter(({ type }) => type === "transcript").map(({ text, typed }) => ({ text, typed })),
    agent_turns: agent.map(({ turn, outcome, heard, generated, latency }) => ({ turn, outcome, heard, generated, latency })),
    latencies_ms: agent
      .filter(({ latency }) => latency.first_packet_ms !== undefined && latency.speech_end_ms !== undefined)
      .map(({ latency }) => latency.first_packet_ms - latency.speech_end_ms),
    troubles: events.filter(({ type }) => type === "trouble").map(({ code, detail }) => ({ code, detail })),
    shown_latencies: await page.locator(".latency .total").allTextContents(),
  };
}

async function keepAudio(page, out) {
  const sound = await page.evaluate(heard);
  if (!sound) return null;
  const bytes = Buffer.from(sound.pcm, "base64");
  const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const path = join(out, "agent.wav");
  writeWav(path, sound.rate_hz, samples);
  return { path, rate_hz: sound.rate_hz, frames: sound.frames, ...describe(sound.rate_hz, samples) };
}

/** A whole call: spoken turn, answer, mute, typed turn, answer, hang up. */
async function call(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: paddedMic(options) });
  try {
    await pressCall(page, options);
    const summary = { ...(await converse(page, options)), faults };
    check(summary, options);
    return summary;
  } finally {
    await close();
  }
}

/** The microphone's file: the speech after a while, and silence behind it. */
function paddedMic(options) {
  const mic = join(options.out, "microphone.wav");
  padWav(resolve(options.mic), mic, options.lead_ms, 2000);
  return mic;
}

/** What a caller does in a call that has been dialled. */
async function converse(page, options) {
  await phase(page, "live", options.wait_ms);
  await waitFor(page, "a partial on the page", () => globalThis.witness.partials.length > 0, null, options.wait_ms);
  await shot(page, options.out, "partial");
  const spoken = ".caller:not(.partial):not(:has(.mark))";
  await waitFor(page, "a final transcript", (s) => document.querySelector(s) !== null, spoken, options.wait_ms);
  await waitFor(page, "an agent turn heard to its end", answersBelow, [spoken, options.turns], options.wait_ms);
  const media = await page.evaluate(mediaFigures);

  await page.keyboard.press("m");
  if ((await page.locator("#mute").getAttribute("aria-pressed")) !== "true") throw new Error("M does not mute");
  await page.keyboard.press("m");
  if (options.text) await sayByKeyboard(page, options);
  await shot(page, options.out, "call-light");
  await shot(page, options.out, "call-dark", { scheme: "dark" });
  await shot(page, options.out, "call-narrow", { width: 360 });
  const timeline = await timelineByKeyboard(page, options);

  const audio = await keepAudio(page, options.out);
  const ending = await hangUpByKeyboard(page, options);
  await shot(page, options.out, "ended");
  return { ...(await gather(page, options.out)), audio, media, timeline, ending };
}

/** The timeline is reached and moved by keys, has ink on it, and says in words what it shows. */
async function timelineByKeyboard(page, options) {
  await page.locator("#timeline-scroll").focus();
  const ink = () => {
    const canvas = document.getElementById("timeline-picture");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, index) => index % 4 === 3 && value > 0);
  };
  await waitFor(page, "ink on the timeline", ink, null, options.wait_ms);
  await page.keyboard.press("Home");
  await waitFor(page, "the timeline's beginning", () => document.getElementById("timeline-scroll").scrollLeft === 0, null, options.wait_ms);
  await page.keyboard.press("End");
  const words = (await page.locator("#timeline-summary").textContent()) ?? "";
  if (!/You spoke \d+ times?/.test(words)) throw new Error(`the timeline in words is ${JSON.stringify(words)}`);
  return words;
}

function check(summary, options) {
  if (summary.faults.length > 0) throw new Error(`the page had faults: ${summary.faults.join("; ")}`);
  if (!summary.audio || summary.audio.voiced_ms < options.voiced_ms) {
    throw new Error(`less than ${options.voiced_ms} ms of the agent's voice arrived: ${JSON.stringify(summary.audio)}`);
  }
  if (options.transcript) {
    const said = summary.transcripts.filter(({ typed }) => !typed).map(({ text }) => text).join(" ");
    if (!new RegExp(options.transcript, "i").test(said)) throw new Error(`the transcript is ${JSON.stringify(said)}, not /${options.transcript}/i`);
  }
}

/** The microphone is refused: the page says so, and a call by typing alone is still possible. */
async function refused(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: null, refused: true });
  try {
    const message = await callWithoutMicrophone(page, options);
    let summary = {};
    if (options.text) {
      await sayByKeyboard(page, options);
      const audio = await keepAudio(page, options.out);
      const ending = await hangUpByKeyboard(page, options);
      summary = { ...(await gather(page, options.out)), audio, ending };
    }
    if (faults.length > 0) throw new Error(`the page had faults: ${faults.join("; ")}`);
    return { message, ...summary, faults };
  } finally {
    await close();
  }
}

/** Calls, is refused the microphone, and goes on by typing. Gives the message. */
async function callWithoutMicrophone(page, options) {
  await pressCall(page, options);
  const message = await problemShown(page, "a message about the microphone", options);
  if (!/microphone/i.test(message)) throw new Error(`the message does not speak of the microphone: ${message}`);
  await shot(page, options.out, "refused");
  await page.locator("#problem-type").press("Enter");
  await phase(page, "live", options.wait_ms);
  await page.locator("#transcript").focus();
  return message;
}

/** The server refuses the call with a problem document: asked for a persona that it does not have. */
async function problem(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: paddedMic(options) });
  try {
    const refusal = await askForNobody(page, options);
    if (faults.length > 0) throw new Error(`the page had faults: ${faults.join("; ")}`);
    return { ...refusal, faults };
  } finally {
    await close();
  }
}

async function askForNobody(page, options) {
  await page.route("**/v1/calls?*", (route) =>
    route.continue({ url: route.request().url().replace(/persona=[^&]*/, "persona=no-such-persona") }),
  );
  await openPage(page, options);
  const refusal = await refusedCall(page, options, "problem");
  await page.unroute("**/v1/calls?*");
  return refusal;
}

/** Presses Call (it has the focus) and reads the refusal, which must be on the page as it came. */
async function refusedCall(page, options, name) {
  const answered = page.waitForResponse((response) => response.request().method() === "POST", { timeout: options.wait_ms });
  await page.keyboard.press("Enter");
  const response = await answered;
  const document_ = await response.json();
  const message = await problemShown(page, "the problem on the page", options);
  await shot(page, options.out, name);
  const contentType = response.headers()["content-type"] ?? "";
  if (!contentType.includes("application/problem+json")) throw new Error(`the refusal came as ${contentType}`);
  for (const part of ["title", "detail", "fix"]) {
    if (!document_[part]) throw new Error(`the problem document has no ${part}: ${JSON.stringify(document_)}`);
    if (!message.includes(document_[part])) throw new Error(`the page does not show the problem's ${part}: ${message}`);
  }
  if ((await page.evaluate(() => document.body.dataset.phase)) !== "ready") throw new Error("no new attempt is possible");
  return { status: response.status(), problem: document_, message };
}

/** Closes a tab in the middle of its call; gives the call as the server shows it then, and how long that took. */
async function closeTab(page, options) {
  const call = await page.evaluate(() => JSON.parse(globalThis.witness.events[0].data).call);
  const closed = Date.now();
  await page.close({ runBeforeUnload: false });
  for (;;) {
    const shown = await (await fetch(`${options.url}/v1/calls/${call}`)).json();
    if (shown.end_reason) return { call, end_reason: shown.end_reason, noticed_ms: Date.now() - closed };
    if (Date.now() - closed > options.wait_ms) throw new Error(`call ${call} of a closed tab still runs after ${options.wait_ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * An evening of what goes wrong, in one browser, at a server with a single line: nobody of that name; no microphone, and
 * typing instead; the line is taken; the tab with the call is closed in the middle of it; the line is free, and a whole call
 * is made.
 */
async function evening(options) {
  const browser = await openBrowser({ executable: options.chromium, mic: paddedMic(options), refused: true });
  const { page, faults, close } = browser;
  try {
    const microphone = await callWithoutMicrophone(page, options);
    await browser.allowMicrophone(options.url);
    const other = await browser.tab();
    const nobody = await askForNobody(other, options);
    await openPage(other, options);
    const full = await refusedCall(other, options, "full");
    const closed = await closeTab(page, options);
    // "Try again" has the focus.
    await other.keyboard.press("Enter");
    const summary = { ...(await converse(other, options)), microphone, nobody, full, closed, faults };
    check(summary, options);
    return summary;
  } finally {
    await close();
  }
}

export const scenes = { call, refused, problem, evening, relay, remembered, review, bridged: (options) => bridged(options, keepAudio) };

/** Runs a scene, its files in `options.out`. */
export async function play(name, options) {
  const scene = scenes[name];
  if (!scene) throw new Error(`no scene ${name}; there are: ${Object.keys(scenes).join(", ")}`);
  mkdirSync(options.out, { recursive: true });
  return scene(options);
}
