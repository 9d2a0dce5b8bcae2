//! The job machine: every order in every state, what the guards let through, and what holds over any
//! row of inputs: the state is the fold of the records, attempts are numbered without a gap, a job ends
//! once for each round, and its history is bounded.

use proptest::prelude::*;
use uuid::Uuid;

use super::{queue::admit, *};
use crate::{
    domain::{
        ids::TenantId,
        job::{JobEnd, JobEvent, JobSpec, OnLost},
    },
    limits,
};

const JOB: JobId = JobId(Uuid::from_u128(7));

fn env(now: i64, boot: u64) -> Env {
    Env { now: Timestamp(now), jitter: 0, boot }
}

fn born(spec: JobSpec) -> State {
    let event = enqueue(Box::new(spec), Timestamp(10), "somebody".into(), None);
    opened(JOB, TenantId::from("t"), &event, Timestamp(10)).expect("it is a first record")
}

/// Gives inputs one after the other, each at its time.
fn after(mut state: State, inputs: &[(i64, Input)]) -> State {
    for (now, input) in inputs {
        let events = step(&state, &env(*now, 1), input.clone()).expect("the test's own row");
        fold(&mut state, &events, *now);
    }
    state
}

fn fold(state: &mut State, events: &[JobEvent], now: i64) {
    for event in events {
        apply(state, event, Timestamp(now)).expect("what is decided can be folded");
    }
}

fn failed(attempt: u32, again: bool) -> Input {
    let end = AttemptEnd::Failed { error: "broke".to_owned(), again };
    Input::Finished { attempt, end }
}

fn completed(attempt: u32) -> Input {
    Input::Finished { attempt, end: AttemptEnd::Completed { result: None } }
}

fn cancel() -> Input {
    Input::Cancel { reason: "enough".to_owned() }
}

fn pause() -> Input {
    Input::Pause { detail: None }
}

fn host() -> JobSpec {
    JobSpec::host("backup", "all").attempts(2).backoff_ms(100, 1_000)
}

fn prompt() -> JobSpec {
    JobSpec::prompt("report", "clerk", "write it").attempts(2).backoff_ms(100, 1_000)
}

/// A job in each state.
fn in_each_state(spec: &JobSpec) -> Vec<State> {
    let new = || born(spec.clone());
    let run = |mut row: Vec<(i64, Input)>| {
        row.insert(0, (10, Input::Start { key: None }));
        after(new(), &row)
    };
    let mut states = vec![
        new(),
        after(new(), &[(10, pause())]),
        run(vec![]),
        run(vec![(11, completed(1))]),
        run(vec![(11, failed(1, false))]),
        after(new(), &[(11, cancel())]),
    ];
    if spec.work.word() == "host" {
        let mut leaves = new();
        leaves.spec.on_lost = OnLost::Leave;
        let mut lost = after(leaves, &[(10, Input::Start { key: None })]);
        let events = step(&lost, &env(20, 2), Input::Recovered).expect("its host died");
        fold(&mut lost, &events, 20);
        states.extend([run(vec![(11, pause())]), lost]);
    } else {
        states.push(run(vec![(11, cancel())]));
    }
    states
}

/// One line of the table: the state, each order, and what became of it.
fn line(state: &State) -> String {
    let orders: [(&str, Input); 7] = [
        ("start", Input::Start { key: None }),
        ("progress", Input::Progress { attempt: 1, percent: 50, detail: None }),
        ("complete", completed(1)),
        ("fail", failed(1, true)),
        ("cancel", cancel()),
        ("pause", pause()),
        ("resume", Input::Resume { detail: None }),
    ];
    let mut line = format!("{}:", state.state().word());
    for (name, input) in orders.into_iter().chain([("retry", Input::Retry)]) {
        let word = match step(state, &env(30, 1), input) {
            Err(_) => "no".to_owned(),
            Ok(events) if events.is_empty() => "so already".to_owned(),
            Ok(events) => {
                let mut next = state.clone();
                fold(&mut next, &events, 30);
                next.state().word().to_owned()
            }
        };
        line.push_str(&format!(" {name}={word}"));
    }
    line
}

