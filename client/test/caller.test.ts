import assert from "node:assert/strict";
import { test } from "node:test";
import { beKnown, beNobody, callerOf, type Shelf } from "../src/caller.js";

function shelf(): Shelf {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

test("a browser calls as nobody until it is asked to be known", () => {
  assert.equal(callerOf(new URLSearchParams(), shelf()), null);
});

test("a known browser stays the same one, until it is forgotten", () => {
  const kept = shelf();
  let made = 0;
  const random = () => String(++made);
  const first = beKnown(kept, random);
  assert.equal(beKnown(kept, random), first);
  assert.equal(callerOf(new URLSearchParams(), kept), first);
  assert.equal(beNobody(kept), first);
  assert.equal(callerOf(new URLSearchParams(), kept), null);
  assert.notEqual(beKnown(kept, random), first);
});

test("a name in the address goes before the browser's own", () => {
  const kept = shelf();
  beKnown(kept, () => "1");
  assert.equal(callerOf(new URLSearchParams("caller=ada"), kept), "ada");
});
