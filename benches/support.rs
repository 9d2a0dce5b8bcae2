//! What the benches share: a table of figures, quantiles, and a stage in a folder of its own.

#![allow(dead_code, reason = "each bench uses its part of this")]

pub mod bare;
pub mod frames;
pub mod looks;
pub mod starts;
pub mod table;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{AgentSpec, Runtime, Session};
use greenroom_actors::domain::{permission::Mode, tool::Overlay};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Tasks that open sessions at once: the groups of the store are full.
pub const OPENERS: usize = 256;

/// A runtime on a real file, with one agent.
pub struct Stage {
    pub folder: TempDir,
    pub runtime: Arc<Runtime>,
    pub agent: AgentSpec,
}

/// An agent that asks nobody.
pub fn agent(model: &str, tools: &[&str]) -> AgentSpec {
    let mut agent = AgentSpec::new("bench", model);
    agent.tools = tools.iter().map(|tool| ((*tool).into(), Overlay::default())).collect();
    agent.authority.mode = Mode::BypassPermissions;
    agent
}

/// The sizes to measure: all of them, or with `--quick` those that take a moment. Further words on
/// the command line choose the rows whose name has one of them.
pub struct Wanted {
    pub quick: bool,
    words: Vec<String>,
}

impl Wanted {
    pub fn of_command_line() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let quick = words.iter().any(|word| word == "--quick");
        let words = words.into_iter().filter(|word| !word.starts_with("--")).collect();
        Self { quick, words }
    }

    pub fn sizes<T: Copy>(&self, all: &[T], quick: &[T]) -> Vec<T> {
        if self.quick { quick.to_vec() } else { all.to_vec() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }
}

/// Opens so many sessions, many at once, as a busy house does.
pub async fn open(runtime: &Arc<Runtime>, agent: &AgentSpec, sessions: usize) -> Vec<Session> {
    let tasks = sessions.min(OPENERS);
    let mut openers = JoinSet::new();
    for task in 0..tasks {
        let (runtime, agent) = (Arc::clone(runtime), agent.clone());
        let share = sessions / tasks + usize::from(task < sessions % tasks);
        openers.spawn(async move {
            let mut open = Vec::with_capacity(share);
            for _ in 0..share {
                open.push(runtime.spawn(&agent).await.expect("it opens"));
            }
            open
        });
    }
    openers.join_all().await.into_iter().flatten().collect()
}

/// Ends a runtime that nobody uses any more.
pub async fn end(runtime: Arc<Runtime>) {
    Arc::into_inner(runtime).expect("nobody else holds it").shutdown().await;
}

/// A length in milliseconds.
pub fn ms(length: Duration) -> String {
    format!("{:.1} ms", length.as_secs_f64() * 1e3)
}

/// A multi-threaded executor, as a program that embeds the runtime has one.
pub fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an executor")
}

/// The value below which this share of the sorted lengths lies.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(last)).copied().unwrap_or_default()
}

/// How long something takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let done = work.await;
    (done, begun.elapsed())
}

/// Memory of this process that is in the machine, in bytes.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
