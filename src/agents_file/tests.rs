//! What is wrong with a file, by the exact words a person reads; and what a file that is right comes
//! to.

use std::path::Path;

use greenroom_actors::domain::{
    agent::Role,
    ids::ToolName,
    permission::Mode,
    tool::EffectClass,
    usage::{NanoUsd, Price},
};

use super::*;

mod approvals;
mod custody;
mod fallback;
mod fetch;
mod search;
mod vendors;

/// Stands above every case, in lines below its own numbers: a model that all agents have.
const HOUSE: &str = "[models.house]\nprovider = \"scripted\"\nscript = \"s\"\n";

fn read(text: &str) -> Result<AgentsFile, Mistakes> {
    let text = format!("{text}{HOUSE}");
    let tools: Vec<ToolName> = vec!["read_file".into(), "shell".into(), "fetch".into()];
    let file = |path: &Path| match path.to_str() {
        Some("s") => Ok("agent *\n  say hello".to_owned()),
        Some("bad") => Ok("agent *\n  sya hello".to_owned()),
        Some("empty.md") => Ok("\n".to_owned()),
        Some("models.toml") => Ok("[anthropic.claude-of-ours]\naliases = [\"mine\"]\n".to_owned()),
        Some("a.md") => Ok("You are a file.".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let script = |text: &str| match text {
        bad if bad.contains("sya") => Err("line 2: found \"sya hello\"".to_owned()),
        _ => Ok(()),
    };
    let world = World { tools: &tools, plain: &tools[2..], text: &file, script: &script };
    AgentsFile::read("f.toml", &text, &world)
}

#[track_caller]
fn wrong(text: &str, said: &str) {
    let mistakes = read(text).expect_err("a mistake");
    let text = mistakes.to_string();
    let (_, shown) = text.split_once('\n').expect("a headline");
    assert_eq!(shown, said.trim_matches('\n'), "\n{shown}");
}

const FULL: &str = r#"
[models.dear]
provider = "scripted"
script = "s"
price = { input = 3, output = 15.25, cache_read = 0.3 }

[budgets.small]
tokens = 50_000
usd = 0.5

[permissions]
deny = ["Bash(rm *)"]
mode = "accept_edits"
roots = ["."]
readable = ["/usr"]

[services]
locale = "de"
copies = 2

[tools.shell]
cwd = "stage"

[tools.stamp]
description = "Stamps a letter."
reply = "stamped"
effect = "idempotent"

[agents.lead]
role = "coordinator"
instructions = "You lead."
model = "dear"
routes = ["clerk", "reader"]
budget = "small"
limits = { depth = 2, turn_ms = 60_000 }

[agents.clerk]
instructions = "You stamp."
model = "dear"
tools = ["stamp", "shell"]
sampling = { temperature = 0.7, stop = ["END"] }
permissions = { allow = ["stamp"], mode = "default" }
budget = { tool_calls = 3 }

[agents.reader]
extends = "clerk"
instructions_file = "a.md"
tools = { shell = { cwd = "house" } }
permissions = { ask = ["shell"] }
"#;

#[test]
fn a_whole_file_becomes_the_runtimes_own_values() {
    let file = read(FULL).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let agent = |name: &str| {
        let found = file.agents.iter().find(|agent| agent.name.as_str() == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(file.lead, Some("lead".into()));
    let lead = agent("lead");
    assert_eq!((lead.role, lead.limits.depth, lead.limits.turn_ms), (Role::Coordinator, 2, 60_000));
    assert_eq!(lead.budget.nano_usd, Some(NanoUsd(500_000_000)));
    assert_eq!((lead.budget.tokens, lead.routes.len()), (Some(50_000), 2));
    assert_eq!(lead.provider, Some("scripted/dear".into()));
    assert_eq!(lead.authority.mode, Mode::AcceptEdits, "of the file");

    let clerk = agent("clerk");
    assert_eq!(clerk.sampling.temperature_milli, Some(700));
    assert_eq!(clerk.tools[&ToolName::from("shell")]["cwd"], "stage");
    assert_eq!((clerk.authority.mode, clerk.budget.tool_calls), (Mode::Default, Some(3)));
    assert_eq!(clerk.authority.rules.deny.len(), 1, "of the file");
    assert_eq!(clerk.authority.bounds.roots, ["."], "of the file");
    assert_eq!(clerk.authority.bounds.readable, ["/usr"], "of the file");

    let reader = agent("reader");
    assert_eq!((reader.role, reader.instructions.as_str()), (Role::Specialist, "You are a file."));
    assert_eq!(reader.tools.keys().map(ToolName::as_str).collect::<Vec<_>>(), ["shell"]);
    assert_eq!(
        reader.tools[&ToolName::from("shell")]["cwd"],
        "house",
        "its own before everybody's"
    );
    let rules = &reader.authority.rules;
    assert_eq!((rules.deny.len(), rules.ask.len(), rules.allow.len()), (1, 1, 1), "they add up");
    assert_eq!((reader.sampling.temperature_milli, reader.budget.tool_calls), (Some(700), Some(3)));

    let price =
        Price { input: 3_000_000, cache_read: 300_000, cache_write: 3_000_000, output: 15_250_000 };
    assert_eq!(file.prices.0.iter().map(|dated| dated.price).collect::<Vec<_>>(), [price]);
    assert_eq!(file.services["copies"], "2");
    let [stamp] = file.stand_ins.as_slice() else { panic!("{:?}", file.stand_ins) };
    assert_eq!((stamp.spec.effect, stamp.reply.as_str()), (EffectClass::Idempotent, "stamped"));
    assert_eq!(file.scripts.len(), 2);
}

#[test]
fn one_agent_leads_and_of_several_without_a_coordinator_none_does() {
    let one = read("[agents.a]\ninstructions = \"x\"\n").expect("right");
    assert_eq!(one.lead, Some("a".into()));
    let two = "[agents.a]\ninstructions = \"x\"\n[agents.b]\ninstructions = \"x\"\n";
    assert_eq!(read(two).expect("right").lead, None);
}

#[test]
fn mistakes_of_every_kind_are_reported_together() {
    let text =
        "[agents.a]\nrole = \"boss\"\nroutes = [\"b\"]\n[tools.x]\n[budgets.y]\ntokens = 0\n";
    let mistakes = read(text).expect_err("five").to_string();
    assert!(mistakes.starts_with("f.toml has 5 mistakes\n"), "{mistakes}");
}

#[test]
fn an_agent_without_instructions_is_refused() {
    wrong(
        r#"[agents.a]
"#,
        r#"
f.toml:1:9: agent "a" has no `instructions`
  1 | [agents.a]
    |         ^ expected a text that tells it what it is for, or `instructions_file`
"#,
    );
}

#[test]
fn empty_instructions_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "  "
"#,
        r#"
f.toml:2:16: `instructions` is empty
  2 | instructions = "  "
    |                ^^^^ expected a text
"#,
    );
}

#[test]
fn two_kinds_of_instructions_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
instructions_file = "a.md"
"#,
        r#"
f.toml:3:21: both `instructions` and `instructions_file` are given
  3 | instructions_file = "a.md"
    |                     ^^^^^^ expected one of them
"#,
    );
}

