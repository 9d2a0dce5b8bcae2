//! Money and tokens through the whole runtime: no budget is overrun whatever dies, every figure is
//! what the models reported, and an end of budget is an outcome of its own.

use std::sync::Arc;

use greenroom_actors::{
    Runtime,
    domain::{
        budget::{Budget, Dimension},
        event::Event,
        frame::LogId,
        grant::GrantEvent,
        ids::SessionId,
        tool::EffectClass,
    },
    log,
    policy::budget::Tree,
    ports::Journal,
    testing::harness::Harness,
};

use crate::workshop::{agent, done, tool};

mod fan_out;
mod limits;
mod totals;
mod warnings;

/// What the ledger holds of a tree, after each of its frames: no account above its limit.
async fn never_above(journal: &Arc<dyn Journal>, root: SessionId) -> (Tree, usize) {
    let frames = log::read_all::<GrantEvent>(journal, LogId::ledger(root)).await.expect("grants");
    let (mut tree, mut prefixes) = (Tree::default(), 0);
    for frame in &frames {
        for event in &frame.events {
            tree.apply(event);
        }
        prefixes += 1;
        for (account, balance) in tree.balances() {
            for dimension in Dimension::ALL {
                let Some(limit) = dimension.limit(&balance.limit) else { continue };
                let sum = balance.spent.plus(balance.reserved);
                let weight = dimension.of(&sum);
                assert!(weight <= limit, "{account}: {weight} of {limit} {dimension:?}");
            }
        }
    }
    (tree, prefixes)
}

/// All sessions of a tree.
async fn tree_of(runtime: &Runtime, root: SessionId) -> Vec<SessionId> {
    let mut rest = vec![runtime.tree(root).await.expect("the tree")];
    let mut all = Vec::new();
    while let Some(node) = rest.pop() {
        all.push(node.row.session);
        rest.extend(node.children);
    }
    all
}

const LOOP: &str = r#"
agent loops
    usage input=100 output=10
    call step {}
  again
agent three
    usage input=100 output=10
    call step {"n": 1}
    call step {"n": 2}
    call step {"n": 3}
  then
    usage input=100 output=10
    say {results}
agent parent
    usage input=100 output=10
    call spawn_agent {"agent": "loops", "task": "go"}
  then
    usage input=100 output=10
    call await_agents {}
  then
    usage input=100 output=10
    say {results}
agent once
    usage input=70 cache_read=20 cache_write=10 output=30 reasoning=12
    say Once.
"#;

fn steps(harness: Harness) -> Harness {
    harness.tool(tool("step", EffectClass::Pure, |_, _| async { done("ok") }))
}

fn capped(
    name: &str,
    tools: &[&str],
    routes: &[&str],
    budget: Budget,
) -> greenroom_actors::domain::agent::AgentSpec {
    let mut agent = agent(name, tools, routes);
    agent.budget = budget;
    agent.sampling.output_tokens_max = Some(50);
    agent
}

fn calls_of(log: &[Event]) -> usize {
    log.iter().filter(|event| event.name() == "model_call_started").count()
}