#[test]
fn an_attempt_is_its_hosts_however_often_it_is_asked_for_under_its_key() {
    let under = |key: &str| Input::Start { key: Some(key.into()) };
    let state = after(born(host()), &[(10, under("mine"))]);
    let asked = |key| step(&state, &env(11, 1), under(key));
    assert_eq!(asked("mine"), Ok(Vec::new()), "it was so already");
    assert!(matches!(asked("another"), Err(JobRefused::Wrong { .. })));
    assert!(step(&state, &env(11, 1), Input::Start { key: None }).is_err());
    let failed = after(state, &[(12, failed(1, true))]);
    assert!(matches!(step(&failed, &env(13, 1), under("mine")), Err(JobRefused::NotDue { .. })));
}

#[test]
fn every_order_in_every_state_of_a_hosts_job() {
    let lines: Vec<String> = in_each_state(&host()).iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "queued: start=running progress=no complete=no fail=no cancel=cancelled pause=paused resume=no retry=no",
            "paused: start=no progress=no complete=no fail=no cancel=cancelled pause=so already resume=queued retry=no",
            "running: start=no progress=running complete=completed fail=queued cancel=cancelled pause=paused resume=no retry=no",
            "completed: start=no progress=no complete=so already fail=no cancel=no pause=no resume=no retry=no",
            "failed: start=no progress=no complete=no fail=so already cancel=no pause=no resume=no retry=queued",
            "cancelled: start=no progress=no complete=no fail=no cancel=so already pause=no resume=no retry=queued",
            "paused: start=no progress=no complete=no fail=no cancel=cancelled pause=so already resume=running retry=no",
            "lost: start=no progress=no complete=no fail=no cancel=no pause=no resume=no retry=queued",
        ]
    );
}

#[test]
fn every_order_in_every_state_of_a_prompt() {
    let lines: Vec<String> = in_each_state(&prompt()).iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "queued: start=running progress=no complete=no fail=no cancel=cancelled pause=paused resume=no retry=no",
            "paused: start=no progress=no complete=no fail=no cancel=cancelled pause=so already resume=queued retry=no",
            "running: start=no progress=no complete=completed fail=queued cancel=stopping pause=no resume=no retry=no",
            "completed: start=no progress=no complete=so already fail=no cancel=no pause=no resume=no retry=no",
            "failed: start=no progress=no complete=no fail=so already cancel=no pause=no resume=no retry=queued",
            "cancelled: start=no progress=no complete=no fail=no cancel=so already pause=no resume=no retry=queued",
            "stopping: start=no progress=no complete=completed fail=cancelled cancel=so already pause=no resume=no retry=no",
        ]
    );
}

#[test]
fn attempts_are_made_again_after_doubling_pauses_and_then_no_more() {
    let spec = JobSpec::host("b", "").attempts(4).backoff_ms(100, 250);
    let mut state = born(spec);
    let mut now = 10;
    let mut pauses = Vec::new();
    for attempt in 1..=3 {
        state = after(state, &[(now, Input::Start { key: None }), (now, failed(attempt, true))]);
        let Phase::Queued { due } = state.phase else { panic!("{:?}", state.phase) };
        pauses.push(due.0 - now);
        let early = step(&state, &env(due.0 - 1, 1), Input::Start { key: None });
        assert!(matches!(early, Err(JobRefused::NotDue { .. })), "{early:?}");
        now = due.0;
    }
    assert_eq!(pauses, [100, 200, 250]);
    state = after(state, &[(now, Input::Start { key: None }), (now, failed(4, true))]);
    assert_eq!(state.state(), JobState::Failed);
    let again = after(
        state,
        &[(now, Input::Retry), (now, Input::Start { key: None }), (now, failed(5, true))],
    );
    assert_eq!(again.state(), JobState::Queued, "another round has its own attempts");
}

#[test]
fn what_an_older_attempt_says_is_refused() {
    let row = [
        (10, Input::Start { key: None }),
        (11, failed(1, true)),
        (111, Input::Start { key: None }),
    ];
    let state = after(born(host()), &row);
    for late in
        [completed(1), failed(1, true), Input::Progress { attempt: 1, percent: 1, detail: None }]
    {
        let refused = step(&state, &env(112, 1), late);
        assert!(matches!(refused, Err(JobRefused::Stale { attempt: 1, attempts: 2, .. })));
    }
}

