//! What runs down the tree: a deny holds at every depth and in every mode, and a child may never
//! do what its parent may not.

use greenroom_actors::domain::permission::Authority;

use super::*;

/// Every level calls the tool, and spawns the next one.
const LADDER: &str = r#"
agent l3
    call Bash {"command": "rm -r scenery"}
  then
    say {last}
agent *
    call Bash {"command": "rm -r scenery"}
    call spawn_agent {"agent": "NEXT", "task": "t"}
  then
    call await_agents
  then
    say {last}
"#;

fn script() -> String {
    let (last, any) = LADDER.split_at(LADDER.find("agent *").expect("the ladder"));
    let rung = |name: &str, next: &str| any.replace('*', name).replace("NEXT", next);
    format!("{last}{}{}{}", rung("l0", "l1"), rung("l1", "l2"), rung("l2", "l3"))
}

/// Four levels; `authority` says what each may do by itself.
async fn ladder(
    prop: &Prop,
    user: RuleSet,
    authority: impl Fn(usize) -> Authority,
) -> (Stage, SessionId) {
    let prop = prop.clone();
    let stage = Stage::set(&script(), |mut harness| {
        harness.options.layers.user = user;
        let levels = [("l0", vec!["l1"]), ("l1", vec!["l2"]), ("l2", vec!["l3"]), ("l3", vec![])];
        for (level, (name, routes)) in levels.iter().enumerate() {
            let mut agent = agent(name, &["Bash"], routes);
            agent.authority = authority(level);
            harness = harness.agent(agent);
        }
        harness.tool(prop)
    })
    .await;
    let root = say(&stage.runtime, "l0", "k", "go").await;
    (stage, root)
}

