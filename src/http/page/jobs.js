// Owns: the list of jobs: what each is at, how far, and when it is tried again. All are read once, the newest
// first; what
// the status tells of the latest is laid over them, and they are read again when their numbers change.

import { $, fill, h, icon, setText } from "./dom.js";
import { counted, full, now, plain, shortId, span, whole } from "./format.js";
import { get } from "./api.js";

const PAGE = 500;
const PAGES_MAX = 4;
const REST_MS = 3000;
// More rows than anybody reads; whoever looks for one more searches.
const ROWS_MAX = 300;

const MARKS = {
  queued: "waiting",
  running: "running",
  stopping: "cancelled",
  paused: "paused",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  lost: "quarantined",
};
/// The tone of a job's state is that of a session's state which means as much.
const TONES = { queued: "waiting", running: "running", stopping: "waiting", failed: "failed", lost: "failed" };

/// What belongs together when people look for a job.
export const KINDS = {
  open: ["queued", "running", "stopping", "paused"],
  failed: ["failed", "lost"],
  over: ["completed", "cancelled"],
};

export const markOf = (state) => MARKS[state] ?? "dot";
export const toneOf = (state) => TONES[state] ?? "completed";

export class Jobs {
  constructor({ open }) {
    this.hooks = { open };
    this.all = new Map();
    this.kind = "";
    this.text = "";
    this.shown = [];
    this.readAt = 0;
    this.counts = null;
    $("jobs-body").addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-job]");
      if (row) this.hooks.open(row.dataset.job);
    });
  }

  get isShown() {
    return !$("jobs").hidden;
  }

  /// Reads them all, or as many as a list may have.
  async load() {
    this.readAt = Date.now();
    try {
      const all = new Map();
      let after;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const { items, next } = await get("/v1/jobs", { order: "newest", limit: PAGE, after });
        for (const job of items) all.set(job.id, job);
        after = next;
        if (!next) break;
      }
      this.all = all;
      this.isCut = Boolean(after);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.isRead = true;
    this.draw();
  }

  /// What the status says of them.
  heard(jobs) {
    if (!jobs) return;
    const { latest, more, ...counts } = jobs;
    const text = JSON.stringify([counts, more]);
    const isOther = this.counts !== null && this.counts !== text;
    this.counts = text;
    setText(
      $("jobs-tab-count"),
      counts.running + counts.queued > 0 ? whole(counts.running + counts.queued) : "",
    );
    for (const job of latest) if (this.isRead) this.all.set(job.id, job);
    if (!this.isShown) return;
    if (isOther || latest.some((job) => !this.all.has(job.id))) this.again();
    else if (this.isRead) this.draw();
  }

  again() {
    const rest = REST_MS - (Date.now() - this.readAt);
    this.due ||= setTimeout(
      () => {
        this.due = 0;
        this.load();
      },
      Math.max(0, rest),
    );
  }

  show() {
    this.draw();
    this.load();
  }

  filter(change) {
    Object.assign(this, change);
    for (const chip of document.querySelectorAll("[data-jobs]"))
      chip.setAttribute("aria-pressed", String(chip.dataset.jobs === this.kind));
    this.draw();
  }

  matches(job) {
    if (this.kind && !KINDS[this.kind].includes(job.state)) return false;
    const wanted = this.text.toLowerCase();
    if (!wanted) return true;
    return [job.name, job.queue, job.agent, job.kind, job.detail, job.error, job.id, job.session].some((text) =>
      text?.toLowerCase().includes(wanted),
    );
  }

  /// Marks the one whose panel is open.
  select(id) {
    this.selected = id;
    for (const row of $("jobs-body").children)
      row.setAttribute("aria-selected", String(row.dataset.job === id));
  }

  draw() {
    const found = [...this.all.values()].filter((job) => this.matches(job));
    // What is at work stands above what waits, and that above what has ended; each the latest first.
    const rank = (job) =>
      job.state === "running" || job.state === "stopping" ? 0 : KINDS.open.includes(job.state) ? 1 : 2;
    found.sort((a, b) => rank(a) - rank(b) || b.updated_at - a.updated_at);
    this.shown = found.slice(0, ROWS_MAX);
    const focused = document.activeElement?.closest?.("#jobs-body tr")?.dataset.job;
    fill($("jobs-body"), this.shown.map(line));
    if (focused) this.row(focused)?.querySelector("button").focus({ preventScroll: true });
    this.select(this.selected);
    $("jobs-empty").hidden = found.length > 0 || Boolean(this.error) || !this.isRead;
    setText($("jobs-empty"), this.all.size ? "No job is like that." : "Nobody has asked for a job yet.");
    $("jobs-error").hidden = !this.error;
    if (this.error) setText($("jobs-error"), `The jobs cannot be read: ${this.error.message}`);
    const rest = found.length - this.shown.length;
    const cut = this.isCut ? `Only the newest ${counted(this.all.size, "job")} were read. ` : "";
    $("jobs-more").hidden = rest === 0 && !cut;
    setText($("jobs-more"), cut + (rest > 0 ? `${whole(rest)} more: search for them.` : ""));
    setText($("jobs-matched"), this.isRead ? counted(found.length, "job") : "");
  }

  row(id) {
    return [...$("jobs-body").children].find((row) => row.dataset.job === id);
  }

  step(by) {
    const rows = [...$("jobs-body").children];
    if (rows.length === 0) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const to = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
    rows[to].querySelector("button").focus();
  }
}

function line(job) {
  const again =
    job.state === "queued" && job.next_attempt_at > now() ? `due in ${span(job.next_attempt_at - now())}` : "";
  const isOpen = KINDS.open.includes(job.state);
  return h(
    "tr",
    { "data-job": job.id, "data-state": toneOf(job.state) },
    h(
      "th",
      { scope: "row", title: job.id },
      h("button", { type: "button", class: "link" }, h("b", {}, job.name), h("code", {}, shortId(job.id))),
    ),
    h("td", { class: "toned" }, icon(markOf(job.state)), plain(job.state)),
    h("td", { class: "c-progress" }, progress(job)),
    h("td", { class: "c-detail detail", title: job.error ?? job.detail }, job.error ?? job.detail ?? again),
    h("td", { class: "c-queue quiet" }, [job.queue, job.agent ?? job.kind].filter(Boolean).join(" · ")),
    h("td", { class: "num c-tries" }, job.attempt ? `${job.attempt} of ${job.attempts_max}` : "–"),
    h(
      "td",
      { class: "num", title: full(job.updated_at) },
      isOpen ? "" : h("span", { class: "quiet c-ago" }, "ended "),
      h("span", { "data-ago": job.updated_at }, span(now() - job.updated_at)),
      " ago",
    ),
  );
}

/// How far it is, as a bar and in figures.
export function progress(job) {
  const share = Math.max(0, Math.min(100, job.progress ?? 0));
  if (job.state === "completed" || (job.state !== "running" && share === 0)) return "";
  const bar = h("i", { class: "fillbar" });
  bar.style.width = `${share}%`;
  return [
    h(
      "span",
      {
        class: "bar",
        role: "progressbar",
        "aria-valuenow": share,
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "aria-label": "progress",
      },
      bar,
    ),
    h("span", { class: "fig" }, `${Math.round(share)}%`),
  ];
}
