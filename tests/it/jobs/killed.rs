//! Killed at each step of a job: before each record is written, when it is, and around what goes out. A
//! file outside the store sees every attempt begin, with its number and when it was due, and every end
//! that is told; it must have seen each attempt once, none before its time, and no end under two names.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
};

use futures_util::future::BoxFuture;
use greenroom::clock::SystemClock;
use greenroom_actors::{
    domain::{
        event::Event,
        frame::{LogId, LogKind},
        job::{Delivery, JobEvent, Taken},
        tool::{EffectClass, ToolOutcome},
    },
    fault, log,
    ports::{Clock as _, JobHook, Journal, NotTold},
    testing::harness::{bounded, events},
};

use super::*;
use crate::{
    parts,
    stage::{Folder, Stage},
    workshop::{Count, done, tool},
};

/// The part of the process that is killed.
pub const PART: &str = "works at jobs and dies at a step of one";
const FOLDER: &str = "GREENROOM_JOBS_FOLDER";
const POINT: &str = "GREENROOM_JOBS_POINT";
const LIFE: &str = "GREENROOM_JOBS_LIFE";
const SIGABRT: i32 = 6;
/// Often enough that a life sees some.
const EVERY_MS: &str = "150";

const SCRIPT: &str = "agent clerk\n    call mark {}\n  then\n    say Done.\n\
                      agent hanger\n    call hang {}\n  then\n    say Done.\n";

/// What is outside: a file that lives through everything.
#[derive(Clone)]
struct Outside(PathBuf);

impl Outside {
    fn in_folder(folder: &Path) -> Self {
        Self(folder.join("outside.txt"))
    }

    fn sees(&self, line: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).expect("a file");
        file.write_all(format!("{line}\n").as_bytes()).expect("one line at once");
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }
}

/// Hears an end, but says at first that it does not.
struct Ear {
    outside: Outside,
    calls: Count,
}

impl JobHook for Ear {
    fn tell(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>> {
        let deaf = self.calls.up() == 1;
        let end = serde_json::to_string(&delivery).expect("it is JSON").replace(' ', "_");
        self.outside.sees(&format!("told {} {end}", delivery.id));
        let why = "it says 503".to_owned();
        let told = if deaf { Err(NotTold { why, again: true, after_ms: None }) } else { Ok(()) };
        Box::pin(std::future::ready(told))
    }
}

async fn set(folder: Folder) -> Stage {
    let outside = Outside::in_folder(folder.path());
    let furnish = |mut harness: Harness| {
        let seen = outside.clone();
        let mark = tool("mark", EffectClass::Idempotent, move |ctx, _| {
            seen.sees(&format!("mark {} {}", ctx.call.session, ctx.idempotency_key));
            async { done("marked") }
        });
        let hang = tool("hang", EffectClass::Pure, |mut ctx, _| async move {
            ctx.cancel.requested().await;
            ToolOutcome::Cancelled { effect_unknown: false }
        });
        harness.hooks.insert("ops".into(), Arc::new(Ear { outside, calls: Count::default() }));
        harness.calendar = Some(Arc::new(Every));
        let harness = harness.tool(mark).tool(hang);
        harness.agent(agent("clerk", &["mark"], &[])).agent(agent("hanger", &["hang"], &[]))
    };
    Stage::on(folder, SCRIPT, furnish).await
}

/// What is asked for in each life, under keys of its own.
async fn ask(runtime: &Runtime, life: &str) {
    let quick = |spec: JobSpec| spec.backoff_ms(1, 5);
    let host = |name: &str, attempts| JobSpec::host(name, "").queue("host").attempts(attempts);
    let all = [
        quick(JobSpec::prompt("good", "clerk", "go").hook("ops")),
        quick(JobSpec::prompt("stop", "hanger", "go")),
        quick(host("shaky", 50).hook("ops")),
        quick(host("retry", 1)),
    ];
    for spec in all {
        let key = format!("{}-{life}", spec.name);
        let asked = runtime.jobs().enqueue(&tenant(), spec, Some(key.as_str().into())).await;
        asked.expect("it is taken");
    }
    let chain = JobSpec::prompt("chain", "clerk", "go").cron(EVERY_MS, "UTC");
    let asked = runtime.jobs().enqueue(&tenant(), chain, Some("chain".into())).await;
    asked.expect("it is taken");
}

/// The host's own work: the world sees an attempt first of all.
async fn host(runtime: &Runtime, outside: &Outside, taken: Taken) {
    let jobs = runtime.jobs();
    let Taken { job, attempt, due, name, .. } = taken;
    outside.sees(&format!("host {job} {attempt} {} {}", due.0, SystemClock.now().0));
    let at = (job, attempt);
    // An order may find that the attempt has taken too long, or was held: then it is another's turn.
    let _told = jobs.progress(at, 50, None).await;
    if jobs.pause(job, None).await.is_ok() {
        jobs.resume(job, None).await.expect("it was held");
    }
    let fails = if name == "retry" { attempt == 1 } else { attempt % 2 == 1 };
    let ended = if fails {
        jobs.fail(at, "not this time".to_owned(), name != "retry").await
    } else {
        jobs.complete(at, None).await
    };
    ended.expect("the attempt is at work");
}

/// One round: the host's work, and what people order.
async fn round(runtime: &Runtime, outside: &Outside) -> Vec<JobRow> {
    let jobs = runtime.jobs();
    let (whose, queue) = (tenant(), "host".into());
    while let Some(taken) = jobs.take(&whose, &queue).await.expect("asked") {
        host(runtime, outside, taken).await;
    }
    let rows = jobs.list(JobFilter::default()).await.expect("the list");
    for row in &rows {
        match (row.name.as_str(), row.state) {
            ("retry", JobState::Failed) => drop(jobs.retry(row.job).await),
            ("stop", JobState::Running) => drop(jobs.cancel(row.job, "enough".to_owned()).await),
            _ => {}
        }
    }
    rows
}

/// What the process does that is killed.
pub fn play() {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("a folder to play in"));
    let (point, life) = (env::var(POINT).expect("a point"), env::var(LIFE).expect("which"));
    fault::arm(Box::new(move |passed| {
        if passed == point {
            std::process::abort();
        }
    }));
    parts::on_two_threads(async {
        let outside = Outside::in_folder(&folder);
        let stage = set(Folder::of_another(folder)).await;
        ask(&stage.runtime, &life).await;
        let works = async {
            loop {
                round(&stage.runtime, &outside).await;
                SystemClock.after(2).await;
            }
        };
        bounded::<()>("to pass the point", works).await;
    });
}

