//! S1: every kind of failure a session can have of its own, beside many that work.

use super::*;

const VICTIMS: &str = r"
agent streams
    say Half a
    first 2 panic in the stream
    say whole.
agent tools
    call burst {}
  then
    say {results}
agent dies
    until call 2 hang
    say Back.
";

/// What befalls a session whose model hangs.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// It is killed.
    Kill,
    /// A message makes it panic.
    Panic,
    /// A message makes it return an error.
    Error,
    /// It is killed, and two of its successors panic before their first step.
    Unborn,
    /// It is killed, and what is left of it panics when it is let go.
    Remains,
}

const BLOWS: [Blow; 5] = [Blow::Kill, Blow::Panic, Blow::Error, Blow::Unborn, Blow::Remains];

impl Blow {
    async fn strikes(self, runtime: &Runtime, session: SessionId) {
        hangs(runtime, session).await;
        match self {
            Self::Kill => {}
            Self::Panic => return assert!(runtime.panic_session(session, "in the handler")),
            Self::Error => {
                // Whichever message comes first: this one, or one of its own.
                fault::strike("session.handling", session, 1);
                return runtime.rename(session, "poked").await.expect("asked again");
            }
            Self::Unborn => fault::strike("session.loading", session, 2),
            Self::Remains => fault::strike("session.let_go", session, 1),
        }
        assert!(runtime.kill(&Victim::Session(session)));
    }
}

fn said(text: &str) -> TurnOutcome {
    TurnOutcome::Completed { text: text.into(), truncated: false }
}

/// One of each kind fails; each is back and says what it should.
async fn failures(runtime: &Runtime, round: usize) {
    let streams = say(runtime, "streams", "k", "go").await;
    let tools = say(runtime, "tools", "k", "go").await;
    let struck = BLOWS.map(|blow| async move {
        let session = say(runtime, "dies", "k", "go").await;
        blow.strikes(runtime, session).await;
        assert_eq!(ended(runtime, session, "k").await, said("Back."), "{blow:?}, round {round}");
        assert_eq!(restarts(runtime, session).await.len(), 1, "{blow:?}, round {round}");
        for point in fault::OF_SESSIONS {
            assert!(!fault::struck(point, session), "{blow:?} did not reach {point}");
        }
    });
    let tasks = join(ended(runtime, streams, "k"), ended(runtime, tools, "k"));
    let (tasks, _) = join(tasks, join_all(struck)).await;
    assert_eq!(tasks.0, said("Half awhole."), "round {round}");
    assert_eq!(tasks.1, said("the tool panicked: in the tool"), "round {round}");
}

/// S1: sessions that panic in a handler, before their first step, in what they leave behind and
/// in the tasks of their model and tools, that return an error or are killed, change not a byte of
/// what others are asked, say and log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_of_some_sessions_change_nothing_in_the_others() {
    const OTHERS: usize = 199;
    let script = format!("{WORK}{VICTIMS}");
    let (mut asked, mut quietly) = (None, None);
    let control = Stage::set(&script, |harness| {
        let mut harness = workers(&Sink::default())(harness);
        quietly = Some(Recorder::in_place(&mut harness));
        harness
    })
    .await;
    let undisturbed = bystanders(&control.runtime, OTHERS, 3).await;

    let burst = tool("burst", EffectClass::Pure, |_, _| async { panic!("in the tool") });
    let stage = Stage::set(&script, |harness| {
        let harness = workers(&Sink::default())(harness).tool(burst);
        let harness = harness.agent(agent("streams", &[], &[])).agent(agent("dies", &[], &[]));
        let mut harness = harness.agent(agent("tools", &["burst"], &[]));
        asked = Some(Recorder::in_place(&mut harness));
        harness
    })
    .await;
    let runtime = &stage.runtime;
    let faults = async {
        for round in 0..5 {
            failures(runtime, round).await;
        }
    };
    let (disturbed, ()) = join(bystanders(runtime, OTHERS, 3), faults).await;
    let (quiet, beside) = (undisturbed.p99_ms(), disturbed.p99_ms());
    println!("p99 of a turn: {quiet} ms undisturbed, {beside} ms beside failing sessions");
    assert_eq!(disturbed.outcomes, undisturbed.outcomes);
    assert_eq!(disturbed.logs, undisturbed.logs);
    let prompts = |crowd: &Crowd, recorder: &Option<Recorder>| -> Vec<Vec<String>> {
        let recorder = recorder.as_ref().expect("arranged");
        let of = |one: &SessionId| recorder.prompts(*one);
        crowd.sessions.iter().map(of).collect()
    };
    assert_eq!(prompts(&disturbed, &asked), prompts(&undisturbed, &quietly));
    assert_eq!(runtime.leases_out(), 0);
    assert_eq!(runtime.figures().held, None, "a few at a time are no storm");
}

/// What a session leaves behind is handed to its wing when it falls asleep; that it breaks there
/// is nobody's death but its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sleeper_leaves_behind_breaks_and_its_wing_stays() {
    let stage = Stage::set(VICTIMS, |mut harness| {
        harness.options.idle_ms = 50;
        harness.agent(agent("dies", &[], &[])).agent(agent("streams", &[], &[]))
    })
    .await;
    let runtime = &stage.runtime;
    let sleeper = say(runtime, "streams", "k", "go").await;
    let mut neighbours = Vec::new();
    while neighbours.len() < 2 {
        let session = say(runtime, "dies", "k", "go").await;
        if Runtime::wing_of(session) == Runtime::wing_of(sleeper) {
            hangs(runtime, session).await;
            neighbours.push(session);
        } else {
            // It would hold a place at the gate, and one time in twelve all of them are taken so.
            let all = CancelTarget::Everything;
            runtime.cancel(session, all, "of another wing").await.expect("cancelled");
        }
    }
    ended(runtime, sleeper, "k").await;
    fault::strike("session.let_go", sleeper, 1);
    until("it falls asleep, and breaks", || async {
        let node = runtime.tree(sleeper).await.expect("the tree");
        (!node.awake && !fault::struck("session.let_go", sleeper)).then_some(())
    })
    .await;
    let again = runtime.run(sleeper, "k2".into(), UserInput::text("go"), PATIENCE_MS).await;
    assert!(matches!(again, Ok(TurnOutcome::Completed { .. })), "{again:?}");
    for session in neighbours {
        assert!(runtime.tree(session).await.expect("the tree").awake, "it never left");
        assert_eq!(restarts(runtime, session).await, [], "nor was started again");
    }
}