#[test]
fn instructions_that_cannot_be_read_is_refused() {
    wrong(
        r#"[agents.a]
instructions_file = "gone.md"
"#,
        r#"
f.toml:2:21: instructions "gone.md": no such file
  2 | instructions_file = "gone.md"
    |                     ^^^^^^^^^ expected a text that can be read, relative to this file
"#,
    );
}

#[test]
fn instructions_in_an_empty_file_is_refused() {
    wrong(
        r#"[agents.a]
instructions_file = "empty.md"
"#,
        r#"
f.toml:2:21: instructions "empty.md": it is empty
  2 | instructions_file = "empty.md"
    |                     ^^^^^^^^^^ expected a text that can be read, relative to this file
"#,
    );
}

#[test]
fn no_agents_is_refused() {
    wrong(
        r#"# nobody
"#,
        r#"
f.toml:1:1: a file without agents
  1 | # nobody
    | ^ expected at least one [agents.NAME]
"#,
    );
}

#[test]
fn an_empty_table_of_agents_is_refused() {
    wrong(
        r#"[agents]
"#,
        r#"
f.toml:1:1: a file without agents
  1 | [agents]
    | ^^^^^^^^ expected at least one [agents.NAME]
"#,
    );
}

#[test]
fn agents_of_another_type_is_refused() {
    wrong(
        r#"agents = 3
"#,
        r#"
f.toml:1:10: `agents` is a whole number
  1 | agents = 3
    |          ^ expected a table, such as [agents]
"#,
    );
}

