//! Room in budgets: a call is begun with the very room the ledger holds for it, and an answer to one
//! question never serves another.

use proptest::prelude::*;
use uuid::Uuid;

use super::play::*;
use crate::{
    domain::{
        budget::{Amount, Room, Shortage},
        conversation::Reply,
        event::Event,
        ids::{ApprovalNo, CallId, ModelCallNo, SessionId, Timestamp, TurnId},
        permission::{Answer, RulePattern},
        usage::{DatedPrice, NanoUsd, Price, Settlement},
    },
    policy::turn::{Effect, Input, Purpose, prompt, state::Stage},
};

fn short() -> Result<Room, Shortage> {
    Err(Shortage::Waited { account: me(), waited_ms: 1 })
}

/// What the next call needs as things stand.
fn needed(play: &Play) -> Room {
    let (bound, priced) = prompt::model_bound(&play.state, &play.prices, play.now);
    Room { bound, priced }
}

/// The bound of the model call that a step began.
fn begun(events: &[Event]) -> Option<(Amount, bool)> {
    events.iter().find_map(|event| match event {
        Event::ModelCallStarted { bound, priced, .. } => Some((*bound, *priced)),
        _ => None,
    })
}

/// From now on an input token costs a hundred times as much.
fn dearer(mut play: Play) -> Play {
    let price = Price { input: 100_000, cache_read: 100, cache_write: 1_000, output: 2_000 };
    play.prices.0.push(DatedPrice { model: "m".into(), since: play.now, price, long: None });
    play
}

#[test]
fn a_call_records_the_room_that_is_held_and_is_booked_at_it_when_it_breaks_off() {
    let mut play = Play::of(counted()).with(say("k1"));
    let held = plenty();
    assert_ne!(needed(&play), held, "the ledger may hold more than this call needs");
    let (events, _) = play.step(room(model(1))).unwrap();
    assert_eq!(begun(&events), Some((held.bound, held.priced)));
    let (events, effects) = play.step(fails(1, crate::domain::event::FailureKind::Auth)).unwrap();
    let at_bound = Settlement::Unsettled {
        tokens_max: held.bound.tokens,
        cost_max: Some(held.bound.nano_usd),
    };
    let booked = |event: &Event| matches!(event, Event::UsageSettled { settlement, .. } if *settlement == at_bound);
    assert!(events.iter().any(booked), "{events:?}");
    let told =
        |effect: &Effect| matches!(effect, Effect::Settle { actual, .. } if *actual == held.bound);
    assert!(effects.iter().any(told), "{effects:?}");
}

#[test]
fn a_price_that_rose_since_the_grant_is_asked_about_and_the_call_records_what_is_held_then() {
    let mut play = Play::of(counted()).with(say("k1"));
    let cheap = needed(&play);
    play = dearer(play).check(decided(1, model(1), Ok(cheap)), "> reserve m1");
    let dear = needed(&play);
    assert!(dear.bound.nano_usd > cheap.bound.nano_usd && !cheap.covers(&dear.bound));
    let (events, _) = play.step(decided(1, model(1), Ok(dear))).unwrap();
    assert_eq!(begun(&events), Some((dear.bound, true)));
}

#[test]
fn what_a_dearer_model_served_is_booked_at_that_models_price() {
    let mut play = Play::of(counted()).with(say("k1"));
    let price = Price { input: 900_000_000, output: 900_000_000, ..Price::default() };
    play.prices.0.push(DatedPrice {
        model: "grand".into(),
        since: Timestamp(0),
        price,
        long: None,
    });
    let held = needed(&play);
    let mut play = play.with(decided(1, model(1), Ok(held)));
    let reply = Reply { served_by: Some("grand".into()), ..reply("hi", &[]) };
    let (events, effects) = play.step(answers(1, reply)).unwrap();
    let cost = price.cost(&USED);
    assert!(cost > held.bound.nano_usd, "more than anybody reserved");
    let exact = Settlement::Exact { usage: USED, cost: Some(cost) };
    let booked = |event: &Event| matches!(event, Event::UsageSettled { settlement, .. } if *settlement == exact);
    assert!(events.iter().any(booked), "{events:?}");
    let told = |effect: &Effect| matches!(effect, Effect::Settle { actual, .. } if actual.nano_usd == cost);
    assert!(effects.iter().any(told), "the ledger hears all of it: {effects:?}");
}

