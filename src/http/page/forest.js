// Owns: the trees that have been read, and which of their rows are to be seen. It asks for pages of
// roots, joins what has changed and folds the trees to a flat list of rows; how a row looks is none
// of its business. No DOM here.

import { get, session } from "./api.js";

export const STATES = ["running", "waiting", "quarantined", "idle", "archived"];
// So many sessions are shown unfolded at once; above it a root is one row until somebody opens it.
const UNFOLDED_MAX = 150;
export const PAGE = 100;
// The first page is what a screen holds and a little more: with a hundred large trees on it, rows would
// stand half a second later.
const FIRST = 40;
// Requests of this page at once: two streams are open, and a browser has six connections a host.
const AT_ONCE = 3;
// A tree that was read rests so long for each of its sessions: 2,000 of them for five seconds.
const REST_MS = 2.5;
// A root without a row that has no more frames than this was opened a moment ago; any other is one of
// a page that nobody has read.
const YOUNG = 12;

/// What a session is in one word: how its last turn ended, where it has nothing in hand.
export function standing(line) {
  if (line.state === "idle" && line.outcome) {
    return typeof line.outcome === "string" ? line.outcome : (line.outcome.kind ?? "idle");
  }
  return line.state;
}

export class Forest {
  constructor(changed) {
    this.changed = changed;
    this.roots = [];
    this.byId = new Map();
    this.open = new Map();
    this.stale = new Set();
    this.busy = new Set();
    this.readAt = new Map();
    this.filter = { q: "", agent: "", state: "" };
    this.next = null;
    this.matched = 0;
    this.total = 0;
    this.loading = false;
    this.loaded = false;
    this.error = null;
    this.asking = null;
  }

  get isFiltered() {
    return Boolean(this.filter.q || this.filter.agent || this.filter.state);
  }

  query(after) {
    const { q, agent, state } = this.filter;
    const archived = state === "archived" ? "true" : undefined;
    return { limit: after ? PAGE : FIRST, after, q, agent, state, archived };
  }

