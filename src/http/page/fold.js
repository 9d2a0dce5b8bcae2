// Owns: how the frames of a log become a conversation: what belongs together (a question and its
// answer, a call and its outcome, a child and its report) becomes one item, in the order in which it
// began. Frames may come in any order and twice; each counts once. No DOM and no network here.

import { plain, span } from "./format.js";

export class Talk {
  constructor() {
    this.frames = new Map();
    this.revs = 0;
    this.clear();
  }

  clear() {
    this.items = [];
    this.byId = new Map();
    this.turn = null;
    this.live = new Map();
    this.spent = { tokens: 0, cost: 0 };
    this.upTo = 0;
  }

  get first() {
    return this.frames.size ? Math.min(...this.frames.keys()) : 0;
  }

  /// Takes a page of frames that were read; what came live in between stays.
  addPage(frames) {
    for (const frame of frames) this.frames.set(frame.position, frame);
    const all = [...this.frames.values()].sort((a, b) => a.position - b.position);
    const live = this.live;
    this.clear();
    this.live = live;
    all.forEach((frame) => this.fold(frame));
    // The beginning of an answer that is being given now was said before anybody listened.
    if (this.isRead) return;
    this.isRead = true;
    for (const item of this.items) if (item.kind === "reply" && item.state === "calling") item.isPartial = true;
  }

  /// One more frame; whether it was new.
  add(frame) {
    if (this.frames.has(frame.position) || frame.position <= this.upTo) return false;
    this.frames.set(frame.position, frame);
    this.fold(frame);
    return true;
  }

  /// A piece of an answer that is not recorded yet.
  delta({ call, kind, text }) {
    const live = this.live.get(call) ?? { text: "", thinking: "" };
    live[kind === "thinking" ? "thinking" : "text"] += text;
    this.live.set(call, live);
    return this.byId.get(call);
  }

  progress({ call, label }) {
    const item = this.byId.get(call);
    if (item) this.touch(item, { progress: label });
    return item;
  }

  /// Some pieces were not sent: what is shown of open answers has a hole.
  lagged() {
    for (const [call, live] of this.live) {
      live.text += " […] ";
      const item = this.byId.get(call);
      if (item) item.isPartial = true;
    }
  }

  put(item) {
    const known = this.byId.get(item.id);
    if (known) return this.touch(known, item);
    item.rev = this.revs += 1;
    this.items.push(item);
    this.byId.set(item.id, item);
    return item;
  }

  touch(item, change) {
    Object.assign(item, change);
    item.rev = this.revs += 1;
    return item;
  }

  fold(frame) {
    this.upTo = Math.max(this.upTo, frame.position);
    frame.events.forEach((event, at) => {
      const handler = HANDLERS[event.type];
      const place = {
        at: frame.at,
        by: frame.principal,
        position: frame.position,
        id: `n${frame.position}.${at}`,
      };
      // A newer server may write what this page does not know: it is named, not hidden.
      if (handler) handler(this, event, place);
      else this.note(place, "dot", "quiet", plain(event.type));
    });
  }

  /// A call that nobody is asked about any more is wanted as before.
  answered(approval) {
    const tool = this.byId.get(approval.call);
    if (tool?.state === "asked") this.touch(tool, { state: "requested" });
  }

  note(place, icon, tone, text, detail, more) {
    this.put({ kind: "note", id: place.id, at: place.at, icon, tone, text, detail, ...more });
  }
}

/// What a list of blocks says as text; what is no text is named.
export function textOf(blocks) {
  return (blocks ?? [])
    .map((block) => {
      if (block.type === "text") return block.text;
      if (block.type === "image") return `[image, ${block.media_type}]`;
      if (block.type === "stored") return `[${block.blob?.bytes ?? "many"} bytes, kept outside of the log]`;
      return "";
    })
    .filter(Boolean)
    .join("\n");
}

/// The text of a tool's output, and whether it was cut for the log.
export function outputOf(outcome) {
  const output = outcome?.output;
  if (output?.type === "stored") return { text: output.preview, bytes: output.blob?.bytes };
  if (output) return { text: output.text ?? "" };
  return { text: outcome?.reason ?? "" };
}