#[test]
fn an_unknown_section_is_refused() {
    wrong(
        r#"[agent.a]
instructions = "x"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:2: unknown key "agent"
  1 | [agent.a]
    |  ^^^^^ expected one of "agents", "models", "providers", "registry", "tools", "budgets", "permissions", "approvals", "custody", "services"
    = did you mean "agents"?
"#,
    );
}

#[test]
fn an_unknown_key_is_refused() {
    wrong(
        r#"[agents.a]
instrutcions = "x"
instructions = "x"
"#,
        r#"
f.toml:2:1: unknown key "instrutcions"
  2 | instrutcions = "x"
    | ^^^^^^^^^^^^ expected one of "extends", "role", "model", "fallback", "instructions", "instructions_file", "tools", "routes", "budget", "limits", "sampling", "restart", "reliability", "input", "permissions"
    = did you mean "instructions"?
"#,
    );
}

#[test]
fn a_wrong_type_is_refused() {
    wrong(
        r#"[agents.a]
instructions = ["x"]
"#,
        r#"
f.toml:2:16: `instructions` is a list
  2 | instructions = ["x"]
    |                ^^^^^ expected a text in quotes
"#,
    );
}

#[test]
fn a_name_with_capitals_is_refused() {
    wrong(
        r#"[agents.Alice]
instructions = "x"
"#,
        r#"
f.toml:1:9: "Alice" is no name for an agent
  1 | [agents.Alice]
    |         ^^^^^ expected a small letter or digit, then small letters, digits, `_` or `-`, at most 64
"#,
    );
}

#[test]
fn the_same_name_twice_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
[agents.a]
instructions = "y"
"#,
        r#"
f.toml:3:9: a stands here a second time
  3 | [agents.a]
    |         ^ expected each name once
"#,
    );
}

#[test]
fn two_coordinators_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
role = "coordinator"
routes = ["c"]
[agents.b]
instructions = "x"
role = "coordinator"
routes = ["c"]
[agents.c]
instructions = "x"
"#,
        r#"
f.toml:7:8: agent "b" is a second coordinator, beside "a"
  7 | role = "coordinator"
    |        ^^^^^^^^^^^^^ expected one coordinator at most
"#,
    );
}

#[test]
fn a_coordinator_without_routes_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
role = "coordinator"
"#,
        r#"
f.toml:1:9: coordinator "a" has no `routes`
  1 | [agents.a]
    |         ^ expected the agents it may send to work
"#,
    );
}

#[test]
fn an_unknown_role_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
role = "coordinater"
"#,
        r#"
f.toml:3:8: `role` is "coordinater"
  3 | role = "coordinater"
    |        ^^^^^^^^^^^^^ expected one of "coordinator", "planner", "executor", "specialist"
    = did you mean "coordinator"?
"#,
    );
}

#[test]
fn a_route_to_nobody_is_refused() {
    wrong(
        r#"[agents.lead]
instructions = "x"
routes = ["reviewr"]
[agents.reviewer]
instructions = "x"
[agents.writer]
instructions = "x"
"#,
        r#"
f.toml:3:11: agent "lead" routes to "reviewr", which is no agent of this file
  3 | routes = ["reviewr"]
    |           ^^^^^^^^^ expected one of "reviewer", "writer"
    = did you mean "reviewer"?
"#,
    );
}

