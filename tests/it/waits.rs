//! Every wait of the house ends by a deadline: each with its peer hung, and again after the
//! runtime was started anew on the same store. The clock is in the test's hand. The list of waits
//! is `actors/docs/waits.md`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        agent::AgentSpec,
        budget::Budget,
        conversation::BlobRef,
        event::{CancelTarget, Event, UserInput},
        frame::{LogId, LogKind, StoredFrame},
        ids::{Position, SessionId, Timestamp, Token},
        outcome::TurnOutcome,
        tool::{Args, EffectClass, ToolOutcome},
    },
    limits,
    ports::{Append, AppendError, Blobs, Claim, Clock as _, Journal, JournalError},
    runtime::StartError,
    testing::harness::{Harness, bounded, ended, events, say},
};
use tokio::sync::watch;

use crate::workshop::{Count, Prop, Still, agent, done, tool, until};

/// Lets the clock run until the turn has ended, and says how long that took of the house's time.
async fn turn_takes(
    still: &Still,
    (session, key): (SessionId, &str),
    from: Timestamp,
    step_ms: u64,
) -> (TurnOutcome, u64) {
    let state = || async {
        let state = still.runtime.state(session).await.ok()?;
        let turn = (*state.inputs.get(&key.into())?)?;
        let outcome = state.outcomes.get(&turn)?.clone();
        Some((outcome, state.updated_at.since_ms(from)))
    };
    still.advancing("the turn ends", step_ms, state).await
}

/// The deadline was kept: not before, and soon after; the clock runs in steps.
fn kept(took_ms: u64, deadline_ms: u64, step_ms: u64) {
    assert!(took_ms >= deadline_ms, "{took_ms} ms are too early for {deadline_ms}");
    let most = deadline_ms + 100 * step_ms;
    assert!(took_ms <= most, "{took_ms} ms are too late for {deadline_ms}");
}

async fn happened(still: &Still, session: SessionId, name: &str) {
    until(name, || async {
        events(&still.runtime, session).await.iter().any(|e| e.name() == name).then_some(())
    })
    .await;
}

fn never_ends() -> Prop {
    tool("hangs", EffectClass::Pure, |_, _| std::future::pending::<ToolOutcome>())
}

const HANGS: &str =
    "agent model\n    hang\nagent tool\n    call hangs {}\n  then\n    say {results}\n";

