//! Failed model calls: waited out, made again, handed on along the chain, or the end of a turn; and
//! answers that their vendor breaks off.

use super::play::*;
use crate::{
    domain::{
        agent::{AgentSpec, ModelChoice},
        catalog::Status,
        conversation::Stop,
        event::{FailureKind, ModelFailure, TurnOverrides, UserInput},
        ids::{ModelCallNo, Timestamp},
        outcome::TurnOutcome,
        usage::{DatedPrice, Price},
    },
    limits,
    policy::turn::{Input, pending},
};

/// An agent with a second model at another provider, and a third.
fn chained() -> AgentSpec {
    let mut agent = agent().fall_back_to("n", Some("other".into())).fall_back_to("o", None);
    agent.provider = Some("first".into());
    agent.limits.retries = 0;
    agent
}

fn asked(agent: AgentSpec) -> Play {
    Play::of(agent).with(say("k1"))
}

/// A failure of this call, changed.
fn failing(call: u32, kind: FailureKind, change: impl FnOnce(&mut ModelFailure)) -> Input {
    let Input::ModelFailed { call, mut failure } = fails(call, kind) else { unreachable!() };
    change(&mut failure);
    Input::ModelFailed { call, failure }
}

fn after(call: u32, kind: FailureKind, ms: u64) -> Input {
    failing(call, kind, |failure| failure.retry_after_ms = Some(ms))
}

fn on(play: &Play) -> String {
    play.state.turn.as_ref().map_or_else(String::new, |turn| turn.choice().to_string())
}

/// Every failure of this kind, each as soon as the call before it may be made again.
fn again_and_again(mut play: Play, times: u32, failure: impl Fn(u32) -> Input) -> Play {
    for _ in 0..times {
        let call = play.state.turn.as_ref().unwrap().calling.as_ref().unwrap().call.0;
        play = play.with(failure(call));
        let at = play.state.turn.as_ref().unwrap().retry_at.expect("it waits");
        play.now = at;
        play = play.with(Input::TimerFired);
    }
    play
}

#[test]
fn patience_uses_up_no_retries_and_other_trouble_does() {
    let mut once = agent();
    once.limits.retries = 1;
    for play in [
        again_and_again(asked(once.clone()), 40, |call| fails(call, FailureKind::RateLimited)),
        again_and_again(asked(once.clone()), 40, |call| after(call, FailureKind::Overloaded, 7)),
    ] {
        let play = again_and_again(play, 1, |call| fails(call, FailureKind::Transport));
        play.check(
            fails(42, FailureKind::Transport),
            "
                + model_call_failed m42 Transport
                + usage_settled m42 at its bound
                + turn_finished 1 failed: the model call failed 2 times: no
                > tell turn 1 failed
            ",
        );
    }
    // Overload without a word on how long is trouble like any other; so is a limit for good.
    for (call, last) in [
        (2, fails(2, FailureKind::Overloaded)),
        (2, failing(2, FailureKind::RateLimited, |failure| failure.retryable = false)),
    ] {
        let play = again_and_again(asked(once.clone()), call - 1, |call| {
            fails(call, FailureKind::Overloaded)
        });
        assert!(play.with(last).state.turn.is_none());
    }
}

#[test]
fn without_a_word_on_how_long_patience_grows_and_an_answer_ends_it() {
    let play = asked(agent()).with(fails(1, FailureKind::RateLimited));
    assert_eq!(play.state.turn.as_ref().unwrap().retry_at, Some(Timestamp(1_500)));
    let play = play.at(1_500).with(Input::TimerFired).with(fails(2, FailureKind::RateLimited));
    assert_eq!(play.state.turn.as_ref().unwrap().retry_at, Some(Timestamp(2_500)));
    let play = play.at(2_500).with(Input::TimerFired).with(wants(3, &[("read", "{}")]));
    let play = play.with(slot(1)).with(done(1, "x")).with(fails(4, FailureKind::RateLimited));
    assert_eq!(play.state.turn.as_ref().unwrap().retry_at, Some(Timestamp(3_000)));
}

#[test]
fn whoever_looks_sees_what_is_waited_for_and_until_when() {
    let limited = asked(agent()).with(after(1, FailureKind::RateLimited, 20_000));
    let until = "rate limit of m, until 1970-01-01 00:00:21.000";
    assert_eq!(limited.state.waiting_on().as_deref(), Some(until));
    assert_eq!(limited.state.status(), Status::Waiting);
    let loaded = asked(agent()).with(after(1, FailureKind::Overloaded, 20_000));
    let until = "overload of m, until 1970-01-01 00:00:21.000";
    assert_eq!(loaded.state.waiting_on().as_deref(), Some(until));
    let broken = asked(agent()).with(fails(1, FailureKind::Transport));
    assert_eq!(broken.state.waiting_on().as_deref(), Some("a retry"));
}

