import assert from "node:assert/strict";
import { test } from "node:test";
import { likelier, likeliest, reasonInWords } from "../src/view/mind.js";

test("the likeliest actions are shown first, and those that are hardly thought of are not", () => {
  const odds = { respond: 0.2, refuse: 0.7, silence: 0.002, deflect: 0.06, block: 0.02, listen: 0.018 };
  assert.deepEqual(likeliest(odds).map(([action]) => action), ["refuse", "respond", "deflect", "block"]);
});

test("a reason does not repeat its action", () => {
  assert.equal(reasonInWords("refuse", "refuse.against_stance"), "against stance");
  assert.equal(reasonInWords("respond", "question"), "question");
});

test("an action that was likelier than the chosen one is named", () => {
  assert.equal(likelier("respond", { respond: 0.18, refuse: 0.8, silence: 0.02 }), "refuse");
  assert.equal(likelier("refuse", { respond: 0.18, refuse: 0.8 }), null);
  assert.equal(likelier("respond", {}), null);
});