  /// Reads the first page again. What is on the screen stays until the answer is here.
  async reload() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.loading = true;
    this.changed();
    try {
      const page = await get("/v1/tree", this.query(), asking.signal);
      this.byId.clear();
      this.stale.clear();
      this.roots = [];
      this.take(page);
      this.isSmall = this.byId.size <= UNFOLDED_MAX;
      this.error = null;
      this.loaded = true;
    } catch (error) {
      if (asking.signal.aborted) return;
      this.error = error;
    }
    this.loading = false;
    this.changed();
  }

  /// Reads the next page of roots, if there is one.
  async more() {
    if (this.loading || !this.next) return;
    const asking = (this.asking = new AbortController());
    this.loading = true;
    this.changed();
    try {
      this.take(await get("/v1/tree", this.query(this.next), asking.signal));
      this.error = null;
    } catch (error) {
      if (asking.signal.aborted) return;
      this.error = error;
    }
    this.loading = false;
    this.changed();
  }

  take(page) {
    for (const node of page.items) {
      // A page has room for so many sessions. Of one that was cut each tree is read by itself, when it is seen.
      if (node.cut) this.stale.add(node.session);
      // A root that came in meanwhile moves the pages: one that is here already is not a second one.
      if (this.byId.has(node.session)) this.replace(node);
      else this.roots.push(this.adopt(node, null));
    }
    this.next = page.next ?? null;
    this.matched = page.matched ?? this.matched;
    this.total = page.total ?? this.total;
  }

  adopt(node, parent) {
    node.up = parent;
    node.nodes ??= [];
    for (const child of node.nodes) this.adopt(child, node);
    this.count(node);
    this.byId.set(node.session, node);
    return node;
  }

  drop(node) {
    node.nodes.forEach((child) => this.drop(child));
    this.byId.delete(node.session);
  }

  /// Puts a subtree that was read again in the place of the old one.
  replace(node) {
    const old = this.byId.get(node.session);
    if (!old) return;
    const parent = old.up;
    const siblings = parent ? parent.nodes : this.roots;
    const at = siblings.indexOf(old);
    this.drop(old);
    siblings[at] = this.adopt(node, parent);
    for (let above = parent; above; above = above.up) this.count(above);
  }

  count(node) {
    const tally = { all: 1, running: 0, waiting: 0, quarantined: 0, idle: 0, archived: 0 };
    tally[node.state] = (tally[node.state] ?? 0) + 1;
    for (const child of node.nodes)
      for (const key in child.tally) tally[key] = (tally[key] ?? 0) + child.tally[key];
    node.tally = tally;
  }

  /// Something changed in these sessions. Roots that are here become stale, and are read again when
  /// they are on the screen; a root that has just begun joins a list without a filter. Whether there
  /// were others, which a filter may have to be asked about again.
  note(sessions) {
    let isElsewhere = false;
    for (const { root, position } of sessions) {
      const isYoung = position <= YOUNG || !this.next;
      if (this.byId.has(root) || (isYoung && !this.isFiltered)) this.stale.add(root);
      else isElsewhere = true;
    }
    return isElsewhere;
  }

  /// Everything may have changed.
  noteAll() {
    for (const root of this.roots) this.stale.add(root.session);
  }

  /// Reads again what is stale and among `shown` roots, or not here at all: a few at a time, and a
  /// large tree less often than a small one. Whether something of that is left to be read.
  async refresh(shown) {
    const wanted = [...this.stale].filter((id) => !this.busy.has(id) && (shown.has(id) || !this.byId.has(id)));
    const rested = wanted.filter((id) => {
      const node = this.byId.get(id);
      return !node || Date.now() - (this.readAt.get(id) ?? 0) > node.tally.all * REST_MS;
    });
    await Promise.all(rested.slice(0, AT_ONCE - this.busy.size).map((id) => this.reread(id)));
    return wanted.length > 0;
  }

  async reread(id) {
    this.busy.add(id);
    this.stale.delete(id);
    try {
      const node = await session.tree(id);
      // One that is too large even by itself says so.
      node.isCut = node.cut;
      const isAway = node.state === "archived" && this.filter.state !== "archived";
      if (this.byId.has(id)) isAway ? this.forget(id) : this.replace(node);
      else if (!this.isFiltered && !isAway) {
        this.roots.unshift(this.adopt(node, null));
        this.total += node.tally.all;
        this.matched += node.tally.all;
      }
    } catch (error) {
      if (error.status === 404 && this.byId.has(id)) this.forget(id);
    } finally {
      this.readAt.set(id, Date.now());
      this.busy.delete(id);
    }
    this.changed();
  }

  forget(id) {
    const node = this.byId.get(id);
    const siblings = node.up ? node.up.nodes : this.roots;
    siblings.splice(siblings.indexOf(node), 1);
    this.drop(node);
    for (let above = node.up; above; above = above.up) this.count(above);
  }

  /// A tree was deleted, whether it is here or not.
  lose(root) {
    this.stale.delete(root);
    if (this.byId.has(root)) this.forget(root);
  }

  /// Reads the children that a page had no room for.
  async complete(id) {
    const node = await session.tree(id);
    this.replace(node);
    this.changed();
  }

  isOpen(node, depth) {
    const said = this.open.get(node.session);
    if (said !== undefined) return said;
    if (this.isFiltered) return true;
    return depth > 0 || this.isSmall;
  }

  /// Folds or unfolds; `all` with everything below.
  fold(node, isOpen, all = false) {
    this.open.set(node.session, isOpen);
    if (all) node.nodes.forEach((child) => this.fold(child, isOpen, true));
    this.changed();
  }

  /// Opens every row above a session, so that it can be seen.
  reveal(id) {
    for (let node = this.byId.get(id)?.up; node; node = node.up) this.open.set(node.session, true);
  }

  matches(node) {
    const { q, agent, state } = this.filter;
    if (agent && node.agent !== agent) return false;
    if (state && node.state !== state) return false;
    if (!q) return true;
    const wanted = q.toLowerCase();
    const has = (text) => text?.toLowerCase().includes(wanted);
    // People read the end of an id on the screen, and the beginning in a log.
    return has(node.agent) || has(node.name) || has(node.waiting_on) || node.session.includes(wanted);
  }

  /// The rows to be seen, in order: `{node, depth, guides, isLast, isParent, isOpen, isHit}`.
  /// `guides` says for each level above whether its line goes on.
  rows() {
    const rows = [];
    const filtered = this.isFiltered;
    const walk = (node, depth, guides, isLast, place, size) => {
      const children = filtered ? node.nodes.filter((child) => child.hits > 0) : node.nodes;
      const rest = node.more > 0 || Boolean(node.isCut);
      const isParent = children.length > 0 || rest;
      const isOpen = isParent && this.isOpen(node, depth);
      const isHit = !filtered || node.isHit;
      rows.push({ node, depth, guides, isLast, isParent, isOpen, isHit, place, size });
      if (!isOpen) return;
      const below = depth > 0 ? [...guides, !isLast] : guides;
      const count = children.length + (rest ? 1 : 0);
      children.forEach((child, at) => walk(child, depth + 1, below, at + 1 === count, at + 1, count));
      if (rest) {
        rows.push({
          node,
          more: node.more ?? Infinity,
          depth: depth + 1,
          guides: below,
          isLast: true,
          isHit: false,
          place: count,
          size: count,
        });
      }
    };
    const hits = (node) => {
      node.isHit = this.matches(node);
      node.hits = node.nodes.reduce((sum, child) => sum + hits(child), node.isHit ? 1 : 0);
      return node.hits;
    };
    const roots = filtered ? this.roots.filter((root) => hits(root) > 0) : this.roots;
    const size = roots.length;
    roots.forEach((root, at) => walk(root, 0, [], at + 1 === size, at + 1, size));
    return rows;
  }
}
