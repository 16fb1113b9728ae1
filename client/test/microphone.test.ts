import assert from "node:assert/strict";
import { test } from "node:test";
import { echoCancelled } from "../src/microphone.js";

// Older type definitions know `echoCancellation` as a boolean only.
const track = (settings: object) => ({ getSettings: () => settings as MediaTrackSettings });

test("the server is told what became of the wish to cancel the echo", () => {
  assert.equal(echoCancelled(track({ echoCancellation: true })), true);
  assert.equal(echoCancelled(track({ echoCancellation: false })), false);
});

test("a browser that names what it cancels, cancels", () => {
  assert.equal(echoCancelled(track({ echoCancellation: "remote-only" })), true);
});

test("a browser that does not say is not spoken for", () => {
  assert.equal(echoCancelled(track({})), undefined);
});
