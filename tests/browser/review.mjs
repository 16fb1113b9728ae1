// The morning after: the list, a call with its sound, a question, all by keyboard.

import { openBrowser } from "./browser.mjs";
import { shot, waitFor } from "./steps.mjs";

const text = (page, selector) => page.locator(selector).innerText();

/** Ink on a canvas. */
const inked = (id) => {
  const canvas = document.getElementById(id);
  if (!canvas || canvas.hidden || canvas.width === 0) return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, index) => index % 4 === 3 && value > 0);
};

export async function review(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: null, refused: true });
  try {
    await page.goto(`${options.url}/review.html`);
    await waitFor(page, "calls in the list", () => document.querySelectorAll("#calls-rows tr").length > 0, null, options.wait_ms);
    const all = await text(page, "#calls-count");
    await shot(page, options.out, "review-calls", { width: 1200 });
    await page.locator("#filter-text").fill("<b>bold");
    await waitFor(page, "one call with these words", () => document.getElementById("calls-count").innerText === "1 call", null, options.wait_ms);

    await page.locator("#calls-rows a").press("Enter");
    await waitFor(page, "the call", () => document.querySelectorAll("#script .line").length > 2, null, options.wait_ms);
    await waitFor(page, "a picture of the sound", inked, "wave", options.wait_ms);
    // What a caller typed is text and never part of the page.
    if ((await page.locator("#script b", { hasText: "bold" }).count()) > 0) throw new Error("a caller's words became markup");
    const script = await text(page, "#script");
    await page.locator("#wave").focus();
    await page.keyboard.press("End");
    await waitFor(page, "the place in the sound to move", () => document.getElementById("sound").currentTime > 1, null, options.wait_ms);
    await page.keyboard.press("Home");
    await page.locator("#sound").evaluate((sound) => sound.play());
    await waitFor(page, "a line that is heard now", () => document.querySelector("#script .now") !== null, null, options.wait_ms);
    const now = await text(page, "#script .now .said");
    await page.locator("#sound").evaluate((sound) => sound.pause());
    await shot(page, options.out, "review-call-light", { width: 1200 });
    await shot(page, options.out, "review-call-dark", { width: 1200, scheme: "dark" });
    await shot(page, options.out, "review-call-narrow", { width: 360 });

    // A reviewer's word on the last decision, by keyboard.
    page.once("dialog", (dialog) => void dialog.accept("Ada"));
    const last = page.locator("#script .judgement").last();
    await last.locator("summary").press("Enter");
    await last.locator(".verdict select").selectOption("silence");
    await waitFor(page, "the label to be kept", () => [...document.querySelectorAll(".verdict .dim")].some((e) => e.innerText === "kept"), null, options.wait_ms);

    // A note about the moment that is heard, by the same reviewer, and one that goes again.
    await page.locator("#note-text").fill("<i>Slow</i> here.");
    await page.locator("#note-keep").press("Enter");
    await waitFor(page, "the note", () => document.querySelector("#script .note .said") !== null, null, options.wait_ms);
    const note = await text(page, "#script .note .said");
    if ((await page.locator("#script .note i").count()) > 0) throw new Error("a reviewer's words became markup");
    await page.locator("#note-text").fill("Never mind.");
    await page.locator("#note-moment").uncheck();
    await page.locator("#note-keep").press("Enter");
    await waitFor(page, "two notes", () => document.querySelectorAll("#script .note").length === 2, null, options.wait_ms);
    await shot(page, options.out, "review-notes", { width: 1200 });
    await page.locator("#script .note", { hasText: "Never mind." }).locator(".away").press("Enter");
    await waitFor(page, "one note", () => document.querySelectorAll("#script .note").length === 1, null, options.wait_ms);

    await page.locator("#to-ask").press("Enter");
    await waitFor(page, "questions", () => document.querySelectorAll("#question-name option").length > 20, null, options.wait_ms);
    await page.locator("#question-name").selectOption("endings");
    await waitFor(page, "an answer", () => document.querySelectorAll("#answer-rows tr").length > 0, null, options.wait_ms);
    await page.locator("#question-sql").fill("SELECT speaker, count(*) AS turns FROM turns GROUP BY speaker");
    await page.keyboard.press("Control+Enter");
    await waitFor(page, "bars", inked, "chart", options.wait_ms);
    const answer = await text(page, "#answer-rows");
    await shot(page, options.out, "review-ask", { width: 1200 });
    await page.locator("#question-sql").fill("DELETE FROM calls");
    await page.keyboard.press("Control+Enter");
    await waitFor(page, "the refusal", () => !document.getElementById("problem").hidden, null, options.wait_ms);
    const refusal = await text(page, "#problem");
    if (faults.length > 0) throw new Error(`the page had faults: ${faults.join("; ")}`);
    return { all, script, now, note, answer, refusal, faults };
  } finally {
    await close();
  }
}
