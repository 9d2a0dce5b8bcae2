// Owns: what the token that is held may be used for, as the server tells it, and the words for what it
// may not. What would be refused is not offered; the server decides all the same.

const NEEDED = {
  act: "open sessions, write to them or give orders",
  approve: "answer questions",
  admin: "release what was quarantined",
};

let held = null;
let changed = () => {};

/// Whom to call when it turns out that a token may other things than the one before.
export const onRights = (action) => {
  changed = action;
};

/// What the server says of the token. One that says nothing is asked, and refuses what it must.
export function setRights(scopes) {
  const known = Array.isArray(scopes) ? scopes : null;
  if (known?.join() === held?.join()) return;
  held = known;
  changed();
}

/// Whether to offer what needs this scope.
export const may = (scope) => held === null || held.includes(scope);

/// Why something is not offered.
export const whyNot = (scope) => `This token may not ${NEEDED[scope]}: it lacks the scope “${scope}”.`;

/// What the token may in two words, and in a sentence; nothing of one that may everything.
export function limits() {
  const missing = Object.keys(NEEDED).filter((scope) => !may(scope));
  if (missing.length === 0) return null;
  const word = missing.length === Object.keys(NEEDED).length ? "look only" : `no ${missing.join(", no ")}`;
  return { word, text: missing.map(whyNot).join(" ") };
}