/// How `Bash` closed at each level, from the root down.
async fn looked(stage: &Stage, root: SessionId) -> Vec<ToolOutcome> {
    let (mut outcomes, mut at) = (Vec::new(), Some(root));
    while let Some(session) = at {
        let events = events(&stage.runtime, session).await;
        is_whole(&events);
        let call = events.iter().find_map(|event| match event {
            Event::ToolRequested { call, name, .. } if name.as_str() == "Bash" => Some(*call),
            _ => None,
        });
        outcomes.extend(events.iter().find_map(|event| match event {
            Event::ToolFinished { call: no, outcome } if Some(*no) == call => Some(outcome.clone()),
            _ => None,
        }));
        at = crate::props::children(&events).first().copied();
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deny_holds_at_every_depth_and_in_every_mode() {
    for mode in MODES {
        let prop = Prop::new("Bash", EffectClass::Pure);
        let open = || Authority { mode, rules: rules(&["Bash"], &[], &[]), ..Authority::default() };
        let (stage, root) = ladder(&prop, rules(&["Bash"], &[], &["Bash(rm *)"]), |_| open()).await;
        ended(&stage.runtime, root, "k").await;
        let outcomes = looked(&stage, root).await;
        assert_eq!(outcomes.len(), 4, "{mode:?}");
        for outcome in &outcomes {
            assert!(refusal(outcome).contains("deny Bash(rm *)"), "{mode:?}: {outcome:?}");
        }
        assert!(prop.keys().is_empty(), "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_may_not_no_agent_below_it_may() {
    // Level 1 may not look, and everybody below it claims that it may.
    let prop = Prop::new("Bash", EffectClass::Once);
    let (stage, root) = ladder(&prop, rules(&["Bash"], &[], &[]), |level| match level {
        1 => Authority { rules: rules(&[], &[], &["Bash"]), ..Authority::default() },
        _ => Authority {
            mode: Mode::BypassPermissions,
            rules: rules(&["Bash"], &[], &[]),
            ..Authority::default()
        },
    })
    .await;
    ended(&stage.runtime, root, "k").await;
    let words: Vec<_> = looked(&stage, root).await.iter().map(ToolOutcome::word).collect();
    assert_eq!(words, ["done", "refused", "refused", "refused"]);
    assert_eq!(prop.keys().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stricter_mode_above_holds_below() {
    for (mode, why) in [(Mode::Plan, "mode plan"), (Mode::DontAsk, "mode dont_ask")] {
        let prop = Prop::new("Bash", EffectClass::Once);
        let (stage, root) = ladder(&prop, RuleSet::default(), |level| {
            let mode = if level == 0 { mode } else { Mode::BypassPermissions };
            Authority { mode, ..Authority::default() }
        })
        .await;
        ended(&stage.runtime, root, "k").await;
        for outcome in looked(&stage, root).await {
            assert!(refusal(&outcome).contains(why), "{outcome:?}");
        }
        assert!(prop.keys().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_would_not_ask_asks_where_its_parent_would() {
    let prop = Prop::new("Bash", EffectClass::Once);
    let (stage, root) = ladder(&prop, RuleSet::default(), |level| {
        let mode = if level == 0 { Mode::Default } else { Mode::BypassPermissions };
        Authority { mode, ..Authority::default() }
    })
    .await;
    // The questions of two levels may be open at once; no call runs before its own answer.
    let mut waiting = Vec::new();
    for level in 0..4 {
        let open = eventually(&stage.harness.deps.clock, "the next question", || async {
            let open = stage.runtime.approvals(None).await.expect("the inbox");
            open.into_iter().map(|row| row.id).find(|id| !waiting.contains(id))
        })
        .await;
        assert_eq!(prop.keys().len(), level);
        stage.runtime.decide(open, Answer::Once).await.expect("the answer");
        seen("the answered call runs", || prop.keys().len() == level + 1).await;
        waiting.push(open);
    }
    ended(&stage.runtime, root, "k").await;
    assert_eq!(prop.keys().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_everything_in_a_parent_opens_nothing_in_its_child() {
    let prop = Prop::new("Bash", EffectClass::Once);
    let (stage, root) = ladder(&prop, RuleSet::default(), |_| Authority::default()).await;
    let open = asked(&stage.runtime, 2).await;
    let own = open.iter().find(|id| id.session == root).expect("the root asks");
    stage.runtime.decide(*own, Answer::All).await.expect("the answer");
    seen("the root's call runs", || prop.keys().len() == 1).await;
    let child = logged(&stage.runtime, root, "it has a child", |events| {
        crate::props::children(events).first().copied()
    })
    .await;
    let still = stage.runtime.approvals(None).await.expect("the inbox");
    assert!(still.iter().any(|row| row.id.session == child), "{still:?}");
}

/// `~/` and `/` in rules stand for folders that only the host knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_rules_are_relative_to_the_folders_the_host_names() {
    let script = |path: &str| {
        format!("agent reader\n  call read_file {{\"path\": \"{path}\"}}\n  then\n  say {{last}}\n")
    };
    let reads = |path: &'static str| async move {
        let prop = Prop::new("read_file", EffectClass::Pure);
        let stage = Stage::set(&script(path), |mut harness| {
            harness.options.layers.user = rules(&["Read(~/notes/**)", "Read(/plays/**)"], &[], &[]);
            harness.options.desk = Desk::Headless;
            harness.options.places = greenroom_actors::runtime::Places {
                home: Some("/home/u".to_owned()),
                user: Some("/etc/stage".to_owned()),
                project: None,
                ..Default::default()
            };
            harness.agent(agent("reader", &["read_file"], &[])).tool(prop)
        })
        .await;
        let reader = say(&stage.runtime, "reader", "k", "go").await;
        ended(&stage.runtime, reader, "k").await;
        closures(&events(&stage.runtime, reader).await).remove(0)
    };
    for allowed in ["/home/u/notes/act-1", "/etc/stage/plays/x"] {
        let told = reads(allowed).await;
        assert!(matches!(told, ToolOutcome::Done { .. }), "{allowed}: {told:?}");
    }
    let refused = reads("/home/other/notes/act-1").await;
    assert!(matches!(refused, ToolOutcome::Refused { .. }), "{refused:?}");
}

/// A model's call, the host's own, an agent that the host starts, a copy of the session: a request is
/// judged alike whichever way it comes, and no mode that is said with it opens what is denied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deny_is_the_same_by_whichever_way_a_call_comes() {
    let prop = Prop::new("Bash", EffectClass::Pure);
    let open = || Authority {
        mode: Mode::BypassPermissions,
        rules: rules(&["Bash"], &[], &[]),
        ..Authority::default()
    };
    let (stage, root) = ladder(&prop, rules(&["Bash"], &[], &["Bash(rm *)"]), |_| open()).await;
    let runtime = &stage.runtime;
    ended(runtime, root, "k").await;
    let refused = looked(&stage, root).await;
    let mut line = vec![root];
    while let Some(child) = line.last().copied() {
        let events = events(runtime, child).await;
        line.extend(crate::props::children(&events).first().copied());
        if line.last() == Some(&child) {
            break;
        }
    }
    assert_eq!((line.len(), refused.len()), (4, 4));
    let call = || ("Bash".into(), Args(r#"{"command":"rm -r scenery"}"#.to_owned()));
    for (depth, session) in line.into_iter().enumerate() {
        let row = runtime.reading().session(session).await.expect("its line");
        let at = row.expect("it is known").position;
        let copy = runtime.fork(session, at).await.expect("a copy");
        for (way, session) in [("the session", session), ("its copy", copy)] {
            for mode in MODES.into_iter().map(Some).chain([None]) {
                let key = format!("{mode:?}").as_str().into();
                let outcome = runtime.invoke_tool(session, key, call(), (mode, None)).await;
                let outcome = outcome.expect("an outcome");
                assert!(
                    refusal(&outcome).contains("deny Bash(rm *)"),
                    "{way} at {depth} in {mode:?}: {outcome:?}"
                );
            }
        }
    }
    // An agent that the host starts by the tool, without a model's wish.
    let start = ("spawn_agent".into(), Args(r#"{"agent":"l1","task":"t"}"#.to_owned()));
    let started = runtime.invoke_tool(root, "start".into(), start, (None, None)).await;
    assert_eq!(started.expect("an outcome").word(), "done");
    let events = events(runtime, root).await;
    let child = *crate::props::children(&events).last().expect("it was started");
    // It ends behind everybody below it.
    logged(runtime, child, "it has ended", |events| {
        (count(events, "turn_finished") == 1).then_some(())
    })
    .await;
    let below = looked(&stage, child).await;
    assert_eq!(below.len(), 3);
    assert!(below.iter().all(|one| refusal(one).contains("deny Bash(rm *)")), "{below:?}");
    assert!(prop.keys().is_empty());
}
