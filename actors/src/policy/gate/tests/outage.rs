//! A vendor that is down: the breaker, its probes, and the budget of calls made again.

use super::*;

const BROKEN: End = End::Broken { retry_after_ms: None };

/// A gate whose breaker has just opened.
fn opened() -> Desk {
    let mut desk = Desk::new(64);
    for who in 0..limits::GATE_FAILURES {
        desk.waits(claim(u128::from(who), 1));
        let (no, _) = desk.grant().unwrap();
        desk.ended(no, BROKEN);
    }
    desk
}

fn is_open(desk: &Desk) -> bool {
    matches!(desk.known.bars(desk.now).breaker, Stage::Open { .. })
}

#[test]
fn so_many_failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    assert!(is_open(&opened()));
    let mut desk = Desk::new(64);
    for no in 0..10 * limits::GATE_FAILURES {
        desk.waits(claim(u128::from(no), 1));
        let (no, _) = desk.grant().unwrap();
        let answers = no % u64::from(limits::GATE_FAILURES) == 0;
        desk.ended(no, if answers { End::Answered } else { BROKEN });
        assert!(!is_open(&desk));
    }
}

#[test]
fn what_is_wrong_with_one_request_opens_nothing() {
    let mut desk = Desk::new(64);
    for who in 0..100 {
        desk.waits(claim(who, 1));
        let (no, _) = desk.grant().unwrap();
        desk.ended(no, End::Silent);
    }
    assert_eq!(desk.known.bars(desk.now).breaker, Stage::Closed);
}

#[test]
fn answers_that_take_longer_than_their_agents_wait_open_nothing_and_silence_does() {
    for begins in [true, false] {
        let mut desk = Desk::new(64);
        for who in 0..limits::GATE_FAILURES {
            desk.waits(claim(u128::from(who), 1));
            let (no, _) = desk.grant().unwrap();
            if begins {
                desk.known.began(no, desk.now);
            }
            desk.ended(no, End::Late);
        }
        assert_eq!(is_open(&desk), !begins);
    }
}