#[test]
fn a_route_to_oneself_is_refused() {
    wrong(
        r#"[agents.lead]
instructions = "x"
routes = ["lead", "writer"]
[agents.writer]
instructions = "x"
"#,
        r#"
f.toml:3:11: agent "lead" routes to itself
  3 | routes = ["lead", "writer"]
    |           ^^^^^^ expected "writer"
"#,
    );
}

#[test]
fn a_route_twice_is_refused() {
    wrong(
        r#"[agents.lead]
instructions = "x"
routes = ["writer", "writer"]
[agents.writer]
instructions = "x"
"#,
        r#"
f.toml:3:21: `routes` names "writer" twice
  3 | routes = ["writer", "writer"]
    |                     ^^^^^^^^ expected each once
"#,
    );
}

#[test]
fn a_route_that_is_no_text_is_refused() {
    wrong(
        r#"[agents.lead]
instructions = "x"
routes = [1]
"#,
        r#"
f.toml:3:11: `routes` is a whole number
  3 | routes = [1]
    |           ^ expected a text in quotes
"#,
    );
}

#[test]
fn an_agent_that_extends_nobody_is_refused() {
    wrong(
        r#"[agents.a]
extends = "bas"
[agents.base]
instructions = "x"
"#,
        r#"
f.toml:2:11: "bas" is no agent of this file
  2 | extends = "bas"
    |           ^^^^^ expected "base"
    = did you mean "base"?
"#,
    );
}

#[test]
fn agents_that_extend_one_another_is_refused() {
    wrong(
        r#"[agents.a]
extends = "b"
instructions = "x"
[agents.b]
extends = "a"
"#,
        r#"
f.toml:2:11: agent "b" extends itself: b → a → b
  2 | extends = "b"
    |           ^^^ expected a chain that ends
f.toml:5:11: agent "a" extends itself: a → b → a
  5 | extends = "a"
    |           ^^^ expected a chain that ends
"#,
    );
}

#[test]
fn an_unknown_model_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
model = "hous"
"#,
        r#"
f.toml:3:9: model "hous" does not exist
  3 | model = "hous"
    |         ^^^^^^ expected "house", from [models.NAME]
    = did you mean "house"?
"#,
    );
}

#[test]
fn a_tool_that_does_not_exist_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
tools = ["read_fil"]
"#,
        r#"
f.toml:3:10: agent "a" has tool "read_fil", which does not exist
  3 | tools = ["read_fil"]
    |          ^^^^^^^^^^ expected one of "read_file", "shell", "fetch"
    = did you mean "read_file"?
"#,
    );
}

#[test]
fn a_tool_that_comes_with_routes_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
tools = ["spawn_agent"]
"#,
        r#"
f.toml:3:10: agent "a" names "spawn_agent", which comes by itself with `routes`
  3 | tools = ["spawn_agent"]
    |          ^^^^^^^^^^^^^ expected routes instead
"#,
    );
}

#[test]
fn tools_of_a_wrong_type_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
tools = "read_file"
"#,
        r#"
f.toml:3:9: `tools` is a text
  3 | tools = "read_file"
    |         ^^^^^^^^^^^ expected a list of texts, such as ["one", "two"]
"#,
    );
}

#[test]
fn a_set_up_of_a_wrong_type_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
[agents.a.tools.read_file]
roots = ["a"]
"#,
        r#"
f.toml:4:9: `roots` is a list
  4 | roots = ["a"]
    |         ^^^^^ expected a text, a number, true or false
"#,
    );
}

#[test]
fn a_tool_section_of_no_tool_is_refused() {
    wrong(
        r#"[tools.red_file]
root = "x"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:8: tool "red_file" does not exist
  1 | [tools.red_file]
    |        ^^^^^^^^ expected one of "read_file", "shell", "fetch"; or a `reply`, for a stand-in
    = did you mean "read_file"?
"#,
    );
}