#[test]
fn patience_beyond_the_turns_time_is_not_waited_for() {
    let mut hasty = agent();
    hasty.limits.turn_ms = 5_000;
    asked(hasty.clone()).check(
        after(1, FailureKind::RateLimited, 4_999),
        "
            + model_call_failed m1 RateLimited
            + usage_settled m1 as free
            + timer_set 5999
            > wake at 5999
        ",
    );
    asked(hasty.clone()).check(
        after(1, FailureKind::RateLimited, 5_000),
        "
            + model_call_failed m1 RateLimited
            + usage_settled m1 as free
            + turn_finished 1 failed: the model asks to wait until 1970-01-01 00:00:06.000, beyond the turn's time: no
            > tell turn 1 failed
        ",
    );
    asked(hasty.fall_back_to("n", None)).check(
        after(1, FailureKind::RateLimited, 5_000),
        "
            + model_call_failed m1 RateLimited
            + usage_settled m1 as free
            + model_fell_back m to n: rate_limited: no
            + model_call_started m2
            > call m2
        ",
    );
}

#[test]
fn a_call_whose_pieces_were_given_out_is_not_made_again_by_anybody() {
    for kind in [FailureKind::Transport, FailureKind::RateLimited, FailureKind::EndedEarly] {
        let play = asked(chained()).with(failing(1, kind, |failure| failure.emitted = true));
        let ended = play.state.outcomes.values().next().unwrap();
        let reason = "the model's answer broke off after pieces of it had been given out, so the \
                      call was not made again: no";
        assert_eq!(*ended, TurnOutcome::Failed { reason: reason.to_owned() });
    }
    // What a crash took is made again all the same: whoever listened is told of the restart.
    let play = asked(agent()).with(wake());
    assert_eq!(play.state.turn.unwrap().calling.unwrap().call, ModelCallNo(2));
}

#[test]
fn a_failure_that_waiting_cannot_mend_goes_to_the_next_model_at_once() {
    for kind in [FailureKind::Auth, FailureKind::Quota, FailureKind::BadRequest] {
        let failed = failing(1, kind, |failure| failure.retryable = false);
        let play = asked(chained()).with(failed.clone());
        assert_eq!(on(&play), "n at other", "{kind:?}");
        // Without a chain it ends at once.
        assert!(asked(agent()).with(failed).state.turn.is_none(), "{kind:?}");
    }
    // Broken off by us: nobody is to go on with it.
    assert!(
        asked(chained())
            .with(failing(1, FailureKind::Aborted, |failure| {
                failure.retryable = false;
            }))
            .state
            .turn
            .is_none()
    );
}

#[test]
fn the_chain_is_followed_to_its_end_within_one_turn_and_begun_anew_by_the_next() {
    let mut twice = chained();
    twice.limits.retries = 1;
    let play = again_and_again(asked(twice), 1, |call| fails(call, FailureKind::Transport)).check(
        fails(2, FailureKind::Transport),
        "
                + model_call_failed m2 Transport
                + usage_settled m2 at its bound
                + model_fell_back m at first to n at other: transport: no
                + model_call_started m3
                > call m3
            ",
    );
    assert_eq!(on(&play), "n at other");
    // The next has its own retries.
    let play = again_and_again(play, 1, |call| fails(call, FailureKind::Transport))
        .with(fails(4, FailureKind::Transport));
    assert_eq!(on(&play), "o");
    let play = again_and_again(play, 1, |call| fails(call, FailureKind::Transport)).check(
        fails(6, FailureKind::Transport),
        "
            + model_call_failed m6 Transport
            + usage_settled m6 at its bound
            + turn_finished 1 failed: the model call failed 2 times: no
            > tell turn 1 failed
        ",
    );
    assert_eq!(on(&play.with(say("k2"))), "m at first");
}

#[test]
fn calls_of_a_chain_are_one_step() {
    let mut short = chained();
    short.limits.steps = 1;
    asked(short).with(fails(1, FailureKind::Auth)).check(
        answers(2, reply("hi", &[])),
        "
            + model_call_finished m2
            + usage_settled m2 exactly 15
            + turn_finished 1 completed: hi
            > tell turn 1 completed
        ",
    );
}

#[test]
fn who_names_a_model_for_a_turn_gets_that_one_and_no_chain() {
    let told = |overrides: TurnOverrides| {
        let mut input = UserInput::text("hello");
        input.overrides = overrides;
        let play = Play::of(chained());
        play.with(Input::Submitted { key: "k".into(), input: Box::new(input) })
    };
    let model = told(TurnOverrides { model: Some("x".into()), ..TurnOverrides::default() });
    assert_eq!(on(&model), "x at first");
    assert!(model.with(fails(1, FailureKind::Auth)).state.turn.is_none());
    let (model, provider) = (Some("x".into()), Some("there".into()));
    let both = told(TurnOverrides { model, provider, ..TurnOverrides::default() });
    assert_eq!(on(&both), "x at there");
}

