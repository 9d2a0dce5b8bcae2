//! Two runtimes in one process never meet: the same names, the same keys, two stores.

use futures_util::future::{join, join_all};
use greenroom_actors::{
    Runtime,
    bus::{Heard, Note},
    domain::{
        catalog::{SessionFilter, TotalsOf},
        event::UserInput,
        ids::SessionId,
        outcome::TurnOutcome,
        tool::EffectClass,
    },
    limits,
    runtime::{CallError, Victim},
    testing::harness::{Harness, bounded, ended, say},
};

use crate::{
    stage::Stage,
    workshop::{Sink, agent, done, tool, until},
};

fn script(house: &str) -> String {
    format!(
        "agent worker\n    call mark {{}}\n  then\n    say {house} heard {{input}}, {{results}}.\n"
    )
}

fn furnish(house: &'static str, sink: &Sink) -> impl FnOnce(Harness) -> Harness {
    let sink = sink.clone();
    let mark = tool("mark", EffectClass::Idempotent, move |ctx, _| {
        sink.took(&ctx.idempotency_key);
        async move { done(house) }
    });
    move |harness| harness.tool(mark).agent(agent("worker", &["mark"], &[]))
}

async fn work(runtime: &Runtime, house: &str) -> Vec<SessionId> {
    let sessions = join_all((0..20).map(|_| say(runtime, "worker", "k", "hello"))).await;
    for session in &sessions {
        let text = format!("{house} heard hello, {house}.");
        let outcome = ended(runtime, *session, "k").await;
        assert_eq!(outcome, TurnOutcome::Completed { text, truncated: false });
    }
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runtimes_of_one_process_never_meet() {
    let (one_sink, two_sink) = (Sink::default(), Sink::default());
    let one = Stage::set(&script("one"), furnish("one", &one_sink)).await;
    let two = Stage::set(&script("two"), furnish("two", &two_sink)).await;
    let mut heard = two.runtime.subscribe();
    let (ones, twos) = join(work(&one.runtime, "one"), work(&two.runtime, "two")).await;
    assert_eq!((one_sink.len(), two_sink.len()), (20, 20));

    for (stage, own, other) in [(&one, &ones, &twos), (&two, &twos, &ones)] {
        let filter = SessionFilter { rows: limits::LIST_ROWS, ..SessionFilter::default() };
        let rows = stage.runtime.sessions(filter).await.expect("the list");
        let listed: Vec<SessionId> = rows.iter().map(|row| row.session).collect();
        assert!(listed.len() == own.len() && own.iter().all(|one| listed.contains(one)));
        let totals = stage.runtime.totals(TotalsOf::Runtime).await.expect("totals");
        assert_eq!(totals.calls, 40);
        assert!(!stage.runtime.kill(&Victim::Session(other[0])), "out of reach");
        let stranger = stage.runtime.submit(other[0], "k2".into(), UserInput::text("hi")).await;
        assert!(matches!(stranger, Err(CallError::Rejected(_))), "{stranger:?}");
    }

    // Everything of the first dies, actor by actor and then as a whole; the second works on.
    let killing = async {
        assert!(one.runtime.kill(&Victim::Ledger) && one.runtime.kill(&Victim::Permission));
        assert!(one.runtime.kill(&Victim::Pool("work".into())));
        assert!(one.runtime.kill(&Victim::Gate("scripted".into())));
        for wing in 0..limits::WINGS {
            assert!(one.runtime.kill(&Victim::Wing(wing)));
        }
        let Stage { runtime, folder, store, harness } = one;
        drop((runtime, harness));
        (folder, store)
    };
    let ((_folder, _store), more) = join(killing, work(&two.runtime, "two")).await;
    assert_eq!(two.runtime.awake(), twos.len() + more.len(), "nobody of the second was disturbed");
    assert_eq!(two_sink.len(), 40);

    let all: Vec<SessionId> = twos.into_iter().chain(more).collect();
    let order = bounded("shutdown", two.runtime.shutdown()).await;
    assert!(!order.is_empty());
    until("the bus is drained", || async { (two.runtime.awake() == 0).then_some(()) }).await;
    let mut frames = 0;
    drop(two.runtime);
    loop {
        match heard.next().await {
            Some(Heard::Note(Note::Frame(frame))) => {
                assert!(all.contains(&frame.session), "a frame of the other house");
                frames += 1;
                if frames >= 200 {
                    break;
                }
            }
            Some(Heard::Note(Note::Delta { .. } | Note::Progress { .. })) => {}
            Some(Heard::Lagged { .. }) | None => break,
        }
    }
    assert!(frames >= 100, "{frames}");
}