#[test]
fn a_stand_in_of_a_known_tool_is_refused() {
    wrong(
        r#"[tools.read_file]
reply = "x"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:8: tool "read_file" exists already
  1 | [tools.read_file]
    |        ^^^^^^^^^ expected another name
"#,
    );
}

#[test]
fn a_stand_in_with_a_name_of_the_runtime_is_refused() {
    wrong(
        r#"[tools.await_agents]
reply = "x"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:8: tool "await_agents" is the runtime's own
  1 | [tools.await_agents]
    |        ^^^^^^^^^^^^ expected another name
"#,
    );
}

#[test]
fn a_stand_in_without_description_is_refused() {
    wrong(
        r#"[tools.clock]
reply = "noon"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:8: tool "clock" has no `description`
  1 | [tools.clock]
    |        ^^^^^ expected a text that tells a model what the tool does
"#,
    );
}

#[test]
fn a_stand_in_with_a_bad_schema_is_refused() {
    wrong(
        r#"[tools.clock]
reply = "noon"
description = "x"
schema = "[]"
effect = "twice"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:4:10: `schema` is no JSON object
  4 | schema = "[]"
    |          ^^^^ expected a JSON Schema such as '{"type": "object"}'
f.toml:5:10: `effect` is "twice"
  5 | effect = "twice"
    |          ^^^^^^^ expected one of "pure", "idempotent", "once"
"#,
    );
}

#[test]
fn a_reserved_service_is_refused() {
    wrong(
        r#"[services]
tool_use_id = "x"
locale = "de"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:2:1: service "tool_use_id" has a name that the runtime reserves
  2 | tool_use_id = "x"
    | ^^^^^^^^^^^ expected another name
"#,
    );
}

#[test]
fn a_service_that_is_no_value_is_refused() {
    wrong(
        r#"[services.locale]
a = 1
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:1:1: `locale` is a table
  1 | [services.locale]
    | ^^^^^^^^^^^^^^^^^ expected a text, a number, true or false
"#,
    );
}

#[test]
fn a_budget_of_zero_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
budget = { tokens = 0, usd = 0.0 }
"#,
        r#"
f.toml:3:21: `tokens` is 0
  3 | budget = { tokens = 0, usd = 0.0 }
    |                     ^ expected a whole number from 1
f.toml:3:30: `usd` is 0.0
  3 | budget = { tokens = 0, usd = 0.0 }
    |                              ^^^ expected dollars above 0, such as 0.50, with at most 9 decimals
"#,
    );
}

#[test]
fn a_negative_budget_is_refused() {
    wrong(
        r#"[budgets.small]
tokens = -5
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:2:10: `tokens` is -5
  2 | tokens = -5
    |          ^^ expected a whole number from 1
"#,
    );
}

#[test]
fn a_budget_too_fine_is_refused() {
    wrong(
        r#"[budgets.small]
usd = 0.0000000001
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:2:7: `usd` is 0.0000000001
  2 | usd = 0.0000000001
    |       ^^^^^^^^^^^^ expected dollars above 0, such as 0.50, with at most 9 decimals
"#,
    );
}

#[test]
fn a_budget_in_quotes_is_refused() {
    wrong(
        r#"[budgets.small]
usd = "1.50"
token = 3
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:2:7: `usd` is a text
  2 | usd = "1.50"
    |       ^^^^^^ expected dollars above 0, such as 0.50, with at most 9 decimals
f.toml:3:1: unknown key "token"
  3 | token = 3
    | ^^^^^ expected one of "tokens", "usd", "model_calls", "tool_calls", "agents"
    = did you mean "tokens"?
"#,
    );
}

#[test]
fn a_budget_that_does_not_exist_is_refused() {
    wrong(
        r#"[budgets.small]
tokens = 5
[agents.a]
instructions = "x"
budget = "smal"
"#,
        r#"
f.toml:5:10: budget "smal" does not exist
  5 | budget = "smal"
    |          ^^^^^^ expected "small"; or a table of limits
    = did you mean "small"?
"#,
    );
}