#[test]
fn the_room_of_the_next_model_is_asked_for_at_its_own_price() {
    let mut counted = counted().fall_back_to("n", None);
    counted.limits.retries = 0;
    let mut play = Play::of(counted);
    let price = Price { input: 9_000, cache_read: 0, cache_write: 9_000, output: 9_000 };
    play.prices.0.push(DatedPrice { model: "n".into(), since: Timestamp(0), price, long: None });
    let play = play.with(say("k1")).with(room(model(1))).check(
        fails(1, FailureKind::Auth),
        "
            + model_call_failed m1 Auth
            + usage_settled m1 at its bound
            + model_fell_back m to n: auth: no
            > settle m1 500000 tokens 1 calls
            > reserve m2
        ",
    );
    let bound = |of: &str| {
        let mut state = play.state.clone();
        state.turn.as_mut().unwrap().model = of.into();
        crate::policy::turn::prompt::model_bound(&state, &play.prices, play.now).0.nano_usd
    };
    assert!(bound("n") > bound("m"));
    let asked =
        crate::policy::turn::prompt::reservation(&play.state, model(2), &play.prices, play.now);
    assert_eq!(asked.unwrap().bound.nano_usd, bound("n"));
}

#[test]
fn after_a_crash_the_turn_is_on_the_model_it_fell_back_to() {
    let mut play = asked(chained()).with(fails(1, FailureKind::Quota));
    for panic in [None, Some("bang"), None] {
        play.crash(panic);
        assert_eq!(on(&play), "n at other");
        let turn = play.state.turn.as_ref().unwrap();
        assert_eq!(turn.fallback, [ModelChoice { model: "o".into(), provider: None }]);
        assert_eq!(turn.calling.as_ref().unwrap().model, "n".into());
    }
    // Also while the next call waits for room or for its moment.
    let mut counted = chained();
    counted.budget.tokens = Some(1_000_000);
    let mut play = asked(counted).with(room(model(1))).with(fails(1, FailureKind::Quota));
    play.crash(None);
    assert_eq!(on(&play), "n at other");
    let mut play = asked(chained())
        .with(fails(1, FailureKind::Quota))
        .with(fails(2, FailureKind::RateLimited));
    play.crash(None);
    assert_eq!((on(&play).as_str(), play.state.turn.unwrap().patience), ("n at other", 1));
}

fn paused(text: &str) -> crate::domain::conversation::Reply {
    let mut said = reply(text, &[]);
    said.stop = Stop::Paused;
    said
}

#[test]
fn an_answer_that_is_broken_off_goes_on_and_is_one_answer() {
    asked(agent())
        .check(
            answers(1, paused("one, ")),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + model_call_started m2
                > call m2
            ",
        )
        // Nothing is forgotten with the actor.
        .with(wake())
        .with(answers(3, paused("two, ")))
        .check(
            answers(4, reply("three", &[])),
            "
                + model_call_finished m4
                + usage_settled m4 exactly 15
                + turn_finished 1 completed: one, two, three
                > tell turn 1 completed
            ",
        );
    // What it says before it asks for a tool is no part of the answer.
    let play = asked(agent())
        .with(answers(1, paused("let me see")))
        .with(wants(2, &[("read", "{}")]))
        .with(slot(1))
        .with(done(1, "x"));
    play.check(
        answers(3, reply("so", &[])),
        "
            + model_call_finished m3
            + usage_settled m3 exactly 15
            + turn_finished 1 completed: so
            > tell turn 1 completed
        ",
    );
}

#[test]
fn answers_that_are_broken_off_without_end_are_steps() {
    let mut short = agent();
    short.limits.steps = 3;
    let mut play = asked(short);
    for call in 1..3 {
        play = play.with(answers(call, paused("")));
    }
    play.check(
        answers(3, paused("")),
        "
            + model_call_finished m3
            + usage_settled m3 exactly 15
            + turn_finished 1 failed: 3 model calls in one turn without an end
            > tell turn 1 failed
        ",
    );
}

#[test]
fn an_answer_in_many_large_parts_fits_into_a_frame() {
    let large = "x".repeat(limits::EVENT_BYTES / 2 - 1_000);
    let mut play = asked(agent());
    for call in 1..6 {
        play = play.with(answers(call, paused(&large)));
    }
    let play = play.with(answers(6, reply(&large, &[])));
    let Some(TurnOutcome::Completed { text, .. }) = play.state.outcomes.values().next() else {
        panic!("it did not complete");
    };
    assert!(text.len() <= limits::EVENT_BYTES / 2);
    assert!(text.ends_with("more bytes cut]"));
    assert!(pending(&play.state, crate::policy::turn::Run::First).is_empty());
}
