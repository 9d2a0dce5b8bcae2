//! V5: vendors that hang, at each place where one can. Every wait has its end, each can be set, and
//! each says itself. Time is the test's, but for the connection, which the client measures by itself.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use greenroom::{
    clock::SystemClock,
    providers::{Kind, Patience, Setup, Vendor, connect},
};
use greenroom_actors::{
    domain::{
        catalog::TotalsOf,
        event::{CancelTarget, FailureKind, ModelFailure, UserInput},
        model::ModelEvent,
        outcome::TurnOutcome,
    },
    limits,
    owned::Owned,
    ports::{Clock as _, ModelProvider as _},
    testing::{
        clock::ManualClock,
        harness::{bounded, ended, events, say},
    },
};
use tokio::{net::TcpSocket, task::JoinSet};

use crate::{
    house::{self, agent, call, name, patient, request, vendor},
    props::seen,
    server::{Answer, Server, Then},
    speech::{self, KINDS},
    stage::Stage,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_takes_no_connection_is_given_up_after_the_time_that_was_set() {
    // Whoever is in the queue of a listener that never accepts is connected; who comes when it is full
    // hears nothing.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let wait = Duration::from_millis(200);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, wait) {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue is never full");
    }
    let patience = Patience { connect_ms: 300, ..Patience::default() };
    let vendor = vendor(
        &patient(Arc::new(SystemClock), patience),
        Kind::OpenAiChat,
        &format!("http://{address}"),
    );
    let from = SystemClock.running();
    let failure = call(&vendor).await.unwrap_err();
    let took = SystemClock.running().since_ms(from);
    assert!((300..limits::CONNECT_MS).contains(&took), "{took} ms");
    let told = (failure.kind, failure.retryable, failure.unbilled);
    assert_eq!(told, (FailureKind::TimedOut, true, true), "{failure:?}");
    let told = format!(": connect to {address}: no connection within 300 ms");
    assert!(failure.message.ends_with(&told), "{failure:?}");
}

/// A call on a clock in the test's hand.
struct Call {
    clock: ManualClock,
    end: JoinSet<Option<ModelFailure>>,
}

/// Times that no default has.
const SET: Patience = Patience { connect_ms: 5_000, first_byte_ms: 7_000, idle_ms: 11_000 };

fn setup(kind: Kind, stream: bool, url: &str) -> (ManualClock, Vendor) {
    let clock = ManualClock::default();
    let mut setup = Setup::new(name(kind), kind, url);
    setup.stream = stream;
    let way = patient(Arc::new(clock.clone()), SET);
    (clock, connect(&way, setup).unwrap())
}

impl Call {
    /// Begins and reads so many pieces; the rest is read in a task.
    async fn begin((clock, vendor): (ManualClock, Vendor), pieces: usize) -> Self {
        let mut events = vendor.call(request());
        for _ in 0..pieces {
            let piece = bounded("a piece", events.next()).await;
            assert!(matches!(piece, Some(Ok(ModelEvent::Text { .. }))), "{piece:?}");
        }
        let mut end = JoinSet::new();
        end.spawn(async move {
            match events.next().await {
                Some(Err(failure)) => Some(failure),
                Some(Ok(_)) | None => None,
            }
        });
        Self { clock, end }
    }

