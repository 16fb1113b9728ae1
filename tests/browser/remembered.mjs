// A caller who is known by name: sees what the judge thinks and what is remembered, puts a fact right, has somebody else
// answer, takes the fact out. All by keyboard, typing what is said.

import { openBrowser } from "./browser.mjs";
import { phase, shot, waitFor } from "./steps.mjs";

const transcript = (page) => page.locator("#transcript").innerText();

/** Types a turn and waits for an answer with these words. */
async function say(page, text, answer, options) {
  await page.locator("#text").fill(text);
  await page.keyboard.press("Enter");
  const answered = ([said, wanted]) => {
    const lines = [...document.querySelectorAll("#transcript > .line")];
    const from = lines.findLastIndex((line) => line.matches(".caller") && line.innerText.includes(said));
    return from >= 0 && lines.slice(from + 1).some((line) => line.matches(".agent.completed") && line.innerText.includes(wanted));
  };
  await waitFor(page, `${JSON.stringify(answer)} as the answer to ${JSON.stringify(text)}`, answered, [text, answer], options.wait_ms);
}

/** The facts that the panel shows. */
const facts = (page) => page.locator("#memory-facts li > span:first-child").allTextContents();

const shown = (page, text, options) =>
  waitFor(page, `the fact ${JSON.stringify(text)}`, (t) => document.getElementById("memory-facts").innerText.includes(t), text, options.wait_ms);

export async function remembered(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: null, refused: true });
  try {
    await page.goto(`${options.url}/?${new URLSearchParams({ caller: "Ada", persona: "porter" })}`);
    await waitFor(page, "the Call button to have the focus", () => document.activeElement?.id === "call", null, options.wait_ms);
    await page.locator("#memory-summary").press("Enter");
    await waitFor(page, "nothing to be remembered", () => document.getElementById("memory-state").innerText === "Nothing yet.", null, options.wait_ms);
    await page.locator("#call-typing").press("Enter");
    await phase(page, "live", options.wait_ms);
    await waitFor(page, "the greeting", () => document.querySelector("#transcript .agent.completed") !== null, null, options.wait_ms);

    await say(page, "I'm in room twelve.", "I see.", options);
    await shown(page, "is in room 12", options);
    const judged = await page.locator("#mind").innerText();
    await shot(page, options.out, "memory-light");

    await page.getByRole("button", { name: "Correct: is in room 12" }).press("Enter");
    await page.keyboard.type("14");
    await page.keyboard.press("Enter");
    await shown(page, "is in room 14", options);
    // The running call knows it.
    await say(page, "Which room is mine?", "room 14", options);

    await page.locator("#switch").selectOption("clinic");
    await waitFor(page, "somebody else to answer", () => document.getElementById("switch").value === "clinic", null, options.wait_ms);
    const name = await page.locator("#seat-agent").innerText();
    await shot(page, options.out, "memory-dark", { scheme: "dark" });
    await shot(page, options.out, "memory-narrow", { width: 360 });

    await page.getByRole("button", { name: "Forget: is in room 14" }).press("Enter");
    await waitFor(page, "nothing to be remembered", () => document.getElementById("memory-facts").innerText === "", null, options.wait_ms);
    const left = await facts(page);
    await page.locator("#hang-up").press("Enter");
    await phase(page, "ended", options.wait_ms);
    if (faults.length > 0) throw new Error(`the page had faults: ${faults.join("; ")}`);
    return { judged, name, left, said: await transcript(page), faults };
  } finally {
    await close();
  }
}
