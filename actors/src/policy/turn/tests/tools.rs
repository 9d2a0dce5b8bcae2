//! Tool calls: decided, started, closed; the model's and the host's.

use super::play::*;
use crate::{
    domain::{
        event::CancelTarget,
        ids::ToolCallNo,
        permission::{Mode, RulePattern},
        tool::{Args, ToolOutcome},
    },
    policy::turn::Input,
};

fn asked() -> Play {
    Play::of(agent()).with(say("k1"))
}

fn invoked(key: &str, name: &str) -> Input {
    let args = Args("{}".to_owned());
    Input::Invoked { key: key.into(), name: name.into(), args, mode: None, cwd: None }
}

#[test]
fn parallel_tools_with_slots_start_in_the_frame_of_the_reply() {
    asked()
        .check(
            wants_now(1, &[("read", "{}"), ("send", "{}")]),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 read
                + tool_requested t2 send
                + tool_started t1 by rules until 301000
                + tool_started t2 by rules until 301000
                > run t1
                > run t2
            ",
        )
        .check(done(2, "b"), "+ tool_finished t2 done: b")
        .check(
            done(1, "a"),
            "
                + tool_finished t1 done: a
                + model_call_started m2
                > call m2
            ",
        );
}

#[test]
fn tools_without_slots_start_when_they_get_one() {
    asked()
        .check(
            wants(1, &[("read", "{}"), ("read", "{}")]),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 read
                + tool_requested t2 read
                > slot t1
                > slot t2
            ",
        )
        .check(
            slot(2),
            "
                + tool_started t2 by rules until 301000
                > run t2
            ",
        )
        .check(slot(2), "")
        .check(
            slot(1),
            "
                + tool_started t1 by rules until 301000
                > run t1
            ",
        );
}

#[test]
fn results_reach_the_model_in_one_message_in_the_order_of_the_calls() {
    let play = asked()
        .with(wants_now(1, &[("read", "{}"), ("read", "{}")]))
        .with(done(2, "second"))
        .with(done(1, "first"));
    let last = play.state.conversation.last().unwrap();
    let shown: Vec<String> = last.blocks.iter().map(|block| format!("{block:?}")).collect();
    assert!(shown[0].contains("first") && shown[1].contains("second"), "{shown:?}");
}

#[test]
fn the_first_closure_of_a_call_counts() {
    asked()
        .with(wants_now(1, &[("read", "{}"), ("read", "{}")]))
        .with(done(1, "a"))
        .check(done(1, "b"), "");
}

