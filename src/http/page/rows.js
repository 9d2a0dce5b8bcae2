// Owns: the tree on the screen. Of however many rows only those in sight are in the page; each is
// made once and rewritten where something differs. It is a treegrid: focus stays on the grid, and
// `aria-activedescendant` names the row that the keyboard is on.

import { $, fill, h, icon, setIcon, setText } from "./dom.js";
import { cut, full, money, now, plain, short, shortId, span, tokens, whole } from "./format.js";
import { STATES, standing } from "./forest.js";

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
    this.grid.addEventListener("focus", () => !this.current && this.grid.matches(":focus-visible") && this.step(0));
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

const key = (row) => (row.more ? `${row.node.session}+` : row.node.session);

// ---- one row ------------------------------------------------------------------------------------

function make() {
  const part = (name) => h("span", { class: name });
  const parts = {
    guides: h("span", { class: "guides", "aria-hidden": "true" }),
    twist: h("span", { class: "twist", "aria-hidden": "true" }, icon("chevron")),
    name: part("name"),
    agent: part("agent"),
    id: part("id"),
    tally: part("tally"),
    mark: icon("idle"),
    word: part("word"),
    awake: icon("asleep"),
    wait: part("what"),
    since: part("since"),
    own: part("num own"),
    all: part("num sum"),
    usd: part("num own"),
    usdAll: part("num sum"),
    restarts: part("num rst"),
  };
  const cell = (name, ...inside) => h("div", { class: `cell ${name}`, role: "gridcell" }, ...inside);
  const element = h(
    "div",
    { class: "row", role: "row" },
    cell("c-name", parts.guides, parts.twist, parts.name, parts.agent, parts.tally, parts.id),
    cell("c-state", parts.mark, parts.word, parts.awake),
    cell("c-wait", parts.wait, parts.since),
    cell("c-tok", parts.own),
    cell("c-tokall", parts.all),
    cell("c-usd", parts.usd),
    cell("c-usdall", parts.usdAll),
    cell("c-rst", parts.restarts),
  );
  element.parts = parts;
  element.seen = {};
  return element;
}

function write(element, row, at, view) {
  const id = key(row);
  const { parts, seen } = element;
  if (element.dataset.key !== id) {
    element.dataset.key = id;
    element.dataset.session = row.node.session;
    element.id = `row-${id}`;
  }
  const isCurrent = view.current === id;
  attr(element, "aria-rowindex", at + 2);
  attr(element, "aria-level", row.depth + 1);
  attr(element, "aria-posinset", row.place);
  attr(element, "aria-setsize", row.size);
  attr(element, "aria-selected", String(view.selected === id));
  attr(element, "aria-expanded", row.isParent ? String(row.isOpen) : null);
  element.classList.toggle("current", isCurrent);
  element.classList.toggle("dim", !row.isHit && !row.more);
  element.classList.toggle("more", Boolean(row.more));
  if (isCurrent) attr(view.grid, "aria-activedescendant", element.id);
  const drawn = row.guides.map((on) => (on ? "|" : " ")).join("") + (row.depth > 0 ? (row.isLast ? "L" : "T") : "");
  if (seen.guides !== drawn) {
    seen.guides = drawn;
    element.style.setProperty("--depth", row.depth);
    fill(parts.guides, [...drawn].map((kind) => h("i", { class: GUIDES[kind] })));
  }
  parts.twist.classList.toggle("none", !row.isParent);
  parts.twist.classList.toggle("down", Boolean(row.isOpen));
  if (row.more) return writeMore(element, row);
  if (seen.node === row.node && seen.isOpen === row.isOpen) return;
  seen.node = row.node;
  seen.isOpen = row.isOpen;
  writeLine(element, row);
}

const GUIDES = { "|": "on", " ": "off", L: "last", T: "tee" };

function writeLine(element, row) {
  const { parts } = element;
  const { node } = row;
  setText(parts.name, node.name ?? node.agent);
  setText(parts.agent, node.name ? node.agent : "");
  attr(parts.name, "title", node.name ? `${node.name}, ${node.agent}` : node.agent);
  setText(parts.id, shortId(node.session));
  const word = standing(node);
  element.dataset.state = word;
  setIcon(parts.mark, word);
  setText(parts.word, plain(word === "budget_exhausted" ? "budget" : word));
  setIcon(parts.awake, node.awake ? "awake" : "asleep");
  parts.awake.classList.toggle("is-awake", Boolean(node.awake));
  attr(parts.awake, "aria-label", node.awake ? "awake" : "asleep");
  attr(parts.awake, "role", "img");
  attr(parts.awake, "aria-hidden", null);
  setText(parts.wait, cut(node.waiting_on ?? "", 120));
  attr(parts.wait, "title", node.waiting_on ?? null);
  setText(parts.since, since(node));
  attr(parts.since, "title", node.since ? `since ${full(node.since)}` : null);
  const own = tokens(node.own);
  const all = tokens(node.subtree);
  const isLeaf = !row.isParent;
  setText(parts.own, short(own));
  attr(parts.own, "title", `${whole(own)} tokens of its own`);
  setText(parts.all, isLeaf ? "" : short(all));
  attr(parts.all, "title", isLeaf ? null : `${whole(all)} tokens with everything below`);
  setText(parts.usd, money(node.own?.cost_nano_usd));
  setText(parts.usdAll, isLeaf ? "" : money(node.subtree?.cost_nano_usd));
  setText(parts.restarts, node.restarts ? String(node.restarts) : "");
  attr(parts.restarts, "title", node.restarts ? `${node.restarts} restarts` : null);
  tally(parts.tally, row);
  attr(element, "aria-label", spoken(node, word));
}

function spoken(node, word) {
  const waits = node.waiting_on ? `, waits for ${node.waiting_on}` : "";
  return `${node.name ?? node.agent}, ${plain(word)}${waits}, ${short(tokens(node.subtree))} tokens, ${money(node.subtree?.cost_nano_usd)}`;
}

/// What a folded row hides: how many, and in which states.
function tally(element, row) {
  const { tally: sums } = row.node;
  if (!row.isParent || row.isOpen) {
    if (element.firstChild) fill(element);
    return;
  }
  const own = row.node.state;
  const hidden = (state) => sums[state] - (own === state ? 1 : 0);
  const words = STATES.slice(0, 3)
    .filter((state) => hidden(state) > 0)
    .map((state) => h("span", { class: `count s-${state}`, title: `${hidden(state)} ${state} below` }, icon(state), String(hidden(state))));
  const below = sums.all - 1 + (row.node.more ?? 0);
  fill(element, h("span", { class: "count below", title: `${below} sessions below` }, `+${whole(below)}`), words);
}

function writeMore(element, row) {
  const { parts, seen } = element;
  seen.node = null;
  element.dataset.state = "more";
  setText(parts.name, `${whole(row.more)} more, not read yet`);
  for (const part of ["agent", "id", "word", "wait", "since", "own", "all", "usd", "usdAll", "restarts", "tally"]) setText(parts[part], "");
  attr(element, "aria-label", `${row.more} more children, Enter reads them`);
}

function since(node) {
  if (!node.since || node.state === "archived") return "";
  return span(now() - node.since);
}

function attr(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
