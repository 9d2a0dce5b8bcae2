// Owns: the panel of one job: what was asked for, how far it is, what happened to it, and the orders that
// its state allows. It is read again whenever the status tells that it changed.

import { $, announce, button, copy, fill, h, icon, setIcon, setText } from "./dom.js";
import { ask, confirmed, field } from "./dialogs.js";
import { clock, counted, full, now, plain, pretty, shortId, span, took, whole } from "./format.js";
import { job as jobs } from "./api.js";
import { markOf, progress, toneOf } from "./jobs.js";
import { may, whyNot } from "./rights.js";
import { shown } from "./unseen.js";

const OPEN_MS = 2000;

export class JobPanel {
  constructor({ open, openJob, changed }) {
    this.hooks = { open, openJob, changed };
    this.id = null;
  }

  /// Opens a job; the line that the list has of it stands at once.
  open(id, known) {
    this.id = id;
    this.left = undefined;
    this.drawn = null;
    $("job").hidden = false;
    $("job").dataset.job = id;
    fill($("job-body"));
    if (known) this.head(known);
    this.read();
  }

  close() {
    clearTimeout(this.due);
    this.id = this.known = null;
    $("job").hidden = true;
  }

  async read() {
    const { id } = this;
    clearTimeout(this.due);
    if (!id) return;
    try {
      const job = await jobs.read(id);
      if (this.id !== id) return;
      if (job.state === "completed" && this.left === undefined) this.left = (await jobs.result(id)).result;
      if (this.id !== id) return;
      this.head(job);
      this.draw(job);
      // An open one goes on; one that has ended changes only when somebody orders it to.
      if (!job.ended_at && !document.hidden) this.due = setTimeout(() => this.read(), OPEN_MS);
    } catch (error) {
      if (this.id !== id) return;
      fill(
        $("job-body"),
        h("p", { class: "failure", role: "alert" }, icon("failed"), `The job cannot be read: ${error.message}`),
      );
    }
  }

  head(job) {
    this.known = job;
    $("job").dataset.state = toneOf(job.state);
    setIcon($("job-mark"), markOf(job.state));
    setText($("job-title"), job.name);
    setText($("job-word"), plain(job.state));
    fill($("job-progress"), progress(job));
    this.tick();
    const wanted = orders(job);
    const text = `${job.id} ${wanted.map(([verb]) => verb)} ${may("act")}`;
    if (this.drawnOrders === text) return;
    this.drawnOrders = text;
    if (!may("act")) return fill($("job-actions"), h("p", { class: "why" }, icon("lock"), whyNot("act")));
    fill(
      $("job-actions"),
      wanted.map(([verb, mark, word, tone, run]) =>
        button({ class: tone, "data-action": `job-${verb}`, onclick: () => this.order(run) }, mark, word),
      ),
    );
  }

  tick() {
    const job = this.known;
    if (!job) return;
    const due = job.state === "queued" && job.next_attempt_at > now();
    const since = job.ended_at
      ? `${span(now() - job.ended_at)} ago`
      : `changed ${span(now() - job.updated_at)} ago`;
    setText($("job-since"), due ? `next attempt in ${span(job.next_attempt_at - now())}` : since);
  }

  async order(run) {
    const done = await run(this.known);
    if (!done) return;
    announce(done);
    this.hooks.changed();
    this.read();
  }

