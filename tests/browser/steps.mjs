// Steps that every scene is made of.

import { join } from "node:path";

export async function waitFor(page, what, condition, arg, timeout_ms) {
  try {
    await page.waitForFunction(condition, arg, { timeout: timeout_ms, polling: 50 });
  } catch (error) {
    throw new Error(`waited ${timeout_ms} ms for ${what}: ${error.message.split("\n")[0]}; the page says: ${await words(page)}`);
  }
}

export const words = async (page) => JSON.stringify((await page.locator("body").innerText()).replace(/\s+/g, " ").slice(0, 600));

export const phase = (page, wanted, timeout_ms) =>
  waitFor(page, `the page to be ${wanted}`, (p) => document.body.dataset.phase === p, wanted, timeout_ms);

export async function shot(page, out, name, { scheme = "light", width = 900 } = {}) {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: 760 });
  await page.screenshot({ path: join(out, `${name}.png`) });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 900, height: 760 });
}
