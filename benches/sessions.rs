//! What a session costs: to open, to keep in memory awake and asleep, to wake; against a bare ractor
//! actor and a bare tokio task with a channel, at 1,000, 10,000 and 100,000 of them. Every figure is
//! taken in a process of its own, so that memory freed by one does not serve the next. Run it with
//! `cargo bench --bench sessions`; `--quick` runs a small size.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{Runtime, Session};
use greenroom_actors::{domain::catalog::SessionFilter, scripted::NoopModel};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use support::{Wanted, agent, executor, quantile, resident};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const QUICK: [usize; 1] = [500];
/// What is opened before anything is measured: tables, caches and pools have their size then.
const WARM_UP: usize = 256;
/// Wakes of which the middle one is shown.
const WAKES: usize = 200;

/// Sleepers that are woken together, at most: more of them show nothing new.
const WOKEN: usize = 10_000;

/// What a role says: microseconds for each, bytes for each, microseconds to the first answer.
struct Said {
    each_us: f64,
    bytes: f64,
    first_us: f64,
}

async fn runtime(store: &Path) -> Arc<Runtime> {
    let builder = Runtime::builder().store(store).provider(NoopModel).idle_ms(3_600_000);
    Arc::new(builder.start().await.unwrap())
}

/// Opens sessions; they stay awake.
async fn awake(sessions: usize, store: &Path) -> Said {
    let (runtime, agent) = (runtime(store).await, agent("noop", &[]));
    support::open(&runtime, &agent, WARM_UP).await;
    let (before, begun) = (resident(), Instant::now());
    let open = support::open(&runtime, &agent, sessions).await;
    let (each_us, after) = (us(begun.elapsed()) / sessions as f64, resident());
    let first_us = first_answers(&open).await;
    drop(open);
    support::end(runtime).await;
    Said { each_us, bytes: per(before, after, sessions), first_us }
}

