//! Actors of the house die while sessions work.

use super::*;

/// Fifty sessions work while an actor of the house is killed again and again; all of them end as
/// in a run in which nothing happened, and every effect happened once.
async fn fifty_work_while(victim: impl Fn(usize) -> Victim) {
    let control = Stage::set(WORK, workers(&Sink::default())).await;
    let undisturbed = bystanders(&control.runtime, 50, 4).await;
    let sink = Sink::default();
    let stage = Stage::set(WORK, |harness| {
        let mut harness = workers(&sink)(harness);
        // A budget on every path, so that the ledger has something to do; narrow doors, so that
        // there are queues to lose.
        let plenty =
            Budget { tokens: Some(1 << 40), tool_calls: Some(1 << 20), ..Budget::default() };
        harness.agents.iter_mut().for_each(|agent| agent.budget = plenty);
        harness.options.pools.insert("work".into(), 3);
        harness.options.gates.insert("scripted".into(), 8);
        harness
    })
    .await;
    let runtime = &stage.runtime;
    let kills = async {
        for time in 0..4 {
            let marks = sink.len() + 60;
            until("some work is done", || async { (sink.len() >= marks.min(590)).then_some(()) })
                .await;
            until("it is there", || async { runtime.kill(&victim(time)).then_some(()) }).await;
        }
    };
    let (outcomes, ()) = bounded("all turns", join(bystanders(runtime, 50, 4), kills)).await;
    assert_eq!(outcomes.outcomes, undisturbed.outcomes);
    assert_eq!(sink.len(), 50 * 4 * 3);
    until("every slot is back", || async { (runtime.leases_out() == 0).then_some(()) }).await;
    let fresh = bounded("a new session", async {
        let fresh = say(runtime, "worker", "k", "after").await;
        ended(runtime, fresh, "k").await
    })
    .await;
    assert!(matches!(fresh, TurnOutcome::Completed { .. }), "{fresh:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Permission).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Gate("scripted".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Pool("work".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wings_die_while_fifty_sessions_work() {
    fifty_work_while(|time| Victim::Wing(time * 5 % limits::WINGS)).await;
}

/// A wing that is killed takes its sessions along; they come back by themselves although nobody
/// asks for them, whenever in the rhythm of the house it happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_killed_wing_come_back_although_nobody_asks() {
    let script = "agent worker\n    until call 2 hang\n    say Back.\n";
    for round in 0_u64..12 {
        let still = Still::set(script, |harness| harness.agent(agent("worker", &[], &[]))).await;
        let runtime = &still.runtime;
        let mut heard = runtime.subscribe();
        let session = say(runtime, "worker", "k", "go").await;
        hangs(runtime, session).await;
        // Some moment between two looks of the root for sleepers.
        still.clock.advance(round * 45);
        assert!(runtime.kill(&Victim::Wing(Runtime::wing_of(session))));
        until("it is gone", || async { (runtime.awake() == 0).then_some(()) }).await;
        let start = still.clock.now();
        let back = async {
            loop {
                let heard = heard.next().await.expect("the house stands");
                if let Heard::Note(Note::Frame(frame)) = heard
                    && frame.events.iter().any(|e| e.name() == "turn_finished")
                {
                    let restarted = Event::SessionRestarted { cause: RestartCause::Process };
                    return events(runtime, session).await.contains(&restarted);
                }
            }
        };
        let running = still.runs(5);
        assert!(bounded("it comes back", back).await, "it had work in hand");
        drop(running);
        let took = still.clock.now().since_ms(start);
        assert!(took < 5_000, "round {round}: it took {took} ms of the house's time");
    }
}
