//! A thousand agents come and go under one parent that lives through all of them. What the parent
//! keeps of an agent that has ended and was read about is a few words, whatever the agent was made
//! of, was told and said; and its places among the living are all given back.

use std::sync::Arc;

use futures_util::future::join_all;
use greenroom_actors::{
    Runtime,
    domain::{
        ids::SessionId,
        tool::{Args, ToolOutcome},
    },
    testing::clock::ManualClock,
};

use super::{in_use, quiet, runs};
use crate::{
    parts,
    stage::Stage,
    workshop::{agent, until},
};

const CHILDREN: usize = 1_000;
const AT_ONCE: usize = 8;
/// What each agent is told, and says; and what it is made of.
const TEXT_BYTES: usize = 16 * 1024;
/// The part of the process that is measured.
pub const PART: &str = "agents come and go under one parent";

#[test]
fn a_thousand_agents_under_one_parent_leave_a_few_words_each() {
    let output = parts::process(PART).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1000 agents"), "it measured: {said}");
}

/// What the process does.
pub fn play() {
    parts::on_two_threads(come_and_go());
}

/// A call of the host's own, without a model: so the conversation does not grow with the agents.
async fn call(runtime: &Runtime, parent: SessionId, key: &str, call: (&str, String)) -> String {
    let (tool, args) = call;
    let what = (tool.into(), Args(args));
    let closed = runtime.invoke_tool(parent, key.into(), what, (None, None)).await;
    match closed.expect("a call") {
        ToolOutcome::Done { output } => output.shown().to_owned(),
        other => panic!("{tool}: {other:?}"),
    }
}

/// One agent is set to work, ends, and is read about.
async fn one(runtime: &Runtime, parent: SessionId, no: usize) -> String {
    let task = format!("{no} {}", "t".repeat(TEXT_BYTES));
    let spawn = format!(r#"{{"agent":"child","task":"{task}"}}"#);
    let started = call(runtime, parent, &format!("s{no}"), ("spawn_agent", spawn)).await;
    let id = started.split('"').nth(3).expect("an id").to_owned();
    let wait = format!(r#"{{"agent_ids":["{id}"]}}"#);
    let told = call(runtime, parent, &format!("w{no}"), ("await_agents", wait)).await;
    assert!(told.contains("completed") && told.len() > TEXT_BYTES, "{told:.200}");
    id
}

async fn come_and_go() {
    let clock = ManualClock::new(1);
    let stage =
        Stage::set("agent child\n    say {input}\nagent lead\n    say Hm.\n", |mut harness| {
            harness.deps.clock = Arc::new(clock.clone());
            harness.options.idle_ms = 20;
            let mut child = agent("child", &[], &[]);
            child.instructions = "i".repeat(TEXT_BYTES);
            harness.agent(agent("lead", &[], &["child"])).agent(child)
        })
        .await;
    let runtime = &stage.runtime;
    let _milliseconds = runs(&clock, 1);
    let parent = runtime.open(&"lead".into(), "t".into()).await.expect("open");
    let first = one(runtime, parent, 0).await;
    let (mut no, mut bytes) = (1, Vec::new());
    for _half in 0..2 {
        for _ in 0..CHILDREN / 2 / AT_ONCE {
            join_all((no..no + AT_ONCE).map(|no| one(runtime, parent, no))).await;
            no += AT_ONCE;
        }
        quiet(runtime, &clock, 1).await;
        bytes.push(in_use());
    }
    println!("{CHILDREN} agents; heap in use after each half: {bytes:?}");
    let grown = bytes[1].saturating_sub(bytes[0]);
    // With all that an agent is made of, is told and says this would be 500 times 48 KiB, 24 MiB; a
    // thousand bytes of each would be 500,000; what is seen is some 2,000.
    assert!(grown < 256 << 10, "{grown} bytes more after the second half");
    until("every place is given back", || async {
        let figures = runtime.accounts(parent).await?;
        (figures.accounts.iter().all(|account| account.reserved.agents == 0) && figures.open == 0)
            .then_some(())
    })
    .await;
    assert_eq!(runtime.leases_out(), 0);
    // It still knows the first of them, in short.
    let wait = format!(r#"{{"agent_ids":["{first}"]}}"#);
    let told = call(runtime, parent, "again", ("await_agents", wait)).await;
    let short = told.contains("completed") && told.contains("more bytes cut");
    assert!(short && told.len() < TEXT_BYTES, "{told:.600}");
}
