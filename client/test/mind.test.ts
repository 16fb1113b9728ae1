import assert from "node:assert/strict";
import { test } from "node:test";
import { likeliest, reasonInWords } from "../src/view/mind.js";

test("the likeliest actions are shown first, and those that are hardly thought of are not", () => {
  const odds = { respond: 0.2, refuse: 0.7, silence: 0.002, deflect: 0.06, block: 0.02, listen: 0.018 };
  assert.deepEqual(likeliest(odds).map(([action]) => action), ["refuse", "respond", "deflect", "block"]);
});

test("a reason does not repeat its action", () => {
  assert.equal(reasonInWords("refuse", "refuse.against_stance"), "against stance");
  assert.equal(reasonInWords("respond", "question"), "question");
});
