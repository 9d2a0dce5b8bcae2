// Owns: what each kind of item of a conversation looks like. It makes elements and keeps nothing;
// `view` lends it what stays, such as which parts are unfolded.

import { button, copy, h, icon } from "./dom.js";
import {
  argsLine,
  clock,
  counted,
  cut,
  full,
  money,
  now,
  plain,
  pretty,
  shortId,
  short,
  span,
  took,
  usageTokens,
  whole,
} from "./format.js";
import { may } from "./rights.js";
import { outputOf } from "./fold.js";
import { prose } from "./prose.js";
import { shown } from "./unseen.js";

const time = (at) => h("time", { title: full(at) }, clock(at));
const head = (who, ...more) => h("header", {}, h("b", {}, who), ...more);

/// Another session that goes on from this frame.
const forkAt = (view, position) =>
  position &&
  may("act") &&
  button(
    {
      class: "ghost mini",
      "data-action": "fork-here",
      title: `Fork here, at frame ${position}`,
      "aria-label": `Fork here, at frame ${position}`,
      onclick: () => view.hooks.fork(position),
    },
    "fork",
  );

/// A button to a session that is named.
const to = (view, id) =>
  h(
    "button",
    { type: "button", class: "link", onclick: () => view.hooks.open(id) },
    h("code", {}, shortId(id)),
  );