/// The settlements of a step: whose, and whether it was the last word.
fn settled(stepped: &Stepped) -> Vec<(String, bool)> {
    let (_, effects) = stepped.as_ref().unwrap();
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Settle { call, last, .. } => Some((call.to_string(), *last)),
        _ => None,
    });
    told.collect()
}

#[test]
fn only_a_figure_that_nothing_can_replace_is_told_as_the_last_word() {
    let begun = || Play::of(counted()).with(say("k1")).with(room(model(1)));
    let told = |mut play: Play, input| settled(&play.step(input));
    let word = |last| vec![("m1".to_owned(), last)];
    let bound = fails(1, crate::domain::event::FailureKind::Auth);
    let free = fails(1, crate::domain::event::FailureKind::RateLimited);
    assert_eq!(told(begun(), answers(1, reply("hi", &[]))), word(true), "exact");
    assert_eq!(told(begun(), free), word(true), "free");
    assert_eq!(told(begun(), bound.clone()), word(false), "a bound");
    let late = answers(1, reply("hi", &[]));
    assert_eq!(told(begun().with(bound.clone()), late), word(true), "late");
    assert_eq!(told(begun().with(bound), wake()), word(false), "the bound again");
    let refused = || Play::of(counted()).with(say("k1"));
    assert_eq!(told(refused(), decided(1, model(1), short())), word(false), "given back");
    let stopped = refused();
    assert_eq!(told(stopped, stop_turn(1)), word(true), "its number is used up");
}

#[test]
fn a_price_that_fell_since_the_grant_leaves_the_grant_as_it_is() {
    let mut play = dearer(Play::of(counted()).with(say("k1")));
    let dear = needed(&play);
    play.prices.0.pop();
    let (events, _) = play.step(decided(1, model(1), Ok(dear))).unwrap();
    assert_eq!(begun(&events), Some((dear.bound, true)));
}

#[test]
fn a_yes_just_behind_a_no_serves_neither_that_turn_nor_the_next() {
    // Asked twice: the first question waited in vain, the second found room. What it found is given
    // back with the first, and turn 2 asks for its own under the same number.
    Play::of(counted())
        .with(say("k1"))
        .with(say("k2"))
        .check(
            decided(1, model(1), short()),
            "
                + budget_exhausted
                + turn_finished 1 budget_exhausted: budget of 00000000-0000-0000-0000-000000000001 stayed reserved by others for 1 ms
                + turn_started 2
                > settle m1 nothing
                > tell turn 1 budget_exhausted
            ",
        )
        .check(decided(1, model(1), Ok(plenty())), "")
        .check(decided(1, model(1), short()), "")
        .check(
            decided(2, model(1), Ok(plenty())),
            "
                + model_call_started m1
                > call m1
            ",
        );
}

#[test]
fn a_yes_behind_a_no_is_given_back_when_nobody_wants_it() {
    Play::of(counted())
        .with(say("k1"))
        .with(decided(1, model(1), short()))
        .check(decided(1, model(1), Ok(plenty())), "> settle m1 nothing");
}

