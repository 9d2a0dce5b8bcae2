// Owns: the kill switch: everything that is at work is cancelled, and nothing new begins until somebody
// lets it, also over a restart. It is offered to who may pull it, and asks first; that it was pulled is said to all.

import { $, announce, h, setText } from "./dom.js";
import { ask, confirmed, field } from "./dialogs.js";
import { halt, unhalt } from "./api.js";
import { may } from "./rights.js";

let why = null;

/// What the status says of it.
export function halted(reason) {
  why = reason ?? null;
  $("halted").hidden = why === null;
  setText($("halted-why"), why ?? "");
  offered();
}

/// Shows it to who may.
export function offered() {
  $("halt").hidden = !may("admin") || why !== null;
  $("unhalt").hidden = !may("admin");
}

export async function pull() {
  const reason = h("input", {
    name: "reason",
    required: true,
    autofocus: true,
    autocomplete: "off",
    "data-field": "reason",
  });
  const done = await ask({
    id: "halt",
    title: "Stop everything?",
    text: "Every turn of every session is cancelled, and nothing new begins until somebody lets it, also over a restart. What tools have done already stays done.",
    submit: "Stop everything",
    danger: true,
    fields: [field("Reason", reason, "for every log")],
    act: ({ reason }) => halt(reason.trim()),
  });
  if (!done) return;
  halted(done.values.reason.trim());
  announce("everything was stopped");
}

export async function letGo() {
  const done = await confirmed({
    id: "unhalt",
    title: "Let new work begin again?",
    text: "What was cancelled stays so.",
    submit: "Let it begin",
    act: unhalt,
  });
  if (!done) return;
  halted(null);
  announce("new work may begin");
}
