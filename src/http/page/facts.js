// Owns: what is known of a session in a list of names and values: its goal, what it may and did
// spend, who it is. What nobody knows has no line.

import { copy, h } from "./dom.js";
import { bar } from "./purse.js";
import { counted, full, money, tokens, whole } from "./format.js";

/// `[name, value]` for each thing that is known. `agent` is what the log pinned, where it was read;
/// `bounds` are the budgets that bind it, and `named` says whose they are.
export function facts(line, agent, bounds, named) {
  const spec = line.agent_spec ?? {};
  const own = line.own ?? {};
  const tools = spec.tools ?? Object.keys(agent?.tools ?? {});
  const rows = [
    ["goal", line.goal?.token_budget && `at most ${whole(line.goal.token_budget)} tokens`],
    ["model", [spec.model ?? agent?.model, spec.provider ?? agent?.provider].filter(Boolean).join(" at ")],
    ["budget", bounds.length ? bounds.map((one) => bar(one, named(one.account))) : budgetText(agent?.budget)],
    [
      "tools",
      tools.length &&
        h(
          "span",
          { class: "chips" },
          tools.map((tool) => h("code", {}, tool.name ?? tool)),
        ),
    ],
    [
      "spent",
      line.own &&
        `${whole(tokens(own))} tokens, ${money(own.cost_nano_usd)} in ${counted(own.calls ?? 0, "call")}`,
    ],
    [
      "of these",
      line.own &&
        `${whole(own.input_tokens)} in, ${whole(own.cache_read_tokens)} from cache, ${whole(own.cache_write_tokens)} to cache, ${whole(own.output_tokens)} out`,
    ],
    [
      "subtree",
      line.subtree &&
        line.children > 0 &&
        `${whole(tokens(line.subtree))} tokens, ${money(line.subtree.cost_nano_usd)}, ${counted(line.children, "child", "children")}`,
    ],
    [
      "unsettled",
      own.unsettled_calls > 0 &&
        `${counted(own.unsettled_calls, "call")} broke off: at most ${whole(own.unsettled_tokens_max)} tokens, ${money(own.unsettled_cost_nano_usd_max)}`,
    ],
    ["restarts", line.restarts > 0 && String(line.restarts)],
    ["inbox", line.inbox > 0 && counted(line.inbox, "message")],
    ["tenant", line.tenant],
    ["opened", line.created_at && full(line.created_at)],
    ["changed", line.updated_at && `${full(line.updated_at)}, frame ${line.position}`],
    ["session", idOf(line.session)],
    ["root", line.root && line.root !== line.session && idOf(line.root)],
  ];
  return rows.filter(([, value]) => value);
}

/// The line's whole spending in a few words.
export function summed(line, budget) {
  if (!line.subtree) return "";
  const parts = [`${whole(tokens(line.subtree))} tokens`, money(line.subtree.cost_nano_usd)];
  if (budget) parts.push(budget);
  if (line.restarts) parts.push(counted(line.restarts, "restart"));
  return parts.join("  ·  ");
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
