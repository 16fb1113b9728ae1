// The scenes as tests, against a server that runs already: DUOLOGUE_URL, DUOLOGUE_MIC (a WAV file with speech in it)
// and, if wanted, DUOLOGUE_OUT (where screenshots and sound go) say which.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { play } from "./scenes.mjs";

const { DUOLOGUE_URL, DUOLOGUE_MIC, DUOLOGUE_CHROMIUM } = process.env;
assert.ok(DUOLOGUE_URL && DUOLOGUE_MIC, "set DUOLOGUE_URL and DUOLOGUE_MIC: these tests call a running server");
const base = process.env.DUOLOGUE_OUT ?? mkdtempSync(join(tmpdir(), "duologue-browser-"));

const options = (scene) => ({
  url: DUOLOGUE_URL.replace(/\/$/, ""),
  mic: DUOLOGUE_MIC,
  out: join(base, scene),
  lead_ms: 3000,
  turns: 1,
  text: "What is your name?",
  voiced_ms: 300,
  wait_ms: 60_000,
  chromium: DUOLOGUE_CHROMIUM ?? "/usr/bin/chromium",
});

test("a caller speaks, reads along, is answered, types, is answered again and hangs up", async () => {
  const seen = await play("call", options("call"));
  assert.ok(seen.partials.length > 0);
  assert.ok(seen.agent_turns.some(({ outcome }) => outcome === "completed"));
  assert.equal(seen.ending, "You hung up.");
});

test("a refused microphone is said in plain words, and typing still works", async () => {
  const seen = await play("refused", options("refused"));
  assert.match(seen.message, /typing/);
  assert.equal(seen.ending, "You hung up.");
});

test("a refusal of the server is shown as title, detail and way out", async () => {
  const seen = await play("problem", options("problem"));
  assert.ok(seen.status >= 400);
});