#[test]
fn money_without_a_price_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
budget = { usd = 1 }
routes = ["b"]
model = "priced"
[agents.b]
instructions = "x"
model = "house"
[models.priced]
provider = "scripted"
script = "s"
price = { input = 3, output = 15 }
"#,
        r#"
f.toml:3:10: agent "a" has a budget in money, and model "house" of agent "b" has no price
  3 | budget = { usd = 1 }
    |          ^^^^^^^^^^^ expected [models.house.price], or a budget in tokens
"#,
    );
}

#[test]
fn a_limit_out_of_range_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
[agents.a.limits]
depth = 17
width = 0
turn_ms = "1m"
turn = 3
"#,
        r#"
f.toml:4:9: `depth` is 17
  4 | depth = 17
    |         ^^ expected a whole number from 0 to 16
f.toml:5:9: `width` is 0
  5 | width = 0
    |         ^ expected a whole number from 1 to 256
f.toml:6:11: `turn_ms` is a text
  6 | turn_ms = "1m"
    |           ^^^^ expected a whole number from 1 to 2592000000
f.toml:7:1: unknown key "turn"
  7 | turn = 3
    | ^^^^ expected one of "depth", "width", "total", "steps", "retries", "turn_ms", "model_ms", "tool_ms", "approval_ms"
    = did you mean "turn_ms"?
"#,
    );
}

#[test]
fn sampling_out_of_range_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
sampling = { temperature = 2.5, output_tokens_max = 0 }
"#,
        r#"
f.toml:3:28: `temperature` is 2.5
  3 | sampling = { temperature = 2.5, output_tokens_max = 0 }
    |                            ^^^ expected a number from 0 to 2 with at most 3 decimals
f.toml:3:53: `output_tokens_max` is 0
  3 | sampling = { temperature = 2.5, output_tokens_max = 0 }
    |                                                     ^ expected a whole number from 1 to 1000000
"#,
    );
}

#[test]
fn a_backoff_above_its_most_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
restart = { panics_max = 0, backoff_ms = 20000 }
"#,
        r#"
f.toml:3:26: `panics_max` is 0
  3 | restart = { panics_max = 0, backoff_ms = 20000 }
    |                          ^ expected a whole number from 1 to 100
f.toml:3:42: `backoff_ms` is 20000, above `backoff_max_ms`
  3 | restart = { panics_max = 0, backoff_ms = 20000 }
    |                                          ^^^^^ expected at most 10000
"#,
    );
}

#[test]
fn more_failures_than_runs_are_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
reliability = { runs = 4, failures = 5, successes = 0 }
"#,
        r#"
f.toml:3:38: `failures` is 5, of 4 `runs`
  3 | reliability = { runs = 4, failures = 5, successes = 0 }
    |                                      ^ expected at most 4, or 0 for never
f.toml:3:53: `successes` is 0
  3 | reliability = { runs = 4, failures = 5, successes = 0 }
    |                                                     ^ expected a whole number from 1 to 64
"#,
    );
}

#[test]
fn an_unknown_input_policy_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
input = "que"
"#,
        r#"
f.toml:3:9: `input` is "que"
  3 | input = "que"
    |         ^^^^^ expected one of "queue", "interrupt", "reject"
    = did you mean "queue"?
"#,
    );
}

#[test]
fn a_rule_without_an_end_is_refused() {
    wrong(
        r#"[permissions]
deny = ["Bash(rm *"]
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:2:9: rule "Bash(rm *" is not understood at character 10
  2 | deny = ["Bash(rm *"]
    |         ^^^^^^^^^^^ expected `)` as the last character; close the bracket
"#,
    );
}

#[test]
fn a_rule_with_a_bad_glob_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
permissions = { allow = ["Read(./[a-z)"] }
"#,
        r#"