  draw(job) {
    // What has not changed stays, so that whoever selects a text keeps it.
    const text = JSON.stringify([job, this.left]);
    if (this.drawn === text) return;
    this.drawn = text;
    const { spec } = job;
    const words = spec.work.prompt ?? spec.work.payload;
    const part = (title, text) =>
      h("section", {}, h("h3", {}, title, copy(text, title)), h("pre", { class: "code" }, shown(pretty(text))));
    fill(
      $("job-body"),
      job.error && h("p", { class: "failure" }, icon("failed"), job.error),
      job.detail && h("p", { class: "asks" }, job.detail),
      words && part(spec.work.prompt ? "prompt" : "payload", words),
      this.left && part("result", this.left),
      h(
        "dl",
        { class: "facts" },
        this.facts(job)
          .filter(([, value]) => value)
          .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
      h("section", {}, h("h3", {}, "history"), history(job)),
    );
  }

  facts(job) {
    const { spec } = job;
    const other = (id) =>
      h(
        "button",
        { type: "button", class: "link", onclick: () => this.hooks.openJob(id) },
        h("code", {}, shortId(id)),
      );
    return [
      ["agent", job.agent],
      [
        "session",
        job.session &&
          h(
            "button",
            {
              type: "button",
              class: "link",
              "data-session": job.session,
              onclick: () => this.hooks.open(job.session),
            },
            icon("child"),
            h("code", {}, shortId(job.session)),
          ),
      ],
      ["queue", job.queue],
      ["when", whenOf(spec.when)],
      [
        "attempts",
        `${whole(job.attempt)} of ${whole(job.attempts_max)}, pauses from ${took(spec.retry.backoff_ms)} to ${took(spec.retry.backoff_max_ms)}`,
      ],
      ["one takes", `at most ${took(spec.attempt_ms)}`],
      ["if lost", spec.on_lost === "leave" ? "left alone" : null],
      ["after", job.after.length > 0 && job.after.map(other)],
      ["webhook", spec.hook],
      ["tenant", job.tenant],
      ["asked for", full(job.created_at)],
      ["ended", job.ended_at && full(job.ended_at)],
      ["job", [h("code", { class: "ellipsis" }, job.id), copy(job.id, "id")]],
    ];
  }
}

/// What its state allows: `[verb, icon, word, tone, run]`.
function orders(job) {
  const is = (...states) => states.includes(job.state);
  const isHost = job.kind === "host";
  return [
    is("paused") && ["resume", "running", "Resume", "primary", (job) => said(job, "resume", "resumed")],
    is("failed", "cancelled", "lost") && [
      "retry",
      "restart",
      "Try again",
      "primary",
      (job) => said(job, "retry", "tried again"),
    ],
    // A prompt at work is cancelled, not paused.
    (is("queued") || (is("running") && isHost)) && [
      "pause",
      "paused",
      "Pause",
      "",
      (job) => said(job, "pause", "paused"),
    ],
    is("queued", "running", "paused") && ["cancel", "cancelled", "Cancel", "danger", cancel],
  ].filter(Boolean);
}

const said = (job, verb, did) =>
  confirmed({
    id: `job-${verb}`,
    title: TITLES[verb](job),
    text: TEXTS[verb],
    submit: WORDS[verb],
    act: () => jobs.order(job.id, verb, {}),
  }).then((done) => done && did);

const TITLES = {
  resume: (job) => `Let ${job.name} go on?`,
  retry: (job) => `Try ${job.name} again?`,
  pause: (job) => `Hold ${job.name}?`,
};
const TEXTS = {
  resume: "It goes on where it was held, or waits in its queue again.",
  retry: "It has another round of attempts, the first at once.",
  pause: "Nothing of it begins until somebody lets it go on.",
};
const WORDS = { resume: "Resume", retry: "Try again", pause: "Pause" };

async function cancel(job) {
  const reason = h("input", { name: "reason", autocomplete: "off", "data-field": "reason" });
  const done = await ask({
    id: "job-cancel",
    title: `Cancel ${job.name}?`,
    text: "No other attempt is made. What an attempt has done already stays done.",
    submit: "Cancel the job",
    danger: true,
    fields: [field("Reason", reason, "for the log")],
    act: ({ reason }) => jobs.order(job.id, "cancel", reason.trim() ? { reason: reason.trim() } : {}),
  });
  return done && "cancel asked";
}

function whenOf(when) {
  if (when.kind === "at") return full(when.at);
  if (when.kind === "cron") return [h("code", {}, when.expression), when.zone && ` ${when.zone}`];
  return "";
}

const STEPS = {
  created: "flag",
  started: "running",
  progressed: "dot",
  attempt_failed: "failed",
  stopping: "cancelled",
  paused: "paused",
  resumed: "running",
  ended: "check",
  requeued: "restart",
  followed: "fork",
  told: "check",
  not_told: "failed",
};

/// What happened, the latest first: that is what somebody looks for.
function history(job) {
  const lines = [...job.history]
    .reverse()
    .map((one) =>
      h(
        "li",
        { class: one.step === "attempt_failed" || one.step === "not_told" ? "bad" : "" },
        icon(one.step === "ended" ? markOf(one.state) : (STEPS[one.step] ?? "dot")),
        h("b", {}, one.step === "ended" ? plain(one.state) : plain(one.step)),
        h("span", { class: "grow detail" }, one.detail ?? ""),
        one.step === "progressed" && h("span", { class: "fig" }, `${one.progress}%`),
        one.attempt > 0 && h("span", { class: "fig" }, `attempt ${one.attempt}`),
        h("time", { title: full(one.at) }, clock(one.at)),
      ),
    );
  const dropped =
    job.history_dropped > 0 &&
    h("li", { class: "quiet" }, `${counted(job.history_dropped, "earlier line")} dropped`);
  return h("ol", { class: "history" }, lines, dropped);
}
