//! The load: agents, their script and their prices. Every kind of work that a crash can cut is in
//! it: text that streams, tools of every effect class at once, questions to a person, agents two
//! levels deep, cancelled subtrees, budgets that end, failures that pass, answers that break off, a
//! provider that panics, once or until its session is taken off the stage and let back, and forks of
//! sessions at work.

use greenroom_actors::domain::{
    agent::AgentSpec,
    budget::Budget,
    ids::{InputKey, ModelName, Timestamp, ToolName},
    permission::{Authority, RulePattern},
    usage::{DatedPrice, NanoUsd, Price, PriceBook},
};

/// Agents that the driver opens, in turn.
pub(crate) const ROOTS: [&str; 16] = [
    "chatter", "worker", "asker", "lead", "flaky", "doomed", "frugal", "miser", "ignored", "jumpy",
    "worker", "board", POISON, FORKED, "limited", "torn",
];
/// The agent whose questions nobody answers.
pub(crate) const IGNORED: &str = "ignored";
/// The agent whose provider panics until its session is off the stage, and once more.
pub(crate) const POISON: &str = "poison";
/// No agent: its sessions are forks of others at work.
pub(crate) const FORKED: &str = "forked";
/// Agents whose sessions are forked: in mid-turn, with tools and questions open.
pub(crate) const BASES: [&str; 3] = ["worker", "asker", "chatter"];
/// The tool that a person is asked about, wherever it is not allowed.
pub(crate) const ASKED: &str = "sink_once";

/// Calls that the client makes without a model, in the order of a job's list.
pub(crate) fn own_calls(job: u64) -> Vec<(InputKey, ToolName)> {
    let call = |tool: &str| (InputKey(format!("job-{job}-{tool}")), ToolName::from(tool));
    ["sink_verifiable", "sink_idempotent", "sink_once"].map(call).to_vec()
}

/// What the vendor says. Effects are told apart by their keys; the notes are for the reader.
pub(crate) const SCRIPT: &str = r#"
agent chatter
    think Let me see.
    stream 7 every 12ms
    say A long story about {input}, told in small pieces so that a crash has something to cut.
agent worker
    stream 9 every 6ms
    say On it.
    call sink_once {"note":"once","delay_ms":24}
    call sink_idempotent {"note":"again","delay_ms":40}
    call sink_verifiable {"note":"seen","delay_ms":30}
    call sink_pure {"note":"pure","delay_ms":12}
  then
    stream 9 every 8ms
    call sink_verifiable {"note":"last","delay_ms":10}
  then
    usage input=61 cache_read=40 cache_write=7 output=19 reasoning=3
    say Worked.
agent asker
    call sink_once {"note":"may I","delay_ms":16}
    call sink_once {"note":"and this","delay_ms":16}
    call sink_pure {"note":"meanwhile","delay_ms":5}
  then
    wait 20ms
    say Asked.
agent ignored
    call sink_once {"note":"nobody answers"}
  then
    say Nobody cared.
agent lead
    call spawn_agent {"agent":"middle","task":"north"}
    call spawn_agent {"agent":"middle","task":"south"}
    call sink_idempotent {"note":"lead","delay_ms":10}
  then
    call await_agents {}
  then
    stream 8 every 10ms
    say All came back.
agent middle
    wait 15ms
    call spawn_agent {"agent":"leaf","task":"left of {input}"}
    call spawn_agent {"agent":"leaf","task":"right of {input}"}
  then
    call await_agents {}
  then
    say Middle done.
agent leaf
    stream 5 every 9ms
    say Looking at {input}.
    call sink_once {"note":"leaf","delay_ms":18}
    call sink_pure {"note":"leaf"}
  then
    say Leaf done.
agent board
    call spawn_agent {"agent":"asker","task":"ask for me"}
    call spawn_agent {"agent":"chatter","task":"talk meanwhile"}
  then
    call await_agents {}
  then
    call send_agent {"agent_id":"{child:2}","task":"talk once more"}
  then
    call await_agents {}
  then
    say Board done.
agent flaky
    first 1 fail overloaded after 60ms unbilled: come back later
    call sink_idempotent {"note":"flaky","delay_ms":10}
  then
    first 1 fail transport after 40ms: broke off
    say Third time lucky.