#[test]
fn room_granted_before_a_person_was_asked_starts_nothing_after_the_answer() {
    let mut play = Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)]));
    let before = |decision| decided(1, tool(1), decision);
    play.layers.user.ask.push(RulePattern("spawn_agent".to_owned()));
    // The rule was tightened before the answer: its room goes back, and a person is asked.
    let mut play = play
        .check(
            before(Ok(plenty())),
            "
                + approval_requested a1 about t1
                > settle t1 nothing
                > ask a1
                > wake at 259201000
            ",
        )
        .check(before(Ok(plenty())), "")
        .with(person(1, Answer::Once))
        .check(before(Ok(plenty())), "")
        .check(before(short()), "");
    let stage = play.state.calls[&crate::domain::ids::ToolCallNo(1)].stage.clone();
    assert!(matches!(stage, Stage::Approved { no: ApprovalNo(1), .. }), "{stage:?}");
    let stage = Some(stage);
    let asked = Box::new(Purpose { turn: None, stage, releases: 0 });
    let call = CallId { session: me(), no: tool(1) };
    let now = Input::BudgetDecided { call, asked, decision: Ok(plenty()) };
    let (events, _) = play.step(now).unwrap();
    assert!(events.iter().any(|event| event.name() == "child_spawned"), "{events:?}");
}

#[test]
fn room_granted_before_a_quarantine_starts_nothing_after_the_release() {
    let mut play = Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)]));
    for _ in 0..3 {
        play = play.with(panicked());
    }
    assert!(play.state.quarantined.is_some());
    let play = play
        .with(Input::Released { skip: false })
        // It was asked for before all this, and the quarantine gave it back.
        .check(decided(1, tool(1), Ok(plenty())), "");
    let mut play = play;
    let (events, _) = play.step(room_now(&play.state.clone(), tool(1))).unwrap();
    assert!(events.iter().any(|event| event.name() == "child_spawned"), "{events:?}");
}

/// An answer as it may arrive: to this question or to one much like it.
fn answers_of_all_kinds() -> impl Strategy<Value = (CallId, Purpose, Result<Room, Shortage>)> {
    let id = (1_u128..3, 0_u32..4)
        .prop_map(|(of, no)| CallId::model(SessionId(Uuid::from_u128(of)), ModelCallNo(no)));
    let purpose = (prop::option::of(1_u32..4), 0_u64..2).prop_map(|(turn, releases)| Purpose {
        turn: turn.map(TurnId),
        stage: None,
        releases,
    });
    let room = (0_u64..40_000, 0_u64..200_000, 0_u64..3, any::<bool>()).prop_map(
        |(tokens, money, model_calls, priced)| {
            let nano_usd = NanoUsd(money);
            Ok(Room { bound: Amount { tokens, nano_usd, model_calls, ..NOTHING }, priced })
        },
    );
    (id, purpose, prop_oneof![4 => room, 1 => Just(short())])
}

proptest! {
    /// Of all answers only the one to the question that stands begins the call, and only when it
    /// holds what the call needs; the call records exactly that.
    #[test]
    fn only_the_answer_to_the_standing_question_begins_its_call(
        answers in prop::collection::vec(answers_of_all_kinds(), 1..30),
        turns in 1_u32..4,
        rose in any::<bool>(),
    ) {
        let mut play = Play::of(counted());
        for turn in 1..=turns {
            play = play.with(say(&format!("k{turn}")));
        }
        if rose {
            play.now = Timestamp(2_000);
            play = dearer(play);
        }
        for (call, asked, decision) in answers {
            let wants = play.state.turn.as_ref().filter(|turn| turn.calling.is_none());
            let right = wants.map(|turn| turn.id).is_some_and(|turn| {
                let due = CallId::model(me(), play.state.next.model);
                call == due && asked == Purpose { turn: Some(turn), stage: None, releases: 0 }
            });
            let expected = match &decision {
                Ok(room) if right && room.covers(&needed(&play).bound) => {
                    Some((room.bound, room.priced))
                }
                Ok(_) | Err(_) => None,
            };
            let refused = right && decision.is_err();
            let asked = Box::new(asked);
            let (events, _) = play.step(Input::BudgetDecided { call, asked, decision }).unwrap();
            prop_assert_eq!(begun(&events), expected);
            let exhausted = events.iter().any(|event| event.name() == "budget_exhausted");
            prop_assert_eq!(exhausted, refused);
        }
    }
}
