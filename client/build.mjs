// Builds the pages into dist/ (index.html, review.html and what they load: nothing inline, so that a `default-src 'self'` policy
// holds), or with --tests the unit tests, for node's own test runner.

import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(here, ...parts);

async function page() {
  rmSync(at("dist"), { recursive: true, force: true });
  mkdirSync(at("dist"));
  cpSync(at("index.html"), at("dist/index.html"));
  cpSync(at("review.html"), at("dist/review.html"));
  cpSync(at("icon.svg"), at("dist/icon.svg"));
  await build({
    entryPoints: { app: at("src/main.ts"), style: at("src/style.css"), review: at("src/review/main.ts"), "review-style": at("src/review.css") },
    outdir: at("dist"),
    bundle: true,
    format: "esm",
    target: ["chrome110", "firefox115", "safari16.4"],
    minify: true,
    sourcemap: "linked",
    legalComments: "none",
    logLevel: "warning",
  });
}

async function tests() {
  const outdir = at("node_modules/.tests");
  rmSync(outdir, { recursive: true, force: true });
  const entryPoints = readdirSync(at("test")).filter((name) => name.endsWith(".test.ts")).map((name) => at("test", name));
  await build({
    entryPoints,
    outdir,
    bundle: true,
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    // Where the examples of the wire contract lie, whatever folder the tests are started from.
    define: { FIXTURES: JSON.stringify(at("../signaling/fixtures")) },
    logLevel: "warning",
  });
}

await (process.argv.includes("--tests") ? tests() : page());
