// Owns: the panel of one session: what it is, its conversation as it streams, and what can be done
// with it. Frames are read from the newest page backwards; the stream begins at the last one that was
// read, so that between the two nothing is missed and nothing is twice.

import { $, announce, button, coalesced, fill, h, icon, setIcon, setText } from "./dom.js";
import { session } from "./api.js";
import { Talk } from "./fold.js";
import { TalkView } from "./talk.js";
import { Marks } from "./marks.js";
import { bounds, tightest } from "./purse.js";
import { deeds, fork, goal } from "./deeds.js";
import { facts, summed } from "./facts.js";
import { follow } from "./stream.js";
import { fromLog } from "./question.js";
import { may, whyNot } from "./rights.js";
import { now, plain, shortId, span } from "./format.js";
import { standing } from "./forest.js";

const PAGE = 100;

export class Panel {
  constructor({ open, close, inbox, line, changed }) {
    this.hooks = { open, close, inbox, line, changed };
    this.id = null;
    this.view = new TalkView($("talk"), $("talk-list"), {
      open,
      approval: (item) => this.question(item),
      stateOf: (id) => this.childState(id),
      fork: (at) => this.act((known, below) => fork(known, below, at)),
      atEnd: (isAtEnd) => ($("talk-down").hidden = isAtEnd),
    });
    this.marks = new Marks({ fork: (at) => this.act((known, below) => fork(known, below, at)) });
    $("goal-edit").addEventListener("click", () => this.act(goal));
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
    this.accounts = null;
    $("panel").hidden = false;
    $("talk-earlier").hidden = true;
    $("talk-state").hidden = true;
    $("panel-facts").open = false;
    this.known = this.hooks.line(id) ?? { session: id, agent: "", state: "idle" };
    this.head();
    const asking = (this.asking = new AbortController());
    this.readLine();
    this.marks.open(id);
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
      this.marks.heard(data);
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
    const words = {
      waiting: "The stream broke off; coming back",
      closed: detail ? `No more is heard of it: ${detail.message}` : "This session is gone.",
    };
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
      this.readBudget(id);
    } catch (error) {
      if (this.id === id && error.status === 404) this.trouble("There is no such session.");
    }
  }

  /// What bounds it: the ledger opens its accounts with the first call of the tree.
  async readBudget(id) {
    try {
      const { accounts } = await session.budget(id);
      if (this.id !== id) return;
      this.accounts = accounts;
      this.facts();
    } catch {
      // The ledger may be busy; the next change asks again.
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
    fill(
      $("talk-list"),
      h(
        "div",
        { class: "empty", role: "alert" },
        icon("failed"),
        h("p", {}, text),
        again && button({ onclick: again }, null, "Try again"),
      ),
    );
  }

  /// What a child of it is doing, as far as its tree was read; it has not ended, for that is in the log.
  childState(id) {
    const state = this.hooks.line(id)?.state;
    return state === "waiting" || state === "quarantined" ? state : "running";
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
    $("panel-goal").hidden = !line.goal;
    setText($("goal-text"), line.goal?.objective ?? "");
    $("goal-text").title = line.goal?.objective ?? "";
    $("goal-edit").hidden = !may("act");
    this.path();
    this.actions();
    this.facts();
    this.tick();
  }

  tick() {
    const line = this.known;
    if (!this.id || !line) return;
    const isOver = line.state === "idle" || line.state === "archived";
    setText(
      $("panel-since"),
      line.since ? (isOver ? `${span(now() - line.since)} ago` : `for ${span(now() - line.since)}`) : "",
    );
    this.view.tick();
  }

  /// Who stands above it, the nearest first; the parent's id where its tree was not read.
  above() {
    const steps = [];
    for (let at = this.hooks.line(this.id)?.up; at; at = at.up) steps.push(at);
    const { parent } = this.known;
    if (!steps.length && parent) steps.push({ session: parent, agent: shortId(parent) });
    return steps;
  }

  /// The way from the root to here.
  path() {
    const steps = this.above().reverse();
    const text = steps.map((step) => step.session + (step.name ?? step.agent)).join();
    if (this.drawnPath === text) return;
    this.drawnPath = text;
    fill(
      $("panel-path"),
      steps.map((step) => [
        h(
          "button",
          { type: "button", class: "link", onclick: () => this.hooks.open(step.session) },
          step.name ?? step.agent,
        ),
        h("i", { "aria-hidden": "true" }, "›"),
      ]),
    );
    $("panel-path").hidden = steps.length === 0;
  }

  actions() {
    const { state } = this.known;
    const text = `${this.id} ${state} ${may("act")} ${may("admin")}`;
    if (this.drawnActions === text) return;
    this.drawnActions = text;
    const missing = !may("act") ? "act" : state === "quarantined" && !may("admin") ? "admin" : null;
    const act = ([name, iconName, word, tone, run]) =>
      button({ class: tone, "data-action": name, onclick: () => this.act(run) }, iconName, word);
    fill(
      $("panel-actions"),
      deeds(state).map(act),
      missing && h("p", { class: "why" }, icon("lock"), whyNot(missing)),
    );
    $("composer").hidden = state === "archived" || !may("act");
  }

  /// Does one of the deeds; what it did is said and read again.
  async act(run) {
    const below = (this.hooks.line(this.id)?.tally?.all ?? 1) - 1;
    const done = await run(this.known, below);
    if (!done) return;
    this.did(done.did);
    if (done.open) this.hooks.open(done.open);
  }

  facts() {
    const line = this.known;
    const chain = [line.session, ...this.above().map((one) => one.session)];
    const found = bounds(this.accounts ?? [], chain);
    const named = (id) =>
      id === line.session ? "" : (this.hooks.line(id)?.name ?? this.hooks.line(id)?.agent ?? shortId(id));
    setText($("panel-sum"), summed(line, tightest(found)));
    fill(
      $("panel-facts-list"),
      facts(line, this.talk?.rendered?.agent, found, named).map(([name, value]) => [
        h("dt", {}, name),
        h("dd", {}, value),
      ]),
    );
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

  /// Draws everything anew, for a token that may other things.
  renew() {
    if (!this.id) return;
    this.view.clear();
    this.head();
    this.marks.draw();
    this.redraw();
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
    this.marks.close();
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