#[test]
fn unknown_tools_bad_arguments_and_denials_close_at_once() {
    asked().check(wants(1, &[("nope", "{}"), ("read", "[1]"), ("read", "{"), ("rm", "{}")]), "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 nope
                + tool_requested t2 read
                + tool_requested t3 read
                + tool_requested t4 rm
                + tool_finished t1 refused: no tool nope; this agent has: await_agents, buy, cancel_agent, list_agents, pay, probe, put, read, rm, send, send_agent, spawn_agent
                + tool_finished t2 failed: read: parse tool arguments: expected a JSON object, found an array
                + tool_finished t3 failed: read: parse tool arguments: expected a JSON object: EOF while parsing an object at line 1 column 1
                + tool_finished t4 refused: Permission denied: its agent: deny rm
                + model_call_started m2
                > call m2
            ");
}

#[test]
fn a_pool_that_cannot_take_a_call_closes_it() {
    let reason = "full".to_owned();
    asked()
        .with(wants(1, &[("read", "{}")]))
        .check(
            Input::SlotRefused { call: ToolCallNo(1), reason: reason.clone() },
            "
                + tool_finished t1 refused: full
                + model_call_started m2
                > call m2
            ",
        )
        .check(Input::SlotRefused { call: ToolCallNo(1), reason }, "");
}

#[test]
fn a_rule_tightened_between_ask_and_start_wins() {
    let mut play = asked().with(wants(1, &[("read", "{}"), ("put", "{}")]));
    play.layers.user.deny.push(RulePattern("read".to_owned()));
    play.layers.user.ask.push(RulePattern("put".to_owned()));
    play.check(slot(1), "+ tool_finished t1 refused: Permission denied: user: deny read").check(
        slot(2),
        "
                + approval_requested a1 about t2
                > ask a1
                > wake at 259201000
            ",
    );
}

#[test]
fn a_counted_tool_call_asks_for_room_first() {
    let account = me();
    let decision = Err(crate::domain::budget::Shortage::UnknownPrice { account });
    Play::of(tools_counted())
        .with(say("k1"))
        .check(wants_now(1, &[("read", "{}"), ("read", "{}")]), "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 read
                + tool_requested t2 read
                > slot t1 after room
                > slot t2 after room
            ")
        .check(slot(1), "
                + tool_started t1 by rules until 301000
                > run t1
            ")
        .check(decided(1, tool(2), decision), "
                + budget_exhausted
                + tool_finished t2 refused: limit reached: budget of 00000000-0000-0000-0000-000000000001 is in money, but the model's price is unknown
                > settle t2 nothing
            ")
        .check(done(1, "a"), "
                + tool_finished t1 done: a
                + model_call_started m2
                > settle t1 0 tokens 1 calls
                > call m2
            ")
        // The ledger answers once more, late: what was spent must not be taken back.
        .check(room(tool(1)), "> settle t1 0 tokens 1 calls");
}

#[test]
fn a_call_asked_about_again_gives_its_room_back() {
    let mut play = Play::of(tools_counted()).with(say("k1")).with(wants(1, &[("read", "{}")]));
    play.layers.user.ask.push(RulePattern("read".to_owned()));
    play.check(
        slot(1),
        "
                + approval_requested a1 about t1
                > settle t1 nothing
                > ask a1
                > wake at 259201000
            ",
    );
}

#[test]
fn a_cancel_closes_what_has_not_started_and_aborts_what_has() {
    asked()
        .with(wants(1, &[("read", "{}"), ("send", "{}"), ("pay", "{}")]))
        .with(slot(2))
        .check(stop_turn(1), "
                + cancel_requested turn 1: enough
                + tool_finished t1 cancelled: cancelled before it started
                + approval_closed a1 Withdrawn
                + tool_finished t3 cancelled: cancelled before it started
                > abort t2
            ")
        .check(slot(1), "")
        .check(
            Input::ToolFinished {
                call: ToolCallNo(2),
                outcome: ToolOutcome::Cancelled { effect_unknown: true },
            },
            "
                + tool_finished t2 cancelled: cancelled after it started; whether its effect happened is unknown
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
        );
}

#[test]
fn the_host_runs_one_tool_under_its_key_once() {
    Play::of(agent())
        .check(
            invoked("h1", "send"),
            "
                + tool_requested t1 send for h1
                > slot t1
            ",
        )
        .check(invoked("h1", "send"), "")
        .check(
            slot(1),
            "
                + tool_started t1 by rules until 301000
                > run t1
            ",
        )
        .check(
            done(1, "sent"),
            "
                + tool_finished t1 done: sent
                > tell t1 done
            ",
        )
        .check(invoked("h1", "send"), "> tell t1 done");
}

#[test]
fn the_host_is_denied_and_asked_as_anybody() {
    Play::of(agent())
        .check(
            invoked("h1", "rm"),
            "
                + tool_requested t1 rm for h1
                + tool_finished t1 refused: Permission denied: its agent: deny rm
                > tell t1 refused
            ",
        )
        .check(
            invoked("h2", "pay"),
            "
                + tool_requested t2 pay for h2
                + approval_requested a1 about t2
                > ask a1
                > wake at 259201000
            ",
        );
    let args = Args("{}".to_owned());
    let (key, name, mode) = ("h3".into(), "send".into(), Some(Mode::Plan));
    Play::of(agent()).check(Input::Invoked { key, name, args, mode, cwd: None }, "
                + tool_requested t1 send for h3
                + tool_finished t1 refused: Permission denied: its agent: allow send; mode plan: only tools that change nothing may run
                > tell t1 refused
            ");
}

#[test]
fn a_host_call_is_cancelled_with_everything_but_not_with_a_turn() {
    asked()
        .with(invoked("h1", "pay"))
        .with(invoked("h2", "send"))
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                > abort m1
            ",
        )
        .check(
            cancel(CancelTarget::Everything),
            "
                + cancel_requested everything: enough
                + approval_closed a1 Withdrawn
                + tool_finished t1 cancelled: cancelled before it started
                + tool_finished t2 cancelled: cancelled before it started
                > tell t1 cancelled
                > tell t2 cancelled
            ",
        );
}

#[test]
fn a_session_takes_only_so_many_host_calls() {
    let mut play = Play::of(agent());
    for no in 0..crate::limits::HOST_CALLS {
        play = play.with(invoked(&format!("h{no}"), "read"));
    }
    play.check(
        invoked("last", "read"),
        "! the session is busy; send it again when its turn has ended",
    );
}

/// As many calls as are looked at, each with as many reasons of the longest kind as a verdict has,
/// in text that doubles when it is stored. The play would fail if the frame were too large.
#[test]
fn the_verdicts_of_the_largest_reply_fit_into_a_frame() {
    use crate::limits;
    let stars = limits::RULE_BYTES - "send()".len() - 2 * limits::REASONS;
    let long = |tool: &str, no: usize| {
        RulePattern(format!("{tool}({}\"{})", "*".repeat(stars), "*".repeat(no)))
    };
    let calls = limits::CALLS_PER_REPLY;
    let text = "\"".repeat(20 * 1024 / calls);
    let args = serde_json::json!({ "text": text }).to_string();
    for tool in ["send", "pay", "rm", "nobody_knows_it", "list_agents"] {
        let rules: Vec<_> = (0..limits::REASONS).map(|no| long(tool, no)).collect();
        let mut play = asked();
        match tool {
            "send" => play.layers.user.allow = rules,
            "pay" => play.layers.user.ask = rules,
            _ => play.layers.user.deny = rules,
        }
        let play = play.with(wants_now(1, &vec![(tool, args.as_str()); calls]));
        let last = play.frames.last().map_or(0, |(_, body)| body.len());
        assert!(last > limits::FRAME_BYTES / 4, "{tool}: the extreme has only {last} bytes");
        // All answered, or one by one in frames of their own.
        let open = play.state.approvals.len() + play.state.calls.len();
        assert!(open == 0 || open == calls || open == 2 * calls, "{tool}: {open}");
    }
}

/// What no frame could hold fails the turn as a reply that makes no sense, and is booked.
#[test]
fn calls_that_no_frame_can_hold_fail_the_turn() {
    let args = serde_json::json!({ "text": "x".repeat(240 * 1024) }).to_string();
    let play = asked().with(wants(1, &[("send", args.as_str())]));
    assert!(play.state.turn.is_none() && play.state.calls.is_empty());
}
