// A page whose network lets nothing through to the server: all of its sound goes by way of a relay.

import { openBrowser } from "./browser.mjs";
import { phase, waitFor } from "./steps.mjs";
import { mediaFigures } from "./witness.mjs";

/** Inside the page: how the two sides reach each other. */
async function way() {
  const stats = await globalThis.witness.peers.at(-1).getStats();
  const all = [...stats.values()];
  const pair = stats.get(all.find(({ type }) => type === "transport")?.selectedCandidatePairId);
  const offered = all.filter(({ type }) => type === "local-candidate").map(({ candidateType }) => candidateType);
  return { used: stats.get(pair?.localCandidateId)?.candidateType, offered, bytes: pair?.bytesReceived };
}

export async function relay(options) {
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic: null, refused: true });
  try {
    await page.goto(`${options.url}/?${new URLSearchParams({ persona: options.persona, relay: "only" })}`);
    await waitFor(page, "the Call button to have the focus", () => document.activeElement?.id === "call", null, options.wait_ms);
    await page.locator("#call-typing").press("Enter");
    await phase(page, "live", options.wait_ms);
    const greeted = () => document.querySelector("#transcript .agent.completed") !== null;
    await waitFor(page, "the greeting to its end", greeted, null, options.wait_ms);
    const seen = { way: await page.evaluate(way), media: await page.evaluate(mediaFigures) };
    await page.locator("#text").fill(options.text);
    await page.keyboard.press("Enter");
    const answered = () => document.querySelectorAll("#transcript .agent.completed").length > 1;
    await waitFor(page, "an answer", answered, null, options.wait_ms);
    return { ...seen, faults };
  } finally {
    await close();
  }
}
