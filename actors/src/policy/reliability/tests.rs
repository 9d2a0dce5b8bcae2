//! The record of a tool against one that is worked out from the whole history, and its edges.

use proptest::prelude::*;

use super::*;

const RULES: Reliability =
    Reliability { runs: 6, failures: 5, window_ms: 1_000, raised_ms: 100, successes: 3 };

/// `x` failed, `.` worked; ten milliseconds apart.
fn played(rules: &Reliability, runs: &str) -> (Record, Timestamp) {
    let (mut record, mut now) = (Record::default(), Timestamp(0));
    for run in runs.chars() {
        now = now.plus_ms(10);
        record.note(rules, (ToolCallNo(1), run == 'x'), [], now);
    }
    (record, now)
}

#[test]
fn enough_failures_among_the_last_runs_raise_it_and_successes_bring_it_back() {
    for (runs, raised) in [
        ("xxxx", None),
        ("xxxxx", Some((5, 5))),
        ("x.xxxx", Some((5, 6))),
        ("x.x.xxx", None),
        ("xxxxx..", Some((5, 5))),
        ("xxxxx...", None),
        ("xxxx...x", None),
        ("xxxxx...xxxx", None),
        ("..xxxxx", Some((5, 6))),
    ] {
        let (record, now) = played(&RULES, runs);
        let found = record.raised(now).map(|raise| (raise.failed, raise.of));
        assert_eq!(found, raised, "{runs}");
    }
}

#[test]
fn it_is_over_after_a_while_and_the_next_failure_raises_it_again() {
    let (mut record, now) = played(&RULES, "xxxxx");
    let until = now.plus_ms(RULES.raised_ms);
    assert!(record.raised(Timestamp(until.0 - 1)).is_some());
    assert!(record.raised(until).is_none());
    record.note(&RULES, (ToolCallNo(1), true), [], until.plus_ms(1));
    assert!(record.raised(until.plus_ms(2)).is_some(), "the failures of before still count");
    let later = until.plus_ms(RULES.window_ms + 200);
    record.note(&RULES, (ToolCallNo(1), true), [], later);
    assert!(record.raised(later).is_none(), "those of long ago do not");
}

/// A wall that is set back by `back_ms`, and the first frame after it.
fn set_back(record: &mut Record, now: Timestamp, back_ms: i64) -> Timestamp {
    let at = Timestamp(now.0 - back_ms);
    record.set_back(at);
    at
}

#[test]
fn a_clock_that_was_set_back_keeps_a_raise_no_longer_than_it_lasts() {
    for back_ms in [1, 99, 5_000, 86_400_000] {
        let (mut record, now) = played(&RULES, "xxxxx");
        let before = Timestamp(now.0 - back_ms);
        let raise = record.raised(before).expect("nothing has told the record yet");
        assert!(raise.until <= before.plus_ms(RULES.raised_ms), "{back_ms}: what is said is true");
        let at = set_back(&mut record, now, back_ms);
        let until = at.plus_ms(RULES.raised_ms);
        assert!(record.raised(Timestamp(until.0 - 1)).is_some(), "{back_ms}: it lasts its time");
        assert!(record.raised(until).is_none(), "{back_ms}: and no longer");
    }
}

#[test]
fn runs_of_before_a_clock_was_set_back_are_no_longer_recent_when_the_window_is_over() {
    let (mut record, now) = played(&RULES, "xxxx");
    let at = set_back(&mut record, now, 86_400_000);
    let mut soon = record.clone();
    soon.note(&RULES, (ToolCallNo(1), true), [], at.plus_ms(1));
    assert!(soon.raised(at.plus_ms(1)).is_some(), "they count as just now");
    let later = at.plus_ms(RULES.window_ms + 1);
    record.note(&RULES, (ToolCallNo(1), true), [], later);
    assert!(record.raised(later).is_none(), "and not for the day that the clock was set back");
}