/// Dies at a point; whether it did.
fn dies_at(point: &str, life: usize, folder: &Path) {
    let mut process = parts::process(PART);
    process.env(FOLDER, folder).env(POINT, point).env(LIFE, life.to_string());
    let output = process.output().expect("start a process");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{point}: {} {said}", output.status);
}

/// Works until all is done, and the chain is at its end.
async fn finish(stage: &Stage, outside: &Outside) -> Vec<JobRow> {
    let jobs = stage.runtime.jobs();
    until("everything is done", || async {
        let rows = round(&stage.runtime, outside).await;
        let open: Vec<&JobRow> = rows.iter().filter(|row| row.open).collect();
        for row in open.iter().filter(|row| row.name == "chain" && row.state == JobState::Queued) {
            drop(jobs.cancel(row.job, "enough".to_owned()).await);
        }
        let undone = rows.iter().any(|row| row.name == "retry" && row.state == JobState::Failed);
        (open.is_empty() && !undone).then_some(rows)
    })
    .await
}

/// The records of all jobs.
async fn records(stage: &Stage, rows: &[JobRow]) -> BTreeMap<JobId, Vec<JobEvent>> {
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    let mut all = BTreeMap::new();
    for row in rows {
        let log = LogId::job(row.job);
        assert_eq!(log.kind, LogKind::Job);
        let frames = log::read_all::<JobEvent>(&journal, log).await.expect("it verifies");
        all.insert(row.job, frames.into_iter().flat_map(|frame| frame.events).collect());
    }
    all
}

