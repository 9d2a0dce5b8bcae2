// Owns: the panel of one session: what it is, its conversation as it streams, and what can be done
// with it. Frames are read from the newest page backwards; the stream begins at the last one that was
// read, so that between the two nothing is missed and nothing is twice.

import { $, announce, button, coalesced, copy, fill, h, icon, setIcon, setText } from "./dom.js";
import { session } from "./api.js";
import { counted, full, money, now, plain, shortId, span, tokens, whole } from "./format.js";
import { Talk } from "./fold.js";
import { TalkView } from "./talk.js";
import { ask, confirmed, field } from "./dialogs.js";
import { follow } from "./stream.js";
import { fromLog } from "./approvals.js";
import { standing } from "./forest.js";

const PAGE = 100;

export class Panel {
  constructor({ open, close, inbox, line, changed }) {
    this.hooks = { open, close, inbox, line, changed };
    this.id = null;
    this.view = new TalkView($("talk"), $("talk-list"), {
      open,
      approval: (item) => this.question(item),
      atEnd: (isAtEnd) => ($("talk-down").hidden = isAtEnd),
    });
    this.redraw = coalesced(() => this.talk && this.view.draw(this.talk));
    this.relive = coalesced(() => this.talk && this.view.drawLive(this.talk));
    // Frames may come by the dozen; the line that sums them up is read less often.
    this.reread = coalesced(() => this.readLine(), 500);
    $("talk-down").addEventListener("click", () => this.view.toEnd());
    $("talk-earlier").addEventListener("click", () => this.earlier());
    $("talk").addEventListener("scroll", () => $("talk").scrollTop < 80 && this.earlier(), { passive: true });
    $("composer").addEventListener("submit", (event) => this.send(event));
    $("composer-text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      $("composer").requestSubmit();
    });
    $("composer-text").addEventListener("input", () => this.grow());
  }

  /// Opens a session; what is known of it stands at once.
  async open(id) {
    if (this.id === id) return;
    this.leave();
    this.id = id;
    this.talk = new Talk();
    this.view.clear();
    this.spec = null;
    $("panel").hidden = false;
    $("talk-earlier").hidden = true;
    $("talk-state").hidden = true;
    $("panel-facts").open = false;
    this.known = this.hooks.line(id) ?? { session: id, agent: "", state: "idle" };
    this.head();
    const asking = (this.asking = new AbortController());
    this.readLine();
    try {
      const page = await session.frames(id, { last: PAGE }, asking.signal);
      if (this.id !== id) return;
      this.talk.addPage(page.items);
      this.hasEarlier = this.talk.first > 1;
      $("talk-earlier").hidden = !this.hasEarlier;
      this.view.draw(this.talk);
      this.view.toEnd();
      this.follow(id);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.trouble(`The conversation cannot be read: ${error.message}`, () => {
        this.id = null;
        this.open(id);
      });
    }
  }

  follow(id) {
    this.stream = follow(session.events(id), {
      lastId: this.talk.upTo,
      on: (event, data) => this.id === id && this.heard(event, data),
      state: (word, detail) => this.id === id && this.connection(word, detail),
      isLast: (end) => ["deleted", "gone"].includes(end.why),
    });
  }

  /// Gives the stream back while nobody looks, and takes it up where it was.
  pause() {
    this.stream?.close();
    this.stream = null;
  }

  resume() {
    if (this.id && !this.stream && this.talk?.isRead) this.follow(this.id);
  }

  heard(event, data) {
    const { talk } = this;
    if (event === "frame" && talk.add(data)) {
      this.redraw();
      this.reread();
    } else if (event === "delta") {
      talk.delta(data);
      this.relive();
    } else if (event === "progress" && talk.progress(data)) this.redraw();
    else if (event === "lagged") talk.lagged();
  }

  connection(word, detail) {
    const element = $("talk-state");
    element.hidden = word === "live" || word === "connecting";
    // What was said meanwhile is not said again before it is recorded.
    if (word === "waiting") this.talk.lagged();
    element.dataset.state = word;
    const words = { waiting: "The stream broke off; coming back", closed: detail ? `No more is heard of it: ${detail.message}` : "This session is gone." };
    setText(element, words[word] ?? "");
  }

  async earlier() {
    if (!this.hasEarlier || this.isReading) return;
    this.isReading = true;
    const { id } = this;
    const scroller = $("talk");
    try {
      const page = await session.frames(id, { before: this.talk.first, limit: PAGE });
      if (this.id !== id) return;
      const below = scroller.scrollHeight - scroller.scrollTop;
      this.hasEarlier = page.items.length > 0;
      this.talk.addPage(page.items);
      this.hasEarlier &&= this.talk.first > 1;
      this.view.draw(this.talk);
      // What the reader looks at stays where it is.
      scroller.scrollTop = scroller.scrollHeight - below;
      $("talk-earlier").hidden = !this.hasEarlier;
    } catch (error) {
      announce(error.message);
    } finally {
      this.isReading = false;
    }
  }

  async readLine() {
    const { id } = this;
    if (!id) return;
    try {
      const line = await session.read(id);
      if (this.id !== id) return;
      this.known = line;
      this.head();
    } catch (error) {
      if (this.id === id && error.status === 404) this.trouble("There is no such session.");
    }
  }

  /// A newer line came with the tree.
  update() {
    const line = this.id && this.hooks.line(this.id);
    if (!line || !(line.position >= (this.known.position ?? 0))) return;
    this.known = { ...this.known, ...line };
    this.head();
  }

  trouble(text, again) {
    fill($("talk-list"), h("div", { class: "empty", role: "alert" }, icon("failed"), h("p", {}, text), again && button({ onclick: again }, null, "Try again")));
  }

  question(item) {
    const { inbox } = this.hooks;
    return inbox.card(inbox.find(`${this.id}/a${item.no}`) ?? fromLog(this.id, this.known.agent, item), true);
  }

  // ---- what it is ---------------------------------------------------------------------------------

  head() {
    const line = this.known;
    const word = standing(line);
    $("panel").dataset.session = line.session;
    $("panel").dataset.state = word;
    setText($("panel-title"), line.name || line.agent || "session");
    setText($("panel-agent"), line.name ? line.agent : "");
    setIcon($("panel-mark"), word);
    setText($("panel-word"), plain(word));
    setText($("panel-wait"), line.waiting_on ? `waits for ${line.waiting_on}` : "");
    this.path();
    this.actions();
    this.facts();
    this.tick();
  }

  tick() {
    const line = this.known;
    if (!this.id || !line) return;
    const isOver = line.state === "idle" || line.state === "archived";
    setText($("panel-since"), line.since ? (isOver ? `${span(now() - line.since)} ago` : `for ${span(now() - line.since)}`) : "");
    this.view.tick();
  }

  /// The way from the root to here.
  path() {
    const steps = [];
    for (let at = this.hooks.line(this.id)?.up; at; at = at.up) steps.unshift(at);
    if (!steps.length && this.known.parent) steps.push({ session: this.known.parent, agent: shortId(this.known.parent) });
    const text = steps.map((step) => step.session + (step.name ?? step.agent)).join();
    if (this.drawnPath === text) return;
    this.drawnPath = text;
    fill($("panel-path"), steps.map((step) => [h("button", { type: "button", class: "link", onclick: () => this.hooks.open(step.session) }, step.name ?? step.agent), h("i", { "aria-hidden": "true" }, "›")]));
    $("panel-path").hidden = steps.length === 0;
  }

  actions() {
    const { state } = this.known;
    const isArchived = state === "archived";
    const text = `${this.id} ${state}`;
    if (this.drawnActions === text) return;
    this.drawnActions = text;
    const act = (name, iconName, word, run, tone = "") => button({ class: tone, "data-action": name, onclick: () => run.call(this) }, iconName, word);
    const busy = state === "running" || state === "waiting";
    fill(
      $("panel-actions"),
      state === "quarantined" && act("release", "check", "Release", () => this.release(false), "primary"),
      state === "quarantined" && act("release-skip", "skip", "Release, skip the step", () => this.release(true)),
      (busy || state === "quarantined") && act("cancel", "cancelled", "Cancel", this.cancel, "danger"),
      act("fork", "fork", "Fork", this.fork, "ghost"),
      act("rename", "edit", "Rename", this.rename, "ghost"),
      act(isArchived ? "unarchive" : "archive", "archived", isArchived ? "Unarchive" : "Archive", this.archive, "ghost"),
    );
    $("composer").hidden = isArchived;
  }

  facts() {
    const line = this.known;
    const spec = line.agent_spec ?? {};
    const agent = this.talk?.rendered?.agent;
    const own = line.own ?? {};
    const tools = spec.tools ?? Object.keys(agent?.tools ?? {});
    const rows = [
      ["goal", line.goal && (typeof line.goal === "string" ? line.goal : line.goal.objective)],
      ["model", [spec.model ?? agent?.model, spec.provider ?? agent?.provider].filter(Boolean).join(" at ")],
      ["budget", budgetText(line.budget ?? spec.budget ?? agent?.budget)],
      ["tools", tools.length && h("span", { class: "chips" }, tools.map((tool) => h("code", {}, tool.name ?? tool)))],
      ["spent", line.own && `${whole(tokens(own))} tokens, ${money(own.cost_nano_usd)} in ${counted(own.calls ?? 0, "call")}`],
      ["of these", line.own && `${whole(own.input_tokens)} in, ${whole(own.cache_read_tokens)} from cache, ${whole(own.cache_write_tokens)} to cache, ${whole(own.output_tokens)} out`],
      ["subtree", line.subtree && line.children > 0 && `${whole(tokens(line.subtree))} tokens, ${money(line.subtree.cost_nano_usd)}, ${counted(line.children, "child", "children")}`],
      ["unsettled", own.unsettled_calls > 0 && `${counted(own.unsettled_calls, "call")} broke off: at most ${whole(own.unsettled_tokens_max)} tokens, ${money(own.unsettled_cost_nano_usd_max)}`],
      ["restarts", line.restarts > 0 && String(line.restarts)],
      ["inbox", line.inbox > 0 && counted(line.inbox, "message")],
      ["tenant", line.tenant],
      ["opened", line.created_at && full(line.created_at)],
      ["changed", line.updated_at && `${full(line.updated_at)}, frame ${line.position}`],
      ["session", idOf(line.session)],
      ["root", line.root && line.root !== line.session && idOf(line.root)],
    ];
    setText($("panel-sum"), line.subtree ? `${whole(tokens(line.subtree))} tokens  ·  ${money(line.subtree.cost_nano_usd)}${line.restarts ? `  ·  ${counted(line.restarts, "restart")}` : ""}` : "");
    fill($("panel-facts-list"), rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  // ---- what can be done ---------------------------------------------------------------------------

  async send(event) {
    event.preventDefault();
    const input = $("composer-text");
    const text = input.value.trim();
    if (!text || this.isSending) return;
    this.isSending = true;
    $("composer-fault").textContent = "";
    try {
      const mode = $("composer-mode").value;
      await session.message(this.id, mode ? { text, mode } : { text });
      input.value = "";
      this.grow();
      this.view.isAtEnd = true;
      this.view.toEnd();
    } catch (error) {
      $("composer-fault").textContent = `Not sent: ${error.message}`;
    } finally {
      this.isSending = false;
    }
  }

  grow() {
    const input = $("composer-text");
    input.style.height = "auto";
    input.style.height = `${Math.min(180, input.scrollHeight)}px`;
  }

  /// Puts a text that could not be sent where it can be sent again.
  offer(text, fault) {
    $("composer-text").value = text;
    $("composer-fault").textContent = fault;
    this.grow();
  }

  async cancel() {
    const line = this.known;
    const below = (this.hooks.line(this.id)?.tally?.all ?? 1) - 1;
    const done = await ask({
      id: "cancel",
      title: `Cancel ${line.name ?? line.agent}?`,
      text: `Its turn, what is queued${below > 0 ? ` and the work of ${counted(below, "session")} below it` : ""} end. What a tool has done already stays done.`,
      submit: "Cancel the work",
      danger: true,
      fields: [field("Reason", h("input", { name: "reason", autocomplete: "off", "data-field": "reason" }), "for the log")],
      act: ({ reason }) => session.cancel(line.session, reason.trim()),
    });
    if (done) this.did("cancel asked");
  }

  async release(skip) {
    const line = this.known;
    const done = await confirmed({
      id: "release",
      title: skip ? "Release, and skip the step that failed?" : "Release it?",
      text: skip ? "The step that it failed at is closed as it stands; the work goes on after it." : "It tries the step that it failed at again. It comes back here if that fails as before.",
      submit: skip ? "Release and skip" : "Release",
      act: () => session.release(line.session, skip),
    });
    if (done) this.did("released");
  }

  async fork() {
    const line = this.known;
    const done = await ask({
      id: "fork",
      title: "Fork this session",
      text: "Another session with the same conversation up to a frame.",
      submit: "Fork",
      fields: [field("At frame", h("input", { name: "at", type: "number", min: 1, max: line.position, "data-field": "at", placeholder: `${line.position ?? "the last"}` }), "the last, if empty")],
      act: ({ at }) => session.fork(line.session, at ? Number(at) : undefined),
    });
    if (!done) return;
    this.did("forked");
    if (done.outcome?.session) this.hooks.open(done.outcome.session);
  }

  async rename() {
    const line = this.known;
    const input = h("input", { name: "name", value: line.name ?? "", required: true, autofocus: true, autocomplete: "off", "data-field": "name" });
    const done = await ask({ id: "rename", title: "Rename", submit: "Rename", fields: [field("Name", input)], act: ({ name }) => session.rename(line.session, name.trim()) });
    if (done) this.did("renamed");
  }

  async archive() {
    const line = this.known;
    const isArchived = line.state === "archived";
    const done = await confirmed({
      id: "archive",
      title: isArchived ? "Take it out of the archive?" : "Archive it?",
      text: isArchived ? "It stands among the others again." : "It is put away: nothing is deleted, and it can be taken out again.",
      submit: isArchived ? "Unarchive" : "Archive",
      act: () => session.archive(line.session, !isArchived),
    });
    if (done) this.did(isArchived ? "taken out" : "archived");
  }

  did(what) {
    announce(what);
    this.readLine();
    this.hooks.changed(this.known);
  }

  leave() {
    this.stream?.close();
    this.asking?.abort();
    this.stream = null;
    this.id = null;
    this.talk = null;
    this.drawnPath = this.drawnActions = null;
    $("composer-text").value = "";
    $("composer-fault").textContent = "";
    this.grow();
  }

  close() {
    this.leave();
    $("panel").hidden = true;
    this.view.clear();
  }
}

const idOf = (id) => [h("code", { class: "ellipsis" }, id), copy(id, "id")];

function budgetText(budget) {
  if (!budget) return "";
  const words = {
    tokens: (n) => `${whole(n)} tokens`,
    nano_usd: (n) => money(n),
    model_calls: (n) => counted(n, "model call"),
    tool_calls: (n) => counted(n, "tool call"),
    agents: (n) => counted(n, "agent"),
  };
  return Object.entries(budget)
    .filter(([name, value]) => words[name] && value !== null)
    .map(([name, value]) => words[name](value))
    .join(", ");
}
