//! Durable turns per second: a turn with a model that says nothing, and one with a tool call in the
//! process, at 1, 100 and 10,000 sessions at once, against a bare group-commit loop that does the
//! same commits with the same bytes. Run it with `cargo bench --bench turns`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{EffectClass, Runtime, Session, TypedTool};
use greenroom_actors::{domain::ids::Position, scripted::NoopModel};
use support::{Stage, agent, bare::Loop, executor, quantile, table};
use tokio::task::JoinSet;

/// Sessions at once, and turns each of them does.
const SIZES: [(usize, usize); 3] = [(1, 500), (100, 30), (10_000, 1)];

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

/// A turn as it is measured.
#[derive(Clone, Copy)]
enum Turn {
    Plain,
    WithTool,
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
            let script = "agent *\n  call look {}\n  then\n  say Nothing.";
            let builder = builder.script(script).tool(look).slots("bench", 10_000);
            (builder, agent("scripted", &["look"]))
        }
    };
    let runtime = builder.start().await.unwrap();
    Stage { folder, runtime, agent }
}

async fn one(session: &Session) -> Duration {
    let begun = Instant::now();
    let outcome = session.send("go").await.unwrap().outcome().await.unwrap();
    assert!(matches!(outcome, greenroom::TurnOutcome::Completed { .. }), "{outcome:?}");
    begun.elapsed()
}

/// Turns per second, the sorted lengths, and the bodies of one turn's frames.
async fn ours(turn: Turn, (sessions, each): (usize, usize)) -> (f64, Vec<Duration>, Vec<String>) {
    let stage = stage(turn).await;
    let mut open = Vec::new();
    for _ in 0..sessions {
        open.push(stage.runtime.spawn(&stage.agent).await.unwrap());
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for session in open.clone() {
        tasks.spawn(async move {
            let mut lengths = Vec::with_capacity(each);
            for _ in 0..each {
                lengths.push(one(&session).await);
            }
            lengths
        });
    }
    let mut lengths: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let rate = lengths.len() as f64 / begun.elapsed().as_secs_f64();
    lengths.sort();
    let frames = stage.runtime.read(open[0].id(), Position(1)).await.unwrap();
    let turns = each.min(frames.len());
    let bodies = frames.iter().map(|frame| serde_json::to_string(&frame.events).unwrap());
    let bodies = bodies.take(frames.len() / turns).collect();
    stage.runtime.shutdown().await;
    (rate, lengths, bodies)
}

/// The same commits on bare SQLite.
async fn bare(bodies: &[String], (sessions, each): (usize, usize)) -> (f64, Vec<Duration>) {
    let folder = tempfile::tempdir().unwrap();
    let bare = Arc::new(Loop::start(&folder.path().join("bare.db")));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for log in 0..sessions as i64 {
        let (bare, bodies) = (Arc::clone(&bare), bodies.to_vec());
        tasks.spawn(async move {
            let mut lengths = Vec::with_capacity(each);
            let mut position = 0;
            for _ in 0..each {
                let begun = Instant::now();
                for body in &bodies {
                    position += 1;
                    bare.append(log, position, body.clone()).await;
                }
                lengths.push(begun.elapsed());
            }
            lengths
        });
    }
    let mut lengths: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let rate = lengths.len() as f64 / begun.elapsed().as_secs_f64();
    lengths.sort();
    (rate, lengths)
}

fn main() {
    let mut rows = Vec::new();
    for (turn, name) in [(Turn::Plain, "no-op model"), (Turn::WithTool, "one tool call")] {
        for size in SIZES {
            let executor = executor();
            let (rate, lengths, bodies) = executor.block_on(ours(turn, size));
            let (base, base_lengths) = executor.block_on(bare(&bodies, size));
            let ms = |lengths: &[Duration], share| {
                format!("{:.1} ms", quantile(lengths, share).as_secs_f64() * 1e3)
            };
            rows.push(vec![
                format!("{name}, {} at once", size.0),
                bodies.len().to_string(),
                format!("{rate:.0}/s"),
                format!("{base:.0}/s"),
                format!("{:.2}", rate / base),
                ms(&lengths, 0.5),
                ms(&lengths, 0.99),
                ms(&base_lengths, 0.99),
            ]);
        }
    }
    let head = ["turns", "commits", "ours", "bare", "ratio", "p50", "p99", "bare p99"];
    table::print("Durable turns against a bare SQLite group-commit loop", &head, &rows);
}
