// Owns: the page as a whole: it starts the parts, joins them, and hears of changes. What has changed
// is only noted here; it is read again when it is on the screen, a few requests at a time.

import { $, announce, coalesced, setIcon, setText } from "./dom.js";
import { askToken, enter, follows, wanted } from "./entry.js";
import { get, onRefused } from "./api.js";
import { Charts } from "./charts.js";
import { Forest, PAGE } from "./forest.js";
import { Groups } from "./groups.js";
import { Inbox } from "./approvals.js";
import { JobPanel } from "./job.js";
import { Jobs } from "./jobs.js";
import { Panel } from "./panel.js";
import { Rows } from "./rows.js";
import { Status } from "./status.js";
import { divider } from "./divider.js";
import { follow } from "./stream.js";
import { help, start } from "./dialogs.js";
import { keys } from "./keys.js";
import { letGo, pull } from "./halt.js";
import { may, onRights } from "./rights.js";
import { now, span, whole } from "./format.js";

const SEARCH_MS = 200;
const GROUPS_MS = 4000;
const FILTER_MS = 4000;
const REFRESH_MS = 400;
const REST_MS = 60000;

const status = new Status();
const charts = new Charts();
const forest = new Forest(coalesced(drawTree));
const rows = new Rows({
  opened: (id) => openSession(id),
  folded: (node, isOpen, all) => forest.fold(node, isOpen, all),
  completed: (node) => forest.complete(node.session).catch((error) => announce(error.message)),
  ended: () => forest.next && !forest.error && forest.more(),
});
const inbox = new Inbox({ open: (id) => openSession(id), changed: countApprovals });
const panel = new Panel({
  open: (id) => openSession(id),
  close: closeSide,
  inbox,
  line: (id) => forest.byId.get(id),
  changed: (line) =>
    noteChanged([{ session: line.session, root: line.root ?? line.session, position: Infinity }]),
});
const groups = new Groups({ chosen: (agent) => (filterBy({ agent }), showView("tree")) });

const jobs = new Jobs({ open: (id) => openJob(id) });
const jobPanel = new JobPanel({
  open: (id) => openSession(id),
  openJob: (id) => openJob(id),
  changed: () => jobs.again(),
});

let view = "tree";
let changes = null;

// ---- beginning ------------------------------------------------------------------------------------

function refused() {
  changes?.close();
  changes = null;
  askToken(begin);
}

async function begin() {
  const id = wanted();
  listen();
  await Promise.all([forest.reload(), load("/v1/status", showStatus)]);
  if (id) openSession(id);
  load("/v1/history", (history) => {
    charts.load(history);
    if (status.value) charts.push(status.value);
    status.turns(charts.turnsPerMinute());
  });
  load("/v1/agents", ({ items }) => agentsIn(items.map((agent) => agent.name)));
}

/// What is not there does not keep the rest from being shown.
async function load(path, use) {
  try {
    use(await get(path));
  } catch (error) {
    if (error.status !== 401) console.warn(path, error.message);
  }
}

// ---- what comes -----------------------------------------------------------------------------------

function listen() {
  changes?.close();
  let wasBroken = false;
  changes = follow("/v1/changes", {
    on(event, data) {
      if (event === "status") showStatus(data);
      else if (event === "changed") {
        noteDeleted(data.deleted);
        data.more ? changedAll() : noteChanged(data.sessions);
      }
    },
    state(word, detail) {
      status.connection(word, word === "waiting" ? detail : 0);
      $("app").dataset.connection = word;
      if (word === "waiting") wasBroken = true;
      // Changes have no ids: what was missed meanwhile is found by reading what is shown again.
      if (word === "live" && wasBroken) {
        wasBroken = false;
        resync();
      }
    },
  });
}

// A page that nobody looks at gives its streams back: a browser has six connections a host, and
// somebody with ten tabs would have none left. The title still says how many questions wait.
let resting = 0;

function watched() {
  clearTimeout(resting);
  if (!document.hidden) {
    if (resting === null) {
      listen();
      resync();
      panel.resume();
    }
    resting = 0;
    return;
  }
  resting = setTimeout(rest, REST_MS);
}

function rest() {
  if (!document.hidden || !changes) return;
  changes.close();
  panel.pause();
  resting = null;
  const look = async () => {
    if (resting !== null) return;
    await load("/v1/status", (value) => status.show(value));
    setTimeout(look, REST_MS);
  };
  setTimeout(look, REST_MS);
}

function resync() {
  forest.loaded ? changedAll() : forest.reload();
  inbox.load();
  load("/v1/history", (history) => charts.load(history));
  if (panel.id) panel.readLine();
}

function showStatus(value) {
  const before = status.open;
  status.show(value);
  charts.push(value);
  status.turns(charts.turnsPerMinute());
  jobs.heard(value.jobs);
  if (value.approvals_open > (before ?? Infinity)) announce(`${value.approvals_open} questions wait for you`);
  if (value.approvals_open !== before || (value.approvals_open > 0 && !inbox.loaded && !inbox.loading))
    inbox.load();
  setText($("matched"), matchedText());
}

