// Owns: which key does what. Where somebody types, only Escape is a key of the page.

const TYPED = "input, textarea, select, [contenteditable]";

/// Listens for keys and calls what `on` has for them.
export function keys(on) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]"))
      return;
    const { key, altKey, target } = event;
    if (key === "Escape") return on.leave(target);
    if (target.closest?.(TYPED) || !on.isReady()) return;
    const inTree =
      target === document.body || target.id === "tree" || !target.closest?.("button, a, summary, #talk");
    const isInbox = on.isInbox(target);
    if (isInbox && key === "Enter" && !target.matches(".card")) return;
    const action = isInbox ? INBOX[key] : inTree ? TREE[key] : null;
    const run = action ?? (altKey ? null : PAGE[key]);
    if (!run) return;
    event.preventDefault();
    run(on, altKey, target);
  });
}

const TREE = {
  j: (on) => on.step(1),
  ArrowDown: (on) => on.step(1),
  k: (on) => on.step(-1),
  ArrowUp: (on) => on.step(-1),
  l: (on, all) => on.sideways(true, all),
  ArrowRight: (on, all) => on.sideways(true, all),
  h: (on, all) => on.sideways(false, all),
  ArrowLeft: (on, all) => on.sideways(false, all),
  PageDown: (on) => on.page(1),
  PageUp: (on) => on.page(-1),
  Home: (on) => on.edge(false),
  End: (on) => on.edge(true),
  Enter: (on) => on.enter(),
};

const INBOX = {
  Enter: (on, all, target) => on.answers(target),
  j: (on) => on.question(1),
  k: (on) => on.question(-1),
  ArrowDown: (on) => on.question(1),
  ArrowUp: (on) => on.question(-1),
};

const PAGE = {
  j: (on) => on.step(1),
  k: (on) => on.step(-1),
  "/": (on) => on.search(),
  a: (on) => on.approvals(),
  n: (on) => on.start(),
  m: (on) => on.write(),
  g: (on) => on.turnView(),
  c: (on) => on.charts(),
  t: (on) => on.theme(),
  "?": (on) => on.help(),
  ...Object.fromEntries(
    ["", "running", "waiting", "quarantined", "idle", "archived"].map((state, at) => [
      String(at + 1),
      (on) => on.filter(state),
    ]),
  ),
};
