// The review page: which part of it is shown, by the address behind '#'.

import { Refused } from "../microphone.js";
import { byId, el } from "../view/dom.js";
import { keepKey, KeyWanted } from "./api.js";
import { AskView } from "./ask-view.js";
import { CallView } from "./call-view.js";
import { CallsView } from "./calls-view.js";

const parts = ["calls", "call", "ask"] as const;
const problem = byId("problem", HTMLElement);
const key = byId("key", HTMLFormElement);

const calls = new CallsView(failed);
const call = new CallView();
const ask = new AskView(failed);
let chosen = false;

function failed(error: unknown): void {
  if (error instanceof KeyWanted) {
    key.hidden = false;
    byId("key-text", HTMLInputElement).focus();
    return;
  }
  const told =
    error instanceof Refused
      ? error.problem
      : { title: "This cannot be shown", detail: error instanceof Error ? error.message : String(error), fix: "Reload the page." };
  problem.replaceChildren(el("h2", "", told.title), el("p", "", told.detail), el("p", "", told.fix));
  problem.hidden = false;
}

async function show(): Promise<void> {
  problem.hidden = key.hidden = true;
  const [part = "", value = ""] = location.hash.slice(1).split("=");
  const wanted = part === "call" || part === "ask" ? part : "calls";
  for (const name of parts) byId(name, HTMLElement).hidden = name !== wanted;
  for (const name of ["calls", "ask"]) {
    const link = byId(`to-${name}`, HTMLAnchorElement);
    if (name === wanted) link.ariaCurrent = "page";
    else link.ariaCurrent = null;
  }
  try {
    if (wanted === "call") await call.show(decodeURIComponent(value));
    else if (wanted === "ask") await ask.show();
    else {
      if (!chosen) await calls.choices();
      chosen = true;
      await calls.show();
    }
  } catch (error) {
    failed(error);
  }
}

key.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(byId("key-text", HTMLInputElement).value.trim());
  void show();
});
addEventListener("hashchange", () => void show());
void show();
