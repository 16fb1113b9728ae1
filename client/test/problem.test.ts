import assert from "node:assert/strict";
import { test } from "node:test";
import { meterLevel } from "../src/level.js";
import { endingInWords, problemOfMicrophone, problemOfResponse } from "../src/problem.js";

const problemJson = "application/problem+json";

test("a problem document is shown as it stands", () => {
  const body = '{"type":"about:blank","status":503,"title":"All lines are busy","detail":"8 of 8.","fix":"Wait."}';
  assert.deepEqual(problemOfResponse(503, problemJson, body), { title: "All lines are busy", detail: "8 of 8.", fix: "Wait." });
});

test("a refusal without a readable document still says its status and a way out", () => {
  const refusals: [number, string | null, string][] = [
    [502, "text/html", "<h1>Bad gateway</h1>"],
    [500, problemJson, "{broken"],
    [500, problemJson, "null"],
    [404, problemJson, "{}"],
    [404, null, ""],
  ];
  for (const [status, type, body] of refusals) {
    const problem = problemOfResponse(status, type, body);
    assert.match(problem.title, new RegExp(String(status)));
    assert.notEqual(problem.fix, "");
  }
});

test("every fault of the microphone offers to go on by typing", () => {
  for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError", "TypeError", ""]) {
    const problem = problemOfMicrophone(name, "a fault");
    assert.equal(problem.textOnly, true, name);
    assert.match(problem.fix, /typing/, name);
  }
});

test("a refused microphone and a missing one are told apart", () => {
  assert.match(problemOfMicrophone("NotAllowedError", "").title, /refused/);
  assert.match(problemOfMicrophone("NotFoundError", "").title, /No microphone/);
});

test("an ending without a word for it says its reason", () => {
  assert.equal(endingInWords("agent-hangup", "Bye."), "The other side hung up.");
  assert.equal(endingInWords("eclipse", ""), "eclipse");
});

test("the meter shows silence as nothing, a full-scale tone as full, and speech between", () => {
  const tone = (peak: number) => Float32Array.from({ length: 1024 }, (_, i) => peak * Math.sin((2 * Math.PI * i) / 64));
  assert.equal(meterLevel(new Float32Array(1024)), 0);
  assert.equal(meterLevel(new Float32Array(0)), 0);
  assert.equal(meterLevel(tone(1)), 1);
  const speech = meterLevel(tone(0.05));
  assert.ok(speech > 0.3 && speech < 0.9, String(speech));
});
