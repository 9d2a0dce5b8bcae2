//! Everything is stopped: whoever is at work ends, whatever was on its way is refused or cancelled, and
//! nothing begins until somebody lifts it, also after a death and for whoever asks.

use greenroom_actors::{
    domain::{
        event::UserInput, frame::LogKind, house::HouseEvent, ids::TenantId, job::JobSpec,
        usage::Settlement,
    },
    owned::Owned,
    policy::turn::Rejected,
    runtime::{CallError, Halted, JobError, JobRefused},
};

use super::*;
use crate::{
    props::Recorder,
    waits::held::{Holding, holdable},
    workshop::{self, until},
};

fn is_refused<T: std::fmt::Debug>(what: &str, answer: Result<T, CallError>) {
    let Err(CallError::Rejected(Rejected::Halted { reason })) = &answer else {
        panic!("{what}: {answer:?}")
    };
    assert_eq!(reason, "drill", "{what}");
}

/// Whatever could begin something is refused, with the reason.
async fn nothing_begins(runtime: &Runtime, session: SessionId, agent: &str) {
    assert_eq!(runtime.halted().map(|halt| halt.reason).as_deref(), Some("drill"));
    let say = UserInput::text("now");
    is_refused("an input", runtime.submit(session, "late".into(), say).await);
    is_refused("a session", runtime.open(&agent.into(), TenantId::from("test")).await);
    is_refused("a fork", runtime.fork(session, greenroom_actors::domain::ids::Position(1)).await);
    let job = JobSpec::prompt("late", agent, "now");
    let refused = runtime.jobs().enqueue(&TenantId::from("test"), job, None).await;
    assert!(
        matches!(&refused, Err(JobError::Refused(JobRefused::Halted { reason })) if reason == "drill"),
        "{refused:?}"
    );
}

