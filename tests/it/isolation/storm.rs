//! S3: many sessions that fail together of one cause.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use futures_util::stream;
use greenroom_actors::{
    ports::{Clock, ModelProvider, ModelRequest},
    testing::memory::MemoryStore,
};

use super::*;
use crate::props::{Answer, before_provider};

/// A provider whose adapter panics for some sessions, until it heals.
#[derive(Clone)]
struct Broken {
    breaks: Arc<AtomicBool>,
    /// How long a call lasts before it breaks.
    after_ms: u64,
    clock: Arc<dyn Clock>,
    doomed: Arc<Mutex<BTreeSet<SessionId>>>,
    panics: Count,
}

impl Broken {
    fn in_place(harness: &mut Harness, after_ms: u64) -> Self {
        let (breaks, doomed) = (Arc::default(), Arc::default());
        let (clock, panics) = (Arc::clone(&harness.deps.clock), Count::default());
        let broken = Self { breaks, after_ms, clock, doomed, panics };
        let given = broken.clone();
        before_provider(harness, move |inner, request| given.call(inner, request));
        broken
    }

    fn call(&self, inner: &Arc<dyn ModelProvider>, request: ModelRequest) -> Answer {
        let doomed =
            self.doomed.lock().expect("nobody panics here").contains(&request.call.session);
        if doomed && self.breaks.load(SeqCst) {
            let (panics, clock) = (self.panics.clone(), Arc::clone(&self.clock));
            let breaks_at = clock.now().plus_ms(self.after_ms);
            return Box::pin(stream::once(async move {
                clock.sleep_until(breaks_at).await;
                panics.up();
                // Without the hook: some hundred backtraces would be written while time is measured.
                std::panic::resume_unwind(Box::new("what they share is broken"))
            }));
        }
        inner.call(request)
    }
}

/// How many of these moments lie within one second, at most.
fn most_within_a_second(mut at: Vec<Timestamp>) -> usize {
    at.sort_unstable();
    let within =
        |from: usize| at.iter().skip(from).take_while(|one| one.since_ms(at[from]) < 1_000).count();
    (0..at.len()).map(within).max().unwrap_or(0)
}

/// S3: 500 sessions fail in the same second, and again whenever they are started, until what they
/// share heals. Restarts are held up but for a few that look; others work on; afterwards all come
/// back, at a bounded rate, also those whose wing died while they waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_failures_of_one_cause_are_held_up_until_it_heals() {
    const MANY: usize = 500;
    let script = format!("{WORK}agent doomed\n    until call 2 hang\n    say Back.\n");
    let mut broken = None;
    // In memory, so that a slow disk does not bunch what was spread.
    let harness = Harness::scripted(memory(&MemoryStore::new(), &wall()), &script);
    let mut harness = workers(&Sink::default())(harness).agent(agent("doomed", &[], &[]));
    harness.options.gates.insert("scripted".into(), 2 * MANY as u32);
    broken.replace(Broken::in_place(&mut harness, 0));
    let broken = broken.expect("in place");
    let runtime = &harness.start().await;
    let undisturbed = bystanders(runtime, 20, 3).await;
    let sessions = join_all((0..MANY).map(|_| say(runtime, "doomed", "k", "go"))).await;
    join_all(sessions.iter().map(|session| hangs(runtime, *session))).await;
    broken.doomed.lock().expect("nobody panics here").extend(sessions.iter().copied());

    broken.breaks.store(true, SeqCst);
    let began = wall().now();
    for session in &sessions {
        assert!(runtime.panic_session(*session, "what they share is broken"));
    }
    let held = until("restarts are held up", || async { runtime.figures().held }).await;
    let took = held.since.since_ms(began);
    assert!(took <= 2_000, "the breaker opened after {took} ms");
    until("a second look has failed", || async { (broken.panics.get() >= 4).then_some(()) }).await;
    let waits = runtime.figures().held.expect("it is still broken").waiting;
    assert!(waits >= MANY - 2 * limits::BREAKER_PROBES, "only {waits} wait");
    // A wing that dies takes what it knows of the waiting along.
    assert!(runtime.kill(&Victim::Wing(Runtime::wing_of(sessions[0]))));
    let beside = bystanders(runtime, 20, 3).await;
    assert_eq!(beside.outcomes, undisturbed.outcomes, "who did not die is not held up");
    assert_eq!(beside.logs, undisturbed.logs);
    assert!(runtime.figures().held.is_some(), "all that while it was open");
    let looked = broken.panics.get();
    assert!(looked <= 4 * limits::BREAKER_PROBES, "{looked} restarts into what is broken");

    broken.breaks.store(false, SeqCst);
    let healed = wall().now();
    let back = sessions.iter().map(|one| runtime.outcome(*one, "k".into(), 60_000));
    for outcome in join_all(back).await {
        let (_, outcome) = outcome.expect("back within a minute");
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    println!(
        "opened after {took} ms; all back {} ms after it healed",
        wall().now().since_ms(healed)
    );
    assert_eq!(runtime.figures().held, None);
    let mut at = Vec::new();
    for session in &sessions {
        let of_one = restarts(runtime, *session).await;
        assert!((1..=3).contains(&of_one.len()), "{session}: {of_one:?}");
        at.extend(of_one);
    }
    let most = most_within_a_second(at);
    println!("{looked} looked in vain; at most {most} restarts within a second");
    assert!(most <= 50, "{most} restarts within a second");
    let fresh = bystanders(runtime, 1, 1).await;
    assert!(matches!(fresh.outcomes[0][0], TurnOutcome::Completed { .. }), "the house stands");
}

/// What they share does not strike when a session comes to work, but later, when its model answers.
/// Those who look are not believed too early: the rest are held up all the while, and nobody has
/// spent the panics it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cause_that_strikes_late_holds_the_others_up_until_it_heals() {
    const MANY: usize = 60;
    let script = "agent doomed\n    until call 2 hang\n    say Back.\n";
    let mut broken = None;
    let still = Still::set(script, |mut harness| {
        broken = Some(Broken::in_place(&mut harness, 1_500));
        harness.agent(agent("doomed", &[], &[]))
    })
    .await;
    let (runtime, broken) = (&still.runtime, broken.expect("in place"));
    let sessions = join_all((0..MANY).map(|_| say(runtime, "doomed", "k", "go"))).await;
    join_all(sessions.iter().map(|session| hangs(runtime, *session))).await;
    broken.doomed.lock().expect("nobody panics here").extend(sessions.iter().copied());
    broken.breaks.store(true, SeqCst);
    for session in &sessions {
        assert!(runtime.panic_session(*session, "what they share is broken"));
    }
    let held = until("restarts are held up", || async { runtime.figures().held }).await;
    let running = still.runs(10);
    let rounds = 4;
    let looked =
        || async { (broken.panics.get() > (rounds - 1) * limits::BREAKER_PROBES).then_some(()) };
    until("they have looked again and again", looked).await;
    let now = runtime.figures().held.expect("it is still broken");
    // Told by the wall, which moves while it is asked.
    let opened_ms = now.since.0.abs_diff(held.since.0);
    assert!(opened_ms < limits::BREAKER_PAUSE_MS, "it has closed in between: {opened_ms} ms");
    assert!(broken.panics.get() <= rounds * limits::BREAKER_PROBES, "only a few looked");
    broken.breaks.store(false, SeqCst);
    for session in &sessions {
        let outcome = ended(runtime, *session, "k").await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
        let restarts = restarts(runtime, *session).await.len();
        assert!(restarts <= 2, "{session} was started {restarts} times");
    }
    drop(running);
}
