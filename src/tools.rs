//! Built-in tools, as adapters of the runtime's port: what they may do was decided before they run;
//! how far they can reach is held here, for processes by custody, for files by one opener, for
//! addresses by a guard. Processes are held on Linux only; elsewhere there are no tools that start any.

#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
pub mod custody;
#[cfg(target_os = "linux")]
mod exec;
mod fetch;
#[cfg(target_os = "linux")]
pub mod files;
#[cfg(not(target_os = "linux"))]
#[path = "tools/files/elsewhere.rs"]
pub mod files;
#[cfg(target_os = "linux")]
pub mod hearing;
pub mod output;
#[cfg(target_os = "linux")]
mod scripts;
#[cfg(target_os = "linux")]
mod shell;
pub mod web;

use greenroom_actors::limits;

/// How the processes of tools are to be held, on whatever machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Layers of custody, by name, without which nothing is started.
    pub require: Vec<String>,
    /// Processors that who runs for longer leaves to everybody else; none, for whoever would rather have
    /// builds done soon.
    pub spared_processors: u64,
}

impl Default for Holding {
    fn default() -> Self {
        Self { require: Vec::new(), spared_processors: limits::TOOL_SPARED_PROCESSORS }
    }
}

/// The layers of custody by name, for whoever requires some, on whatever machine that is written.
pub const LAYERS: [&str; 12] = [
    "users",
    "processes",
    "mounts",
    "frozen",
    "proc",
    "network",
    "ipc",
    "privileges",
    "limits",
    "count",
    "files",
    "calls",
];

#[cfg(target_os = "linux")]
pub use self::{command::Bench, exec::Exec, shell::Shell};
pub(crate) use self::{fetch::Fetch, web::WebSearch};