/// Everybody of a tree has ended, by its log.
async fn all_ended(runtime: &Runtime, root: SessionId) {
    let mut all = below(runtime, root).await;
    all.push(root);
    for session in all {
        logged(runtime, session, "it has ended", |events| {
            (count(events, "turn_started") == count(events, "turn_finished")).then_some(())
        })
        .await;
        is_whole(&events(runtime, session).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_ends_a_tree_at_work_and_lifted_it_lets_new_work_begin() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let stage = Stage::set(TREE, tree(&work, &beg)).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    at_work(&stage, &work).await;
    let halted = stage.runtime.halt("drill").await.expect("halted");
    assert_eq!(halted, Halted { cancelled: 9, failed: 0 });
    assert_eq!(ended(&stage.runtime, root, "k").await.word(), "cancelled");
    all_ended(&stage.runtime, root).await;
    nothing_is_held(&stage.runtime).await;
    assert_eq!(work.at_work(), 0, "no task of theirs runs");
    assert!(stage.runtime.approvals(None).await.expect("the inbox").is_empty());
    nothing_begins(&stage.runtime, root, "leaf").await;
    // What only stops or mends goes on.
    stage.runtime.rename(root, "the drill").await.expect("a name");
    stage.runtime.archive(root, true).await.expect("put away");
    let again = stage.runtime.halt("drill").await.expect("the same again");
    assert_eq!(again, Halted::default());
    stage.runtime.unhalt().await.expect("lifted");
    assert_eq!(stage.runtime.halted(), None);
    let leaf = say(&stage.runtime, "leaf", "k", "ask").await;
    asked(&stage.runtime, 1).await;
    cancel(&stage.runtime, leaf).await;
    let house = stage.runtime.house().await.expect("its log");
    let words = house
        .iter()
        .filter(|word| matches!(word, HouseEvent::Halted { .. } | HouseEvent::Unhalted { .. }));
    assert_eq!(words.count(), 2, "said again it is the same word: {house:?}");
}

/// What is played before the kill.
pub const FIRST_HALF: &str = "everything is stopped";

/// Everybody is at work, and all of it is stopped.
pub fn first_half(folder: Folder, _more: String) -> BoxFuture<'static, Stage> {
    async {
        let stage = all_at_work(folder).await;
        stage.runtime.halt("drill").await.expect("halted");
        stage
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_is_in_force_after_a_kill_until_it_is_lifted() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let folder = killed::after(FIRST_HALF, "");
    // Its sessions are numbered, and a new one must not get the number of an old one.
    let stage = Stage::on(folder, TREE, tree(&work, &beg)).await;
    nothing_begins(&stage.runtime, killed::FIRST, "leaf").await;
    all_ended(&stage.runtime, killed::FIRST).await;
    nothing_is_held(&stage.runtime).await;
    assert!(work.keys().is_empty(), "nothing was run again");
    let stage = stage.crash().await;
    nothing_begins(&stage.runtime, killed::FIRST, "leaf").await;
    stage.runtime.unhalt().await.expect("lifted");
    let stage = stage.crash().await;
    assert_eq!(stage.runtime.halted(), None, "that is kept as well");
    let leaf = say(&stage.runtime, "leaf", "k", "ask").await;
    asked(&stage.runtime, 1).await;
    cancel(&stage.runtime, leaf).await;
}

/// The word was written, and then the house died before one of its sessions could write a thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_death_kept_from_being_cancelled_is_cancelled_by_the_next_start_and_not_run() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Pure).hold(), Prop::new("beg", EffectClass::Once));
    let (still, hold) = holdable(TREE, tree(&work, &beg)).await;
    let tool = say(&still.runtime, "leaf", "k", "tool").await;
    let asks = say(&still.runtime, "leaf", "k", "ask").await;
    let calls = say(&still.runtime, "leaf", "k", "model").await;
    seen("the tool runs", || work.at_work() == 1).await;
    asked(&still.runtime, 1).await;
    hold.on(Holding::Appends(LogKind::Session));
    let runtime = still.runtime.clone();
    let halting = Owned::spawn(async move { drop(runtime.halt("drill").await) });
    until("it is written", || async {
        let house = still.runtime.house().await.ok()?;
        let halted = |word: &HouseEvent| matches!(word, HouseEvent::Halted { .. });
        house.iter().any(halted).then_some(())
    })
    .await;
    drop(halting);
    let still = still.crash().await;
    for session in [tool, asks, calls] {
        let log = events(&still.runtime, session).await;
        assert_eq!(count(&log, "cancel_requested"), 0, "{log:?}");
    }
    hold.off();
    for session in [tool, asks, calls] {
        let log = logged(&still.runtime, session, "its turn has ended", |events| {
            (count(events, "turn_finished") == 1).then(|| events.to_vec())
        })
        .await;
        is_whole(&log);
        assert_eq!(count(&log, "model_call_started"), 1, "no call was made again: {log:?}");
        assert_eq!(ended(&still.runtime, session, "k").await.word(), "cancelled");
    }
    assert_eq!(work.keys().len(), 1, "nor is the tool run again");
    assert!(still.runtime.approvals(None).await.expect("the inbox").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_as_everything_stops_is_refused_or_its_turn_is_cancelled() {
    let stage =
        Stage::set("agent leaf\n    hang\n", |harness| harness.agent(agent("leaf", &[], &[])))
            .await;
    let (mut taken, mut refused) = (0, 0);
    for round in 0..20 {
        let mut sessions = Vec::new();
        for _ in 0..8 {
            let opened = stage.runtime.open(&"leaf".into(), TenantId::from("test")).await;
            sessions.push(opened.expect("opened"));
        }
        let said = futures_util::future::join_all(
            sessions
                .iter()
                .map(|session| stage.runtime.submit(*session, "k".into(), UserInput::text("now"))),
        );
        // Now this one is a step ahead, now the other.
        let halting = async {
            for _ in 0..round * 5 {
                tokio::task::yield_now().await;
            }
            stage.runtime.halt("drill").await.expect("halted")
        };
        let (said, _halted) = futures_util::join!(said, halting);
        for (session, said) in sessions.iter().zip(said) {
            match said {
                Ok(()) => {
                    taken += 1;
                    let outcome = ended(&stage.runtime, *session, "k").await;
                    assert_eq!(outcome.word(), "cancelled");
                }
                Err(CallError::Rejected(Rejected::Halted { .. })) => {
                    refused += 1;
                    assert_eq!(count(&events(&stage.runtime, *session).await, "turn_started"), 0);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        nothing_is_held(&stage.runtime).await;
        stage.runtime.unhalt().await.expect("lifted");
    }
    println!("taken {taken}, refused {refused}");
    assert!(taken > 0 && refused > 0, "both ways were tried: {taken} and {refused}");
}

/// An input whose frame is under way is in no list of those at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_written_as_everything_stopped_is_taken_and_cancelled() {
    let furnish = |harness: Harness| harness.agent(workshop::agent("leaf", &[], &[]));
    let (still, hold) = holdable("agent leaf\n    hang\n", furnish).await;
    let session = still.runtime.open(&"leaf".into(), TenantId::from("test")).await;
    let session = session.expect("opened");
    hold.on(Holding::Appends(LogKind::Session));
    let saying = still.runtime.submit(session, "k".into(), UserInput::text("now"));
    let stopping = async {
        until("its frame is under way", || async { (hold.held() > 0).then_some(()) }).await;
        let halted = still.runtime.halt("drill").await.expect("halted");
        assert_eq!(halted, Halted::default(), "nobody is known to be at work");
        hold.off();
    };
    let (said, ()) = futures_util::join!(saying, stopping);
    said.expect("it was taken");
    let outcome = bounded("its end", ended(&still.runtime, session, "k")).await;
    assert_eq!(outcome, TurnOutcome::Cancelled { reason: "drill".to_owned() });
}

/// A prompt that was asked for before waits, over a death too, and begins when it is let.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_asked_for_waits_until_it_is_lifted() {
    let furnish = |harness: Harness| harness.agent(workshop::agent("leaf", &[], &[]));
    let still = workshop::Still::set("agent leaf\n    say Well.\n", furnish).await;
    let jobs = || still.runtime.jobs();
    let tenant = TenantId::from("test");
    let host = jobs().enqueue(&tenant, JobSpec::host("first", ""), None).await.expect("asked for");
    let taken = jobs().start(host).await.expect("begun");
    let prompt = JobSpec::prompt("then", "leaf", "go").after(host);
    let prompt = jobs().enqueue(&tenant, prompt, None).await.expect("asked for");
    let idle = still.runtime.open(&"leaf".into(), tenant.clone()).await.expect("opened");
    still.runtime.halt("drill").await.expect("halted");
    // What its host was at may end, and now the prompt could begin.
    jobs().complete((host, taken.attempt), None).await.expect("it ended");
    let still = still.crash().await;
    let attempts = || async {
        let row = still.runtime.jobs().show(prompt).await.expect("it is there").row;
        (row.attempt, row.state.word())
    };
    let _running = still.runs(1_000);
    nothing_begins(&still.runtime, idle, "leaf").await;
    assert_eq!(attempts().await, (0, "queued"));
    still.runtime.unhalt().await.expect("lifted");
    until("it is done", || async { (attempts().await == (1, "completed")).then_some(()) }).await;
}

/// What a session decided a moment before is in its log and has not left the house.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_as_everything_stopped_is_not_begun_any_more() {
    let script =
        "agent leaf when tool\n    call work\n  then\n    say done\nagent leaf\n    hang\n";
    for (task, word) in [("tool", "\"tool_started\""), ("model", "\"model_call_started\"")] {
        let work = Prop::new("work", EffectClass::Once);
        let (given, mut model) = (work.clone(), None);
        let (still, hold) = holdable(script, |mut harness| {
            model = Some(Recorder::in_place(&mut harness));
            harness.agent(workshop::agent("leaf", &["work"], &[])).tool(given)
        })
        .await;
        hold.on(Holding::Saying(word));
        let saying = say(&still.runtime, "leaf", "k", task);
        let stopping = async {
            until("its frame is under way", || async { (hold.held() > 0).then_some(()) }).await;
            let halting = still.runtime.halt("drill");
            let letting = async {
                until("it is said", || async { still.runtime.halted() }).await;
                hold.off();
            };
            futures_util::join!(halting, letting).0.expect("halted")
        };
        let (session, halted) = futures_util::join!(saying, stopping);
        let outcome = bounded("its end", ended(&still.runtime, session, "k")).await;
        assert_eq!(outcome, TurnOutcome::Cancelled { reason: "drill".to_owned() }, "{halted:?}");
        let log = events(&still.runtime, session).await;
        is_whole(&log);
        assert!(work.keys().is_empty(), "the tool was never run");
        let sent = model.expect("in place").sent(session);
        assert_eq!(sent.len(), usize::from(task == "tool"), "no model is asked any more");
        let booked: Vec<_> = log
            .iter()
            .filter_map(|event| match event {
                Event::UsageSettled { settlement, .. } => Some(*settlement),
                _ => None,
            })
            .collect();
        assert!(task == "tool" || booked == [Settlement::Free], "{booked:?}");
        let known = ToolOutcome::Cancelled { effect_unknown: false };
        assert!(task == "model" || closures(&log) == [known], "{log:#?}");
        still.runtime.reading().replay(session).await.expect("an auditor finds it right");
        still.runtime.unhalt().await.expect("lifted");
        nothing_is_held(&still.runtime).await;
    }
}

/// Who waits behind others for a place at its model has one free as everything is stopped, and its cancel
/// cannot be written yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_its_gate_as_everything_stops_does_not_pass_any_more() {
    let script = "agent leaf\n    wait 1s\n    say Well.\n";
    let mut model = None;
    let (still, hold) = holdable(script, |mut harness| {
        model = Some(Recorder::in_place(&mut harness));
        harness.options.gates = [(harness.providers[0].credential(), 1)].into();
        harness.agent(workshop::agent("leaf", &[], &[]))
    })
    .await;
    let model = model.expect("in place");
    let first = say(&still.runtime, "leaf", "k", "now").await;
    seen("the first is called", || model.sent(first).len() == 1).await;
    let behind = say(&still.runtime, "leaf", "k", "now").await;
    let at_gates = |want: (usize, usize)| {
        let figures = still.runtime.figures();
        figures.gates.values().all(|gate| (gate.taken, gate.waiting) == want)
    };
    seen("the other waits", || at_gates((1, 1))).await;
    hold.on(Holding::Saying("\"cancel_requested\""));
    let runtime = still.runtime.clone();
    let halting = Owned::spawn(async move { drop(runtime.halt("drill").await) });
    seen("both cancels are under way", || hold.held() == 2).await;
    let _running = still.runs(100);
    seen("the first has been answered", || at_gates((0, 0))).await;
    hold.off();
    for session in [first, behind] {
        assert_eq!(ended(&still.runtime, session, "k").await.word(), "cancelled");
    }
    assert!(model.sent(behind).is_empty(), "it was called although everything was stopped");
    let log = events(&still.runtime, behind).await;
    let free =
        |event: &Event| matches!(event, Event::UsageSettled { settlement: Settlement::Free, .. });
    assert!(log.iter().any(free), "and costs nothing: {log:#?}");
    drop(halting);
}
