//! From a panic to the first answer after the restart, beyond the backoff, while 1,000 other
//! sessions work at a steady pace; and what those feel of it, against a run without panics. Run it
//! with `cargo bench --bench recovery`; `--quick` runs a small house.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use greenroom::{Runtime, Session};
use greenroom_actors::{fault, scripted::NoopModel};
use support::{Stage, Wanted, agent, executor, ms, quantile};
use tokio::task::JoinSet;

/// Sessions that work, the time between two turns of each, victims, and rounds of both runs.
type Size = (usize, Duration, usize, usize);
const SIZES: [Size; 1] = [(1_000, Duration::from_millis(1_000), 40, 3)];
const QUICK: [Size; 1] = [(50, Duration::from_millis(200), 5, 1)];

/// When a wing last began to start a session: the backoff is over then.
static STARTED: Mutex<Option<Instant>> = Mutex::new(None);

/// Sessions at work until they are told to end; each takes a turn, then waits for its next moment.
struct Others {
    over: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Duration>>,
}

impl Others {
    fn at_work(sessions: &[Session], pace: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for (no, session) in sessions.iter().cloned().enumerate() {
            let over = Arc::clone(&over);
            // Their moments are spread, so that the pace of the house is even.
            let first = pace * no as u32 / sessions.len() as u32;
            tasks.spawn(async move {
                let mut lengths = Vec::new();
                let mut next = tokio::time::interval_at((Instant::now() + first).into(), pace);
                loop {
                    next.tick().await;
                    if over.load(Ordering::Acquire) {
                        return lengths;
                    }
                    let turn = async { session.send("go").await.unwrap().outcome().await.unwrap() };
                    lengths.push(support::timed(turn).await.1);
                }
            });
        }
        Self { over, tasks }
    }

    async fn end(self) -> Vec<Duration> {
        self.over.store(true, Ordering::Release);
        let mut lengths: Vec<Duration> =
            self.tasks.join_all().await.into_iter().flatten().collect();
        lengths.sort();
        lengths
    }
}

/// Lets one session panic and asks it at once; how long after its backoff it answers.
async fn panic_and_answer(runtime: &Runtime, victim: &Session) -> Duration {
    let turn = victim.send("go").await.unwrap();
    let key = turn.key().clone();
    turn.outcome().await.unwrap();
    assert!(runtime.panic_session(victim.id(), "a defect"), "it is awake");
    let answer = runtime.outcome(victim.id(), key, 60_000);
    answer.await.unwrap();
    let answered = Instant::now();
    let started = STARTED.lock().unwrap().expect("it was started again");
    answered - started
}

/// One run: how the others fared, and how long the victims took.
async fn run(stage: &Stage, size: Size, panics: bool) -> (Vec<Duration>, Vec<Duration>) {
    let (others, pace, victims, _) = size;
    let working = support::open(&stage.runtime, &stage.agent, others).await;
    let victims = support::open(&stage.runtime, &stage.agent, victims).await;
    let others = Others::at_work(&working, pace);
    let mut back = Vec::new();
    for victim in &victims {
        if panics {
            back.push(panic_and_answer(&stage.runtime, victim).await);
        } else {
            // As long as a backoff with what comes before and after it.
            tokio::time::sleep(Duration::from_millis(230)).await;
        }
    }
    (others.end().await, back)
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("green.db");
    let builder = Runtime::builder().store(store).provider(NoopModel).idle_ms(3_600_000);
    let runtime = Arc::new(builder.start().await.unwrap());
    Stage { folder, runtime, agent: agent("noop", &[]) }
}

fn main() {
    fault::arm(Box::new(|point| {
        if point == "wing.before_start" {
            *STARTED.lock().unwrap() = Some(Instant::now());
        }
    }));
    for size in Wanted::of_command_line().sizes(&SIZES, &QUICK) {
        let (mut calm, mut struck, mut back) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that what else the machine does falls on both.
        for _ in 0..size.3 {
            for panics in [false, true] {
                let (others, victims) = executor().block_on(async {
                    let stage = stage().await;
                    let ended = run(&stage, size, panics).await;
                    support::end(stage.runtime).await;
                    ended
                });
                if panics {
                    struck.extend(others)
                } else {
                    calm.extend(others)
                };
                back.extend(victims);
            }
        }
        calm.sort();
        struck.sort();
        back.sort();
        let row = |name: &str, lengths: &[Duration], base: Option<&[Duration]>| {
            let p99 = quantile(lengths, 0.99);
            let ratio = base.map(|base| p99.as_secs_f64() / quantile(base, 0.99).as_secs_f64());
            vec![
                name.to_owned(),
                lengths.len().to_string(),
                ms(quantile(lengths, 0.5)),
                ms(p99),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            ]
        };
        let rows = [
            row("panic to first answer, beyond the backoff", &back, None),
            row("turns of others, no panics", &calm, None),
            row("turns of others, with panics", &struck, Some(&calm)),
        ];
        let head = ["what", "count", "p50", "p99", "to control"];
        let title = format!("Restarts while {} others work", size.0);
        support::table::print(&title, &head, &rows);
    }
}