export const MAKERS = {
  opened(item, view) {
    const { agent } = item;
    const words = [agent.model, agent.provider].filter(Boolean).join(" at ");
    const line = [
      icon("flag"),
      h(
        "span",
        { class: "grow" },
        `${agent.name ?? "session"} opened`,
        words && h("span", { class: "quiet" }, ` · ${words}`),
        item.fork && [
          h("span", { class: "quiet" }, ` · forked at frame ${item.fork.at} of `),
          to(view, item.fork.session),
        ],
      ),
      time(item.at),
    ];
    if (!item.instructions) return h("div", { class: "note quiet" }, line);
    return view.folded(item.id, { class: "note quiet foldable" }, line, () =>
      h("div", { class: "instructions" }, prose(item.instructions)),
    );
  },

  said(item, view) {
    const who = item.isTask ? "Task from its lead" : item.by || "you";
    const model = item.overrides?.model;
    return h(
      "article",
      { class: "said" },
      head(
        who,
        h("span", { class: "minis" }, copy(item.text, "message"), forkAt(view, item.position)),
        model && h("span", { class: "tag" }, model),
        item.isQueued && h("span", { class: "tag" }, "queued"),
        time(item.at),
      ),
      h("div", { class: "prose" }, prose(item.text)),
    );
  },

  reply(item, view, talk) {
    const text = textsOf(item);
    const element = h(
      "article",
      { class: `reply ${item.state}` },
      head(
        item.model ?? "model",
        h("span", { class: "minis" }, text && copy(text, "answer"), forkAt(view, item.position)),
        figures(item),
        time(item.at),
      ),
    );
    if (item.state === "calling") return answering(element, item, view, talk.live.get(item.id));
    if (item.state === "failed") element.append(failed(item.failure));
    item.blocks.forEach((block, at) => element.append(...said(block, `${item.id}.${at}`, view)));
    const broken = { max_tokens: "cut by the output limit", refusal: "the model refused" }[item.stop];
    if (broken) element.append(h("p", { class: "failure" }, icon("failed"), broken));
    if (!item.blocks.length && item.state === "done") element.classList.add("silent");
    return element;
  },

  tool(item, view) {
    if (item.isSpawn && ["running", "done"].includes(item.state)) return h("div", { hidden: true });
    const ended = item.endedAt && (item.startedAt ?? item.at);
    const words = OUTCOMES[item.state] ?? plain(item.state);
    const summary = h(
      "span",
      { class: "tool-line" },
      h("b", {}, item.name ?? "tool"),
      h("code", { class: "grow" }, item.args ? shown(argsLine(item.args)) : ""),
      item.progress && h("span", { class: "fig" }, cut(item.progress, 40)),
      item.state === "running" &&
        h("span", { class: "fig busy", "data-ticks": item.startedAt }, span(now() - item.startedAt)),
      ended && h("span", { class: "fig" }, took(item.endedAt - ended)),
      h("span", { class: `state o-${item.state}` }, icon(MARKS[item.state] ?? "dot"), words),
    );
    const isFailure = ["failed", "refused", "outcome_unknown"].includes(item.state);
    return view.folded(item.id, { class: "tool" + (isFailure ? " bad" : "") }, summary, () => toolInside(item));
  },

  child(item, view) {
    const outcome = item.report?.outcome;
    const word = outcome
      ? outcome.kind === "turn"
        ? outcome.outcome.kind
        : outcome.kind
      : view.hooks.stateOf(item.child);
    const text = outcome ? (outcome.outcome?.text ?? outcome.outcome?.reason ?? outcome.reason ?? "") : "";
    const link = h(
      "button",
      { type: "button", class: "link", "data-child": item.child, onclick: () => view.hooks.open(item.child) },
      icon("child"),
      h("b", {}, item.agent),
      h("code", {}, shortId(item.child)),
    );
    const tokens = usageTokens(item.report?.usage);
    const line = h(
      "div",
      { class: "child-line" },
      link,
      h("span", { class: "grow quiet ellipsis" }, cut(item.task ?? "", 140)),
      tokens > 0 && h("span", { class: "fig" }, `${short(tokens)} tok`),
      childState(word, !outcome && item.child),
    );
    if (!text) return h("div", { class: "child" }, line);
    const report = view.folded(
      item.id,
      { class: "report" },
      h("span", { class: "quiet ellipsis" }, cut(text.replace(/\s+/g, " "), 160)),
      () => h("div", { class: "prose" }, prose(text)),
    );
    return h("div", { class: "child" }, line, report);
  },

  approval(item, view) {
    if (item.state === "open") return view.hooks.approval(item);
    const what = item.ask?.subject?.request?.tool ?? plain(item.ask?.subject?.kind ?? "approval");
    const words = item.state === "decided" ? answered(item.answer) : item.state;
    const approves = ["once", "turn", "session", "always", "all", "edit"].includes(item.answer?.kind);
    const tone = item.state !== "decided" ? "quiet" : approves ? "good" : "bad";
    const by = item.state === "decided" ? ` by ${item.decidedBy}` : "";
    const detail =
      item.answer?.text ??
      item.answer?.feedback ??
      (item.remember ? `remembers: ${item.remember.decision} ${item.remember.pattern}` : null);
    return noteOf(
      tone,
      approves ? "approval" : "cancelled",
      `approval of ${what}: ${words}${by}`,
      detail,
      item.endedAt ?? item.at,
    );
  },

  note(item, view) {
    const element = noteOf(item.tone, item.icon, item.text, item.detail, item.at);
    if (item.from) element.firstChild.nextSibling.append(" ", to(view, item.from));
    const fork = forkAt(view, item.forkAt);
    if (fork) element.lastChild.before(fork);
    return element;
  },

  end(item, view) {
    const { outcome, sums } = item;
    const word = outcome.kind;
    const sumsUp = [
      item.took !== null && took(item.took),
      sums?.calls && counted(sums.calls, "model call"),
      sums?.tools && counted(sums.tools, "tool call"),
      sums?.tokens && `${short(sums.tokens)} tokens`,
      sums?.cost && money(sums.cost),
    ].filter(Boolean);
    const line = h(
      "div",
      { class: `end o-${word}`, title: full(item.at) },
      icon(MARKS[word] ?? "dot"),
      h("b", {}, `turn ${item.turn} ${plain(word)}`),
      forkAt(view, item.position),
      h("span", { class: "figs" }, sumsUp.join("  ·  ")),
    );
    if (word === "completed" || !outcome.reason) return line;
    return h("div", { class: "ended" }, line, h("p", { class: "failure" }, outcome.reason));
  },
};

/// How a child is; of one that is at work it is looked up again as time goes.
export function childState(word, working) {
  const attrs = { class: `state o-${word}`, "data-state-of": working || null, "data-word": word };
  return h("span", attrs, icon(MARKS[word] ?? word), plain(word));
}

function textsOf(item) {
  const texts = item.blocks.filter((block) => block.type === "text");
  return texts.map((block) => block.text).join("\n");
}

/// What a call to a model took; a bound where nobody knows the figure.
function figures(item) {
  const tokens = item.tokens ?? usageTokens(item.usage);
  const most = item.isBound ? "≤ " : "";
  return [
    tokens > 0 && h("span", { class: "fig", title: usageTitle(item.usage) }, `${most}${short(tokens)} tok`),
    item.cost > 0 && h("span", { class: "fig" }, `${most}${money(item.cost)}`),
    item.endedAt && item.at && h("span", { class: "fig" }, took(item.endedAt - item.at)),
    item.state === "calling" &&
      h("span", { class: "fig busy" }, h("span", { "data-ticks": item.at }, span(now() - item.at))),
  ];
}