function noteChanged(sessions) {
  // What a filter is about may have come up in a tree that is not here.
  if (forest.note(sessions) && forest.isFiltered && !forest.loading)
    filterDue ||= setTimeout(refilter, FILTER_MS);
  if (sessions.some((one) => one.session === panel.id)) panel.reread();
  touched();
}

// The conversation of one that was deleted ends by itself: its stream says so.
function noteDeleted(roots) {
  if (!roots.length) return;
  roots.forEach((root) => forest.lose(root));
  drawTree();
}

function changedAll() {
  forest.noteAll();
  if (panel.id) panel.reread();
  touched();
}

let filterDue = 0;

function refilter() {
  filterDue = 0;
  // Whoever has read on to further pages is not thrown back to the first.
  if (forest.isFiltered && forest.roots.length <= PAGE) forest.reload();
}

let refreshing = 0;
let groupsDue = 0;

/// Reads again what is stale and in sight, at most every so often.
function touched() {
  if (view === "groups") groupsDue ||= setTimeout(() => ((groupsDue = 0), groups.load()), GROUPS_MS);
  refreshing ||= setTimeout(async () => {
    const isMore = await forest.refresh(rows.shownRoots());
    refreshing = 0;
    if (isMore) touched();
  }, REFRESH_MS);
}

// ---- what is shown --------------------------------------------------------------------------------

function drawTree() {
  const list = forest.rows();
  rows.show(list);
  panel.update();
  setText($("matched"), matchedText());
  const isEmpty = forest.loaded && list.length === 0;
  $("tree-empty").hidden = !isEmpty || forest.isFiltered || Boolean(forest.error);
  $("tree-none").hidden = !isEmpty || !forest.isFiltered || Boolean(forest.error);
  $("tree-error").hidden = !forest.error;
  if (forest.error) setText($("tree-error-text"), `The tree cannot be read: ${forest.error.message}`);
  if (forest.stale.size > 0) touched();
  $("tree").setAttribute("aria-busy", String(forest.loading));
  $("loading").hidden = !(forest.loading && !forest.loaded);
}

function matchedText() {
  if (!forest.loaded) return "";
  const total = status.value?.sessions.total ?? forest.total;
  const here = forest.byId.size;
  if (forest.isFiltered) return `${whole(forest.matched)} of ${whole(forest.total || total)}`;
  return forest.next
    ? `${whole(here)} of ${whole(Math.max(total, here))} read`
    : `${whole(Math.max(total, here))} sessions`;
}

function countApprovals(by) {
  if (by) status.approvals(Math.max(0, (status.open ?? 0) + by));
}

function agentsIn(names) {
  const select = $("filter-agent");
  const known = new Set([...select.options].map((option) => option.value));
  for (const name of names) if (!known.has(name)) select.append(new Option(name, name));
}

function filterBy(change) {
  Object.assign(forest.filter, change);
  const { agent, state } = forest.filter;
  if (agent) agentsIn([agent]);
  $("filter-agent").value = agent;
  for (const chip of document.querySelectorAll("[data-filter]"))
    chip.setAttribute("aria-pressed", String(chip.dataset.filter === state));
  forest.reload();
  $("tree").scrollTop = 0;
}

/// A state that is chosen already is let go.
function turnFilter(state) {
  showView("tree");
  filterBy({ state: state === forest.filter.state ? "" : state });
}

function showView(name) {
  view = name;
  document.body.dataset.view = name;
  for (const tab of document.querySelectorAll("[data-view-tab]"))
    tab.setAttribute("aria-selected", String(tab.dataset.viewTab === name));
  $("tree").hidden = name !== "tree";
  $("groups").hidden = name !== "groups";
  $("jobs").hidden = name !== "jobs";
  $("search").value = name === "jobs" ? jobs.text : forest.filter.q;
  $("search").placeholder = name === "jobs" ? "Name, queue, agent, id" : "Agent, name, id, what it waits on";
  if (name === "groups") groups.load();
  else if (name === "jobs") jobs.show();
  else rows.measure();
}

// ---- the side -------------------------------------------------------------------------------------

let cameFrom = null;

/// One thing stands at the side at a time.
function takeSide(name) {
  if (name !== "panel" && panel.id) panel.close();
  if (name !== "job") jobPanel.close();
  $("inbox").hidden = name !== "inbox";
  $("stat-approvals").setAttribute("aria-expanded", String(name === "inbox"));
  if (!document.body.dataset.side) cameFrom = document.activeElement;
  document.body.dataset.side = name;
}

function openSession(id) {
  takeSide("panel");
  jobs.select(null);
  forest.reveal(id);
  panel.open(id);
  rows.select(id);
  forest.changed();
  history.replaceState(null, "", `#session=${id}`);
}

function openInbox() {
  takeSide("inbox");
  rows.select(null);
  inbox.load().then(() => inbox.focus());
}

function openJob(id) {
  takeSide("job");
  rows.select(null);
  jobs.select(id);
  jobPanel.open(id, jobs.all.get(id));
}