/// Finds sessions asleep in a store, and wakes them.
async fn asleep(sessions: usize, store: &Path) -> Said {
    // The house's own memory is there already when a second one starts.
    let other = tempfile::tempdir().unwrap();
    let first = runtime(&other.path().join("other.db")).await;
    support::open(&first, &agent("noop", &[]), WARM_UP).await;
    support::end(first).await;
    let before = resident();
    let runtime = runtime(store).await;
    let after = resident();
    let filter = SessionFilter { rows: sessions.min(WOKEN), ..SessionFilter::default() };
    let rows = runtime.sessions(filter).await.unwrap();
    let all: Vec<Session> = rows.iter().map(|row| runtime.session(row.session)).collect();
    assert_eq!(runtime.awake(), 0, "they sleep");
    let (some, rest) = all.split_at(WAKES.min(all.len() / 2));
    let first_us = first_answers(some).await;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    // As many at once as there are openers: a session is answered within its deadline.
    for share in rest.chunks(rest.len().div_ceil(support::OPENERS)) {
        let share = share.to_vec();
        tasks.spawn(async move {
            for session in share {
                session.cancel("").await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let each_us = us(begun.elapsed()) / rest.len() as f64;
    drop(all);
    support::end(runtime).await;
    Said { each_us, bytes: per(before, after, sessions), first_us }
}

/// The middle one of the times to an answer, one session after the other.
async fn first_answers(sessions: &[Session]) -> f64 {
    let mut lengths = Vec::new();
    for session in sessions.iter().take(WAKES) {
        let (answer, length) = support::timed(session.cancel("")).await;
        answer.unwrap();
        lengths.push(length);
    }
    lengths.sort();
    us(quantile(&lengths, 0.5))
}

/// An actor that answers and does nothing else.
struct Bare;

impl Actor for Bare {
    type Msg = RpcReplyPort<()>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        reply: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(reply.send(())?)
    }
}

async fn actors(count: usize) -> Said {
    let born = || async { Actor::spawn(None, Bare, ()).await.unwrap().0 };
    let ask = |actor: ActorRef<RpcReplyPort<()>>| async move {
        let (port, answer) = oneshot::channel();
        actor.cast(port.into()).unwrap();
        answer.await.unwrap();
    };
    let mut all = Vec::with_capacity(count + WARM_UP);
    for _ in 0..WARM_UP {
        all.push(born().await);
    }
    let (before, begun) = (resident(), Instant::now());
    for _ in 0..count {
        all.push(born().await);
    }
    let (each_us, after) = (us(begun.elapsed()) / count as f64, resident());
    // What waking is for an actor: it is started and asked.
    let begun = Instant::now();
    for _ in 0..WAKES {
        ask(born().await).await;
    }
    let first_us = us(begun.elapsed()) / WAKES as f64;
    Said { each_us, bytes: per(before, after, count), first_us }
}

async fn tasks(count: usize) -> Said {
    let mut owner = JoinSet::new();
    let mut born = || {
        let (sender, mut receiver) = mpsc::channel::<oneshot::Sender<()>>(16);
        owner.spawn(async move {
            while let Some(reply) = receiver.recv().await {
                reply.send(()).ok();
            }
        });
        sender
    };
    let mut all: Vec<_> = (0..WARM_UP).map(|_| born()).collect();
    let (before, begun) = (resident(), Instant::now());
    all.extend((0..count).map(|_| born()));
    let (each_us, after) = (us(begun.elapsed()) / count as f64, resident());
    let begun = Instant::now();
    for _ in 0..WAKES {
        let (reply, answer) = oneshot::channel();
        let task = born();
        task.send(reply).await.unwrap();
        answer.await.unwrap();
    }
    let first_us = us(begun.elapsed()) / WAKES as f64;
    Said { each_us, bytes: per(before, after, count), first_us }
}

fn us(length: Duration) -> f64 {
    length.as_secs_f64() * 1e6
}

fn per(before: usize, after: usize, count: usize) -> f64 {
    after.saturating_sub(before) as f64 / count as f64
}

/// Plays a role in a process of its own, and reads what it says.
fn play(role: &str, count: usize, store: &Path) -> Said {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["role", role, &count.to_string()]).arg(store);
    child.stderr(Stdio::inherit());
    let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let figures: Vec<f64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [each_us, bytes, first_us] = figures[..] else { panic!("{role} said {said:?}") };
    Said { each_us, bytes, first_us }
}

fn role(role: &str, count: usize, store: &Path) {
    let said = executor().block_on(async {
        match role {
            "awake" => awake(count, store).await,
            "asleep" => asleep(count, store).await,
            "actors" => actors(count).await,
            _ => tasks(count).await,
        }
    });
    println!("{} {} {}", said.each_us, said.bytes, said.first_us);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, name, count, store] = &args[..]
        && word == "role"
    {
        return role(name, count.parse().unwrap(), Path::new(store));
    }
    let (mut rows, mut opened) = (Vec::new(), Vec::new());
    for size in Wanted::of_command_line().sizes(&SIZES, &QUICK) {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("green.db");
        let awake = play("awake", size, &store);
        let (actors, tasks) = (play("actors", size, &store), play("tasks", size, &store));
        for (name, said) in [
            ("session, durable, awake", &awake),
            ("session, asleep and woken", &play("asleep", size, &store)),
            ("bare actor", &actors),
            ("bare task", &tasks),
        ] {
            rows.push(vec![
                format!("{name}, {size}"),
                format!("{:.1} us", said.each_us),
                format!("{:.1}", said.each_us / actors.each_us),
                format!("{:.0} B", said.bytes),
                format!("{:.2}", said.bytes / actors.bytes),
                format!("{:.0} us", said.first_us),
            ]);
        }
        opened.push(format!("{size} in {:.0} ms", awake.each_us * size as f64 / 1e3));
    }
    let head = ["what", "each", "per actor", "memory", "per actor", "first answer"];
    support::table::print("Sessions against bare actors and tasks", &head, &rows);
    println!("durable sessions opened, 256 at once: {}", opened.join(", "));
}
