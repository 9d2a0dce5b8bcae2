// Owns: how budgets are shown: of a session and of everybody above it, what of each limit is spent, what
// is held for calls that run, and what is left. It only shows; the ledger keeps them.

import { h } from "./dom.js";
import { money, plain, short, whole } from "./format.js";

const LIMITS = ["tokens", "nano_usd", "model_calls", "tool_calls"];
const worded = (name, value) => (name === "nano_usd" ? money(value) : short(value));
const exact = (name, value) => (name === "nano_usd" ? money(value) : `${whole(value)} ${plain(name)}`);

/// The limits that bind a session, the tightest of each account first: `{account, name, spent, reserved, limit}`.
export function bounds(accounts, chain) {
  const found = [];
  for (const id of chain) {
    const account = accounts.find((one) => one.session === id);
    if (!account) continue;
    for (const name of LIMITS) {
      const limit = account.limit[name];
      if (limit === undefined || limit === null) continue;
      found.push({ account: id, name, limit, spent: account.spent[name], reserved: account.reserved[name] });
    }
  }
  return found;
}

/// The one of which the largest share is gone, in a few words.
export function tightest(found) {
  const shares = found.map((one) => one.spent / Math.max(1, one.limit));
  if (shares.length === 0) return "";
  return `${Math.round(Math.max(...shares) * 100)}% of budget`;
}

/// One limit as a bar with its figures; `of` names whose it is where it is somebody else's.
export function bar(one, of) {
  const share = (value) => Math.max(0, Math.min(100, (value / Math.max(1, one.limit)) * 100));
  const spent = h("i", { class: "spent" });
  const held = h("i", { class: "held" });
  spent.style.width = `${share(one.spent)}%`;
  held.style.width = `${Math.min(share(one.reserved), 100 - share(one.spent))}%`;
  const reserved = one.reserved > 0 ? `, ${exact(one.name, one.reserved)} held for calls that run` : "";
  const words = `${exact(one.name, one.spent)} of ${exact(one.name, one.limit)} spent${reserved}`;
  const tone = share(one.spent) >= 100 ? "over" : share(one.spent) >= 80 ? "near" : "";
  return h(
    "span",
    { class: `purse ${tone}`, title: words },
    h("span", { class: "bar", role: "img", "aria-label": words }, spent, held),
    h(
      "span",
      {},
      `${worded(one.name, one.spent)} of ${worded(one.name, one.limit)}${one.name === "nano_usd" ? "" : ` ${plain(one.name)}`}`,
    ),
    of && h("span", { class: "quiet" }, `of ${of}`),
  );
}
