//! Tables of what opens and closes the breaker, and the laws: nobody waits for ever, few probe at
//! once, one session alone never opens it.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const PAUSE: u64 = limits::BREAKER_PAUSE_MS;
const LIVES: u64 = limits::BREAKER_LIVES_MS;
const DEATHS: usize = limits::BREAKER_DEATHS;

fn session(number: usize) -> SessionId {
    SessionId(Uuid::from_u128(number as u128))
}

fn at(ms: u64) -> Timestamp {
    Timestamp(0).plus_ms(ms)
}

/// One that opened at 0, by as many deaths as it takes.
fn open() -> Breaker {
    let mut breaker = Breaker::default();
    for number in 0..DEATHS {
        assert_eq!(breaker.died(session(number), at(0)), None);
    }
    let opened = breaker.died(session(DEATHS), at(0));
    assert_eq!(opened, Some(Change::Opened { deaths: DEATHS + 1 }));
    breaker
}

/// These ask, in order; the numbers of those who may probe.
fn probes(breaker: &mut Breaker, numbers: std::ops::Range<usize>, now: u64) -> Vec<usize> {
    let mut probing = Vec::new();
    for number in numbers {
        match breaker.ask(session(number), at(now), 0) {
            (Verdict::Probe, None) => probing.push(number),
            (Verdict::Wait { after_ms }, None) => assert_eq!(after_ms, limits::BREAKER_ASK_MS),
            other => panic!("{number} at {now}: {other:?}"),
        }
    }
    probing
}

