//! S8: subagents that end badly, and the parent that hears of it.

use super::*;

const FAMILY: &str = r#"
agent lead
    call spawn_agent {"agent": "good", "task": "one"}
    call spawn_agent {"agent": "panics", "task": "two"}
    call spawn_agent {"agent": "hangs", "task": "three"}
    call spawn_agent {"agent": "poor", "task": "four"}
    call spawn_agent {"agent": "deep", "task": "five"}
    call spawn_agent {"agent": "good", "task": "six"}
  then
    call await_agents {}
  then
    say {results}
agent good
    say Did {input}.
agent panics
    panic every time
agent hangs
    hang
agent poor
    say Too dear.
agent deep
    call spawn_agent {"agent": "deeper", "task": "down"}
  then when *agent_id*
    call await_agents {}
  then
    say {results}
  else
    say {results}
agent deeper
    call spawn_agent {"agent": "deep", "task": "down"}
  then when *agent_id*
    call await_agents {}
  then
    say {results}
  else
    say {results}
"#;

/// S8: a subagent that panics, hangs, runs out of budget or spawns without end: its parent gets
/// one typed result for each, and the siblings do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_subagent_reaches_its_parent_once_and_typed() {
    let stage = Stage::set(FAMILY, |harness| {
        let routes = ["good", "panics", "hangs", "poor", "deep"];
        let mut hangs = agent("hangs", &[], &[]);
        hangs.limits.turn_ms = 1_000;
        let mut poor = agent("poor", &[], &[]);
        poor.budget = Budget { tokens: Some(10), ..Budget::default() };
        let mut panics = agent("panics", &[], &[]);
        panics.restart = RestartPolicy { panics_max: 2, ..RestartPolicy::default() };
        let harness = harness.agent(agent("lead", &[], &routes)).agent(agent("good", &[], &[]));
        let harness = harness.agent(panics).agent(hangs).agent(poor);
        harness.agent(agent("deep", &[], &["deeper"])).agent(agent("deeper", &[], &["deep"]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    let log = events(&stage.runtime, lead).await;
    let mut told = BTreeMap::new();
    let agents: BTreeMap<SessionId, String> = log
        .iter()
        .filter_map(|event| match event {
            Event::ChildSpawned { child, agent, .. } => Some((*child, agent.to_string())),
            _ => None,
        })
        .collect();
    for event in &log {
        if let Event::ChildFinished { child, report, .. } = event {
            assert!(told.insert(*child, report.outcome.clone()).is_none(), "{child} told twice");
        }
    }
    assert_eq!(told.len(), 6);
    for (child, outcome) in &told {
        let right = match (agents[child].as_str(), outcome) {
            ("good" | "deep", ChildOutcome::Turn { outcome }) => outcome.word() == "completed",
            ("panics", ChildOutcome::Quarantined { reason, .. }) => reason.contains("2 panics"),
            ("hangs", ChildOutcome::Turn { outcome }) => outcome.word() == "cancelled",
            ("poor", ChildOutcome::Turn { outcome }) => outcome.word() == "budget_exhausted",
            _ => false,
        };
        assert!(right, "{}: {outcome:?}", agents[child]);
    }
    assert!(text.contains("Did one.") && text.contains("Did six."), "{text}");
    for (child, _) in agents.iter().filter(|(_, name)| *name == "good") {
        assert_eq!(restarts(&stage.runtime, *child).await, [], "a sibling never notices");
        assert_eq!(count(&events(&stage.runtime, *child).await, "turn_finished"), 1);
    }
    let mut depth = 0;
    let mut row = stage.runtime.tree(lead).await.expect("the tree");
    assert!(text.contains("may not be started any deeper"), "{text}");
    while let Some(deepest) = row.children.into_iter().max_by_key(|node| node.children.len()) {
        depth += 1;
        row = deepest;
    }
    assert_eq!(depth, limits::DEPTH, "and no deeper");
}

const BROOD: &str = r#"
agent lead
    call spawn_agent {"agent": "nest", "task": "one"}
    call spawn_agent {"agent": "nest", "task": "two"}
    call spawn_agent {"agent": "nest", "task": "one too many"}
  then
    call await_agents {}
  then
    say {results}
agent nest
    call spawn_agent {"agent": "egg", "task": "hatch"}
    call spawn_agent {"agent": "egg", "task": "hatch"}
    call spawn_agent {"agent": "egg", "task": "hatch"}
  then
    call await_agents {}
  then
    say {results}
agent egg
    hang
"#;

/// S8: no more children at once than the agent may have, at every level; and a cancel reaches all
/// of them, also those that are being started again while it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brood_is_no_wider_than_allowed_and_a_cancel_reaches_all_of_it() {
    let stage = Stage::set(BROOD, |harness| {
        let mut lead = agent("lead", &[], &["nest"]);
        lead.limits.width = 2;
        let mut nest = agent("nest", &[], &["egg"]);
        nest.limits.width = 2;
        harness.agent(lead).agent(nest).agent(agent("egg", &[], &[]))
    })
    .await;
    let runtime = &stage.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    let brood = until("two of two", || async {
        let mut brood = children(&events(runtime, lead).await);
        for nest in brood.clone() {
            brood.extend(children(&events(runtime, nest).await));
        }
        (brood.len() == 2 + 2 * 2).then_some(brood)
    })
    .await;
    for egg in &brood[2..] {
        hangs(runtime, *egg).await;
    }
    // One nest and one egg are in their backoff when the cancel comes.
    for session in [brood[0], brood[2]] {
        assert!(runtime.kill(&Victim::Session(session)));
    }
    runtime.cancel(lead, CancelTarget::Everything, "enough").await.expect("cancel");
    let outcome = ended(runtime, lead, "k").await;
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. }), "{outcome:?}");
    // Done means done: asked at once, without waiting for anything.
    for session in &brood {
        let log = events(runtime, *session).await;
        assert_eq!(count(&log, "turn_finished"), 1, "{log:#?}");
        assert!(children(&log).len() <= 2);
    }
    for parent in [lead, brood[0], brood[1]] {
        let log = events(runtime, parent).await;
        assert_eq!(children(&log).len(), 2, "and not a third: {log:#?}");
        assert_eq!(count(&log, "child_finished"), 2, "each is told once: {log:#?}");
        let refused = closures(&log);
        let refused = refused.iter().filter(|said| said.told().0.shown().contains("limit reached"));
        assert_eq!(refused.count(), 1, "the third is refused in words");
    }
    let gates = runtime.figures().gates;
    assert!(gates.values().all(|gate| gate.taken + gate.waiting == 0), "{gates:?}");
}
