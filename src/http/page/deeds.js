// Owns: what can be done with a session besides writing to it, and what is asked before. Each deed
// resolves with what it did, or nothing where somebody thought better of it.

import { ask, confirmed, field } from "./dialogs.js";
import { counted } from "./format.js";
import { h } from "./dom.js";
import { session } from "./api.js";

/// What can be done in a state: `[name, icon, word, tone, run(line, below)]`.
export function deeds(state) {
  const isStuck = state === "quarantined";
  const isBusy = isStuck || state === "running" || state === "waiting";
  const isArchived = state === "archived";
  return [
    isStuck && ["release", "check", "Release", "primary", (line) => release(line, false)],
    isStuck && ["release-skip", "skip", "Release, skip the step", "", (line) => release(line, true)],
    isBusy && ["cancel", "cancelled", "Cancel", "danger", cancel],
    ["fork", "fork", "Fork", "ghost", fork],
    ["rename", "edit", "Rename", "ghost", rename],
    isArchived
      ? ["unarchive", "archived", "Unarchive", "ghost", archive]
      : ["archive", "archived", "Archive", "ghost", archive],
  ].filter(Boolean);
}

async function cancel(line, below) {
  const done = await ask({
    id: "cancel",
    title: `Cancel ${line.name ?? line.agent}?`,
    text: `Its turn, what is queued${below > 0 ? ` and the work of ${counted(below, "session")} below it` : ""} end. What a tool has done already stays done.`,
    submit: "Cancel the work",
    danger: true,
    fields: [
      field(
        "Reason",
        h("input", { name: "reason", autocomplete: "off", "data-field": "reason" }),
        "for the log",
      ),
    ],
    act: ({ reason }) => session.cancel(line.session, reason.trim()),
  });
  return done && { did: "cancel asked" };
}

async function release(line, skip) {
  const done = await confirmed({
    id: "release",
    title: skip ? "Release, and skip the step that failed?" : "Release it?",
    text: skip
      ? "The step that it failed at is closed as it stands; the work goes on after it."
      : "It tries the step that it failed at again. It comes back here if that fails as before.",
    submit: skip ? "Release and skip" : "Release",
    act: () => session.release(line.session, skip),
  });
  return done && { did: "released" };
}

/// Another session, cut at a frame; the last one unless `at` says another.
export async function fork(line, below, frame) {
  const done = await ask({
    id: "fork",
    title: "Fork this session",
    text: "Another session with the same conversation up to a frame.",
    submit: "Fork",
    fields: [
      field(
        "At frame",
        h("input", {
          name: "at",
          type: "number",
          min: 1,
          max: line.position,
          "data-field": "at",
          value: frame ?? "",
          placeholder: `${line.position ?? "the last"}`,
        }),
        "the last, if empty",
      ),
    ],
    act: ({ at }) => session.fork(line.session, at ? Number(at) : undefined),
  });
  return done && { did: "forked", open: done.outcome?.session };
}

async function rename(line) {
  const input = h("input", {
    name: "name",
    value: line.name ?? "",
    required: true,
    autofocus: true,
    autocomplete: "off",
    "data-field": "name",
  });
  const done = await ask({
    id: "rename",
    title: "Rename",
    submit: "Rename",
    fields: [field("Name", input)],
    act: ({ name }) => session.rename(line.session, name.trim()),
  });
  return done && { did: "renamed" };
}

async function archive(line) {
  const isArchived = line.state === "archived";
  const done = await confirmed({
    id: "archive",
    title: isArchived ? "Take it out of the archive?" : "Archive it?",
    text: isArchived
      ? "It stands among the others again."
      : "It is put away: nothing is deleted, and it can be taken out again.",
    submit: isArchived ? "Unarchive" : "Archive",
    act: () => session.archive(line.session, !isArchived),
  });
  return done && { did: isArchived ? "taken out" : "archived" };
}