fn hanging(harness: Harness) -> Harness {
    let mut model = agent("model", &[], &[]);
    model.limits.retries = 0;
    harness.tool(never_ends()).agent(model).agent(agent("tool", &["hangs"], &[]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_hangs_is_given_up_also_after_a_restart() {
    let still = Still::set(HANGS, hanging).await;
    let start = still.clock.now();
    let first = say(&still.runtime, "model", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (first, "k"), start, 1_000).await;
    assert!(matches!(&outcome, TurnOutcome::Failed { reason } if reason.contains("time ran out")));
    kept(took, limits::MODEL_MS, 1_000);

    let second = say(&still.runtime, "model", "k", "go").await;
    happened(&still, second, "model_call_started").await;
    let still = still.crash().await;
    happened(&still, second, "session_restarted").await;
    let start = still.clock.now();
    let (outcome, took) = turn_takes(&still, (second, "k"), start, 1_000).await;
    assert!(matches!(&outcome, TurnOutcome::Failed { reason } if reason.contains("time ran out")));
    kept(took, limits::MODEL_MS, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_hangs_is_given_up_also_after_a_restart() {
    let still = Still::set(HANGS, hanging).await;
    let timed_out = |outcome: &TurnOutcome| {
        matches!(
            outcome,
            TurnOutcome::Completed { text, .. } if text == "timed out"
        )
    };
    let start = still.clock.now();
    let first = say(&still.runtime, "tool", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (first, "k"), start, 500).await;
    assert!(timed_out(&outcome), "{outcome:?}");
    kept(took, limits::TOOL_MS, 500);

    let start = still.clock.now();
    let second = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, second, "tool_started").await;
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (second, "k"), start, 500).await;
    assert!(timed_out(&outcome), "{outcome:?}");
    kept(took, limits::TOOL_MS, 500);
}

/// A tool that never lets go of its thread until it is told to.
fn stubborn() -> (Prop, Arc<AtomicBool>, Count) {
    let (free, runs) = (Arc::new(AtomicBool::new(false)), Count::default());
    let (freed, counted) = (Arc::clone(&free), runs.clone());
    let prop = tool("hangs", EffectClass::Once, move |_, _| {
        let (free, runs) = (Arc::clone(&freed), counted.clone());
        async move {
            runs.up();
            while !free.load(SeqCst) {
                std::thread::yield_now();
            }
            done("at last")
        }
    });
    (prop, free, runs)
}

/// Freed whatever becomes of the test, so that a failure does not hang.
struct Free(Arc<AtomicBool>);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_tool_that_never_lets_go_of_its_thread_is_given_up() {
    let (prop, free, runs) = stubborn();
    let _free = Free(free);
    let still =
        Still::set(HANGS, |harness| harness.tool(prop).agent(agent("tool", &["hangs"], &[]))).await;
    let start = still.clock.now();
    let session = say(&still.runtime, "tool", "k", "go").await;
    until("it runs", || async { (runs.get() == 1).then_some(()) }).await;
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 500).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(text, "timed out; whether its effect happened is unknown");
    kept(took, limits::TOOL_MS, 500);
    assert_eq!(still.runtime.leases_out(), 1, "the slot is taken as long as the thread is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_cancel_does_not_wait_for_a_tool_that_ignores_it() {
    let (prop, free, runs) = stubborn();
    let _free = Free(free);
    let still =
        Still::set(HANGS, |harness| harness.tool(prop).agent(agent("tool", &["hangs"], &[]))).await;
    let session = say(&still.runtime, "tool", "k", "go").await;
    until("it runs", || async { (runs.get() == 1).then_some(()) }).await;
    let start = still.clock.now();
    still.runtime.cancel(session, CancelTarget::Everything, "enough").await.expect("cancel");
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 50).await;
    assert_eq!(outcome, TurnOutcome::Cancelled { reason: "enough".to_owned() });
    kept(took, limits::ABORT_GRACE_MS, 50);
}

/// A store whose answers a test holds back: claims and reads, or the appends of one kind of log,
/// or blobs.
#[derive(Clone)]
struct Held {
    journal: Arc<dyn Journal>,
    blobs: Arc<dyn Blobs>,
    held: Arc<watch::Sender<Holding>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Nothing,
    Claims,
    Appends(LogKind),
    Blobs,
}

impl Held {
    fn on(harness: &mut Harness) -> Arc<watch::Sender<Holding>> {
        let held = Arc::new(watch::Sender::new(Holding::Nothing));
        let deps = &mut harness.deps;
        let (journal, blobs) = (Arc::clone(&deps.journal), Arc::clone(&deps.blobs));
        let port = Arc::new(Self { journal, blobs, held: Arc::clone(&held) });
        deps.journal = Arc::clone(&port) as _;
        deps.blobs = port;
        held
    }

    fn after<T: Send + 'static>(
        &self,
        what: Holding,
        work: BoxFuture<'static, T>,
    ) -> BoxFuture<'static, T> {
        let mut held = self.held.subscribe();
        Box::pin(async move {
            held.wait_for(|now| *now != what).await.expect("the sender lives in the port");
            work.await
        })
    }
}

impl Journal for Held {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        self.after(Holding::Claims, self.journal.claim(log))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        let kind = append.envelope.log.kind;
        self.after(Holding::Appends(kind), self.journal.append(append))
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        self.journal.read(log, after, rows)
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        self.journal.tail(log)
    }
}

impl Blobs for Held {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.after(Holding::Blobs, self.blobs.put(bytes))
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        self.after(Holding::Blobs, self.blobs.get(blob))
    }
}

const ECHO: &str = "agent echo\n    say You said {input}.\n";

