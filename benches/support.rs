//! What the benches share: a table of figures, quantiles, and a stage in a folder of its own.

#![allow(dead_code, reason = "each bench uses its part of this")]

pub mod bare;
pub mod table;

use std::time::{Duration, Instant};

use greenroom::{AgentSpec, Runtime};
use greenroom_actors::domain::{permission::Mode, tool::Overlay};
use tempfile::TempDir;

/// A runtime on a real file, with one agent.
pub struct Stage {
    pub folder: TempDir,
    pub runtime: Runtime,
    pub agent: AgentSpec,
}

/// An agent that asks nobody.
pub fn agent(model: &str, tools: &[&str]) -> AgentSpec {
    let mut agent = AgentSpec::new("bench", model);
    agent.tools = tools.iter().map(|tool| ((*tool).into(), Overlay::default())).collect();
    agent.authority.mode = Mode::BypassPermissions;
    agent
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
