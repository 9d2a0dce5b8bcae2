//! A session's life outside its turns: opened, named, put away, forked.

use super::play::*;
use crate::{
    domain::{
        event::{ForkPoint, Goal},
        ids::{Position, SessionId},
    },
    policy::turn::{Input, State},
};

fn archive(archived: bool) -> Input {
    Input::Archived { archived }
}

#[test]
fn nothing_comes_before_the_first_event_and_it_comes_once() {
    Play::blank()
        .check(say("k"), "! the session does not exist")
        .check(wake(), "! the session does not exist");
    Play::of(agent()).check(Play::opening(agent()), "! the session exists already");
}

#[test]
fn names_goals_and_checkpoints_are_kept() {
    let goal = Some(Goal { objective: "win".to_owned(), token_budget: None });
    let (name, at, value) = ("here".into(), Position(1), "42".to_owned());
    let play = Play::of(agent())
        .check(Input::Renamed { name: "north".to_owned() }, "+ session_renamed north")
        .check(Input::Renamed { name: String::new() }, "! a session's name has 1 to 200 bytes")
        .check(Input::GoalSet { goal: goal.clone() }, "+ goal_set")
        .check(Input::Checkpointed { name, at, value }, "+ checkpointed");
    assert_eq!((play.state.name.as_deref(), play.state.goal), (Some("north"), goal));
}

#[test]
fn what_no_event_can_hold_is_refused() {
    let objective = "x".repeat(crate::limits::INPUT_BYTES + 1);
    let goal = Some(Goal { objective: objective.clone(), token_budget: None });
    let (name, at) = ("here".into(), Position(1));
    Play::of(agent())
        .check(Input::GoalSet { goal }, "
                ! the input has 131073 bytes, at most 131072 are taken; put large content into a blob
            ")
        .check(Input::Checkpointed { name, at, value: objective.clone() }, "
                ! the input has 131077 bytes, at most 131072 are taken; put large content into a blob
            ");
    let target = crate::domain::event::CancelTarget::Everything;
    let play =
        Play::of(agent()).with(say("k")).with(Input::CancelRequested { target, reason: objective });
    assert!(play.state.turn.unwrap().cancel.unwrap().len() < 2 * crate::limits::REASON_BYTES);
}

#[test]
fn a_session_is_put_away_when_nothing_is_in_hand() {
    Play::of(agent())
        .check(archive(true), "+ session_archived true")
        .check(archive(true), "")
        .check(say("k1"), "! the session is archived; unarchive it first")
        .check(archive(false), "+ session_archived false")
        .with(say("k1"))
        .check(archive(true), "! the session is busy; send it again when its turn has ended");
    let args = crate::domain::tool::Args("{}".to_owned());
    Play::of(agent())
        .with(Input::Invoked { key: "h".into(), name: "pay".into(), args, mode: None, cwd: None })
        .check(archive(true), "! the session is busy; send it again when its turn has ended");
}

#[test]
fn a_warning_of_the_ledger_is_recorded() {
    use crate::domain::budget::Dimension::{Money, Tokens};
    let warned = |dimension, percent| Input::BudgetWarned { account: me(), dimension, percent };
    Play::of(agent())
        .check(warned(Tokens, 80), "+ budget_warned")
        // Told again, by a ledger that could not know.
        .check(warned(Tokens, 80), "")
        .check(warned(Tokens, 93), "")
        .check(warned(Money, 80), "+ budget_warned")
        .check(warned(Tokens, 101), "+ budget_warned")
        .check(warned(Tokens, 140), "");
}

/// A fork of what `play` came to.
fn forked(play: &Play) -> (Play, Input) {
    let mut fork = play.clone();
    fork.state.session = me();
    let from = SessionId(uuid::Uuid::from_u128(7));
    let mut input = Play::opening(agent());
    if let Input::Opened { fork, .. } = &mut input {
        *fork = Some(ForkPoint { session: from, at: Position(3) });
    }
    (fork, input)
}

#[test]
fn a_fork_closes_what_was_open_and_ties_nothing() {
    let play = Play::of(agent()).with(say("k1")).with(say("k2")).with(wants(
        1,
        &[("read", "{}"), ("pay", "{}"), ("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)],
    ));
    let play = play.with(slot(1)).with(room(tool(3)));
    let (fork, input) = forked(&play);
    let fork = fork.check(input.clone(), "
                + session_opened
                + session_forked
                + tool_finished t1 not_carried: not carried over: this conversation was forked while it ran
                + tool_finished t2 not_carried: not carried over: this conversation was forked while it ran
                + turn_finished 1 cancelled: not carried over: forked while it ran
            ").check(input, "! the session exists already").check(say("k1"), "
                + input_accepted k1
                + turn_started 2
                + model_call_started m2
                > call m2
                > wake at 345601000
            ");
    let State { children, approvals, queue, .. } = &fork.state;
    assert!(children.is_empty() && approvals.is_empty() && queue.is_empty());
}

#[test]
fn a_fork_in_the_middle_of_a_model_call_leaves_the_call_behind() {
    let (fork, input) = forked(&Play::of(agent()).with(say("k1")));
    fork.check(
        input,
        "
                + session_opened
                + session_forked
                + turn_finished 1 cancelled: not carried over: forked while it ran
            ",
    );
}

/// What the base's calls came to stands in the base's books. The fork settles none of them when it
/// wakes, whoever had asked for them.
#[test]
fn a_fork_books_no_call_of_its_base() {
    let budget = crate::domain::budget::Budget { tool_calls: Some(2), ..Default::default() };
    let spec = crate::domain::agent::AgentSpec { budget, ..agent() };
    let play = Play::of(spec.clone())
        .with(invoke())
        .with(room(tool(1)))
        .with(slot(1))
        .with(say("k1"))
        .with(room(model(1)))
        .with(wants(1, &[("put", "{}")]))
        .with(room(tool(2)))
        .with(slot(2));
    let (fork, _) = forked(&play);
    let mut input = Play::opening(spec);
    if let Input::Opened { fork, .. } = &mut input {
        *fork = Some(ForkPoint { session: SessionId(uuid::Uuid::from_u128(7)), at: Position(3) });
    }
    let fork = fork.with(input);
    assert_eq!(fork.state.recent, [], "nothing to be told to the ledger");
    assert!(fork.state.host_calls.is_empty(), "the host asked the base, not the fork");
    fork.check(wake(), "").check(
        invoke(),
        "
                + tool_requested t3 send for h
                > slot t3 after room
            ",
    );
}

/// The host asks for a tool.
fn invoke() -> Input {
    let args = crate::domain::tool::Args("{}".to_owned());
    Input::Invoked { key: "h".into(), name: "send".into(), args, mode: None, cwd: None }
}
