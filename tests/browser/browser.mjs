// Starts Chromium so that a WAV file is its microphone, to be given to pages or refused.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { witness } from "./witness.mjs";

/** `mic`: a WAV file. `refused`: pages get no microphone until `allowMicrophone` is called. */
export async function openBrowser({ executable, mic, refused = false }) {
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
    ...(mic ? [`--use-file-for-fake-audio-capture=${mic}%noloop`] : []),
    refused ? "--deny-permission-prompts" : "--use-fake-ui-for-media-stream",
  ];
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: true,
    args,
    viewport: { width: 900, height: 760 },
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  const faults = [];
  const watched = (page) => {
    page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      if (text.includes("Content Security Policy") || text.startsWith("duologue:")) faults.push(text);
    });
    return page;
  };
  await context.addInitScript(witness);
  return {
    page: watched(context.pages()[0] ?? (await context.newPage())),
    /** What the pages did wrong so far: uncaught errors, policy violations, events that they could not read. */
    faults,
    /** One more tab. */
    tab: async () => watched(await context.newPage()),
    allowMicrophone: (url) => context.grantPermissions(["microphone"], { origin: new URL(url).origin }),
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
