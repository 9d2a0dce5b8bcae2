//! Who should run tools: slots and tasks that sessions own, a bare semaphore, bare tokio tasks that
//! take jobs from channels, or the workers of ractor's `Factory`. The same jobs, the same eight places; prints the ratios. Run it with
//! `cargo bench -p greenroom-actors --features testing --bench tool_pool`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures real time, prints, and drives from a worker thread"
)]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use greenroom_actors::{
    domain::ids::{CallId, PoolKind, SessionId, Token, ToolCallNo},
    owned::Owned,
    protocol::{address::ReplyTo, lease::Lease, tool_pool::Granted},
    tool_pool,
};
use ractor::{
    Actor, ActorProcessingErr, ActorRef,
    factory::{
        Factory, FactoryArguments, FactoryMessage, Job, JobOptions, Worker, WorkerBuilder,
        WorkerId, queues, routing,
    },
};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

const PLACES: u32 = 8;
const ROUNDS: usize = 5;
const SESSIONS: u32 = 64;

/// A tool call of a given length.
#[derive(Clone, Copy)]
struct Work(Duration);

impl Work {
    /// Busy, not asleep: what is measured is the cost around a job.
    fn run(self) {
        let start = Instant::now();
        while start.elapsed() < self.0 {
            black_box(());
        }
    }
}

/// Tells when all jobs are done.
#[derive(Clone)]
struct Count(Arc<(AtomicU64, u64, Notify)>);

impl Count {
    fn new(jobs: u64) -> Self {
        Self(Arc::new((AtomicU64::new(0), jobs, Notify::new())))
    }

    fn one(&self) {
        if self.0.0.fetch_add(1, Ordering::AcqRel) + 1 == self.0.1 {
            self.0.2.notify_one();
        }
    }

    async fn all(&self) {
        self.0.2.notified().await;
    }
}

fn call(no: u32) -> CallId {
    CallId::tool(SessionId(Uuid::from_u128(u128::from(no % SESSIONS))), ToolCallNo(no))
}

/// A task that its session owns: the slot rides in it and comes back when it ends.
fn own(lease: Lease, work: Work, count: &Count) -> Owned {
    let count = count.clone();
    Owned::spawn(async move {
        work.run();
        drop(lease);
        count.one();
    })
}

/// Slots, a free one taken at once, otherwise in turn; at most a thousand requests wait.
async fn slots(jobs: u64, work: Work) -> Duration {
    let slots = tool_pool::unsupervised(PoolKind::from("bench"), PLACES).await.expect("it starts");
    let count = Count::new(jobs);
    let start = Instant::now();
    let (sender, mut granted) = tokio::sync::mpsc::channel::<Granted>(4_096);
    let reply = ReplyTo::new(move |granted| drop(sender.try_send(granted)));
    let mut tasks = Vec::with_capacity(jobs as usize);
    let mut waiting = 0;
    for no in 0..jobs as u32 {
        if let Some(lease) = slots.try_take() {
            tasks.push(own(lease, work, &count));
            continue;
        }
        let call = call(no);
        slots.request(call.session, call, Token(1), reply.clone()).expect("the queue has room");
        waiting += 1;
        while waiting > 1_000 {
            let granted = granted.recv().await.expect("the pool lives");
            tasks.push(own(granted.lease, work, &count));
            waiting -= 1;
        }
    }
    while waiting > 0 {
        let granted = granted.recv().await.expect("the pool lives");
        tasks.push(own(granted.lease, work, &count));
        waiting -= 1;
    }
    count.all().await;
    start.elapsed()
}

/// The least that bounds anything: a semaphore, no fairness between sessions.
async fn semaphore(jobs: u64, work: Work) -> Duration {
    let places = Arc::new(Semaphore::new(PLACES as usize));
    let count = Count::new(jobs);
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(jobs as usize);
    for _ in 0..jobs {
        let permit = Arc::clone(&places).acquire_owned().await.expect("never closed");
        let count = count.clone();
        tasks.push(Owned::spawn(async move {
            work.run();
            drop(permit);
            count.one();
        }));
    }
    count.all().await;
    start.elapsed()
}

/// The least that runs anything: tasks that wait at a bounded channel each, served in turn. Nobody is
/// fair, nobody owns a job, and nobody can stop one.
async fn workers(jobs: u64, work: Work) -> Duration {
    let count = Count::new(jobs);
    let (mut doors, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..PLACES {
        let (door, mut queue) = tokio::sync::mpsc::channel::<Work>(1_024);
        let count = count.clone();
        doors.push(door);
        tasks.push(Owned::spawn(async move {
            while let Some(work) = queue.recv().await {
                work.run();
                count.one();
            }
        }));
    }
    let start = Instant::now();
    for no in 0..jobs as usize {
        doors[no % doors.len()].send(work).await.expect("the worker lives");
    }
    count.all().await;
    start.elapsed()
}

struct Hand;

impl Worker for Hand {
    type Key = u32;
    type Message = (Work, Count);
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &ActorRef<FactoryMessage<u32, (Work, Count)>>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &ActorRef<FactoryMessage<u32, (Work, Count)>>,
        job: Job<u32, (Work, Count)>,
        (): &mut (),
    ) -> Result<u32, ActorProcessingErr> {
        let (work, count) = job.msg;
        work.run();
        count.one();
        Ok(job.key)
    }
}

struct Hands;

impl WorkerBuilder<Hand, ()> for Hands {
    fn build(&mut self, _: WorkerId) -> (Hand, ()) {
        (Hand, ())
    }
}

type Queue = queues::DefaultQueue<u32, (Work, Count)>;
type Router = routing::QueuerRouting<u32, (Work, Count)>;

/// ractor's own: a factory actor between queue and workers.
async fn factory(jobs: u64, work: Work) -> Duration {
    let arguments = FactoryArguments::builder()
        .worker_builder(Box::new(Hands))
        .queue(Queue::default())
        .router(Router::default())
        .num_initial_workers(PLACES as usize)
        .build();
    let definition = Factory::<u32, (Work, Count), (), Hand, Router, Queue>::default();
    let (factory, _) = Actor::spawn(None, definition, arguments).await.expect("it starts");
    let count = Count::new(jobs);
    let start = Instant::now();
    for key in 0..jobs as u32 {
        let job =
            Job { key, msg: (work, count.clone()), options: JobOptions::default(), accepted: None };
        factory.cast(FactoryMessage::Dispatch(job)).expect("the factory lives");
    }
    count.all().await;
    let took = start.elapsed();
    factory.kill();
    took
}

/// Jobs per second, the median of some rounds.
async fn rate<F: Future<Output = Duration>>(jobs: u64, one: impl Fn(u64) -> F) -> f64 {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(jobs as f64 / one(jobs).await.as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    tokio::spawn(compare()).await.expect("no contender panics");
}

async fn compare() {
    for (name, jobs, work) in
        [("empty job", 100_000, Duration::ZERO), ("10 µs job", 30_000, Duration::from_micros(10))]
    {
        let work = Work(work);
        let bare = rate(jobs, |jobs| semaphore(jobs, work)).await;
        let ours = rate(jobs, |jobs| slots(jobs, work)).await;
        let least = rate(jobs, |jobs| workers(jobs, work)).await;
        let theirs = rate(jobs, |jobs| factory(jobs, work)).await;
        println!(
            "{name}: slots {ours:.0}/s, factory {theirs:.0}/s, semaphore {bare:.0}/s, workers \
             {least:.0}/s; slots = {:.2} x factory = {:.2} x semaphore = {:.2} x workers",
            ours / theirs,
            ours / bare,
            ours / least,
        );
    }
}
