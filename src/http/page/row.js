// Owns: one row of the tree: its connectors, its figures, what a screen reader says of it. An element
// is used again for other rows, so that everything that a row may say is written each time.

import { fill, h, icon, setIcon, setText } from "./dom.js";
import { cut, full, money, now, plain, short, shortId, span, tokens, whole } from "./format.js";
import { STATES, standing } from "./forest.js";

/// What a row is known by.
export const key = (row) => (row.more ? `${row.node.session}+` : row.node.session);

/// An empty row.
export function make() {
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

/// Writes a row of the forest into an element, where something differs.
export function write(element, row, at, view) {
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
  const drawn =
    row.guides.map((on) => (on ? "|" : " ")).join("") + (row.depth > 0 ? (row.isLast ? "L" : "T") : "");
  if (seen.guides !== drawn) {
    seen.guides = drawn;
    element.style.setProperty("--depth", row.depth);
    fill(
      parts.guides,
      [...drawn].map((kind) => h("i", { class: GUIDES[kind] })),
    );
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
    .map((state) =>
      h(
        "span",
        { class: `count s-${state}`, title: `${hidden(state)} ${state} below` },
        icon(state),
        String(hidden(state)),
      ),
    );
  const below = sums.all - 1 + (row.node.more ?? 0);
  fill(
    element,
    h("span", { class: "count below", title: `${below} sessions below` }, `+${whole(below)}`),
    words,
  );
}

function writeMore(element, row) {
  const { parts, seen } = element;
  seen.node = null;
  element.dataset.state = "more";
  const isKnown = Number.isFinite(row.more);
  setText(
    parts.name,
    isKnown ? `${whole(row.more)} more, not read yet` : "and more than can be shown: search for them",
  );
  for (const part of [
    "agent",
    "id",
    "word",
    "wait",
    "since",
    "own",
    "all",
    "usd",
    "usdAll",
    "restarts",
    "tally",
  ])
    setText(parts[part], "");
  attr(
    element,
    "aria-label",
    isKnown ? `${row.more} more children, Enter reads them` : "more than can be shown",
  );
}

/// Since when it does what it does.
export function since(node) {
  if (!node.since || node.state === "archived") return "";
  return span(now() - node.since);
}

function attr(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
