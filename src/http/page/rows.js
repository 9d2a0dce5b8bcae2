// Owns: the tree on the screen. Of however many rows only those in sight are in the page; each is
// made once and rewritten where something differs. It is a treegrid: focus stays on the grid, and
// `aria-activedescendant` names the row that the keyboard is on.

import { $, setText } from "./dom.js";
import { key, make, since, write } from "./row.js";

const BEYOND = 6;

export class Rows {
  constructor({ opened, folded, completed, ended }) {
    this.grid = $("tree");
    this.body = $("rows");
    this.on = { opened, folded, completed, ended };
    this.rows = [];
    this.drawn = new Map();
    this.spare = [];
    this.current = null;
    this.selected = null;
    this.height = 30;
    this.grid.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.grid);
    this.grid.addEventListener(
      "focus",
      () => !this.current && this.grid.matches(":focus-visible") && this.step(0),
    );
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.measure();
  }

  measure() {
    const said = parseFloat(getComputedStyle(this.grid).getPropertyValue("--row"));
    this.height = said || 30;
    this.head = this.grid.querySelector(".cols").offsetHeight;
    this.place();
    this.draw();
  }

  show(rows) {
    const { scrollTop } = this.grid;
    const first = Math.floor(scrollTop / this.height);
    const anchor = scrollTop > 0 && this.rows[first] ? key(this.rows[first]) : null;
    this.rows = rows;
    this.at = new Map(rows.map((row, at) => [key(row), at]));
    if (this.current && !this.at.has(this.current)) {
      this.current = null;
      this.grid.removeAttribute("aria-activedescendant");
    }
    this.place();
    // Rows that come or go above do not move what the reader looks at.
    const moved = anchor && this.at.has(anchor) ? this.at.get(anchor) - first : 0;
    if (moved) this.grid.scrollTop = scrollTop + moved * this.height;
    this.draw();
  }

  place() {
    const tall = `${this.rows.length * this.height}px`;
    if (this.body.style.height !== tall) this.body.style.height = tall;
    this.grid.setAttribute("aria-rowcount", this.rows.length + 1);
  }

  range() {
    const top = Math.max(0, this.grid.scrollTop - this.head);
    const from = Math.max(0, Math.floor(top / this.height) - BEYOND);
    const many = Math.ceil(this.grid.clientHeight / this.height) + 2 * BEYOND;
    return [from, Math.min(this.rows.length, from + many)];
  }

  draw() {
    const [from, to] = this.range();
    const wanted = new Set();
    for (let at = from; at < to; at += 1) wanted.add(key(this.rows[at]));
    for (const [id, element] of this.drawn) {
      if (wanted.has(id)) continue;
      this.drawn.delete(id);
      element.hidden = true;
      // Its name is another's soon, and what is named twice is found where it is not seen.
      element.removeAttribute("id");
      delete element.dataset.key;
      this.spare.push(element);
    }
    for (let at = from; at < to; at += 1) this.one(at);
    // What is not needed any more after a resize is let go.
    while (this.spare.length > 60) this.spare.pop().remove();
    if (to >= this.rows.length - 10) this.on.ended();
  }

  one(at) {
    const row = this.rows[at];
    const id = key(row);
    let element = this.drawn.get(id);
    if (!element) {
      element = this.spare.pop();
      if (!element) {
        element = make();
        this.body.append(element);
      }
      element.hidden = false;
      this.drawn.set(id, element);
    }
    write(element, row, at, this);
    const where = `translateY(${at * this.height}px)`;
    if (element.style.transform !== where) element.style.transform = where;
  }

  /// The roots on the screen.
  shownRoots() {
    const [from, to] = this.range();
    const roots = new Set();
    for (let at = from; at < to; at += 1) roots.add(this.rows[at].node.root ?? this.rows[at].node.session);
    return roots;
  }

  tick() {
    for (const [id, element] of this.drawn) {
      const row = this.rows[this.at.get(id)];
      if (row && !row.more) setText(element.parts.since, since(row.node));
    }
  }

  clicked(event) {
    const element = event.target.closest(".row");
    if (!element) return;
    const row = this.rows[this.at.get(element.dataset.key)];
    if (!row) return;
    this.current = key(row);
    if (row.more) this.on.completed(row.node);
    else if (event.target.closest(".twist")) this.on.folded(row.node, !row.isOpen, event.altKey);
    else this.on.opened(row.node.session);
    this.draw();
  }

  /// Marks the session whose panel is open.
  select(id) {
    this.selected = id;
    if (id && this.at?.has(id)) this.current = id;
    this.draw();
  }

  /// Puts the keyboard on a row and brings it into sight.
  go(at) {
    if (this.rows.length === 0) return;
    const to = Math.max(0, Math.min(this.rows.length - 1, at));
    this.current = key(this.rows[to]);
    const top = to * this.height;
    const room = this.grid.clientHeight - this.head - this.height;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top > this.grid.scrollTop + room) this.grid.scrollTop = top - room;
    this.draw();
  }

  step(by) {
    const at = this.at?.get(this.current);
    // Nobody was there yet: the first row in sight.
    this.go(at === undefined ? Math.ceil(this.grid.scrollTop / this.height) : at + by);
  }

  get page() {
    return Math.max(1, Math.floor(this.grid.clientHeight / this.height) - 2);
  }

  /// The row that the keyboard is on.
  get row() {
    return this.rows[this.at?.get(this.current)];
  }

  /// Right: unfold, or go to the first child. Left: fold, or go to the parent.
  sideways(isRight) {
    const row = this.row;
    if (!row) return this.step(0);
    if (isRight && row.isParent && !row.isOpen) this.on.folded(row.node, true);
    else if (isRight && row.isOpen) this.step(1);
    else if (!isRight && row.isOpen) this.on.folded(row.node, false);
    else if (!isRight && row.node.up) this.go(this.at.get(row.node.up.session));
  }

  enter() {
    const row = this.row;
    if (row?.more) this.on.completed(row.node);
    else if (row) this.on.opened(row.node.session);
  }
}