#[test]
fn a_hosts_attempt_is_lost_with_its_program_and_a_prompts_goes_on() {
    let begun = |spec| after(born(spec), &[(10, Input::Start { key: None })]);
    let recovered = |state: &State, boot| step(state, &env(20, boot), Input::Recovered);
    assert_eq!(recovered(&begun(host()), 1), Ok(Vec::new()), "the actor died, not the host");
    let again = recovered(&begun(host()), 2).expect("it is decided");
    assert!(matches!(again.as_slice(), [JobEvent::AttemptFailed { again_at: Some(_), .. }]));
    let left = recovered(&begun(host().on_lost(OnLost::Leave)), 2).expect("it is decided");
    assert!(matches!(left.last(), Some(JobEvent::Ended { end: JobEnd::Lost { .. }, .. })));
    assert_eq!(recovered(&begun(prompt()), 2), Ok(Vec::new()));
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped_and_made_again() {
    let late = |spec: JobSpec| {
        let state = after(born(spec.attempt_ms(50)), &[(10, Input::Start { key: None })]);
        assert_eq!(step(&state, &env(59, 1), Input::Due), Ok(Vec::new()), "not yet");
        after(state, &[(60, Input::Due)])
    };
    assert_eq!(late(host()).state(), JobState::Queued);
    let stopping = late(prompt());
    assert_eq!(stopping.state(), JobState::Stopping);
    let end = AttemptEnd::Cancelled { reason: "its job".to_owned() };
    let stopped = after(stopping, &[(70, Input::Finished { attempt: 1, end })]);
    assert_eq!(stopped.state(), JobState::Queued, "too long is a failure, and no cancel");
    assert!(stopped.error.is_some_and(|why| why.contains("longer than 50 ms")));
}

#[test]
fn a_pause_keeps_the_time_that_an_attempt_has_left() {
    let row =
        [(10, Input::Start { key: None }), (30, pause()), (1_000, Input::Resume { detail: None })];
    let state = after(born(host().attempt_ms(50)), &row);
    let Phase::Running { deadline, .. } = state.phase else { panic!("{:?}", state.phase) };
    assert_eq!(deadline, Timestamp(1_030));
}

#[test]
fn one_that_waits_for_a_job_that_failed_fails_with_its_reason() {
    let other = JobId(Uuid::from_u128(8));
    let awaited = |job| Input::Awaited { job, why: "the disk was full".to_owned() };
    let state = after(born(host().after(other)), &[(11, awaited(JOB))]);
    assert_eq!(state.state(), JobState::Queued, "it does not wait for that one");
    let state = after(state, &[(11, awaited(other))]);
    let Phase::Ended { end: JobEnd::Failed { error }, .. } = state.phase else {
        panic!("it goes on")
    };
    assert!(error.contains(&other.to_string()) && error.contains("the disk was full"), "{error}");
}

#[test]
fn an_end_is_owed_until_it_is_told_and_tried_with_growing_pauses_under_one_id() {
    let missed = || Input::Told { heard: Err(("away".to_owned(), true, None)) };
    let mut state =
        after(born(host().hook("ops")), &[(10, Input::Start { key: None }), (11, completed(1))]);
    let id = delivery(&state).expect("it is owed").id;
    let mut now = 11;
    for failures in 1..limits::JOB_TELLS {
        assert!(state.standing(Timestamp(now)).contains(&Standing::Tell) && state.is_open());
        state = after(state, &[(now, missed())]);
        let owed = state.owed.expect("it is tried again");
        assert_eq!(owed.failures, failures);
        assert_eq!(delivery(&state).expect("it is owed").id, id);
        now = owed.at.0;
    }
    let given_up = after(state.clone(), &[(now, missed())]);
    assert!(given_up.owed.is_none() && !given_up.is_open(), "three hours are enough");
    assert!(after(state, &[(now, Input::Told { heard: Ok(()) })]).owed.is_none());
}

#[test]
fn a_job_that_cannot_be_taken_says_why() {
    let bad = [
        JobSpec::host("", ""),
        JobSpec::host("a", "").queue(""),
        JobSpec::host("a", "").attempts(0),
        JobSpec::host("a", "").attempt_ms(0),
        JobSpec::host("a", "x".repeat(limits::INPUT_BYTES + 1)),
        JobSpec::host("a", "").cron("* * * * *", "UTC").after(JOB),
    ];
    for spec in bad {
        assert!(matches!(check_spec(&spec), Err(JobRefused::BadValue { .. })), "{}", spec.name);
    }
    assert_eq!(check_spec(&host()), Ok(()));
}

#[test]
fn queues_take_turns_and_none_has_more_than_its_places() {
    let waiting = |no: u128, queue: &str, since: i64| Waiting {
        job: JobId(Uuid::from_u128(no)),
        queue: ("t".into(), queue.into()),
        since: (Timestamp(since), Timestamp(0)),
    };
    let mut all: Vec<Waiting> = (0..50).map(|no| waiting(no, "long", 1)).collect();
    all.extend([waiting(100, "short", 2), waiting(101, "short", 3), waiting(102, "small", 1)]);
    let of = [("small".into(), 0_u32)].into();
    let begin = admit(all.clone(), &[].into(), Places { of: &of, usual: 8, left: 4 });
    let begin: Vec<u128> = begin.into_iter().map(|job| job.0.as_u128()).collect();
    assert_eq!(begin, [0, 100, 1, 101], "by turns, oldest first, and none where there is no place");
    let begin = admit(all, &[].into(), Places { of: &of, usual: 8, left: 100 });
    assert_eq!(begin.len(), 10, "eight and two");
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Start { key: None }),
        (0..4_u32).prop_map(completed),
        (0..4_u32, any::<bool>()).prop_map(|(attempt, again)| failed(attempt, again)),
        (0..4_u32, 0..=120_u8)
            .prop_map(|(attempt, percent)| { Input::Progress { attempt, percent, detail: None } }),
        Just(cancel()),
        Just(pause()),
        Just(Input::Resume { detail: None }),
        Just(Input::Retry),
        Just(Input::Due),
        Just(Input::Recovered),
        Just(Input::Told { heard: Ok(()) }),
        Just(Input::Told { heard: Err(("away".to_owned(), true, None)) }),
    ]
}

