// The examples that the Rust tests read too.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEvent, type Stamped } from "../src/events.js";

declare const FIXTURES: string;

export function lines(name: string): string[] {
  return readFileSync(join(FIXTURES, name), "utf8").split("\n").filter((line) => line !== "");
}

export function exampleCall(): Stamped[] {
  return lines("events.jsonl").map((line) => {
    const parsed = parseEvent(line);
    if (parsed.kind !== "event") throw new Error(`not an event: ${line}: ${JSON.stringify(parsed)}`);
    return parsed.event;
  });
}
