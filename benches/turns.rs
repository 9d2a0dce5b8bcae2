//! Durable turns per second: a turn with a model that says nothing, and one whose model asks for a
//! tool call in the process and says nothing (neither model costs anything, see `support::looks`), at 1, 100 and 10,000 sessions at once, against a bare group-commit loop that commits
//! the same rows, and against the store alone. Run it with `cargo bench --bench turns`; `--quick`
//! runs small sizes, further words choose rows.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{EffectClass, Runtime, Session, TypedTool};
use greenroom_actors::{ports::Append, scripted::NoopModel};
use support::{
    Stage, Wanted, agent, bare::Loop, executor, frames, frames::Alone, looks::Looks, ms, quantile,
};
use tokio::task::JoinSet;

/// Sessions at once, and turns each of them does.
const SIZES: [(usize, usize); 3] = [(1, 2_000), (100, 100), (10_000, 3)];
const QUICK: [(usize, usize); 3] = [(1, 50), (100, 3), (1_000, 1)];

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

/// A turn as it is measured.
#[derive(Clone, Copy)]
enum Turn {
    Plain,
    WithTool,
}

impl Turn {
    const ALL: [Self; 2] = [Self::Plain, Self::WithTool];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "no-op model",
            Self::WithTool => "one tool call",
        }
    }
}

async fn stage(turn: Turn) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let builder = Runtime::builder().store(folder.path().join("green.db")).idle_ms(3_600_000);
    let (builder, agent) = match turn {
        Turn::Plain => (builder.provider(NoopModel), agent("noop", &[])),
        Turn::WithTool => {
            let look = TypedTool::new("look", "Looks.", |_ctx, _args: Nothing| async {
                Ok("nothing".to_owned())
            });
            let look = look.effect(EffectClass::Pure).pool("bench");
            let builder = builder.provider(Looks).tool(look).slots("bench", 10_000);
            (builder, agent("looks", &["look"]))
        }
    };
    let runtime = Arc::new(builder.start().await.unwrap());
    Stage { folder, runtime, agent }
}

async fn one(session: &Session) {
    let outcome = session.send("go").await.unwrap().outcome().await.unwrap();
    assert!(matches!(outcome, greenroom::TurnOutcome::Completed { .. }), "{outcome:?}");
}

/// Turns per second, and how long each took.
struct Figures {
    rate: f64,
    lengths: Vec<Duration>,
}

impl Figures {
    /// Every one of `who` takes its turns one after the other, all of them at once.
    async fn of<W, F>(who: Vec<W>, each: usize, one: impl Fn(Arc<W>, usize) -> F) -> Self
    where
        W: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let one = &one;
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for who in who {
            let who = Arc::new(who);
            let turns: Vec<F> = (0..each).map(|turn| one(Arc::clone(&who), turn)).collect();
            tasks.spawn(async move {
                let mut lengths = Vec::with_capacity(turns.len());
                for turn in turns {
                    lengths.push(support::timed(turn).await.1);
                }
                lengths
            });
        }
        let mut lengths: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        let rate = lengths.len() as f64 / begun.elapsed().as_secs_f64();
        lengths.sort();
        Self { rate, lengths }
    }

    fn at(&self, share: f64) -> String {
        ms(quantile(&self.lengths, share))
    }
}

/// The runtime's figures, and the frames of one turn.
async fn ours(turn: Turn, (sessions, each): (usize, usize)) -> (Figures, Arc<[Arc<Append>]>) {
    let Stage { folder, runtime, agent } = stage(turn).await;
    let open = support::open(&runtime, &agent, sessions).await;
    let first = open[0].id();
    let figures = Figures::of(open, each, |session: Arc<Session>, _no| async move {
        one(&session).await;
    });
    let figures = figures.await;
    let frames = frames::last_turn(&runtime, first, each).await;
    support::end(runtime).await;
    drop(folder);
    (figures, frames::shared(frames))
}

/// The same frames through the store, without a runtime.
async fn store(frames: &Arc<[Arc<Append>]>, (logs, each): (usize, usize)) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Alone::open(&folder.path().join("store.db")));
    let mut owners = Vec::new();
    for no in 0..logs as u128 {
        owners.push(store.claim(no + 1).await);
    }
    Figures::of(owners, each, |owner, turn| {
        let (store, frames) = (Arc::clone(&store), Arc::clone(frames));
        async move {
            for (no, frame) in frames.iter().enumerate() {
                store.append(*owner, (turn * frames.len() + no + 1) as u64, frame).await;
            }
        }
    })
    .await
}

/// The same rows on bare SQLite.
async fn bare(frames: &Arc<[Arc<Append>]>, (logs, each): (usize, usize)) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let bare = Arc::new(Loop::start(&folder.path().join("bare.db")));
    let logs = (0..logs as i64).collect();
    Figures::of(logs, each, |log, turn| {
        let (bare, frames) = (Arc::clone(&bare), Arc::clone(frames));
        async move {
            for (no, frame) in frames.iter().enumerate() {
                let position = (turn * frames.len() + no + 1) as i64;
                bare.append(*log, position, Arc::clone(frame)).await;
            }
        }
    })
    .await
}

fn main() {
    let wanted = Wanted::of_command_line();
    let mut rows = Vec::new();
    for turn in Turn::ALL {
        for size in wanted.sizes(&SIZES, &QUICK) {
            let name = format!("{}, {} at once", turn.name(), size.0);
            if !wanted.has(&name) {
                continue;
            }
            let executor = executor();
            let (ours, frames) = executor.block_on(ours(turn, size));
            let store = executor.block_on(store(&frames, size));
            let bare = executor.block_on(bare(&frames, size));
            rows.push(vec![
                name,
                frames.len().to_string(),
                format!("{:.0}/s", ours.rate),
                format!("{:.0}/s", store.rate),
                format!("{:.0}/s", bare.rate),
                format!("{:.2}", ours.rate / bare.rate),
                format!("{:.2}", store.rate / bare.rate),
                ours.at(0.5),
                ours.at(0.99),
                bare.at(0.99),
            ]);
        }
    }
    let head = [
        "turns",
        "commits",
        "ours",
        "store",
        "bare",
        "ours/bare",
        "store/bare",
        "p50",
        "p99",
        "bare p99",
    ];
    support::table::print("Durable turns against a bare SQLite group-commit loop", &head, &rows);
}
