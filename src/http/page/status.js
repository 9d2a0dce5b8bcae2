// Owns: the header: what the house is doing in figures, whether the page hears of it, and what bounds
// it (places at vendors and in pools, a hold). It only shows; what a click does is given to it.

import { $, announce, fill, h, setIcon, setText } from "./dom.js";
import { full, money, now, plain, setServerNow, short, span, tokens, whole } from "./format.js";
import { halted, offered } from "./halt.js";
import { limits, setRights } from "./rights.js";

export class Status {
  constructor() {
    this.value = null;
    this.until = 0;
  }

  show(status) {
    this.value = status;
    setServerNow(status.now);
    setRights(status.scopes);
    const { sessions } = status;
    setText($("version"), status.version ?? "");
    $("version").title = status.started_at ? `started ${full(status.started_at)}` : "";
    figure("awake", whole(sessions.awake), ` / ${whole(sessions.total)}`);
    figure("running", whole(sessions.running));
    figure("waiting", whole(sessions.waiting));
    figure("quarantined", whole(sessions.quarantined));
    $("stat-quarantined").hidden = !sessions.quarantined;
    this.approvals(status.approvals_open ?? 0);
    const all = tokens(status.spent);
    figure("tokens", short(all));
    $("stat-tokens").title =
      `${whole(status.spent.input_tokens)} in, ${whole(status.spent.cache_read_tokens)} from cache, ${whole(status.spent.output_tokens)} out, in ${whole(status.spent.calls)} model calls`;
    figure("money", money(status.spent.cost_nano_usd));
    const open = status.spent.unsettled_cost_nano_usd_max;
    $("stat-money").title = open ? `and at most ${money(open)} of calls that broke off` : "spent at vendors";
    this.bounds(status);
    this.hold(status.held);
    halted(status.halted);
  }

  approvals(open) {
    this.open = open;
    figure("approvals", whole(open));
    $("stat-approvals").classList.toggle("asks", open > 0);
    document.title = open > 0 ? `(${open}) Greenroom` : "Greenroom";
  }

  /// What the token may, where that is not everything.
  rights() {
    const missing = limits();
    offered();
    $("rights").hidden = !missing;
    if (!missing) return;
    setText($("rights-word"), missing.word);
    $("rights").title = missing.text;
  }

  turns(perMinute) {
    figure(
      "turns",
      perMinute === null ? "–" : perMinute < 10 ? perMinute.toFixed(1) : short(Math.round(perMinute)),
    );
  }

  /// The states of the stream, in words that stay on the screen.
  connection(word, ms) {
    const words = { connecting: "connecting", live: "live", waiting: "reconnecting", closed: "disconnected" };
    const element = $("connection");
    if (element.dataset.state !== word && word !== "connecting") announce(words[word]);
    element.dataset.state = word;
    setIcon(element.querySelector("svg"), `link-${word}`);
    this.until = word === "waiting" ? Date.now() + ms : 0;
    this.word = words[word];
    this.tick();
  }

  tick() {
    const left = Math.ceil((this.until - Date.now()) / 1000);
    setText(
      $("connection-word"),
      this.until && left > 0 ? `${this.word} in ${left}s` : (this.word ?? "connecting"),
    );
    if (this.value?.held) setText($("held-since"), span(now() - this.value.held.since));
  }

  hold(held) {
    $("held").hidden = !held;
    if (held)
      setText(
        $("held-waiting"),
        held.waiting ? `${whole(held.waiting)} waiting behind it` : "nothing is waiting",
      );
  }

  /// Places at vendors and in tool pools; a thing without room is what everybody waits for.
  bounds(status) {
    const gates = (status.gates ?? []).map((gate) => ({
      name: gate.credential,
      trouble:
        gate.paused_until > now()
          ? `paused ${span(gate.paused_until - now())}`
          : gate.breaker && gate.breaker !== "closed"
            ? `breaker ${plain(gate.breaker)}`
            : "",
      ...gate,
    }));
    const pools = (status.pools ?? []).map((pool) => ({ name: pool.kind, trouble: "", ...pool }));
    const all = [...gates, ...pools];
    const box = $("bounds");
    box.hidden = all.length === 0;
    const text = JSON.stringify(all.map((one) => [one.name, one.places, one.taken, one.waiting, one.trouble]));
    if (box.dataset.text === text) return;
    box.dataset.text = text;
    fill($("bounds-list"), all.map(bound));
  }
}

function bound(one) {
  const share = one.places ? Math.min(1, one.taken / one.places) : 0;
  const bar = h("i", { class: "fillbar" });
  bar.style.width = `${share * 100}%`;
  const isFull = one.waiting > 0 || Boolean(one.trouble);
  return h(
    "li",
    {
      class: isFull ? "full" : "",
      title: `${one.name}: ${one.taken} of ${one.places} places taken, ${one.waiting ?? 0} waiting`,
    },
    h("span", { class: "ellipsis grow" }, one.name),
    one.trouble ? h("em", {}, one.trouble) : one.waiting > 0 && h("em", {}, `${short(one.waiting)} waiting`),
    !one.trouble && h("span", { class: "bar" }, bar),
    h("span", { class: "fig" }, `${one.taken}/${one.places}`),
  );
}

function figure(id, value, rest = "") {
  setText($(`stat-${id}`).querySelector("b"), value);
  const more = $(`stat-${id}`).querySelector(".rest");
  if (more) setText(more, rest);
}