#[test]
fn it_opens_by_deaths_of_many_sessions_within_the_window() {
    let window = limits::BREAKER_WINDOW_MS;
    // Who dies when, by number; whether it is open after the last.
    type Row = (&'static str, fn(usize) -> (usize, u64), usize, bool);
    let table: &[Row] = &[
        ("as many as it bears", |n| (n, 0), DEATHS, false),
        ("one more", |n| (n, 0), DEATHS + 1, true),
        ("one session again and again", |n| (0, n as u64), 10 * DEATHS, false),
        ("a few again and again", |n| (n % DEATHS, n as u64), 10 * DEATHS, false),
        ("many, but slowly", |n| (n, n as u64 * limits::BREAKER_WINDOW_MS / 25), 500, false),
        ("many, over most of the window", |n| (n, n as u64 * 70), DEATHS + 1, true),
    ];
    assert_eq!(window / 25, 80, "what is slow above");
    for (name, deaths, many, opens) in table {
        let mut breaker = Breaker::default();
        for number in 0..*many {
            let (who, ms) = deaths(number);
            breaker.died(session(who), at(ms));
        }
        assert_eq!(breaker.held().is_some(), *opens, "{name}");
        assert!(breaker.deaths.len() <= DEATHS, "{name}: what is kept is bounded");
    }
}

#[test]
fn closed_it_lets_everybody_pass_and_open_it_lets_a_few_probe_after_a_pause() {
    let mut closed = Breaker::default();
    assert_eq!(closed.ask(session(1), at(0), 7), (Verdict::Pass, None));
    let mut breaker = open();
    assert_eq!(probes(&mut breaker, 0..26, 200), [0; 0], "not while it pauses");
    assert_eq!(breaker.held(), Some(Held { since: at(0), waiting: 26 }));
    assert_eq!(probes(&mut breaker, 0..26, PAUSE), [0, 1, 2]);
    assert_eq!(breaker.held().map(|held| held.waiting), Some(23), "a probe does not wait");
    assert!(breaker.holds(session(3)) && !breaker.holds(session(1)));
    assert_eq!(probes(&mut breaker, 3..26, PAUSE + 1), [0; 0], "no more at once");
}

#[test]
fn jitter_spreads_the_questions_over_as_long_again() {
    let ask = limits::BREAKER_ASK_MS;
    for (jitter, expected) in [(0, ask), (1, ask + 1), (ask - 1, 2 * ask - 1), (ask, ask)] {
        let (verdict, _) = open().ask(session(1), at(0), jitter);
        assert_eq!(verdict, Verdict::Wait { after_ms: expected }, "jitter {jitter}");
    }
}

#[test]
fn it_closes_when_its_probes_live_and_what_waits_may_pass() {
    let mut breaker = open();
    probes(&mut breaker, 0..26, PAUSE);
    for number in 0..3 {
        breaker.settled(session(number), at(PAUSE + 10));
    }
    let before = at(PAUSE + 10 + LIVES - 1);
    assert!(matches!(breaker.ask(session(9), before, 0), (Verdict::Wait { .. }, None)));
    let after_ms = PAUSE + 10 + LIVES;
    let closed = Change::Closed { after_ms, waiting: 23 };
    assert_eq!(breaker.ask(session(9), at(after_ms), 0), (Verdict::Pass, Some(closed)));
    assert_eq!(breaker.ask(session(10), at(after_ms), 0), (Verdict::Pass, None));
    assert_eq!(breaker.died(session(10), at(after_ms)), None, "and it counts from the start");
}

#[test]
fn a_cause_that_strikes_after_the_probes_are_at_work_keeps_it_open() {
    let mut breaker = open();
    probes(&mut breaker, 0..26, PAUSE);
    for number in 0..3 {
        breaker.settled(session(number), at(PAUSE + 10));
    }
    assert_eq!(breaker.look(at(PAUSE + 1_400)), None, "being at work for a moment proves nothing");
    breaker.died(session(0), at(PAUSE + 1_510));
    let next = PAUSE + 1_510 + 2 * PAUSE;
    assert_eq!(probes(&mut breaker, 0..26, next - 1), [0; 0], "they pause for longer");
    assert_eq!(probes(&mut breaker, 0..26, next), [3, 4, 5]);
}

#[test]
fn probes_that_come_a_step_further_live_at_once() {
    let mut breaker = open();
    probes(&mut breaker, 0..26, PAUSE);
    for number in 0..3 {
        assert_eq!(breaker.look(at(PAUSE + 20)), None, "{number} are not enough");
        breaker.settled(session(number), at(PAUSE + 10));
        breaker.progressed(session(number));
    }
    let closed = Change::Closed { after_ms: PAUSE + 20, waiting: 23 };
    assert_eq!(breaker.look(at(PAUSE + 20)), Some(closed));
}

#[test]
fn a_probe_that_dies_makes_everybody_wait_longer_and_others_probe_next() {
    let mut breaker = open();
    let (mut now, mut pauses) = (PAUSE, Vec::new());
    for round in 0..6 {
        let probing = probes(&mut breaker, 0..26, now);
        assert_eq!(probing, [3 * round, 3 * round + 1, 3 * round + 2], "the price is shared");
        for number in &probing {
            breaker.settled(session(*number), at(now));
        }
        for number in probing {
            breaker.died(session(number), at(now + 100));
        }
        // Their having settled proves nothing once one has died.
        assert_eq!(breaker.look(at(now + 100)), None);
        assert_eq!(probes(&mut breaker, 0..26, now + 100), [0; 0]);
        let next = (1..).find(|ms| {
            now + 100 + ms >= breaker.open.as_ref().map_or(0, |open| open.probe_at.since_ms(at(0)))
        });
        pauses.extend(next);
        now += 100 + pauses[round];
    }
    assert_eq!(pauses, [2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
}

#[test]
fn a_poisonous_session_among_many_keeps_it_open_for_one_round_only() {
    let mut breaker = open();
    assert_eq!(probes(&mut breaker, 0..26, PAUSE), [0, 1, 2]);
    breaker.died(session(0), at(PAUSE));
    let next = PAUSE + 2 * PAUSE;
    assert_eq!(probes(&mut breaker, 0..26, next), [3, 4, 5], "not the poisonous one again");
}

#[test]
fn a_probe_of_which_nothing_is_heard_leaves_its_place_to_another() {
    let mut breaker = open();
    assert_eq!(probes(&mut breaker, 0..26, PAUSE), [0, 1, 2]);
    breaker.gone(session(0));
    assert_eq!(probes(&mut breaker, 3..26, PAUSE + 1), [3], "one went in peace");
    let late = PAUSE + limits::BREAKER_LOST_MS;
    assert_eq!(probes(&mut breaker, 4..26, late), [4, 5], "two were never heard of again");
}

#[test]
fn when_all_have_probed_they_begin_again() {
    let mut breaker = open();
    let mut now = PAUSE;
    for expected in [[0, 1], [0, 1]] {
        assert_eq!(probes(&mut breaker, 0..2, now), expected);
        breaker.died(session(0), at(now));
        breaker.died(session(1), at(now));
        now += limits::BREAKER_PAUSE_MAX_MS;
    }
}

#[test]
fn it_closes_when_nobody_waits_any_more() {
    let mut breaker = open();
    assert_eq!(breaker.look(at(PAUSE - 1)), None, "some are still in their backoff");
    assert_eq!(breaker.look(at(PAUSE)), Some(Change::Closed { after_ms: PAUSE, waiting: 0 }));
    let mut breaker = open();
    probes(&mut breaker, 0..26, 10);
    assert_eq!(breaker.look(at(PAUSE)), None);
    breaker.sweep(at(10 + limits::BREAKER_LOST_MS));
    let after_ms = 10 + limits::BREAKER_LOST_MS;
    assert_eq!(breaker.look(at(after_ms)), Some(Change::Closed { after_ms, waiting: 0 }));
}

#[test]
fn a_clock_that_goes_back_makes_nobody_wait_for_its_return() {
    let hour = 3_600_000;
    let mut breaker = Breaker::default();
    for number in 0..=DEATHS {
        breaker.died(session(number), at(hour));
    }
    assert_eq!(probes(&mut breaker, 0..26, 0), [0; 0]);
    assert_eq!(probes(&mut breaker, 0..26, PAUSE), [0, 1, 2]);
}

proptest! {
    /// Sessions die and ask as they like until the cause has passed; then all of them are let
    /// through, within the pauses, and never more probe at once than may.
    #[test]
    fn nobody_waits_for_ever_once_the_cause_has_passed(
        sessions in 1_usize..80,
        heals_at in 0_u64..60_000,
        steps in proptest::collection::vec((1_u64..400, any::<u64>()), 1..40),
    ) {
        let mut breaker = Breaker::default();
        let mut asks: BTreeMap<usize, u64> = BTreeMap::new();
        for number in 0..sessions {
            breaker.died(session(number), at(0));
            asks.insert(number, 200 + steps[number % steps.len()].0);
        }
        let mut now = 0;
        let mut turns = steps.iter().cycle();
        while let Some((number, due)) = asks.iter().map(|(n, due)| (*n, *due)).min_by_key(|(_, due)| *due) {
            now = now.max(due);
            let (takes, jitter) = turns.next().copied().unwrap_or_default();
            let (verdict, _) = breaker.ask(session(number), at(now), jitter);
            if let Some(open) = &breaker.open {
                prop_assert!(open.probes.len() + open.lived <= limits::BREAKER_PROBES);
            }
            match verdict {
                Verdict::Wait { after_ms } => drop(asks.insert(number, now + after_ms)),
                Verdict::Pass | Verdict::Probe if now < heals_at => {
                    breaker.died(session(number), at(now));
                    asks.insert(number, now + takes);
                }
                Verdict::Pass | Verdict::Probe => {
                    asks.remove(&number);
                    breaker.settled(session(number), at(now));
                }
            }
            let latest = heals_at + limits::BREAKER_PAUSE_MAX_MS + LIVES + 6 * limits::BREAKER_ASK_MS;
            prop_assert!(now <= latest, "{number} still waits at {now}, healed at {heals_at}");
        }
    }

    #[test]
    fn one_session_alone_never_opens_it(times in proptest::collection::vec(0_i64..3_000, 1..400)) {
        let mut breaker = Breaker::default();
        for time in times {
            prop_assert_eq!(breaker.died(session(7), Timestamp(time)), None);
            prop_assert_eq!(breaker.ask(session(7), Timestamp(time), 0), (Verdict::Pass, None));
        }
    }
}