agent limited
    first 3 fail rate_limited after 30ms unbilled: not so fast
    think Slowly, then.
    call sink_pure {"note":"limited","delay_ms":6}
  then
    first 1 fail ended_early: gone already
    say Within the limit.
agent torn
    stream 6 every 8ms
    say The first half of what I
    first 1 fail overloaded: too much for me
    say wanted to say.
agent doomed
    call spawn_agent {"agent":"middle","task":"never mind"}
    call spawn_agent {"agent":"leaf","task":"finish"}
  then
    wait 30ms
    call cancel_agent {"agent_id":"{child:1}"}
  then
    call await_agents {}
  then
    say Cancelled one.
agent frugal
    call spawn_agent {"agent":"leaf","task":"one"}
    call spawn_agent {"agent":"leaf","task":"two"}
    call sink_pure {"note":"frugal"}
  then
    call await_agents {}
  then
    call sink_idempotent {"note":"still","delay_ms":8}
  then
    say Frugal done.
agent miser
    call spawn_agent {"agent":"middle","task":"cheaply"}
  then
    call await_agents {}
  then
    say Miser done.
agent jumpy
    first 1 panic a provider's bug
    call sink_once {"note":"jumpy","delay_ms":10}
  then
    say Calm again.
agent poison
    first 6 panic a provider's lasting bug
    call sink_idempotent {"note":"poison","delay_ms":10}
  then
    say Let back.
"#;

/// All agents.
pub(crate) fn agents() -> Vec<AgentSpec> {
    let agent = |name: &str| {
        let model = if name == "leaf" { "small" } else { "large" };
        let mut spec = AgentSpec::new(name, model);
        spec.instructions = format!("You are {name}.");
        spec.sampling.output_tokens_max = Some(120);
        for tool in ["sink_once", "sink_idempotent", "sink_verifiable", "sink_pure"] {
            spec.tools.insert(tool.into(), std::collections::BTreeMap::new());
        }
        spec.authority = allow(&["sink_once", "sink_idempotent", "sink_verifiable", "sink_pure"]);
        spec
    };
    let routed = |name: &str, routes: &[&str]| {
        let mut spec = agent(name);
        spec.routes = routes.iter().map(|route| (*route).into()).collect();
        spec
    };
    let asking = |name: &str| {
        let mut spec = agent(name);
        spec.authority = allow(&["sink_idempotent", "sink_verifiable", "sink_pure"]);
        spec.authority.rules.ask.push(RulePattern(ASKED.to_owned()));
        spec
    };
    // Fewer than the rate limits that it meets: they must not use them up.
    let mut limited = agent("limited");
    limited.limits.retries = 1;
    let mut ignored = asking(IGNORED);
    ignored.limits.approval_ms = 900;
    let mut frugal = routed("frugal", &["leaf"]);
    frugal.budget = Budget { tokens: Some(26_000), tool_calls: Some(9), ..Budget::default() };
    let mut miser = routed("miser", &["middle"]);
    miser.budget = Budget { nano_usd: Some(NanoUsd(60_000_000)), ..Budget::default() };
    vec![
        agent("chatter"),
        agent("worker"),
        asking("asker"),
        ignored,
        routed("lead", &["middle"]),
        routed("middle", &["leaf"]),
        agent("leaf"),
        routed("board", &["asker", "chatter"]),
        agent("flaky"),
        limited,
        agent("torn"),
        routed("doomed", &["middle", "leaf"]),
        frugal,
        miser,
        agent("jumpy"),
        agent(POISON),
    ]
}

fn allow(tools: &[&str]) -> Authority {
    let mut authority = Authority::default();
    authority.rules.allow = tools.iter().map(|tool| RulePattern((*tool).to_owned())).collect();
    authority
}

/// Prices of both models.
pub(crate) fn prices() -> PriceBook {
    let price = |model: &str, scale: u64| DatedPrice {
        long: None,
        model: ModelName::from(model),
        since: Timestamp(0),
        price: Price {
            input: 1_000_000 * scale,
            cache_read: 100_000 * scale,
            cache_write: 1_250_000 * scale,
            output: 5_000_000 * scale,
        },
    };
    PriceBook(vec![price("small", 1), price("large", 3)])
}
