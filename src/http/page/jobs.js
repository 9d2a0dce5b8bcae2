// Owns: the list of jobs, where the server has any: what each is at, how far, and when it is tried
// again. The tab stays away from a server that does not know jobs.

import { $, fill, h, icon } from "./dom.js";
import { get } from "./api.js";
import { full, now, plain, span } from "./format.js";

const EVERY_MS = 3000;
const MARKS = {
  queued: "waiting",
  waiting: "waiting",
  scheduled: "waiting",
  running: "running",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  paused: "idle",
};

export class Jobs {
  constructor() {
    this.timer = 0;
  }

  /// Whether the server knows jobs; the first page of them is read with the question.
  async isThere() {
    try {
      this.items = (await get("/v1/jobs", { limit: 200 })).items;
      return true;
    } catch {
      return false;
    }
  }

  /// Reads them as long as they are looked at.
  async show() {
    clearTimeout(this.timer);
    const error = $("jobs-error");
    try {
      this.items = (await get("/v1/jobs", { limit: 200 })).items;
      error.hidden = true;
    } catch (trouble) {
      error.textContent = `The jobs cannot be read: ${trouble.message}`;
      error.hidden = false;
    }
    this.draw();
    this.timer = setTimeout(() => this.show(), EVERY_MS);
  }

  hide() {
    clearTimeout(this.timer);
  }

  draw() {
    const items = this.items ?? [];
    fill($("jobs-body"), items.map(line));
    $("jobs-empty").hidden = items.length > 0 || !$("jobs-error").hidden;
  }
}

function line(job) {
  const share = Math.max(0, Math.min(100, job.progress ?? 0));
  const bar = h("i", { class: "fillbar" });
  bar.style.width = `${share}%`;
  const tries = job.attempts_max > 1 || job.attempt > 1 ? `${job.attempt ?? 0}/${job.attempts_max ?? "∞"}` : "";
  const again = job.next_attempt_at > now() ? `again in ${span(job.next_attempt_at - now())}` : "";
  const mark = MARKS[job.state] ?? "dot";
  return h(
    "tr",
    { "data-job": job.id, "data-state": mark },
    h(
      "th",
      { scope: "row", title: job.id },
      h("b", {}, job.name ?? job.kind ?? job.id),
      h("span", { class: "quiet" }, ` ${[job.kind, job.queue].filter(Boolean).map(plain).join(" · ")}`),
    ),
    h("td", { class: "toned" }, icon(mark), " ", plain(job.state)),
    h(
      "td",
      {},
      job.state === "running" || share > 0
        ? [h("span", { class: "bar" }, bar), h("span", { class: "fig" }, ` ${Math.round(share)}%`)]
        : "",
    ),
    h("td", { class: "detail" }, job.detail ?? again),
    h("td", { class: "num" }, tries),
    h(
      "td",
      { class: "num", title: full(job.updated_at) },
      job.updated_at ? `${span(now() - job.updated_at)} ago` : "",
    ),
  );
}