f.toml:3:26: rule "Read(./[a-z)" is not understood at character 6
  3 | permissions = { allow = ["Read(./[a-z)"] }
    |                          ^^^^^^^^^^^^^^ expected a path in gitignore syntax; close every `[`, and put exceptions into another list instead of `!`
"#,
    );
}

#[test]
fn a_root_that_climbs_or_is_an_agents_own_is_refused() {
    wrong(
        r#"[permissions]
roots = ["../x"]
[agents.a]
instructions = "x"
permissions = { roots = ["x"] }
"#,
        r#"
f.toml:2:10: "../x" is no folder
  2 | roots = ["../x"]
    |          ^^^^^^ expected a path without `..`, from the working folder, `~/` or `/` on
f.toml:5:17: unknown key "roots"
  5 | permissions = { roots = ["x"] }
    |                 ^^^^^ expected one of "mode", "deny", "ask", "allow"
"#,
    );
}

#[test]
fn an_unknown_mode_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
permissions = { mode = "ask" }
"#,
        r#"
f.toml:3:24: `mode` is "ask"
  3 | permissions = { mode = "ask" }
    |                        ^^^^^ expected one of "plan", "dont_ask", "default", "accept_edits", "bypass_permissions"
"#,
    );
}

#[test]
fn a_model_without_provider_is_refused() {
    wrong(
        r#"[models.big]
script = "s"
[agents.a]
instructions = "x"
model = "big"
"#,
        r#"
f.toml:1:9: model "big" does not say its `provider`
  1 | [models.big]
    |         ^^^ expected a [providers.NAME], a vendor such as "anthropic", or "scripted"
"#,
    );
}

#[test]
fn a_model_without_script_is_refused() {
    wrong(
        r#"[models.big]
provider = "scripted"
[agents.a]
instructions = "x"
model = "big"
"#,
        r#"
f.toml:1:9: model "big" is scripted and names no `script`
  1 | [models.big]
    |         ^^^ expected script = "FILE", relative to this file
"#,
    );
}

#[test]
fn a_script_that_cannot_be_read_is_refused() {
    wrong(
        r#"[models.big]
provider = "scripted"
script = "gone"
[agents.a]
instructions = "x"
model = "big"
"#,
        r#"
f.toml:3:10: script "gone": no such file
  3 | script = "gone"
    |          ^^^^^^ expected a script that can be read, relative to this file
"#,
    );
}

#[test]
fn a_script_that_cannot_be_followed_is_refused() {
    wrong(
        r#"[models.big]
provider = "scripted"
script = "bad"
[agents.a]
instructions = "x"
model = "big"
"#,
        r#"
f.toml:3:10: script "bad": line 2: found "sya hello"
  3 | script = "bad"
    |          ^^^^^ expected a script that can be followed
"#,
    );
}

#[test]
fn an_agent_that_must_choose_a_model_is_refused() {
    wrong(
        r#"[models.big]
provider = "scripted"
script = "s"
[agents.a]
instructions = "x"
"#,
        r#"
f.toml:4:9: agent "a" does not say its `model`
  4 | [agents.a]
    |         ^ expected one of "big", "house", from [models.NAME]
"#,
    );
}

#[test]
fn a_price_without_output_is_refused() {
    wrong(
        r#"[models.big]
provider = "scripted"
script = "s"
price = { input = 3.1234567 }
[agents.a]
instructions = "x"
model = "big"
"#,
        r#"
f.toml:4:9: the price lacks `output`
  4 | price = { input = 3.1234567 }
    |         ^^^^^^^^^^^^^^^^^^^^^ expected output = DOLLARS per million tokens
f.toml:4:19: `input` is 3.1234567
  4 | price = { input = 3.1234567 }
    |                   ^^^^^^^^^ expected dollars per million tokens, such as 3 or 0.25, with at most 6 decimals
"#,
    );
}

#[test]
fn a_value_that_is_missing_is_refused() {
    wrong(
        r#"[agents.a]
instructions = 
"#,
        r#"
f.toml:2:16: not TOML: string values must be quoted
  2 | instructions =
    |                ^ expected literal string
"#,
    );
}
