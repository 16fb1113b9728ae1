#!/usr/bin/env node
// A real browser calls a running duologue: plays one scene and prints what it saw as JSON. Exit code 0 when all that
// must happen happened, 1 when not, 2 for a wrong command line.

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { play, scenes } from "./scenes.mjs";

const usage = `usage: node call.mjs --url http://127.0.0.1:PORT --mic SPEECH.wav --out DIR [options]
  --scene NAME        ${Object.keys(scenes).join(" | ")} (default call; refused, remembered and review need no --mic)
  --persona NAME      who should answer (default: the first of the list)
  --lead-ms N         silence before the speech, from the opening of the microphone (default 3000)
  --turns N           agent turns to be heard to their end after the speech (default 1)
  --transcript REGEX  what the caller must have been understood to say
  --text TEXT         a typed turn after that, which must be answered; empty for none
                      (default "What is your name?")
  --voiced-ms N       least sound of the agent (default 300)
  --wait-ms N         longest wait for each single step (default 60000)
  --chromium PATH     (default /usr/bin/chromium)`;

let given;
try {
  given = parseArgs({
    options: {
      url: { type: "string" },
      mic: { type: "string" },
      out: { type: "string" },
      scene: { type: "string", default: "call" },
      persona: { type: "string" },
      "lead-ms": { type: "string", default: "3000" },
      turns: { type: "string", default: "1" },
      transcript: { type: "string" },
      text: { type: "string", default: "What is your name?" },
      "voiced-ms": { type: "string", default: "300" },
      "wait-ms": { type: "string", default: "60000" },
      chromium: { type: "string", default: "/usr/bin/chromium" },
    },
  }).values;
  if (!given.url || !given.out) throw new Error("--url and --out are needed");
  if (!given.mic && !["refused", "remembered", "review"].includes(given.scene)) throw new Error("--mic is needed");
} catch (error) {
  console.error(`${error.message}\n${usage}`);
  process.exit(2);
}

const options = {
  url: given.url.replace(/\/$/, ""),
  mic: given.mic,
  out: resolve(given.out),
  persona: given.persona,
  lead_ms: Number(given["lead-ms"]),
  turns: Number(given.turns),
  transcript: given.transcript,
  text: given.text,
  voiced_ms: Number(given["voiced-ms"]),
  wait_ms: Number(given["wait-ms"]),
  chromium: given.chromium,
};

try {
  const seen = await play(given.scene, options);
  console.log(JSON.stringify({ scene: given.scene, passed: true, ...seen }, null, 2));
} catch (error) {
  console.log(JSON.stringify({ scene: given.scene, passed: false, failure: error.message }, null, 2));
  process.exitCode = 1;
}
