// Starts Chromium so that a WAV file is its microphone, or so that it has none to give.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { witness } from "./witness.mjs";

/** `mic`: a WAV file, or null to refuse the microphone when the page asks for it. */
export async function openBrowser({ executable, mic }) {
  const profile = mkdtempSync(join(tmpdir(), "duologue-chromium-"));
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    // Without it Chromium gathers no loopback candidates and finds no way to a server on the same machine.
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    ...(mic
      ? ["--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${mic}%noloop`]
      : ["--deny-permission-prompts"]),
  ];
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: true,
    args,
    viewport: { width: 900, height: 760 },
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const faults = [];
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    if (text.includes("Content Security Policy") || text.startsWith("duologue:")) faults.push(text);
  });
  await page.addInitScript(witness);
  return {
    page,
    /** What the page did wrong so far: uncaught errors, policy violations, events that it could not read. */
    faults,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