const HANDLERS = {
  session_opened(talk, event, place) {
    const agent = event.rendered?.agent ?? {};
    talk.rendered = event.rendered;
    talk.lineage = event.lineage;
    talk.put({
      kind: "opened",
      id: place.id,
      at: place.at,
      agent,
      fork: event.fork,
      instructions: agent.instructions,
    });
  },
  input_accepted(talk, event, place) {
    const isTask = Boolean(event.input.assignment);
    talk.put({
      kind: "said",
      id: `in:${event.key}`,
      at: place.at,
      by: isTask ? "parent" : place.by,
      isTask,
      isQueued: true,
      text: textOf(event.input.blocks),
      overrides: event.input.overrides,
      position: place.position,
    });
  },
  turn_started(talk, event, place) {
    talk.turn = { no: event.turn, at: place.at, calls: 0, tools: 0, tokens: 0, cost: 0 };
    const said = talk.byId.get(`in:${event.key}`);
    if (said) talk.touch(said, { isQueued: false });
  },
  model_call_started(talk, event, place) {
    if (talk.turn) talk.turn.calls += 1;
    talk.put({
      kind: "reply",
      id: `m${event.call}`,
      at: place.at,
      model: event.model,
      state: "calling",
      blocks: [],
    });
  },
  model_call_finished(talk, event, place) {
    const { reply } = event;
    const blocks = (reply.blocks ?? []).filter((block) => block.type === "said").map((block) => block.block);
    talk.live.delete(`m${event.call}`);
    talk.put({
      kind: "reply",
      id: `m${event.call}`,
      state: "done",
      blocks,
      asked: reply.blocks.length - blocks.length,
      stop: reply.stop,
      usage: reply.usage,
      endedAt: place.at,
      position: place.position,
      ...(reply.served_by ? { model: reply.served_by } : {}),
    });
  },
  model_call_failed(talk, event, place) {
    talk.live.delete(`m${event.call}`);
    talk.put({
      kind: "reply",
      id: `m${event.call}`,
      state: "failed",
      failure: event.failure,
      blocks: [],
      endedAt: place.at,
    });
  },
  model_fell_back(talk, event, place) {
    talk.note(
      place,
      "fork",
      "warn",
      `goes on with ${event.to.model} instead of ${event.from.model}`,
      event.reason,
    );
  },
  usage_settled(talk, event) {
    const { settlement } = event;
    const usage = settlement.usage;
    const tokens = usage
      ? usage.input + usage.output + usage.cache_read + usage.cache_write
      : (settlement.tokens_max ?? 0);
    const cost = settlement.cost ?? settlement.cost_max ?? 0;
    const item = talk.byId.get(`m${event.call}`);
    // A later word on the same call replaces the earlier one.
    if (talk.turn) {
      talk.turn.tokens += tokens - (item?.tokens ?? 0);
      talk.turn.cost += cost - (item?.cost ?? 0);
    }
    if (item)
      talk.touch(item, { usage: usage ?? item.usage, tokens, cost, isBound: settlement.kind === "unsettled" });
  },
  budget_warned(talk, event, place) {
    const what = event.dimension ? `budget in ${plain(event.dimension)}` : "budget";
    const text =
      event.percent > 100 ? `${what} overrun: ${event.percent}%` : `${event.percent}% of the ${what} is spent`;
    talk.note(place, "budget_exhausted", "warn", text);
  },
  budget_exhausted(talk, event, place) {
    talk.note(
      place,
      "budget_exhausted",
      "bad",
      "no room in the budget for the next call",
      shortageText(event.shortage),
    );
  },
  tool_requested(talk, event, place) {
    if (talk.turn && event.by?.kind === "model") talk.turn.tools += 1;
    talk.put({
      kind: "tool",
      id: `t${event.call}`,
      at: place.at,
      name: event.name,
      args: event.args,
      by: event.by,
      state: "requested",
    });
  },
  approval_requested(talk, event, place) {
    const { subject } = event.ask;
    const call = subject.kind === "tool_call" ? `t${subject.call}` : null;
    talk.put({
      kind: "approval",
      id: `a${event.no}`,
      at: place.at,
      no: event.no,
      ask: event.ask,
      call,
      state: "open",
    });
    const tool = talk.byId.get(call);
    if (tool) talk.touch(tool, { state: "asked" });
  },
  approval_decided(talk, event, place) {
    const item = talk.put({
      kind: "approval",
      id: `a${event.no}`,
      no: event.no,
      state: "decided",
      answer: event.answer,
      decidedBy: event.by,
      remember: event.remember,
      endedAt: place.at,
    });
    item.at ??= place.at;
    talk.answered(item);
  },
  approval_closed(talk, event, place) {
    const item = talk.put({
      kind: "approval",
      id: `a${event.no}`,
      no: event.no,
      state: event.why,
      endedAt: place.at,
    });
    item.at ??= place.at;
    talk.answered(item);
  },
  tool_started(talk, event, place) {
    const item = talk.byId.get(`t${event.call}`);
    if (item)
      talk.touch(item, { state: "running", startedAt: place.at, basis: event.basis, digest: event.digest });
  },
  tool_finished(talk, event, place) {
    const item = talk.put({
      kind: "tool",
      id: `t${event.call}`,
      state: event.outcome.kind,
      outcome: event.outcome,
      endedAt: place.at,
      progress: null,
    });
    item.name ??= `call ${event.call}`;
    item.at ??= place.at;
  },
  child_spawned(talk, event, place) {
    // The child's own line says what the call said.
    const call = talk.byId.get(`t${event.call}`);
    if (call) talk.touch(call, { isSpawn: true });
    talk.put({
      kind: "child",
      id: `c:${event.child}:${event.assignment}`,
      at: place.at,
      child: event.child,
      agent: event.agent,
      task: textOf(event.task?.blocks),
      assignment: event.assignment,
    });
  },
  child_finished(talk, event, place) {
    const id = `c:${event.child}:${event.assignment}`;
    const item = talk.put({ kind: "child", id, child: event.child, report: event.report, endedAt: place.at });
    item.at ??= place.at;
    item.agent ??= "agent";
  },
  child_stopped(talk, event, place) {
    talk.note(place, "cancelled", "quiet", "a quarantined child was stopped");
  },
  timer_set(talk, event, place) {
    talk.note(place, "waiting", "warn", `calls the model again in ${span(event.at - place.at)}`);
  },
  timer_fired() {},
  cancel_requested(talk, event, place) {
    const of = { everything: "everything", turn: "the turn", child: "a child", assignment: "an assignment" }[
      event.target.kind
    ];
    talk.note(place, "cancelled", "bad", `cancel of ${of ?? "the work"} asked by ${place.by}`, event.reason);
  },
  turn_finished(talk, event, place) {
    const turn = talk.turn?.no === event.turn ? talk.turn : null;
    talk.put({
      kind: "end",
      id: `turn${event.turn}`,
      at: place.at,
      turn: event.turn,
      outcome: event.outcome,
      position: place.position,
      sums: turn,
      took: turn ? place.at - turn.at : null,
    });
    talk.turn = null;
  },
  engine_state() {},
  tools_changed(talk, event, place) {
    talk.note(place, "tool", "quiet", `its tools are now ${event.tools.length}`, event.reason);
  },
  compacted(talk, event, place) {
    talk.note(place, "archived", "quiet", `${event.messages} older messages became a summary`, event.summary);
  },
  checkpointed(talk, event, place) {
    talk.note(place, "flag", "quiet", `checkpoint “${event.name}” at frame ${event.at}`, null, {
      forkAt: event.at,
    });
  },
  session_forked(talk, event, place) {
    talk.note(place, "fork", "quiet", `forked from another session at frame ${event.from.at}`, null, {
      from: event.from.session,
    });
  },
  session_restarted(talk, event, place) {
    const isPanic = event.cause.kind === "panic";
    talk.note(
      place,
      "restart",
      "warn",
      isPanic ? "restarted after a panic" : "started again with the process",
      event.cause.message,
    );
  },
  session_quarantined(talk, event, place) {
    talk.note(place, "quarantined", "bad", "quarantined: it waits for a person", event.reason);
  },
  session_released(talk, event, place) {
    talk.note(
      place,
      "check",
      "good",
      `released by ${event.by}${event.skip ? ", the failed step skipped" : ""}`,
    );
  },
  session_renamed(talk, event, place) {
    talk.note(place, "edit", "quiet", `renamed to “${event.name}”`);
  },
  session_archived(talk, event, place) {
    talk.note(place, "archived", "quiet", event.archived ? "archived" : "taken out of the archive");
  },
  goal_set(talk, event, place) {
    talk.note(place, "flag", "quiet", event.goal ? "goal set" : "goal taken away", event.goal?.objective);
  },
};

function shortageText(shortage) {
  if (!shortage) return "";
  if (shortage.kind === "unknown_price") return "the budget is in money, and the model's price is unknown";
  if (shortage.kind === "waited") return `others held it for ${span(shortage.waited_ms)}`;
  return `${shortage.spent} of ${shortage.limit} ${plain(shortage.dimension)} spent, the next call may need ${shortage.bound}`;
}
