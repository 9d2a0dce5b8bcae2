// Owns: what can be done with a session besides writing to it, and what is asked before. Each deed
// resolves with what it did, or nothing where somebody thought better of it.

import { ask, confirmed, field } from "./dialogs.js";
import { counted } from "./format.js";
import { h } from "./dom.js";
import { may } from "./rights.js";
import { session } from "./api.js";

/// What can be done in a state, with this token: `[name, icon, word, tone, run(line, below)]`.
export function deeds(state) {
  const isStuck = state === "quarantined";
  const isBusy = isStuck || state === "running" || state === "waiting";
  const isArchived = state === "archived";
  const canRelease = isStuck && may("admin");
  const orders = [
    canRelease && ["release", "check", "Release", "primary", (line) => release(line, false)],
    canRelease && ["release-skip", "skip", "Release, skip the step", "", (line) => release(line, true)],
    isBusy && ["cancel", "cancelled", "Cancel", "danger", cancel],
    ["fork", "fork", "Fork", "ghost", fork],
    ["goal", "goal", "Goal", "ghost", goal],
    ["mark", "flag", "Checkpoint", "ghost", mark],
    ["rename", "edit", "Rename", "ghost", rename],
    isArchived
      ? ["unarchive", "archived", "Unarchive", "ghost", archive]
      : ["archive", "archived", "Archive", "ghost", archive],
  ].filter(Boolean);
  return may("act") ? orders : orders.filter(([name]) => name.startsWith("release"));
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

/// What it is for, and how many tokens that may take.
export async function goal(line) {
  const text = h("textarea", { name: "objective", rows: 3, autofocus: true, "data-field": "objective" });
  text.value = line.goal?.objective ?? "";
  const most = h("input", {
    name: "tokens",
    type: "number",
    min: 1,
    "data-field": "tokens",
    value: line.goal?.token_budget ?? "",
  });
  const done = await ask({
    id: "goal",
    title: line.goal ? "Change its goal" : "Give it a goal",
    text: "What it is for, in words. An empty text takes the goal away.",
    submit: "Keep",
    fields: [field("Goal", text), field("Tokens", most, "at most, if you like")],
    act: ({ objective, tokens }) => {
      const words = objective.trim();
      return session.goal(
        line.session,
        words ? { objective: words, ...(tokens && { token_budget: Number(tokens) }) } : null,
      );
    },
  });
  return done && { did: done.values.objective.trim() ? "goal set" : "goal taken away" };
}

async function mark(line) {
  const input = h("input", {
    name: "name",
    required: true,
    autofocus: true,
    autocomplete: "off",
    "data-field": "name",
  });
  const done = await ask({
    id: "mark",
    title: "Keep a checkpoint",
    text: `A name for frame ${line.position}, to fork from later. One of the same name takes its place.`,
    submit: "Keep",
    fields: [field("Name", input)],
    act: ({ name }) => session.mark(line.session, name.trim()),
  });
  return done && { did: "checkpoint kept" };
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