proptest! {
    #[test]
    fn over_any_row_of_inputs_the_state_is_the_fold_and_its_numbers_have_no_gaps(
        inputs in prop::collection::vec((any_input(), 0..400_i64, 1..4_u64), 1..200),
        is_prompt in any::<bool>(),
    ) {
        let spec = if is_prompt { prompt() } else { host() }.hook("ops").attempt_ms(300);
        let mut state = born(spec.clone());
        let (mut now, mut boot, mut log) = (10, 1, Vec::new());
        let (mut attempts, mut ends) = (0, 0);
        for (input, later, reboots) in inputs {
            now += later;
            boot += reboots / 3;
            let Ok(events) = step(&state, &env(now, boot), input) else { continue };
            for event in events {
                if let JobEvent::AttemptStarted { attempt, due, .. } = &event {
                    attempts += 1;
                    prop_assert!(*attempt == attempts && due.0 <= now);
                }
                if let JobEvent::Ended { no, .. } = &event {
                    ends += 1;
                    prop_assert_eq!(*no, ends);
                }
                prop_assert!(apply(&mut state, &event, Timestamp(now)).is_ok());
                log.push((event, now));
            }
            let made = state.attempts - state.attempts_before;
            prop_assert!(made <= spec.retry.attempts_max);
            prop_assert!(state.progress <= 100 && state.history.len() <= limits::JOB_HISTORY);
            let told = state.history.len() as u64 + state.history_dropped;
            prop_assert_eq!(told, log.len() as u64 + 1);
        }
        let mut again = born(spec);
        for (event, at) in &log {
            prop_assert!(apply(&mut again, event, Timestamp(*at)).is_ok());
        }
        prop_assert_eq!(again, state);
    }
}