#[test]
fn what_was_inherited_lasts_as_long_as_it_had_left() {
    let (tool, begun) = ("shell".into(), Timestamp(1_000));
    let raised = Raised { tool, failed: 5, of: 6, until: begun.plus_ms(40) };
    let mut record = Record::inherited(&raised, begun);
    assert!(
        record.raised(begun.plus_ms(39)).is_some() && record.raised(begun.plus_ms(40)).is_none()
    );
    let at = set_back(&mut record, begun, 900);
    assert!(record.raised(at.plus_ms(39)).is_some() && record.raised(at.plus_ms(40)).is_none());
}

#[test]
fn what_was_let_through_before_the_last_failure_does_not_bring_it_back() {
    let (mut record, now) = played(&RULES, "xxxx");
    let slow = [7, 8, 9].map(ToolCallNo);
    record.note(&RULES, (ToolCallNo(5), true), slow, now);
    for call in slow {
        record.note(&RULES, (call, false), [], now);
    }
    assert!(record.raised(now).is_some(), "they began before it failed");
    for call in [10, 11, 12].map(ToolCallNo) {
        assert!(record.raised(now).is_some());
        record.note(&RULES, (call, false), [], now);
    }
    assert!(record.raised(now).is_none() && record.is_clean());
}

#[test]
fn with_no_failures_named_nothing_is_ever_raised() {
    let (record, now) = played(&Reliability { failures: 0, ..RULES }, &"x".repeat(50));
    assert!(record.raised(now).is_none());
}

#[test]
fn it_says_in_words_why_and_until_when() {
    let (record, now) = played(&RULES, "x.xxxx");
    let words = words(&"shell".into(), &record.raised(now).unwrap(), RULES.successes);
    assert_eq!(
        words,
        "shell failed 5 of its last 6 runs, so a person is asked about each call until 1970-01-01 00:00:00.160, or until 3 in a row have worked"
    );
}

fn rules() -> impl Strategy<Value = Reliability> {
    (1_u32..8, 0_u32..8, 1_u64..200, 1_u64..200, 1_u32..5).prop_map(
        |(runs, failures, window_ms, raised_ms, successes)| Reliability {
            runs,
            failures,
            window_ms,
            raised_ms,
            successes,
        },
    )
}

/// The same worked out anew for each moment, from everything that ever ran.
fn oracle(rules: &Reliability, history: &[(Timestamp, bool)], now: Timestamp) -> bool {
    let successes = rules.successes as usize;
    let cleared = (successes..=history.len())
        .rev()
        .find(|end| history[end - successes..*end].iter().all(|(_, failed)| !failed))
        .unwrap_or(0);
    let since = &history[cleared..];
    (0..since.len()).any(|last| {
        let (at, failed) = since[last];
        let latest = since[..=last].iter().rev().take(rules.runs as usize);
        let fails = latest
            .filter(|(ended, failed)| *failed && at.since_ms(*ended) <= rules.window_ms)
            .count();
        rules.failures > 0
            && failed
            && fails >= rules.failures as usize
            && now < at.plus_ms(rules.raised_ms)
    })
}

proptest! {
    #[test]
    fn it_is_raised_exactly_when_the_whole_history_says_so(
        rules in rules(),
        runs in proptest::collection::vec((0_u64..60, proptest::bool::weighted(0.7)), 0..60),
        later in 0_u64..200,
    ) {
        let (mut record, mut now) = (Record::default(), Timestamp(0));
        let mut history = Vec::new();
        for (pause, failed) in runs {
            now = now.plus_ms(pause);
            record.note(&rules, (ToolCallNo(1), failed), [], now);
            history.push((now, failed));
            prop_assert_eq!(record.raised(now).is_some(), oracle(&rules, &history, now));
            prop_assert!(record.runs.len() <= rules.runs as usize, "it keeps no more than it looks at");
        }
        let then = now.plus_ms(later);
        prop_assert_eq!(record.raised(then).is_some(), oracle(&rules, &history, then));
    }
}