    /// It ends after so long and not a millisecond sooner.
    async fn ends_after(mut self, ms: u64) -> ModelFailure {
        seen("it waits", || self.clock.sleepers() > 0).await;
        self.clock.advance(ms - 1);
        tokio::task::yield_now().await;
        assert!(self.end.try_join_next().is_none(), "it ended too soon");
        self.clock.advance(1);
        let end = bounded("the end of a call", self.end.join_next()).await;
        end.unwrap().unwrap().expect("a failure")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_never_answers_is_given_up_at_the_first_byte() {
    for kind in KINDS {
        for stream in [true, false] {
            let server = Server::new(|_asked, _no| Answer::raw("").then(Then::Hangs)).await;
            let begun = Call::begin(setup(kind, stream, &server.url), 0);
            let call = begun.await;
            seen("it is asked", || server.count() == 1).await;
            let failure = call.ends_after(SET.first_byte_ms).await;
            let told = (failure.kind, failure.retryable, failure.unbilled);
            assert_eq!(told, (FailureKind::TimedOut, true, false), "{failure:?}");
            assert!(failure.message.ends_with("to answer: nothing within 7000 ms"), "{failure:?}");
            seen("the connection is let go", || server.busy() == 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_a_body_is_silence() {
    for (kind, stream) in KINDS.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let media = if stream { "text/event-stream" } else { "application/json" };
        let server =
            Server::new(move |_asked, _no| Answer::new(200, media, "").then(Then::Hangs)).await;
        let call = Call::begin(setup(kind, stream, &server.url), 0).await;
        let sleeper = SET.first_byte_ms.min(SET.idle_ms);
        seen("the head was read", || {
            let wakes = call.clock.next_wake();
            wakes.is_some_and(|at| at.since_ms(call.clock.now()) > sleeper)
        })
        .await;
        let failure = call.ends_after(SET.idle_ms).await;
        assert_eq!((failure.kind, failure.retryable), (FailureKind::TimedOut, true), "{failure:?}");
        let silent = failure.message.ends_with(": read the answer: silent for 11000 ms");
        assert!(silent, "{kind:?}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_falls_silent_is_given_up_after_what_it_said() {
    for kind in KINDS {
        let begun = format!("{}{}", speech::begins(kind), speech::piece(kind, "Well"));
        let server =
            Server::new(move |_asked, _no| speech::streams(kind, begun.clone()).then(Then::Hangs))
                .await;
        let call = Call::begin(setup(kind, true, &server.url), 1).await;
        let failure = call.ends_after(SET.idle_ms).await;
        let told = (failure.kind, failure.retryable, failure.unbilled);
        assert_eq!(told, (FailureKind::TimedOut, true, false), "{failure:?}");
        let silent = failure.message.ends_with(": read the answer: silent for 11000 ms");
        assert!(silent, "{kind:?}: {failure:?}");
        seen("the connection is let go", || server.busy() == 0).await;
    }
}

/// Pings keep the connection: ten times the longest silence passes. They do not keep the call: it
/// ends when its time is up, to the step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_keep_the_connection_and_not_the_call() {
    const STEP_MS: u64 = 10_000;
    let model_ms = 10 * limits::STREAM_IDLE_MS;
    for kind in [Kind::Anthropic, Kind::Ollama] {
        let ping =
            if kind == Kind::Ollama { "\n" } else { "event: ping\ndata: {\"type\":\"ping\"}\n\n" };
        let server = Server::new(move |_asked, _no| {
            let pings = std::iter::repeat(Bytes::from_static(ping.as_bytes()));
            speech::streams(kind, speech::begins(kind)).pieces(pings).every_ms(2)
        })
        .await;
        let clock = ManualClock::default();
        let way = patient(Arc::new(clock.clone()), Patience::default());
        let vendor = vendor(&way, kind, &server.url);
        let stage = Stage::set("agent nobody\n  say Nothing.\n", |mut harness| {
            harness.deps.clock = Arc::new(clock.clone());
            harness.providers = vec![Arc::new(vendor)];
            let mut agent = agent(kind, &[]);
            (agent.limits.model_ms, agent.limits.retries) = (model_ms, 0);
            harness.agent(agent)
        })
        .await;
        let session = say(&stage.runtime, name(kind), "k", "go").await;
        seen("it is asked", || server.count() == 1).await;
        let from = clock.now();
        while server.busy() > 0 {
            let before = server.pieces();
            seen("pings come or it is over", || {
                server.pieces() > before + 10 || server.busy() == 0
            })
            .await;
            clock.advance(STEP_MS);
        }
        let took = clock.now().since_ms(from);
        assert!((model_ms..=model_ms + 3 * STEP_MS).contains(&took), "{kind:?}: {took} ms");
        let outcome = bounded("the end", async {
            let _running = runs(&clock);
            ended(&stage.runtime, session, "k").await
        })
        .await;
        let TurnOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("the model call's time ran out"), "{reason}");
    }
}

/// Lets time pass, a millisecond at a time.
fn runs(clock: &ManualClock) -> Owned {
    let clock = clock.clone();
    Owned::spawn(async move {
        loop {
            clock.advance(1);
            SystemClock.after(1).await;
        }
    })
}

/// V11: what a call still says when nobody waits for it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_call_that_was_given_up_changes_nothing() {
    for kind in KINDS {
        let (release, told) = tokio::sync::watch::channel(false);
        let server = Server::new(move |_asked, no| match no {
            0 => {
                let body = speech::body(kind, "Too late");
                let (first, rest) = body.split_at(body.len() / 2);
                let rest = Bytes::from(rest.to_owned());
                speech::streams(kind, first.to_owned()).then(Then::Waits(told.clone(), rest))
            }
            _more => speech::says(kind, "In time"),
        })
        .await;
        let clock = ManualClock::default();
        let vendors = vec![vendor(&house::way(), kind, &server.url)];
        let stage = house::stage(vendors, |mut harness| {
            harness.deps.clock = Arc::new(clock.clone());
            harness.agent(agent(kind, &[]))
        })
        .await;
        let session = say(&stage.runtime, name(kind), "k", "go").await;
        seen("half an answer is out", || server.pieces() == 1).await;
        clock.advance(limits::MODEL_MS);
        let _running = runs(&clock);
        assert_eq!(ended(&stage.runtime, session, "k").await.text(), "In time", "{kind:?}");
        let before = events(&stage.runtime, session).await;
        release.send_replace(true);
        seen("the late answer is out", || server.busy() == 0).await;
        let (key, input) = ("k2".into(), UserInput::text("again"));
        stage.runtime.submit(session, key, input).await.unwrap();
        assert_eq!(ended(&stage.runtime, session, "k2").await.text(), "In time", "{kind:?}");
        let after = events(&stage.runtime, session).await;
        assert_eq!(after[..before.len()], before[..]);
        let said = format!("{after:?}");
        assert!(!said.contains("Too late"), "{kind:?}: {said}");
        let totals = stage.runtime.totals(TotalsOf::Session(session)).await.unwrap();
        // Two with a figure of the vendor's, and the one that was given up.
        assert_eq!((totals.calls, totals.unsettled_calls), (2, 1), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_lets_its_connection_go_and_what_it_said_is_not_kept() {
    for kind in KINDS {
        let begun = format!("{}{}", speech::begins(kind), speech::piece(kind, "Never said"));
        let server = Server::new(move |_asked, no| match no {
            0 => speech::streams(kind, begun.clone()).then(Then::Hangs),
            _more => speech::says(kind, "Something else"),
        })
        .await;
        let vendors = vec![vendor(&house::way(), kind, &server.url)];
        let stage = house::stage(vendors, |harness| harness.agent(agent(kind, &[]))).await;
        let session = say(&stage.runtime, name(kind), "k1", "go").await;
        seen("half an answer is out", || server.pieces() == 1).await;
        stage.runtime.cancel(session, CancelTarget::Everything, "enough").await.unwrap();
        assert_eq!(ended(&stage.runtime, session, "k1").await.word(), "cancelled", "{kind:?}");
        seen("the connection is let go", || server.busy() == 0).await;
        let (key, input) = ("k2".into(), UserInput::text("and now?"));
        stage.runtime.submit(session, key, input).await.unwrap();
        assert_eq!(ended(&stage.runtime, session, "k2").await.text(), "Something else");
        let log = format!("{:?}", events(&stage.runtime, session).await);
        assert!(!log.contains("Never said"), "{kind:?}: {log}");
        assert!(!server.asked()[1].body.contains("Never said"), "{kind:?}");
    }
}