fn echo(harness: Harness) -> Harness {
    harness.agent(agent("echo", &[], &[]))
}

/// A stage on a store that can be held.
async fn holdable(
    script: &str,
    arrange: impl FnOnce(Harness) -> Harness,
) -> (Still, Arc<watch::Sender<Holding>>) {
    let mut handle = None;
    let still = Still::set(script, |mut harness| {
        handle = Some(Held::on(&mut harness));
        arrange(harness)
    })
    .await;
    (still, handle.expect("arranged"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_suspends_a_session_and_counts_no_panic() {
    let still = Still::set(ECHO, echo).await;
    let runtime = &still.runtime;
    let session = say(runtime, "echo", "k", "one").await;
    ended(runtime, session, "k").await;
    still.store.hold_appends();
    let appends = still.store.counts().appends;
    let submit = runtime.submit(session, "k2".into(), UserInput::text("two"));
    let start = still.clock.now();
    let running = still.runs(50);
    let refused = bounded("the caller's wait ends", submit).await;
    assert!(refused.is_err(), "nothing is acknowledged: {refused:?}");
    kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
    until("the session's own wait ends", || async {
        let waited = still.clock.now().since_ms(start);
        (waited > limits::APPEND_MS + 2_000).then_some(())
    })
    .await;
    assert_eq!(still.store.counts().appends, appends, "nothing was written");
    still.store.release_appends();
    drop(running);
    let _running = still.runs(50);
    runtime.submit(session, "k2".into(), UserInput::text("two")).await.expect("it is back");
    let outcome = ended(runtime, session, "k2").await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    assert_eq!(runtime.tree(session).await.expect("its row").row.restarts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_away_for_a_while_suspends_and_resumes_without_a_restart() {
    let still = Still::set(ECHO, echo).await;
    let runtime = &still.runtime;
    let session = say(runtime, "echo", "k", "one").await;
    ended(runtime, session, "k").await;
    let away = JournalError::Unavailable { why: "out for lunch".to_owned() };
    // More often than a session may panic.
    still.store.fail_appends(2 * limits::PANICS_MAX as usize, &away);
    still.store.fail_claims(2, &away);
    let _running = still.runs(50);
    for key in ["k2", "k3"] {
        let submitted = until("it takes inputs again", || async {
            runtime.submit(session, key.into(), UserInput::text("again")).await.ok()
        });
        submitted.await;
        let outcome = ended(runtime, session, key).await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    assert_eq!(runtime.tree(session).await.expect("its row").row.restarts, 0);
    let log = events(runtime, session).await;
    assert!(log.iter().all(|event| event.name() != "session_restarted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_hangs_holds_nobody_for_ever() {
    let (still, held) = holdable(ECHO, echo).await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    let still = still.crash().await;
    held.send_replace(Holding::Claims);
    let start = still.clock.now();
    let submit = still.runtime.submit(session, "k2".into(), UserInput::text("two"));
    let running = still.runs(50);
    assert!(bounded("the caller's wait ends", submit).await.is_err());
    kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
    until("the load is given up", || async {
        (still.clock.now().since_ms(start) > limits::LOAD_MS + 5_000).then_some(())
    })
    .await;
    held.send_replace(Holding::Nothing);
    let again = || async {
        let input = UserInput::text("two");
        still.runtime.submit(session, "k2".into(), input).await.ok()
    };
    until("it is back", again).await;
    ended(&still.runtime, session, "k2").await;
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_journal_that_hangs_says_so() {
    let (still, held) = holdable(ECHO, echo).await;
    held.send_replace(Holding::Claims);
    let mut setup = greenroom_actors::runtime::Setup::new(still.harness.deps.clone());
    setup.providers.clone_from(&still.harness.providers);
    let start = still.clock.now();
    let _running = still.runs(200);
    let refused = bounded("start", greenroom_actors::Runtime::start(setup)).await;
    assert!(matches!(refused, Err(StartError::HouseLog { .. })), "{refused:?}");
    kept(still.clock.now().since_ms(start), limits::APPEND_MS, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_hangs_holds_a_turn_no_longer_than_the_turn_may_take() {
    let budget = Budget { model_calls: Some(10), ..Budget::default() };
    let (still, held) = holdable(ECHO, |harness| {
        let mut patient = agent("echo", &[], &[]);
        patient.budget = budget;
        let mut hasty = AgentSpec { name: "hasty".into(), ..patient.clone() };
        hasty.limits.turn_ms = 90_000;
        harness.agent(patient).agent(hasty)
    })
    .await;
    held.send_replace(Holding::Appends(LogKind::Ledger));
    let start = still.clock.now();
    let hasty = say(&still.runtime, "hasty", "k", "one").await;
    let patient = say(&still.runtime, "echo", "k", "one").await;
    let (outcome, took) = turn_takes(&still, (hasty, "k"), start, 200).await;
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. }), "{outcome:?}");
    kept(took, 90_000, 200);
    // The other still asks, again and again, also of the ledger of the next runtime.
    let still = still.crash().await;
    held.send_replace(Holding::Nothing);
    let _running = still.runs(200);
    let outcome = ended(&still.runtime, patient, "k").await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_store_that_hangs_holds_a_tool_call_no_longer_than_an_append() {
    let (still, held) =
        holdable("agent big\n    call big {}\n  then\n    say Read.\n", |harness| {
            let big = "x".repeat(2 * limits::INLINE_BYTES);
            let big = tool("big", EffectClass::Pure, move |_, _| {
                let big = big.clone();
                async move { done(big) }
            });
            harness.tool(big).agent(agent("big", &["big"], &[]))
        })
        .await;
    held.send_replace(Holding::Blobs);
    let start = still.clock.now();
    let session = say(&still.runtime, "big", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 200).await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    kept(took, limits::APPEND_MS, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_never_freed_holds_nobody_for_ever() {
    let still = Still::set(HANGS, |mut harness| {
        let mut holder = agent("tool", &["hangs"], &[]);
        holder.limits.tool_ms = limits::TURN_MS;
        let mut waits = AgentSpec { name: "waits".into(), ..holder.clone() };
        waits.limits.turn_ms = 600_000;
        harness.options.pools.insert("work".into(), 1);
        harness.tool(never_ends()).agent(holder).agent(waits)
    })
    .await;
    let holder = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, holder, "tool_started").await;
    // A call of the host has no turn whose end would end it.
    let host = still.runtime.open(&"waits".into(), "test".into()).await.expect("open");
    let start = still.clock.now();
    let call = still.runtime.invoke_tool(
        host,
        "call".into(),
        ("hangs".into(), Args("{}".to_owned())),
        (None, None),
    );
    let _running = still.runs(500);
    let outcome = bounded("the host's call", call).await.expect("an outcome");
    let ToolOutcome::Refused { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("no slot came free"), "{reason}");
    kept(still.clock.now().since_ms(start), limits::TOOL_MS, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_waits_for_a_slot_ends_with_its_own_time_also_after_a_restart() {
    let script = format!("{HANGS}agent waits\n    call hangs {{}}\n  then\n    say {{results}}\n");
    let still = Still::set(&script, |mut harness| {
        let mut holder = agent("tool", &["hangs"], &[]);
        holder.limits.tool_ms = limits::TURN_MS;
        let mut waits = AgentSpec { name: "waits".into(), ..holder.clone() };
        waits.limits.turn_ms = 600_000;
        harness.options.pools.insert("work".into(), 1);
        harness.tool(never_ends()).agent(holder).agent(waits)
    })
    .await;
    let holder = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, holder, "tool_started").await;
    let start = still.clock.now();
    let waits = say(&still.runtime, "waits", "k", "go").await;
    happened(&still, waits, "tool_requested").await;
    still.clock.advance(100_000);
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (waits, "k"), start, 500).await;
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. } | TurnOutcome::Completed { .. }));
    kept(took, 600_000, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_nobody_answers_expires_also_over_a_restart() {
    let script = "agent asks\n    call press {}\n  then\n    say {results}\n";
    let still = Still::set(script, |harness| {
        let mut asks = agent("asks", &["press"], &[]);
        asks.authority = Default::default();
        harness.tool(tool("press", EffectClass::Once, |_, _| async { done("pressed") })).agent(asks)
    })
    .await;
    let start = still.clock.now();
    let session = say(&still.runtime, "asks", "k", "go").await;
    happened(&still, session, "approval_requested").await;
    still.clock.advance(limits::APPROVAL_MS / 2);
    let still = still.crash().await;
    assert_eq!(still.runtime.approvals(None).await.expect("the inbox").len(), 1);
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 600_000).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("nobody answered in time"), "{text}");
    kept(took, limits::APPROVAL_MS, 600_000);
    assert!(still.runtime.approvals(None).await.expect("the inbox").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_waits_for_a_child_that_hangs_no_longer_than_it_said() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "model", "task": "go"}
  then
    call await_agents {"timeout_ms": 60000}
  then
    say {results}
agent model
    hang
"#;
    let still =
        Still::set(script, |harness| hanging(harness).agent(agent("lead", &[], &["model"]))).await;
    let start = still.clock.now();
    let lead = say(&still.runtime, "lead", "k", "go").await;
    happened(&still, lead, "child_spawned").await;
    still.clock.advance(1_000);
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (lead, "k"), start, 200).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("\"status\":\"running\""), "{text}");
    kept(took, 60_000, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_full_or_paused_holds_a_call_no_longer_than_its_deadline() {
    let script = format!(
        "{HANGS}agent waits\n    say Never.\nagent limited\n    \
         first 1 fail rate_limited after 40s unbilled\n    say There.\n"
    );
    let still = Still::set(&script, |mut harness| {
        let mut waits = agent("waits", &[], &[]);
        waits.limits.model_ms = 60_000;
        waits.limits.retries = 0;
        harness.options.gates.insert("scripted".into(), 1);
        hanging(harness).agent(waits).agent(agent("limited", &[], &[]))
    })
    .await;
    // Paused by the vendor: everybody waits, and then goes on.
    let start = still.clock.now();
    let limited = say(&still.runtime, "limited", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (limited, "k"), start, 200).await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    kept(took, 40_000, 200);
    // Full, with somebody inside who does not come out.
    let holder = say(&still.runtime, "model", "k", "go").await;
    happened(&still, holder, "model_call_started").await;
    // After a pause calls are let in one by one.
    let taken = || async { (still.runtime.leases_out() == 1).then_some(()) };
    still.advancing("the place is taken", 200, taken).await;
    let start = still.clock.now();
    let waits = say(&still.runtime, "waits", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (waits, "k"), start, 200).await;
    let TurnOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("deadline") || reason.contains("time ran out"), "{reason}");
    kept(took, 60_000, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_shutdown_does_not_wait_for_what_hangs() {
    let (prop, free, runs) = stubborn();
    let _free = Free(free);
    let still = Still::set(HANGS, |harness| {
        harness.tool(prop).agent(agent("tool", &["hangs"], &[])).agent(agent("model", &[], &[]))
    })
    .await;
    let model = say(&still.runtime, "model", "k", "go").await;
    say(&still.runtime, "tool", "k", "go").await;
    until("the tool runs", || async { (runs.get() == 1).then_some(()) }).await;
    happened(&still, model, "model_call_started").await;
    // Sessions own their tasks; no clock has to move for them to let go.
    let order = bounded("shutdown", still.runtime.shutdown()).await;
    assert!(order.last().is_some_and(|last| last == "Ledger"), "{order:?}");
    assert_eq!(still.runtime.awake(), 0);
    let late = still.runtime.submit(model, "k2".into(), UserInput::text("too late"));
    assert!(bounded("a question after the end", late).await.is_err());
    let log = still.runtime.read(model, Position(0)).await.expect("its log");
    assert!(
        log.iter().flat_map(|frame| &frame.events).all(|e: &Event| e.name() != "turn_finished")
    );
}
