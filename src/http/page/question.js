// Owns: how a question is told: the exact request that an answer counts for, and what it rests on.

import { copy, h, icon } from "./dom.js";
import { full, money, now, parsed, plain, pretty, span, whole } from "./format.js";
import { word } from "./exact.js";
import { shown } from "./unseen.js";

// The answers that there are, as the server names them.
const OF_A_CALL = ["once", "turn", "session", "always", "all", "edit", "no", "never", "comment", "revise"];
const YES_OR_NO = ["once", "no", "comment", "revise"];

/// A question as the log tells it, for a conversation that is read before the inbox is.
export function fromLog(session, agent, item) {
  const { ask } = item;
  const asked = ask.subject.request;
  return {
    id: `${session}/a${item.no}`,
    session,
    agent,
    asked_at: item.at,
    expires_at: ask.expires_at,
    subject: ask.subject,
    tool: asked?.tool ?? null,
    arguments: asked?.args ?? null,
    cwd: asked?.cwd,
    reasons: ask.reasons,
    digest: ask.digest,
    proposed_rule: ask.proposal ?? null,
    answers: asked ? OF_A_CALL : YES_OR_NO,
  };
}

/// What it is about; the server may name it or give it whole.
export function subjectOf(item) {
  if (item.subject && typeof item.subject === "object") return item.subject;
  if (item.kind) return { kind: item.kind, text: item.subject };
  const kind =
    typeof item.subject === "string" && /^[a-z_]+$/.test(item.subject)
      ? item.subject
      : item.tool
        ? "tool_call"
        : "question";
  return { kind: item.tool ? "tool_call" : kind, text: kind === item.subject ? "" : item.subject };
}

/// The exact request.
export function request(item, subject) {
  if (subject.kind === "budget" && subject.budget) {
    const asked = Object.entries(subject.budget ?? {}).map(
      ([key, value]) =>
        `${key === "nano_usd" ? money(value) : whole(value)} ${key === "nano_usd" ? "" : plain(key)}`,
    );
    return [h("p", { class: "asks" }, `More budget: ${asked.join(", ") || "as much as it takes"}`)];
  }
  if (subject.kind !== "tool_call")
    return [h("p", { class: "asks" }, shown(subject.text || plain(subject.kind)))];
  const args = parsed(item.arguments);
  const parts = [];
  const cwd = item.cwd ?? subject.request?.cwd;
  if (typeof args?.command === "string")
    parts.push(h("pre", { class: "code command exactly" }, shown(word(args.command))));
  else if (args)
    parts.push(
      h(
        "dl",
        { class: "args exactly" },
        Object.entries(args).flatMap(([key, value]) => [
          h("dt", {}, shown(key)),
          h("dd", {}, shown(word(value))),
        ]),
      ),
    );
  else if (item.arguments) parts.push(h("pre", { class: "code exactly" }, shown(String(item.arguments))));
  if (typeof args?.command === "string" && Object.keys(args).length > 1) {
    parts.push(
      h(
        "details",
        { class: "exact" },
        h("summary", {}, icon("chevron"), "exact arguments"),
        h("pre", { class: "code exactly" }, shown(pretty(item.arguments))),
      ),
    );
  }
  if (cwd) parts.push(h("p", { class: "quiet" }, "in ", h("code", {}, shown(cwd))));
  if (parts.some((part) => part.querySelector(".odd")))
    parts.push(
      h(
        "p",
        { class: "failure warned" },
        icon("quarantined"),
        "It holds characters that cannot be seen; they stand in boxes.",
      ),
    );
  return parts;
}

/// What stands around it: reasons, the rule that would answer it, the digest.
export function facts(item) {
  const lines = [];
  const reasons = (item.reasons ?? []).filter(Boolean);
  if (reasons.length)
    lines.push([
      reasons.length > 1 ? "reasons" : "reason",
      reasons.map((reason) => h("span", { class: "reason" }, shown(reason))),
    ]);
  if (item.proposed_rule) lines.push(["rule", [h("code", { class: "exactly" }, shown(item.proposed_rule))]]);
  if (item.scripts?.length)
    lines.push(["runs", item.scripts.map((script) => h("code", {}, shown(script.path)))]);
  if (item.asked_at)
    lines.push([
      "asked",
      [
        h(
          "span",
          { title: full(item.asked_at) },
          h("span", { "data-ago": item.asked_at }, span(now() - item.asked_at)),
          " ago",
        ),
      ],
    ]);
  lines.push([
    "digest",
    [h("code", { title: item.digest }, String(item.digest).slice(0, 12)), copy(item.digest, "digest")],
  ]);
  return h(
    "dl",
    { class: "facts" },
    lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}
