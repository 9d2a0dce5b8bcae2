//! Pauses, and what is learnt from headers.

use super::*;

fn requests(limit: u64, remaining: u64, reset_ms: u64) -> RateLimits {
    let requests = Some(Allowance { limit, remaining, reset_ms });
    RateLimits { requests, ..RateLimits::default() }
}

/// So many sessions wait, each with a call of so many tokens.
fn crowd(desk: &mut Desk, sessions: u128, tokens: u64) {
    (0..sessions).for_each(|who| desk.waits(claim(who, tokens)));
}

/// A call that was answered with these limits.
fn answered_with(desk: &mut Desk, heard: &RateLimits) {
    desk.waits(claim(999, 1));
    let (no, _) = desk.grant().unwrap();
    desk.known.learn(no, heard, desk.now);
    desk.ended(no, End::Answered);
}

/// When each of those who wait is let in, if each is answered at once and nothing more is said.
fn moments(desk: &mut Desk) -> Vec<u64> {
    let from = desk.now;
    let next = std::iter::from_fn(|| {
        let (no, _) = desk.until_next()?;
        desk.ended(no, End::Answered);
        Some(desk.now.since_ms(from))
    });
    next.collect()
}

#[test]
fn when_nothing_is_left_nobody_is_let_in_before_the_reset() {
    for kind in 0..4 {
        let mut desk = Desk::new(64);
        let none = Some(Allowance { limit: 1_000_000, remaining: 0, reset_ms: 5_000 });
        let mut heard = RateLimits::default();
        let kinds = [
            &mut heard.requests,
            &mut heard.tokens,
            &mut heard.input_tokens,
            &mut heard.output_tokens,
        ];
        *kinds[kind] = none;
        answered_with(&mut desk, &heard);
        crowd(&mut desk, 10, 100);
        assert_eq!(desk.next(), Next::Wait { until: Some(at(6_000)) }, "{kind}");
        assert_eq!(moments(&mut desk), [5_000; 10]);
    }
}

#[test]
fn grants_spend_what_is_left_and_the_rest_wait_for_the_reset() {
    let mut desk = Desk::new(64);
    answered_with(&mut desk, &requests(20, 20, 60_000));
    crowd(&mut desk, 50, 100);
    let moments = moments(&mut desk);
    let before = moments.iter().filter(|at| **at < 60_000).count();
    assert_eq!(before, 20, "{moments:?}");
    assert!(moments.iter().filter(|at| **at < 120_000).count() <= 40, "the next window as well");
}

#[test]
fn tokens_are_spent_as_well() {
    let mut desk = Desk::new(64);
    let tokens = Some(Allowance { limit: 100_000, remaining: 100_000, reset_ms: 60_000 });
    answered_with(&mut desk, &RateLimits { tokens, ..RateLimits::default() });
    crowd(&mut desk, 50, 10_000);
    let moments = moments(&mut desk);
    assert_eq!(moments.iter().filter(|at| **at < 60_000).count(), 10, "{moments:?}");
}

#[test]
fn what_little_is_left_is_spread_over_the_window() {
    let mut desk = Desk::new(64);
    answered_with(&mut desk, &requests(1_000, 10, 60_000));
    crowd(&mut desk, 12, 100);
    let moments = moments(&mut desk);
    let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]);
    let gaps: Vec<u64> = gaps.take(9).collect();
    assert!(gaps.iter().all(|gap| (5_900..=6_100).contains(gap)), "{gaps:?}");
    assert!(moments[10] >= 60_000, "{moments:?}");
}

#[test]
fn what_is_on_its_way_is_not_counted_twice_over_nor_forgotten() {
    let mut desk = Desk::new(64);
    crowd(&mut desk, 10, 100);
    let sent = desk.grants();
    assert_eq!(sent.len(), 10, "nothing is known, so nothing is limited");
    // The vendor has counted one, and nine are on their way.
    desk.known.learn(sent[0], &requests(10, 9, 60_000), desk.now);
    assert_eq!(desk.known.bars(desk.now).left.requests, Some(0));
    // It has counted all.
    for (no, left) in sent[1..].iter().zip([1_u64; 9]) {
        desk.known.learn(*no, &requests(10, left, 60_000), desk.now);
    }
    assert_eq!(desk.known.bars(desk.now).left.requests, Some(1));
}

