// Owns: the checkpoints of the session that is open: pointers into its log under a name. From each of
// them another session can go on. They are read when it is opened, and when its log tells of one more.

import { $, button, fill, h, icon, setText } from "./dom.js";
import { cut, whole } from "./format.js";
import { may } from "./rights.js";
import { session } from "./api.js";
import { shown } from "./unseen.js";

const PAGES_MAX = 10;

export class Marks {
  constructor({ fork }) {
    this.hooks = { fork };
    this.id = null;
  }

  async open(id) {
    this.id = id;
    this.items = [];
    $("panel-marks").open = false;
    this.draw();
    await this.read();
  }

  async read() {
    const { id } = this;
    const items = [];
    try {
      let after;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const { items: more, next } = await session.checkpoints(id, after);
        items.push(...more);
        after = next;
        if (!next) break;
      }
    } catch {
      // The log above says what it says; a list that cannot be read now is read with the next one.
      return;
    }
    if (this.id !== id) return;
    this.items = items;
    this.draw();
  }

  /// A frame of the session came.
  heard(frame) {
    if (frame.events.some((event) => event.type === "checkpointed")) this.read();
  }

  draw() {
    $("panel-marks").hidden = this.items.length === 0;
    setText($("marks-count"), whole(this.items.length));
    // The latest is what somebody goes back to.
    fill(
      $("marks-list"),
      [...this.items].sort((a, b) => b.at - a.at).map((mark) => this.line(mark)),
    );
  }

  line(mark) {
    return h(
      "li",
      { "data-mark": mark.name },
      icon("flag"),
      h("b", {}, mark.name),
      h("span", { class: "fig" }, `frame ${whole(mark.at)}`),
      h("code", { class: "grow ellipsis", title: mark.value || null }, shown(cut(mark.value, 120))),
      may("act") &&
        button(
          { class: "ghost", "data-action": "fork-mark", onclick: () => this.hooks.fork(mark.at) },
          "fork",
          "Fork here",
        ),
    );
  }

  close() {
    this.id = null;
    this.items = [];
    this.draw();
  }
}