/// What the file saw, against what the logs say.
async fn check(stage: &Stage, outside: &Outside, rows: &[JobRow]) {
    let records = records(stage, rows).await;
    let mut begun = BTreeMap::new();
    let mut ends = BTreeSet::new();
    for (job, events) in &records {
        for event in events {
            if let JobEvent::AttemptStarted { attempt, due, .. } = event {
                assert!(begun.insert((*job, *attempt), due.0).is_none(), "begun twice: {job}");
            }
            if let JobEvent::Ended { no, .. } = event {
                ends.insert(job.delivery(*no));
            }
        }
    }
    let (mut attempts, mut turns, mut told) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for line in outside.lines() {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["host", job, attempt, due, at] => {
                let number = |text: &str| text.parse::<i64>().expect("a number");
                let attempt = (job.parse::<JobId>().expect("an id"), attempt.parse().expect("one"));
                assert!(attempts.insert(attempt), "seen twice: {attempt:?}");
                assert_eq!(begun.get(&attempt), Some(&number(due)), "not as the log says");
                assert!(number(at) >= number(due), "before its time: {attempt:?}");
            }
            ["mark", session, key] => {
                let keys: &mut BTreeSet<String> = turns.entry((*session).to_owned()).or_default();
                keys.insert((*key).to_owned());
            }
            ["told", id, end] => {
                let before = told.insert((*id).to_owned(), (*end).to_owned());
                assert!(before.is_none_or(|before| before == *end), "told otherwise: {id}");
                assert!(ends.contains(*id), "told of no end: {id}");
            }
            other => panic!("{other:?}"),
        }
    }
    for row in rows {
        let events = records.get(&row.job).expect("it has a log");
        let hooked = matches!(row.name.as_str(), "good" | "shaky");
        assert!(!hooked || told.contains_key(&row.job.delivery(1)), "not told: {row:?}");
        let of_host = row.kind == "host";
        let unseen = (1..=row.attempt).filter(|no| of_host && !attempts.contains(&(row.job, *no)));
        for no in unseen {
            // Only one that died with its program has not come to the world.
            let lost = events.iter().any(|event| {
                matches!(event, JobEvent::AttemptFailed { attempt, error, .. }
                    if *attempt == no && error.contains("has ended"))
            });
            assert!(lost, "attempt {no} was seen by nobody: {events:?}");
        }
        prompt(stage, row, &turns).await;
    }
    chain(&records, rows);
}

/// Each attempt of a prompt was one turn, and what it did outside it did under one key.
async fn prompt(stage: &Stage, row: &JobRow, turns: &BTreeMap<String, BTreeSet<String>>) {
    for no in (1..=row.attempt).filter(|_| row.kind == "prompt") {
        let session = row.job.session(no);
        let log = events(&stage.runtime, session).await;
        let inputs = log.iter().filter(|event| matches!(event, Event::InputAccepted { .. }));
        assert_eq!(inputs.count(), 1, "attempt {no} of {row:?}");
        let expected = usize::from(row.name != "stop");
        let keys = turns.get(&session.to_string()).map_or(0, BTreeSet::len);
        assert_eq!(keys, expected, "attempt {no} of {row:?}");
    }
}

/// Each of the chain is followed by one, and no moment has two.
fn chain(records: &BTreeMap<JobId, Vec<JobEvent>>, rows: &[JobRow]) {
    let mut due = BTreeSet::new();
    let mut links = 0;
    for row in rows.iter().filter(|row| row.name == "chain") {
        let events = records.get(&row.job).expect("it has a log");
        let Some(JobEvent::Enqueued { due: at, .. }) = events.first() else { panic!("{events:?}") };
        assert!(due.insert(*at), "two for one moment: {row:?}");
        let follows = events.iter().filter(|event| matches!(event, JobEvent::Followed { .. }));
        let follows = follows.count();
        assert!(follows == usize::from(row.attempt > 0), "{events:?}");
        links += follows;
    }
    assert_eq!(due.len(), links + 1, "no end is loose, and nothing came from nowhere");
    assert!(links > 1, "the chain went on: {links}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_of_a_job_the_world_sees_every_attempt_once_and_every_end() {
    let folder = Folder::new();
    let path = folder.path().to_owned();
    let outside = Outside::in_folder(&path);
    let deaths = tokio::task::spawn_blocking(move || {
        for (life, point) in fault::OF_JOBS.iter().enumerate() {
            dies_at(point, life, &path);
        }
        path
    });
    let path = deaths.await.expect("each died where it should");
    let stage = set(Folder::of_another(path)).await;
    let rows = finish(&stage, &outside).await;
    // Some lives end before they have asked for anything of their own.
    assert!(rows.iter().filter(|row| row.name != "chain").count() > fault::OF_JOBS.len());
    check(&stage, &outside, &rows).await;
    drop(folder);
}