#[test]
fn while_it_is_open_one_calls_and_every_failure_doubles_the_pause() {
    let mut desk = opened();
    (0..100).for_each(|who| desk.waits(claim(who, 1)));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let from = desk.now;
        let (probe, _) = desk.until_next().unwrap();
        pauses.push(desk.now.since_ms(from));
        let until = Some(desk.now.plus_ms(limits::GATE_PROBE_MAX_MS));
        assert_eq!(desk.next(), Next::Wait { until }, "the others wait for the probe");
        desk.now = desk.now.plus_ms(limits::GATE_PROBE_MAX_MS - 1);
        assert_eq!(desk.next(), Next::Wait { until }, "for so long");
        desk.ended(probe, BROKEN);
    }
    for (no, pause) in pauses.iter().enumerate() {
        let due = (limits::GATE_PROBE_MS << no).min(limits::GATE_PROBE_MAX_MS);
        assert!((due..=due + due / 5).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_probe_that_is_answered_lets_all_in_and_one_that_is_lost_is_followed_by_another() {
    let mut desk = opened();
    (0..100).for_each(|who| desk.waits(claim(who, 1)));
    let words = |desk: &Desk| desk.known.bars(desk.now).words(desk.now);
    assert_eq!(words(&desk), "the vendor is down, the next probe in 2 s");
    let (lost, _) = desk.until_next().unwrap();
    assert_eq!(words(&desk), "the vendor is down, a probe is on its way");
    desk.ended(lost, End::Silent);
    let (gone, _) = desk.grant().unwrap();
    desk.known.unused(gone);
    let (probe, _) = desk.grant().unwrap();
    assert!(desk.grant().is_none());
    desk.known.began(probe, desk.now);
    assert_eq!(desk.known.bars(desk.now).breaker, Stage::Closed);
    let from = desk.now;
    let all = std::iter::from_fn(|| desk.until_next()).count();
    assert_eq!(all, 97);
    assert!(desk.now.since_ms(from) <= 2 * limits::GATE_BACK_MS, "they come back in a while");
}

#[test]
fn a_probe_of_which_nothing_is_heard_is_followed_by_another_and_each_may_close_it() {
    for closes in 0..3 {
        let mut desk = opened();
        (0..100).for_each(|who| desk.waits(claim(who, 1)));
        let mut probes = vec![desk.until_next().unwrap().0];
        for _ in 0..2 {
            let from = desk.now;
            probes.push(desk.until_next().unwrap().0);
            assert_eq!(desk.now.since_ms(from), limits::GATE_PROBE_MAX_MS);
            assert!(desk.grant().is_none(), "one at a time");
        }
        desk.ended(probes[closes], End::Answered);
        assert_eq!(desk.known.bars(desk.now).breaker, Stage::Closed);
        let from = desk.now;
        assert_eq!(std::iter::from_fn(|| desk.until_next()).count(), 97);
        assert!(desk.now.since_ms(from) <= 2 * limits::GATE_BACK_MS);
    }
    // One of them fails: that is the pause from then on, whatever the others do.
    let mut desk = opened();
    (0..100).for_each(|who| desk.waits(claim(who, 1)));
    let (first, _) = desk.until_next().unwrap();
    let (second, _) = desk.until_next().unwrap();
    desk.ended(second, BROKEN);
    let until = Next::Wait { until: Some(desk.now.plus_ms(limits::GATE_PROBE_MS)) };
    assert_ne!(desk.next(), until, "twice as long as the first");
    desk.ended(first, End::Answered);
    assert_eq!(desk.known.bars(desk.now).breaker, Stage::Closed);
}

#[test]
fn what_comes_of_calls_of_before_it_opened_neither_closes_it_nor_lengthens_the_pause() {
    let mut desk = Desk::new(64);
    (0..20).for_each(|who| desk.waits(claim(who, 1)));
    let sent = desk.grants();
    let many = limits::GATE_FAILURES as usize;
    sent[..many].iter().for_each(|no| desk.ended(*no, BROKEN));
    let stage = desk.known.bars(desk.now).breaker;
    assert!(matches!(stage, Stage::Open { .. }));
    desk.ended(sent[many], BROKEN);
    desk.ended(sent[many + 1], End::Answered);
    assert_eq!(desk.known.bars(desk.now).breaker, stage);
}

#[test]
fn refusals_that_do_not_say_for_how_long_are_probed_and_those_that_do_are_not() {
    for (retry_after_ms, opens) in [(None, true), (Some(0), true), (Some(7_000), false)] {
        let mut desk = Desk::new(64);
        (0..20).for_each(|who| desk.waits(claim(who, 1)));
        for no in desk.grants() {
            desk.ended(no, End::Refused { retry_after_ms });
        }
        assert_eq!(is_open(&desk), opens, "{retry_after_ms:?}");
        assert!(desk.known.bars(desk.now).paused_until.is_some());
    }
}

#[test]
fn a_call_made_again_without_budget_waits_while_first_ones_pass_and_an_end_comes() {
    let mut desk = Desk::new(64);
    for who in 0..100 {
        desk.waits(Claim { attempt: 1, ..claim(who, 1) });
    }
    assert_eq!(desk.grants().len() as u64, limits::GATE_AGAIN_FLOOR);
    for who in 100..140 {
        desk.waits(claim(who, 1));
    }
    let first = desk.grants();
    assert_eq!(first.len(), 40 + 4, "and what they earned");
    let Next::Wait { until: Some(until) } = desk.next() else { panic!("{:?}", desk.next()) };
    assert_eq!(until.since_ms(desk.now), limits::GATE_AGAIN_MS);
    for no in first.iter().take(limits::GATE_WELL as usize) {
        desk.ended(*no, End::Answered);
    }
    assert_eq!(desk.grants().len(), 100 - 10 - 4, "the vendor is well");
}

/// What an outage came to.
#[derive(Debug, Default)]
struct Outage {
    calls: u64,
    probes: u64,
    /// Calls made again that were not probes.
    again: u64,
    /// How far those were above the budget at worst.
    above: u64,
    took_ms: u64,
}

/// Sessions whose calls fail and are made again at once, for as long as the vendor is down.
fn outage(places: usize, fails: impl Fn(Timestamp, u64) -> Option<End>) -> Outage {
    const SESSIONS: u128 = 500;
    let mut desk = Desk::new(places);
    (0..SESSIONS).for_each(|who| desk.waits(claim(who, 1_000)));
    let mut flying = std::collections::VecDeque::new();
    let (mut sum, mut done) = (Outage::default(), 0);
    while done < SESSIONS {
        while flying.len() < places
            && let Some((no, claim)) = desk.grant()
        {
            let probes = matches!(desk.known.bars(desk.now).breaker, Stage::Probing { .. });
            sum.calls += 1;
            sum.probes += u64::from(probes);
            sum.again += u64::from(claim.again() && !probes);
            let gained = desk.now.since_ms(at(1_000)) / limits::GATE_AGAIN_MS;
            let budget = limits::GATE_AGAIN_FLOOR + sum.calls / 10 + gained;
            sum.above = sum.above.max(sum.again.saturating_sub(budget));
            flying.push_back((desk.now.plus_ms(300), no, claim));
        }
        let free = flying.len() < places;
        let opens = match desk.next() {
            Next::Wait { until } => until.filter(|_| free),
            Next::Grant(_) => None,
        };
        let lands = flying.front().map(|(at, _, _)| *at);
        desk.now =
            opens.into_iter().chain(lands).min().expect("somebody is on the way").max(desk.now);
        while flying.front().is_some_and(|(at, _, _)| *at <= desk.now) {
            let (_, no, claim) = flying.pop_front().unwrap();
            match fails(desk.now, no) {
                Some(end) => {
                    desk.ended(no, end);
                    desk.waits(Claim { attempt: claim.attempt + 1, ..claim });
                }
                None => {
                    desk.ended(no, End::Answered);
                    done += 1;
                }
            }
        }
    }
    sum.took_ms = desk.now.since_ms(at(1_000));
    sum
}

#[test]
fn three_minutes_of_outage_cost_five_hundred_sessions_a_tenth_more_calls() {
    let places = limits::GATE_CALLS as usize;
    let sum = outage(places, |now, _| (now < at(180_000)).then_some(BROKEN));
    println!("{sum:?}");
    assert!(sum.calls <= 500 + 50, "{sum:?}");
    assert!(sum.took_ms <= 180_000 + 60_000, "{sum:?}");
}

#[test]
fn a_storm_of_refusals_costs_a_tenth_more_calls_however_they_say_for_how_long() {
    let places = limits::GATE_CALLS as usize;
    for said in [Some(7_000), None, Some(0)] {
        let sum = outage(places, |now, _| {
            let left = 8_000 - now.0;
            let retry_after_ms = said.map(|ms| if ms == 0 { 0 } else { left.max(0) as u64 });
            (left > 0).then_some(End::Refused { retry_after_ms })
        });
        println!("{said:?}: {sum:?}");
        assert!(sum.calls <= 500 + 50, "{said:?}: {sum:?}");
    }
}

#[test]
fn a_vendor_that_fails_every_other_call_is_called_again_within_the_budget() {
    let sum = outage(64, |_, no| (no % 2 == 0).then_some(BROKEN));
    println!("{sum:?}");
    assert_eq!(sum.above, 0, "{sum:?}");
}
