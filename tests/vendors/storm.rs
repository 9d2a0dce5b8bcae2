//! O6: five hundred sessions, one credential, and a vendor that asks all of them to wait seven seconds.
//! Time is the test's: it moves only while no call is under way, so that what arrives at the server has
//! been let in at the very moment at which it is stamped.

use std::{collections::BTreeMap, sync::Arc};

use greenroom::providers::{Kind, Patience};
use greenroom_actors::{
    limits,
    ports::Clock as _,
    runtime::Runtime,
    testing::{
        clock::ManualClock,
        harness::{Harness, bounded, ended, say},
        memory::MemoryStore,
    },
};
use tokio::sync::watch;

use crate::{
    house::{agent, name, patient, vendor},
    props::seen,
    server::{Answer, Server, Then},
    speech,
};

const SESSIONS: usize = 500;
const WAIT_MS: u64 = 7_000;
const STEP_MS: u64 = 50;
const KIND: Kind = Kind::OpenAiChat;

/// When each request arrived, by the test's clock.
type Arrived = Arc<std::sync::Mutex<Vec<u64>>>;

/// Refuses until its word counts no more; everybody who comes at first hears it at the same time.
async fn server(
    clock: ManualClock,
    word: &'static [(&str, &str)],
) -> (Server, Arrived, watch::Sender<bool>) {
    let (all_here, told) = watch::channel(false);
    let (arrived, began) = (Arrived::default(), clock.now());
    let noted = Arc::clone(&arrived);
    let server = Server::new(move |_asked, _no| {
        let at = clock.now().since_ms(began);
        noted.lock().unwrap().push(at);
        if at >= WAIT_MS {
            return speech::says(KIND, "Calm again.");
        }
        // The head tells it; the rest of the body is held back with it until all are here.
        let body = r#"{"error":{"code":"rate_limit_exceeded","message":"slow down"}}"#;
        let answer = Answer::json(429, "").then(Then::Waits(told.clone(), body.into()));
        word.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    })
    .await;
    (server, arrived, all_here)
}

async fn house(clock: &ManualClock, url: &str) -> Runtime {
    let store = MemoryStore::new();
    let port: Arc<dyn greenroom_actors::ports::Clock> = Arc::new(clock.clone());
    let deps = greenroom_actors::runtime::Deps {
        journal: Arc::new(store.clone()),
        catalog: Arc::new(store.clone()),
        blobs: Arc::new(store),
        clock: Arc::clone(&port),
    };
    let mut harness = Harness::new(deps).agent(agent(KIND, &[]));
    harness.providers.push(Arc::new(vendor(&patient(port, Patience::default()), KIND, url)));
    bounded("start", harness.start()).await
}

/// Moves time while nothing is under way, until the house has nothing left to do.
async fn passes(
    clock: &ManualClock,
    runtime: &Runtime,
    arrived: &Arrived,
    until: impl Fn() -> bool,
) {
    while !until() {
        seen("no call is under way", || runtime.leases_out() == 0 || until()).await;
        clock.advance(STEP_MS);
        let here = || arrived.lock().unwrap().len();
        let before = here();
        // Whoever is let in now arrives now; a real moment for that, and time stands still meanwhile.
        greenroom::clock::SystemClock.after(1).await;
        if here() > before {
            seen("who was let in has been answered", || runtime.leases_out() == 0).await;
        }
    }
}

async fn storm(word: &'static [(&str, &str)]) {
    let clock = ManualClock::default();
    let (server, arrived, all_here) = server(clock.clone(), word).await;
    let runtime = house(&clock, &server.url).await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(say(&runtime, name(KIND), "k", "go").await);
    }
    let at_once = limits::GATE_CALLS as usize;
    seen("as many as may call at once have called", || server.count() == at_once).await;
    all_here.send_replace(true);
    seen("all of them have heard it", || runtime.leases_out() == 0).await;

    let done = || server.count() >= SESSIONS + at_once && runtime.leases_out() == 0;
    bounded("the storm is over", passes(&clock, &runtime, &arrived, done)).await;
    for session in sessions {
        assert_eq!(ended(&runtime, session, "k").await.text(), "Calm again.", "{word:?}");
    }

    let arrived = arrived.lock().unwrap().clone();
    let early: Vec<_> = arrived.iter().filter(|at| (1..WAIT_MS).contains(*at)).collect();
    assert!(early.is_empty(), "{word:?}: before their time: {early:?}");
    let extra = arrived.len() - SESSIONS;
    assert!(extra <= SESSIONS / 10, "{word:?}: {extra} requests more than sessions");
    // They come back spread, not at once: at most twice as many in a second as on average.
    let mut seconds = BTreeMap::new();
    for at in arrived.iter().filter(|at| **at >= WAIT_MS) {
        *seconds.entry((at - WAIT_MS) / 200).or_insert(0_usize) += 1;
    }
    assert!(seconds.len() > 1, "{word:?}: all at once: {seconds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sessions_wait_as_long_as_their_vendor_asks_and_all_finish() {
    storm(&[("retry-after", "7")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exact_form_of_a_wait_goes_before_the_round_one() {
    storm(&[("retry-after-ms", "7000"), ("retry-after", "1")]).await;
}
