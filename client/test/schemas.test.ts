// The schemas that clients of other people read the wire by, held against every example.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { lines } from "./fixtures.js";

declare const FIXTURES: string;

/** Says what is wrong with a value; nothing where it is right. */
function checker(name: string): (value: unknown) => string | null {
  const schema = JSON.parse(readFileSync(join(FIXTURES, "../schemas", `${name}.schema.json`), "utf8")) as object;
  // Formats such as "uint32" are notes for readers; the bounds stand beside them.
  const ajv = new Ajv2020({ allErrors: true, strict: true, validateFormats: false });
  const check = ajv.compile(schema);
  return (value) => (check(value) ? null : ajv.errorsText(check.errors));
}

const examples = { event: "events.jsonl", "client-message": "client-messages.jsonl", webhook: "webhooks.jsonl" };

for (const [schema, file] of Object.entries(examples)) {
  test(`every example of ${file} is valid by the schema, and is not without one of its members`, () => {
    const faults = checker(schema);
    for (const line of lines(file)) {
      const value = JSON.parse(line) as Record<string, unknown>;
      assert.equal(faults(value), null, line);
      const { type: _, ...untyped } = value;
      assert.notEqual(faults(untyped), null, `without its type: ${line}`);
    }
  });
}

test("what is not on the wire is not valid", () => {
  const [event, message, problem] = [checker("event"), checker("client-message"), checker("problem")];
  assert.notEqual(event({ at_ms: 0, type: "weather" }), null);
  assert.notEqual(event({ at_ms: -1, type: "floor", state: "idle" }), null);
  assert.notEqual(event({ at_ms: 0, type: "floor", state: "nobody" }), null);
  assert.notEqual(message({ type: "text" }), null);
  assert.equal(problem({ type: "/problems/call-over", title: "Call over", status: 409 }), null);
  assert.notEqual(problem({ type: "/problems/call-over", title: "Call over" }), null);
});
