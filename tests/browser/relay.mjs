// A page whose network lets nothing through to the server: all of its sound goes by way of a relay.

import { join, resolve } from "node:path";
import { openBrowser } from "./browser.mjs";
import { phase, waitFor } from "./steps.mjs";
import { padWav } from "./wav.mjs";
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
  const mic = join(options.out, "microphone.wav");
  padWav(resolve(options.mic), mic, options.lead_ms, 2000);
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic });
  try {
    await page.goto(`${options.url}/?${new URLSearchParams({ persona: options.persona, raw: "1", relay: "only" })}`);
    await waitFor(page, "the Call button to have the focus", () => document.activeElement?.id === "call", null, options.wait_ms);
    await page.keyboard.press("Enter");
    await phase(page, "live", options.wait_ms);
    // What was said into the microphone was heard at the other end, and answered.
    const answered = () => {
      const lines = [...document.querySelectorAll("#transcript > .line")];
      const said = lines.findIndex((line) => line.matches(".caller:not(.partial)"));
      return said >= 0 && lines.slice(said + 1).some((line) => line.matches(".agent.completed"));
    };
    await waitFor(page, "an answer to what was said", answered, null, options.wait_ms);
    return { way: await page.evaluate(way), media: await page.evaluate(mediaFigures), faults };
  } finally {
    await close();
  }
}
