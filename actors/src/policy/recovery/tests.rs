//! Tables of pauses, and the laws of jitter and of the bucket.

use proptest::prelude::*;

use super::*;

fn policy() -> RestartPolicy {
    RestartPolicy { panics_max: 3, window_ms: 60_000, backoff_ms: 200, backoff_max_ms: 10_000 }
}

fn times(at: &[i64]) -> Vec<Timestamp> {
    at.iter().copied().map(Timestamp).collect()
}

#[test]
fn panics_restart_with_doubling_pauses_until_the_window_is_full() {
    let patient = RestartPolicy { panics_max: 100, ..policy() };
    let restart = |after_ms| Next::Restart { after_ms };
    let quarantine = |panics| Next::Quarantine { panics };
    type Row = (&'static str, RestartPolicy, &'static [i64], i64, u64, Next);
    let table: &[Row] = &[
        ("first", policy(), &[0], 0, 0, restart(200)),
        ("second", policy(), &[0, 1_000], 1_000, 0, restart(400)),
        ("third in the window", policy(), &[0, 1_000, 2_000], 2_000, 0, quarantine(3)),
        ("the window's edge is outside", policy(), &[0, 1, 60_000], 60_000, 0, restart(800)),
        ("just inside the edge", policy(), &[1, 2, 60_000], 60_000, 0, quarantine(3)),
        ("slow panics still back off", policy(), &[0, 70_000, 140_000], 140_000, 0, restart(800)),
        ("capped", patient, &[0; 40], 0, 0, restart(10_000)),
        ("an absurd count does not overflow", patient, &[-100_000; 90], 0, 0, restart(10_000)),
        ("jitter lengthens by a fifth", policy(), &[0], 0, 40, restart(240)),
        ("jitter wraps", policy(), &[0], 0, 41, restart(200)),
        ("an empty list counts as one", policy(), &[], 0, 0, restart(200)),
        ("zero forgiven", RestartPolicy { panics_max: 0, ..policy() }, &[0], 0, 0, quarantine(1)),
        (
            "one forgiven none",
            RestartPolicy { panics_max: 1, ..policy() },
            &[0],
            0,
            0,
            quarantine(1),
        ),
        ("a clock that went back counts all", policy(), &[9, 9, 9], 0, 0, quarantine(3)),
    ];
    for (name, policy, panics, now, jitter, expected) in table {
        let found = after_panic(policy, &times(panics), Timestamp(*now), *jitter);
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn retry_pauses_double_and_respect_the_vendor() {
    let table: &[(u32, Option<u64>, u64, u64)] = &[
        (0, None, 0, 500),
        (1, None, 0, 500),
        (2, None, 0, 1_000),
        (3, None, 0, 2_000),
        (7, None, 0, 30_000),
        (u32::MAX, None, 0, 30_000),
        (1, Some(100), 0, 500),
        (1, Some(7_000), 0, 7_000),
        (9, Some(90_000), 0, 90_000),
        (1, None, 100, 600),
        (1, None, 101, 500),
        (1, Some(864_000_000), 0, limits::GATE_PAUSE_MAX_MS),
        (1, Some(u64::MAX), 7, limits::GATE_PAUSE_MAX_MS + 7),
    ];
    for (attempt, retry_after, jitter, expected) in table {
        assert_eq!(retry_pause(*attempt, *retry_after, *jitter), *expected, "attempt {attempt}");
    }
}

#[test]
fn a_full_bucket_admits_a_second_and_then_spreads() {
    let mut rate = Rate::of(50, Timestamp(0));
    for _ in 0..50 {
        assert_eq!(rate.admit(Timestamp(0)), 0);
    }
    let together: Vec<u64> = (0..4).map(|_| rate.admit(Timestamp(0))).collect();
    assert_eq!(together, [20, 40, 60, 80], "no two at the same moment");
    assert_eq!(rate.admit(Timestamp(100)), 0, "what was promised has been gained");
}

#[test]
fn a_clock_that_goes_backwards_neither_fills_nor_stops_the_bucket() {
    let mut rate = Rate::of(1, Timestamp(10_000));
    assert_eq!(rate.admit(Timestamp(10_000)), 0);
    assert_eq!(rate.admit(Timestamp(0)), 1_000);
    assert_eq!(rate.admit(Timestamp(2_000)), 0);
}

#[test]
fn drained_it_admits_one_by_one_and_keeps_its_promises() {
    let mut rate = Rate::of(50, Timestamp(0));
    rate.drain(Timestamp(0));
    let together: Vec<u64> = (0..3).map(|_| rate.admit(Timestamp(0))).collect();
    assert_eq!(together, [20, 40, 60]);
    rate.drain(Timestamp(10));
    assert_eq!(rate.admit(Timestamp(10)), 70, "behind what was promised");
}

#[test]
fn a_limit_of_zero_still_admits() {
    let mut rate = Rate::of(0, Timestamp(0));
    assert_eq!(rate.admit(Timestamp(0)), 0);
    assert_eq!(rate.admit(Timestamp(0)), 1_000);
}

proptest! {
    #[test]
    fn jitter_only_lengthens_and_by_at_most_a_fifth(
        attempt in 0_u32..40,
        after in proptest::option::of(0_u64..1_000_000),
        jitter: u64,
    ) {
        let base = retry_pause(attempt, after, 0);
        let pause = retry_pause(attempt, after, jitter);
        prop_assert!(pause >= base && pause <= base + base / 5);
        prop_assert!(pause >= after.unwrap_or(0));
    }

    #[test]
    fn no_span_admits_more_than_its_seconds_and_one(
        per_second in 1_u32..100,
        steps in proptest::collection::vec(0_i64..100, 1..300),
    ) {
        let mut rate = Rate::of(per_second, Timestamp(0));
        let (mut now, mut moments) = (Timestamp(0), Vec::new());
        for step in steps {
            now = Timestamp(now.0 + step);
            moments.push(now.plus_ms(rate.admit(now)));
        }
        moments.sort_unstable();
        for (at, from) in moments.iter().enumerate() {
            for (later, to) in moments.iter().enumerate().skip(at) {
                let span = to.since_ms(*from) + 1;
                let most = u64::from(per_second) * (1_000 + span) / 1_000 + 1;
                prop_assert!((later - at + 1) as u64 <= most);
            }
        }
    }
}