/// An answer that is being given: what has come of it stands as it was written.
function answering(element, item, view, live) {
  const thinking = h("div", { class: "live-thinking", hidden: true });
  const words = h("div", { class: "live-text prose", hidden: true });
  if (item.isPartial) words.append(h("span", { class: "quiet" }, "… "));
  const missed =
    item.isPartial && h("p", { class: "quiet missed" }, "What it said before you looked comes with the whole.");
  element.append(...[missed, thinking, words].filter(Boolean));
  element.append(h("span", { class: "caret", role: "img", "aria-label": "the model is answering" }));
  view.append(thinking, live?.thinking);
  view.append(words, live?.text);
  return element;
}

function failed(failure) {
  const words = h("span", {}, h("b", {}, plain(failure.kind)), ` ${failure.message}`);
  const later = failure.retryable && h("span", { class: "tag" }, "may succeed later");
  return h("p", { class: "failure" }, icon("failed"), words, later);
}

function noteOf(tone, name, text, detail, at) {
  return h(
    "div",
    { class: `note ${tone}` },
    icon(name),
    h("span", { class: "grow" }, text, detail && h("span", { class: "detail" }, detail)),
    at && time(at),
  );
}

function said(block, id, view) {
  if (block.type === "text") return [h("div", { class: "prose" }, prose(block.text))];
  if (block.type === "thinking") {
    const words = block.text.trim() ? block.text.trim().split(/\s+/).length : 0;
    if (words === 0) return [];
    return [
      view.folded(
        id,
        { class: "thinking" },
        h("span", {}, "thinking", h("span", { class: "quiet" }, ` · ${counted(words, "word")}`)),
        () => h("div", { class: "prose" }, prose(block.text)),
      ),
    ];
  }
  if (block.type === "stored")
    return [h("p", { class: "quiet" }, `${whole(block.blob?.bytes)} bytes are kept outside of the log`)];
  if (block.type === "opaque")
    return [h("p", { class: "quiet" }, `a block that only ${block.provider} can read`)];
  return [];
}

function toolInside(item) {
  const { text, bytes } = item.outcome ? outputOf(item.outcome) : { text: "" };
  const part = (title, body, more) => h("section", {}, h("h3", {}, title, body && copy(body, title)), more);
  return [
    item.args && part("arguments", item.args, h("pre", { class: "code exactly" }, shown(pretty(item.args)))),
    text && part("output", text, h("pre", { class: "code out" }, text)),
    bytes && h("p", { class: "quiet" }, `beginning and end of ${whole(bytes)} bytes`),
    item.state === "outcome_unknown" &&
      h("p", { class: "failure" }, "It was started, and a crash took its result. It is not started again."),
    item.state === "cancelled" &&
      h(
        "p",
        { class: "quiet" },
        item.outcome.effect_unknown ? "It had started: its effect may have happened." : "It had not started.",
      ),
    item.basis && h("p", { class: "quiet" }, `allowed by ${basisText(item.basis)}`),
  ].filter(Boolean);
}

const basisText = (basis) =>
  basis.kind === "rules"
    ? basis.reasons.join("; ") || "rules"
    : basis.kind === "approval"
      ? `approval ${basis.no}`
      : "the runtime: one of its own tools";

const answered = (answer) =>
  ({
    once: "yes, once",
    turn: "yes, for this turn",
    session: "yes, for this session",
    always: "yes, always",
    all: "yes, to everything",
    edit: "yes, with other arguments",
    reject: "no",
    never: "no, never",
    comment: "no, with a reason",
    revise: "try again",
  })[answer?.kind] ?? plain(answer?.kind ?? "answered");

const OUTCOMES = { requested: "wanted", asked: "asks", outcome_unknown: "unknown", not_carried: "not carried" };
const MARKS = {
  requested: "idle",
  asked: "approval",
  running: "running",
  done: "check",
  completed: "check",
  failed: "failed",
  refused: "cancelled",
  cancelled: "cancelled",
  outcome_unknown: "quarantined",
  quarantined: "quarantined",
  not_carried: "cancelled",
  budget_exhausted: "budget_exhausted",
};

function usageTitle(usage) {
  if (!usage) return null;
  return `${whole(usage.input)} in, ${whole(usage.cache_read)} from cache, ${whole(usage.cache_write)} to cache, ${whole(usage.output)} out${usage.reasoning ? ` (${whole(usage.reasoning)} reasoning)` : ""}`;
}