function closeSide() {
  panel.close();
  jobPanel.close();
  jobs.select(null);
  $("inbox").hidden = true;
  $("stat-approvals").setAttribute("aria-expanded", "false");
  delete document.body.dataset.side;
  rows.select(null);
  history.replaceState(null, "", location.pathname + location.search);
  (cameFrom?.isConnected && cameFrom !== document.body ? cameFrom : $("tree")).focus({ preventScroll: true });
  cameFrom = null;
}

// ---- hands ----------------------------------------------------------------------------------------

function startSession() {
  start(({ line, text, error }) => {
    forest.note([{ session: line.session, root: line.session, position: 1 }]);
    touched();
    openSession(line.session);
    if (error) panel.offer(text, `The session is there, but the message was not taken: ${error.message}`);
  });
}

function turnTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("greenroom.theme", root.dataset.theme);
  } catch {
    // It holds until the page is left.
  }
}

function turnCharts() {
  const strip = $("strip");
  strip.hidden = !strip.hidden;
  $("charts-toggle").setAttribute("aria-expanded", String(!strip.hidden));
  charts.draw();
  rows.measure();
}

function wire() {
  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    const q = $("search").value.trim();
    typing = setTimeout(() => (view === "jobs" ? jobs.filter({ text: q }) : filterBy({ q })), SEARCH_MS);
  });
  $("filter-agent").addEventListener("change", () => filterBy({ agent: $("filter-agent").value }));
  for (const chip of document.querySelectorAll("[data-filter]"))
    chip.addEventListener("click", () => turnFilter(chip.dataset.filter));
  for (const chip of document.querySelectorAll("[data-jobs]"))
    chip.addEventListener("click", () => jobs.filter({ kind: chip.dataset.jobs }));
  for (const tab of document.querySelectorAll("[data-view-tab]"))
    tab.addEventListener("click", () => showView(tab.dataset.viewTab));
  const clicks = {
    "stat-approvals": () => ($("inbox").hidden ? openInbox() : closeSide()),
    "stat-running": () => turnFilter("running"),
    "stat-waiting": () => turnFilter("waiting"),
    "stat-quarantined": () => turnFilter("quarantined"),
    start: startSession,
    "start-first": startSession,
    theme: turnTheme,
    help: help,
    "charts-toggle": turnCharts,
    halt: pull,
    unhalt: letGo,
    "panel-close": closeSide,
    "job-close": closeSide,
    "inbox-close": closeSide,
    "tree-retry": () => forest.reload(),
    "tree-clear": clearFilter,
    "inbox-retry": () => inbox.load(),
    connection: () => changes?.wake(),
  };
  for (const [id, run] of Object.entries(clicks)) $(id).addEventListener("click", run);
  $("tree").addEventListener("scroll", () => forest.stale.size && touched(), { passive: true });
  divider(() => rows.measure());
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", watched);
  keys(HANDS);
}

function clearFilter() {
  $("search").value = "";
  filterBy({ q: "", agent: "", state: "" });
}

function tick() {
  if (document.hidden) return;
  rows.tick();
  status.tick();
  if (panel.id) panel.tick();
  if (jobPanel.id) jobPanel.tick();
  inbox.tick();
  for (const element of document.querySelectorAll("[data-ago]"))
    setText(element, span(now() - Number(element.dataset.ago)));
}

const VIEWS = ["tree", "groups", "jobs"];

const HANDS = {
  isReady: () => $("token").hidden,
  isInbox: (target) => !$("inbox").hidden && !target.closest?.("#tree"),
  step(by) {
    if (view === "jobs") jobs.step(by);
    else if (view === "tree") {
      $("tree").focus({ preventScroll: true });
      rows.step(by);
    }
  },
  page: (by) => rows.step(by * rows.page),
  edge: (isEnd) => rows.go(isEnd ? Infinity : 0),
  sideways(isRight, all) {
    if (all && rows.row?.isParent) forest.fold(rows.row.node, isRight, true);
    else rows.sideways(isRight);
  },
  enter: () => rows.enter(),
  question: (by) => inbox.step(by),
  answers: (card) => inbox.enter(card),
  search: () => ($("search").focus(), $("search").select()),
  approvals: () => ($("inbox").hidden ? openInbox() : inbox.focus()),
  start: () => may("act") && startSession(),
  write: () => panel.id && $("composer-text").focus(),
  turnView: () => showView(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]),
  charts: turnCharts,
  theme: turnTheme,
  help,
  filter: turnFilter,
  leave(target) {
    if (target.id === "search" || target.id === "composer-text") {
      if (target.id === "search" && target.value)
        view === "jobs" ? ((target.value = ""), jobs.filter({ text: "" })) : clearFilter();
      target.blur();
      $("tree").focus({ preventScroll: true });
    } else if (document.body.dataset.side) closeSide();
    else if (forest.isFiltered) clearFilter();
  },
};

setIcon($("connection").querySelector("svg"), "link-connecting");

/// What this token may is known, or another than before: what it may not is no longer offered.
onRights(() => {
  status.rights();
  for (const id of ["start", "start-first"]) $(id).hidden = !may("act");
  panel.renew();
  inbox.renew();
  if (jobPanel.known) jobPanel.head(jobPanel.known);
});
onRefused(refused);
wire();
follows(openSession);
enter(begin, refused);
