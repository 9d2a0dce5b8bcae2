//! Agents under this one: spawned, awaited, cancelled, listed, addressed.

use super::play::*;
use crate::{
    domain::{
        agent::InputPolicy,
        event::{CancelTarget, FailureKind},
        ids::Assignment,
        outcome::{ChildOutcome, ChildReport},
        permission::RulePattern,
    },
    policy::turn::Input,
};

const SPAWN: (&str, &str) = ("spawn_agent", r#"{"agent":"hand","task":"dig"}"#);

fn spawned(play: Play) -> Play {
    play.with(wants(1, &[SPAWN])).with(room(tool(1)))
}

fn root() -> Play {
    spawned(Play::of(agent()).with(say("k1")))
}

fn about(name: &'static str, kid_of: u32, more: &str) -> (&'static str, String) {
    (name, format!(r#"{{"agent_id":"{}"{more}}}"#, kid(kid_of)))
}

fn wants_one(call: u32, (name, args): (&str, String)) -> Input {
    wants(call, &[(name, args.as_str())])
}

#[test]
fn a_spawn_waits_for_a_place_and_is_then_done_in_one_frame() {
    Play::of(agent())
        .with(say("k1"))
        .check(
            wants(1, &[SPAWN]),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 spawn_agent
                > reserve t1
            ",
        )
        .check(
            room(tool(1)),
            r#"
                + tool_started t1 as built in until 345601000
                + child_spawned kid1/1 by t1 anew
                + tool_finished t1 done: {"agent_id":"kid1","agent":"hand","assignment":1}
                + model_call_started m2
                > call m2
                > see to kid1/1
            "#,
        )
        .check(room(tool(1)), "");
}

#[test]
fn a_spawn_that_may_not_be_is_refused_before_it_waits() {
    Play::of(agent()).with(say("k1")).check(
        wants(1, &[("spawn_agent", r#"{"agent":"x","task":""}"#), ("spawn_agent", "{}")]),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 spawn_agent
                + tool_requested t2 spawn_agent
                + tool_finished t1 failed: no agent x; you may start: hand
                + tool_finished t2 failed: spawn_agent: bad arguments: missing field `agent` at line 1 column 2
                + model_call_started m2
                > settle t1 nothing
                > settle t2 nothing
                > call m2
        ",
    );
    let mut flat = agent();
    flat.limits.depth = 0;
    Play::of(flat).with(say("k1")).check(
        wants(1, &[SPAWN]),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 spawn_agent
                + tool_finished t1 failed: limit reached: agents may not be started any deeper
                + model_call_started m2
                > settle t1 nothing
                > call m2
            ",
    );
}

#[test]
fn a_spawn_denied_after_it_got_its_place_gives_it_back() {
    let mut play = Play::of(agent()).with(say("k1")).with(wants(1, &[SPAWN]));
    play.layers.user.deny.push(RulePattern("spawn_agent".to_owned()));
    play.check(
        room(tool(1)),
        "
                + tool_finished t1 refused: Permission denied: user: deny spawn_agent
                + model_call_started m2
                > settle t1 nothing
                > call m2
            ",
    );
    let mut play = Play::of(agent()).with(say("k1")).with(wants(1, &[SPAWN]));
    play.layers.user.ask.push(RulePattern("spawn_agent".to_owned()));
    play.check(
        room(tool(1)),
        "
                + approval_requested a1 about t1
                > settle t1 nothing
                > ask a1
                > wake at 259201000
            ",
    );
}

#[test]
fn width_is_kept_also_where_two_wait_for_places() {
    let mut narrow = agent();
    narrow.limits.width = 1;
    Play::of(narrow).with(say("k1")).with(wants(1, &[SPAWN, SPAWN])).with(room(tool(1))).check(
        room(tool(2)),
        "
                + tool_finished t2 failed: limit reached: 1 agents are working for you already
                + model_call_started m2
                > settle t2 nothing
                > call m2
            ",
    );
}

#[test]
fn a_full_house_is_said_to_the_model() {
    let account = me();
    let decision = Err(crate::domain::budget::Shortage::Waited { account, waited_ms: 1 });
    Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[SPAWN]))
        .check(decided(1, tool(1), decision), "
                + budget_exhausted
                + tool_finished t1 refused: limit reached: budget of 00000000-0000-0000-0000-000000000001 stayed reserved by others for 1 ms
                + model_call_started m2
                > settle t1 nothing
                > call m2
            ");
}

#[test]
fn a_place_granted_for_a_cancelled_spawn_is_not_used() {
    Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[SPAWN]))
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                + tool_finished t1 cancelled: cancelled before it started
                + turn_finished 1 cancelled: enough
                > settle t1 nothing
                > tell turn 1 cancelled
            ",
        )
        .check(room(tool(1)), "> settle t1 nothing");
}

#[test]
fn awaiting_ends_with_the_last_agent() {
    root()
        .check(wants(2, &[("await_agents", "{}")]), "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 await_agents
                + tool_started t2 as built in until 345601000
            ")
        .check(ended(1, 1, "dug"), r#"
                + child_finished kid1/1 completed
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"completed","result":"dug"}]
                + model_call_started m3
                > settle t1 0 tokens 1 calls
                > call m3
            "#)
        .check(ended(1, 1, "dug"), "");
}

#[test]
fn awaiting_what_has_ended_is_done_at_once_and_told_once() {
    let play = root().with(ended(1, 1, "dug")).check(wants(2, &[("await_agents", "{}")]), r#"
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 await_agents
                + tool_started t2 as built in until 345601000
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"completed","result":"dug"}]
                + model_call_started m3
                > call m3
            "#);
    let play = play.with(answers(3, reply("bye", &[]))).with(say("k2"));
    let news = format!("{:?}", play.state.conversation.last().unwrap());
    assert!(!news.contains("dug"), "{news}");
}

#[test]
fn news_of_agents_that_nobody_awaited_open_the_next_turn() {
    let play = root().with(answers(2, reply("bye", &[]))).with(ended(1, 1, "dug")).with(say("k2"));
    let news = format!("{:?}", play.state.conversation.last().unwrap());
    assert!(news.contains("completed] dug"), "{news}");
}

#[test]
fn awaiting_ends_at_its_own_time() {
    root()
        .check(
            wants(2, &[("await_agents", r#"{"timeout_ms":500}"#)]),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 await_agents
                + tool_started t2 as built in until 1500
                > wake at 1500
            ",
        )
        .at(1_499)
        .check(Input::TimerFired, "")
        .at(1_500)
        .check(
            Input::TimerFired,
            r#"
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"running"}]
                + model_call_started m3
                > call m3
                > wake at 345601000
            "#,
        );
}

#[test]
fn awaiting_strangers_fails() {
    root().check(wants(2, &[("await_agents", r#"{"agent_ids":["00000000-0000-0000-0000-000000000009"]}"#)]), "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 await_agents
                + tool_finished t2 failed: 00000000-0000-0000-0000-000000000009 is not an agent you started
                + model_call_started m3
                > call m3
            ");
}

#[test]
fn a_cancelled_agent_is_waited_for() {
    root()
        .check(wants_one(2, about("cancel_agent", 1, "")), "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 cancel_agent
                + tool_started t2 as built in until 345601000
                + cancel_requested kid1: cancelled by its parent
                > cancel kid1/1
            ")
        .check(ended(1, 1, "stopped"), r#"
                + child_finished kid1/1 completed
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"completed","result":"stopped"}]
                + model_call_started m3
                > settle t1 0 tokens 1 calls
                > call m3
            "#);
}

#[test]
fn agents_are_listed() {
    root().check(
        wants(2, &[("list_agents", "{}")]),
        r#"
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 list_agents
                + tool_started t2 as built in until 345601000
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"running"}]
                + model_call_started m3
                > call m3
            "#,
    );
}

#[test]
fn an_agent_is_given_more_to_do() {
    root()
        .with(ended(1, 1, "dug"))
        .check(
            wants_one(2, about("send_agent", 1, r#","task":"more""#)),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 send_agent
                > reserve t2
            ",
        )
        .check(
            room(tool(2)),
            r#"
                + tool_started t2 as built in until 345601000
                + child_spawned kid1/2 by t2
                + tool_finished t2 done: {"agent_id":"kid1","agent":"hand","assignment":2}
                + model_call_started m3
                > call m3
                > see to kid1/2
            "#,
        )
        .check(
            ended(1, 2, "more"),
            "
                + child_finished kid1/2 completed
                > settle t2 0 tokens 1 calls
            ",
        );
}

#[test]
fn the_host_spawns_and_cancels_too() {
    let args = crate::domain::tool::Args(SPAWN.1.to_owned());
    let (key, name) = ("h1".into(), SPAWN.0.into());
    Play::of(agent())
        .check(
            Input::Invoked { key, name, args, mode: None, cwd: None },
            "
                + tool_requested t1 spawn_agent for h1
                > reserve t1
            ",
        )
        .check(
            room(tool(1)),
            r#"
                + tool_started t1 as built in until 301000
                + child_spawned kid1/1 by t1 anew
                + tool_finished t1 done: {"agent_id":"kid1","agent":"hand","assignment":1}
                > tell t1 done
                > see to kid1/1
            "#,
        )
        .check(
            cancel(CancelTarget::Child { child: kid(1) }),
            "
                + cancel_requested kid1: enough
                > cancel kid1/1
            ",
        )
        .check(cancel(CancelTarget::Child { child: kid(1) }), "")
        .check(
            cancel(CancelTarget::Child { child: kid(7) }),
            "! 0422dfd6-7553-5af0-93c6-53b2222a7b41 is not a child of this session",
        );
}

#[test]
fn everything_goes_down_and_the_turn_ends_behind_its_agents() {
    root()
        .check(
            cancel(CancelTarget::Everything),
            "
                + cancel_requested everything: enough
                > abort m2
                > cancel kid1/1
            ",
        )
        .check(
            fails(2, FailureKind::Aborted),
            "
                + model_call_failed m2 Aborted
                + usage_settled m2 at its bound
            ",
        )
        .check(
            ended(1, 1, "stopped"),
            "
                + child_finished kid1/1 completed
                + turn_finished 1 cancelled: enough
                > settle t1 0 tokens 1 calls
                > tell turn 1 cancelled
            ",
        );
}

#[test]
fn a_cancel_of_a_turn_takes_the_agents_it_set_to_work_along() {
    root()
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                + cancel_requested kid1: enough
                > abort m2
                > cancel kid1/1
            ",
        )
        .check(
            fails(2, FailureKind::Aborted),
            "
                + model_call_failed m2 Aborted
                + usage_settled m2 at its bound
            ",
        )
        .check(
            ended(1, 1, "stopped"),
            "
                + child_finished kid1/1 completed
                + turn_finished 1 cancelled: enough
                > settle t1 0 tokens 1 calls
                > tell turn 1 cancelled
            ",
        );
}

#[test]
fn a_cancel_of_a_turn_leaves_agents_of_an_earlier_turn_at_work() {
    root().with(answers(2, reply("for now", &[]))).with(say("k2")).check(
        stop_turn(2),
        "
                + cancel_requested turn 2: enough
                > abort m3
            ",
    );
}

#[test]
fn an_interrupt_leaves_agents_alone() {
    let mut hasty = agent();
    hasty.input = InputPolicy::Interrupt;
    spawned(Play::of(hasty).with(say("k1"))).check(
        say("k2"),
        "
                + input_accepted k2
                + cancel_requested turn 1: interrupted by a newer input
                > abort m2
            ",
    );
}

#[test]
fn an_assignment_ends_behind_the_agents_below_it() {
    let child = spawned(Play::child(agent()).with(assign(1)));
    child
        .clone()
        .check(
            answers(2, reply("mine", &[])),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
            ",
        )
        .check(
            ended(1, 1, "dug"),
            "
                + child_finished kid1/1 completed
                + turn_finished 1 completed: mine
                > settle t1 0 tokens 1 calls
                > report 1 to boss: completed
                > tell turn 1 completed
            ",
        );
    child
        .clone()
        .check(
            fails(2, FailureKind::Auth),
            "
                + model_call_failed m2 Auth
                + usage_settled m2 at its bound
                + cancel_requested turn 1: the agent that started it has ended
                + cancel_requested kid1: the agent that started it has ended
                > cancel kid1/1
            ",
        )
        .check(
            ended(1, 1, "stopped"),
            "
                + child_finished kid1/1 completed
                + turn_finished 1 failed: the model call failed once: no
                > settle t1 0 tokens 1 calls
                > report 1 to boss: failed
                > tell turn 1 failed
            ",
        );
    child
        .at(345_601_000)
        .check(
            Input::TimerFired,
            "
                + cancel_requested turn 1: the turn's time ran out
                + cancel_requested kid1: the turn's time ran out
                > abort m2
                > cancel kid1/1
            ",
        )
        .check(
            fails(2, FailureKind::Aborted),
            "
                + model_call_failed m2 Aborted
                + usage_settled m2 at its bound
            ",
        );
}

#[test]
fn a_cancelled_assignment_takes_its_agents_with_it() {
    let target = CancelTarget::Assignment { no: Assignment(1) };
    spawned(Play::child(agent()).with(assign(1)))
        .with(answers(2, reply("mine", &[])))
        .check(
            cancel(target),
            "
                + cancel_requested assignment 1: enough
                > cancel kid1/1
            ",
        )
        .check(
            ended(1, 1, "stopped"),
            "
                + child_finished kid1/1 completed
                + turn_finished 1 cancelled: enough
                > settle t1 0 tokens 1 calls
                > report 1 to boss: cancelled
                > tell turn 1 cancelled
            ",
        );
}

#[test]
fn a_quarantined_agent_is_told_as_that() {
    let report = ChildReport {
        outcome: ChildOutcome::Quarantined { reason: "3 panics".to_owned(), stopped: false },
        usage: USED,
    };
    let (child, assignment) = (kid(1), Assignment(1));
    root()
        .with(wants(2, &[("await_agents", "{}")]))
        .check(Input::ChildFinished { child, assignment, report }, r#"
                + child_finished kid1/1 quarantined
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"quarantined","result":"3 panics"}]
                + model_call_started m3
                > settle t1 0 tokens 1 calls
                > call m3
            "#);
}

#[test]
fn results_of_many_agents_fit_into_a_frame() {
    let mut play = Play::of(agent()).with(say("k1")).with(wants(1, &[SPAWN; 20]));
    for no in 1..=20 {
        play = play.with(room(tool(no)));
    }
    let waits: Vec<(&str, String)> = (1..=20)
        .map(|no| ("await_agents", format!(r#"{{"agent_ids":["{}"]}}"#, kid(no))))
        .collect();
    let waits: Vec<(&str, &str)> =
        waits.iter().map(|(name, args)| (*name, args.as_str())).collect();
    let text = "\u{1}\"".repeat(20_000);
    for no in 2..=20 {
        play = play.with(ended(no, 1, &text));
    }
    // The fold of the bytes would fail here if the frame were too large to write.
    let play = play
        .with(wants(2, &waits))
        .with(ended(1, 1, &text))
        .with(wants(3, &[("list_agents", "{}")]));
    assert_eq!(play.state.calls.len(), 0);
}
