// Owns: the view of ten thousand sessions as a few lines: one for each agent, with how many of its
// sessions do what, and what they have spent. A click shows the sessions of one agent.

import { $, fill, h, icon } from "./dom.js";
import { get } from "./api.js";
import { money, short, tokens, whole } from "./format.js";
import { STATES } from "./forest.js";

export class Groups {
  constructor({ chosen }) {
    this.chosen = chosen;
    this.items = [];
    this.at = 0;
  }

  async load() {
    try {
      const page = await get("/v1/tree/groups");
      this.items = page.items;
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.draw();
  }

  draw() {
    const body = $("groups-body");
    const most = Math.max(1, ...this.items.map((item) => item.sessions));
    const active = document.activeElement?.closest?.("#groups-body tr")?.dataset.agent;
    const sorted = [...this.items].sort((a, b) => b.sessions - a.sessions || a.agent.localeCompare(b.agent));
    fill(
      body,
      sorted.map((item) => this.line(item, most)),
    );
    if (active)
      [...body.children]
        .find((row) => row.dataset.agent === active)
        ?.querySelector("button")
        .focus();
    $("groups-empty").hidden = this.items.length > 0 || Boolean(this.error);
    $("groups-error").hidden = !this.error;
    if (this.error) $("groups-error").textContent = `The groups cannot be read: ${this.error.message}`;
  }

  line(item, most) {
    const bar = h("span", {
      class: "stack",
      role: "img",
      "aria-label": STATES.map((state) => `${item[state] ?? 0} ${state}`).join(", "),
    });
    bar.style.width = `${Math.max(3, (item.sessions / most) * 100)}%`;
    for (const state of STATES) {
      if (!item[state]) continue;
      const part = h("i", { class: `s-${state}`, title: `${whole(item[state])} ${state}` });
      part.style.flexGrow = item[state];
      bar.append(part);
    }
    const number = (value, state) =>
      h(
        "td",
        { class: `num ${value ? `s-${state}` : "none"}` },
        value ? [STATES.includes(state) && icon(state), short(value)] : "·",
      );
    return h(
      "tr",
      { "data-agent": item.agent },
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", class: "link", onclick: () => this.chosen(item.agent) }, item.agent),
      ),
      h("td", { class: "bars" }, bar),
      h("td", { class: "num" }, whole(item.sessions)),
      number(item.running, "running"),
      number(item.waiting, "waiting"),
      number(item.quarantined, "quarantined"),
      h("td", { class: "num" }, short(tokens(item.own))),
      h("td", { class: "num" }, money(item.own?.cost_nano_usd)),
      number(item.restarts, "restarts"),
    );
  }
}