#[test]
fn absurd_and_stale_figures_hold_nobody_longer_than_the_limit() {
    let absurd = [
        requests(0, 0, u64::MAX),
        requests(1, 0, u64::MAX),
        requests(u64::MAX, 0, u64::MAX),
        requests(u64::MAX, 1, u64::MAX),
    ];
    for heard in absurd {
        let mut desk = Desk::new(64);
        answered_with(&mut desk, &heard);
        crowd(&mut desk, 1, u64::MAX);
        let waited = moments(&mut desk)[0];
        assert!(waited <= limits::GATE_LEARNT_MAX_MS, "{heard:?}: {waited}");
        // Nothing more was heard of them: after one more window nothing is believed any more.
        crowd(&mut desk, 100, 1);
        let last = *moments(&mut desk).last().unwrap();
        assert!(last <= 2 * limits::GATE_LEARNT_MAX_MS, "{heard:?}: {last}");
    }
}

#[test]
fn what_a_refusal_says_holds_more_than_the_window_beside_it() {
    let mut desk = Desk::new(64);
    crowd(&mut desk, 1, 1);
    let (no, _) = desk.grant().unwrap();
    desk.known.learn(no, &requests(1_000, 0, 240_000), desk.now);
    desk.ended(no, End::Refused { retry_after_ms: Some(7_000) });
    crowd(&mut desk, 1, 1);
    let waited = moments(&mut desk)[0];
    assert!((7_000..=7_700).contains(&waited), "{waited}");
}

#[test]
fn after_a_pause_a_crowd_of_any_size_comes_back_spread_and_not_one_too_early() {
    for (places, sessions) in [(1, 40), (10, 10), (40, 500), (1_000, 500), (64, 65)] {
        let mut desk = Desk::new(places);
        crowd(&mut desk, sessions + 1, 1);
        let (no, _) = desk.grant().unwrap();
        desk.ended(no, End::Refused { retry_after_ms: Some(7_000) });
        let moments = moments(&mut desk);
        assert_eq!(moments.len() as u128, sessions);
        assert!(moments[0] >= 7_000, "{moments:?}");
        let mut buckets = std::collections::BTreeMap::<u64, usize>::new();
        for at in &moments {
            *buckets.entry((at - 7_000) / 1_000).or_default() += 1;
        }
        let many = buckets.last_key_value().unwrap().0 + 1;
        let peak = buckets.values().max().copied().unwrap();
        let mean = moments.len() as f64 / many as f64;
        println!("{places} places, {sessions} sessions: peak {peak}, mean {mean:.0}");
        assert!(peak as f64 <= 2.0 * mean.max(5.0), "{places}, {sessions}: {buckets:?}");
    }
}

#[test]
fn an_absurd_pause_ends_within_a_day_and_a_shorter_one_cuts_none_short() {
    let mut desk = Desk::new(1);
    let moment = desk.moment();
    desk.known.pause(u64::MAX, moment);
    desk.known.pause(1, moment);
    let until = desk.known.bars(desk.now).paused_until;
    assert_eq!(until, Some(desk.now.plus_ms(limits::GATE_PAUSE_MAX_MS)));
}

#[test]
fn what_holds_callers_up_is_said_in_words() {
    let mut desk = Desk::new(1);
    let words = |desk: &Desk| desk.known.bars(desk.now).words(desk.now);
    assert_eq!(words(&desk), "a place");
    answered_with(&mut desk, &requests(10, 0, 60_000));
    assert_eq!(words(&desk), "the vendor's limits are used up");
    let moment = desk.moment();
    desk.known.pause(3_001, moment);
    assert_eq!(words(&desk), "paused 4 s");
}
