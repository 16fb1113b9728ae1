// A page whose call is connected with another one by somebody outside, and parted again: what was heard and said meanwhile.

import { join, resolve } from "node:path";
import { openBrowser } from "./browser.mjs";
import { phase, waitFor } from "./steps.mjs";
import { padWav } from "./wav.mjs";

/** Inside the page: the server has told that it stands so with the bridge. */
const stands = (state) =>
  globalThis.witness.events.some(({ data }) => {
    const event = JSON.parse(data);
    return event.type === "bridge" && event.state === state;
  });

/** `keepAudio` keeps what was heard as a file. */
export async function bridged(options, keepAudio) {
  const mic = join(options.out, "microphone.wav");
  padWav(resolve(options.mic), mic, options.lead_ms, 2000);
  const { page, faults, close } = await openBrowser({ executable: options.chromium, mic });
  try {
    await page.goto(`${options.url}/?${new URLSearchParams({ persona: options.persona, raw: "1" })}`);
    await waitFor(page, "the Call button to have the focus", () => document.activeElement?.id === "call", null, options.wait_ms);
    await page.keyboard.press("Enter");
    await phase(page, "live", options.wait_ms);
    await waitFor(page, "the two to be connected", stands, "joined", options.wait_ms);
    await waitFor(page, "the two to be parted", stands, "parted", options.wait_ms);
    return { audio: await keepAudio(page, options.out), faults };
  } finally {
    await close();
  }
}
