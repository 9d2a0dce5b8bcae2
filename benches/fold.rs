//! Reading logs: the fold of 100,000 events, against decoding them alone; and the wake of a session
//! with 10,000 events, against a bare read of the same rows. Run it with `cargo bench --bench fold`;
//! `--quick` runs small logs.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::Runtime;
use greenroom_actors::{
    domain::{
        event::Event,
        frame,
        ids::{InputKey, Position, SessionId},
    },
    policy::turn::{self, State},
    scripted::NoopModel,
};
use rusqlite::Connection;
use support::{Wanted, agent, executor, ms, quantile};

/// Events folded, events of the session that wakes, times each is measured.
type Size = (usize, usize, usize);
const SIZES: [Size; 1] = [(100_000, 10_000, 9)];
const QUICK: [Size; 1] = [(2_000, 500, 3)];

async fn runtime(store: &Path) -> Runtime {
    let builder = Runtime::builder().store(store).provider(NoopModel);
    builder.start().await.unwrap()
}

/// A session whose log has so many events, and the key of its last input.
async fn grown(store: &Path, events: usize) -> (SessionId, InputKey) {
    let runtime = Arc::new(runtime(store).await);
    let session = runtime.spawn(&agent("noop", &[])).await.unwrap();
    let mut key = None;
    let mut written = 0;
    while written < events {
        for _ in 0..(events / 100).max(10) {
            let turn = session.send("Go on, please.").await.unwrap();
            key = Some(turn.key().clone());
            turn.outcome().await.unwrap();
        }
        let frames = runtime.read(session.id(), Position(0)).await.unwrap();
        written = frames.iter().map(|frame| frame.events.len()).sum();
    }
    let id = session.id();
    drop(session);
    support::end(runtime).await;
    (id, key.unwrap())
}

/// The time to an answer of a session that slept, in a house that has just started.
async fn wake(store: &Path, session: SessionId, key: &InputKey) -> Duration {
    let runtime = runtime(store).await;
    assert_eq!(runtime.awake(), 0, "it sleeps");
    let (answer, length) = support::timed(runtime.outcome(session, key.clone(), 60_000)).await;
    answer.unwrap();
    runtime.shutdown().await;
    length
}

/// The same rows, read and dropped.
fn bare_read(store: &Path) -> Duration {
    let conn = Connection::open(store).unwrap();
    let begun = Instant::now();
    let sql = "SELECT f.* FROM frame f JOIN log l ON f.log = l.num WHERE l.kind = 'session' \
               ORDER BY f.position";
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut bytes = 0;
    while let Some(row) = rows.next().unwrap() {
        bytes += row.get::<_, String>("body").unwrap().len();
    }
    black_box(bytes);
    begun.elapsed()
}

/// The middle one of several measurements.
fn middle(times: usize, mut one: impl FnMut() -> Duration) -> Duration {
    let mut lengths: Vec<Duration> = (0..times).map(|_| one()).collect();
    lengths.sort();
    quantile(&lengths, 0.5)
}

/// Decoding and folding of a log's frames, and decoding alone.
fn folding(store: &Path, session: SessionId, times: usize) -> (usize, Duration, Duration) {
    let frames = executor().block_on(async {
        let runtime = runtime(store).await;
        let frames = runtime.read(session, Position(0)).await.unwrap();
        runtime.shutdown().await;
        frames
    });
    let events = frames.iter().map(|frame| frame.events.len()).sum();
    let stored = frames.iter().map(|it| (it.envelope.at, frame::encode(&it.events).unwrap()));
    let stored: Vec<_> = stored.collect();
    let run = |folds: bool| {
        middle(times, || {
            let begun = Instant::now();
            let mut state = State::new(session);
            for (at, body) in &stored {
                let events: Vec<Event> = serde_json::from_str(body).unwrap();
                if folds {
                    turn::fold(&mut state, &events, *at).unwrap();
                }
                black_box(&events);
            }
            black_box(&state);
            begun.elapsed()
        })
    };
    (events, run(true), run(false))
}

fn main() {
    for (folded, woken, times) in Wanted::of_command_line().sizes(&SIZES, &QUICK) {
        let folder = tempfile::tempdir().unwrap();
        let (long, short) = (folder.path().join("long.db"), folder.path().join("short.db"));
        let (session, _) = executor().block_on(grown(&long, folded));
        let (events, fold, decode) = folding(&long, session, times);
        let (session, key) = executor().block_on(grown(&short, woken));
        let read = middle(times, || bare_read(&short));
        let wake = middle(times, || executor().block_on(wake(&short, session, &key)));
        let row = |name: String, ours: Duration, base: Duration, per: usize| {
            let ratio = ours.as_secs_f64() / base.as_secs_f64();
            let each = ours.as_secs_f64() * 1e6 / per as f64;
            vec![name, ms(ours), ms(base), format!("{ratio:.2}"), format!("{each:.2} us")]
        };
        let rows = [
            row(format!("fold of {events} events; decoding alone"), fold, decode, events),
            row(format!("wake of a session with {woken} events; bare read"), wake, read, woken),
        ];
        let head = ["what; baseline", "ours", "baseline", "ratio", "each event"];
        support::table::print("Reading logs", &head, &rows);
    }
}
