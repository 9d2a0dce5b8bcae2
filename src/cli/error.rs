//! How a command ends: why it did not work, as a person reads it, and what its exit code will say.
//! Each says what to do next where there is something to do.

use std::{io, path::PathBuf};

use greenroom_actors::{
    domain::ids::{ApprovalId, Position, SessionId},
    runtime::{CallError, JobError},
};

use crate::{agents_file::Mistakes, app::AppError};

use super::{delete, ending::shell, permissions, remote, replay, run, serve};

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// A file of settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// What was to be judged.
    #[error(transparent)]
    Judge(#[from] permissions::JudgeError),
    /// What was to be served.
    #[error(transparent)]
    Serve(#[from] serve::ServingError),
    /// A running server.
    #[error(transparent)]
    Remote(#[from] remote::RemoteError),
    /// What was to be run.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// The collector of the environment.
    #[error(transparent)]
    Collector(#[from] crate::config::Unfit),
    /// What was to be run again.
    #[error(transparent)]
    Replay(#[from] replay::Broken),
    /// The store or the runtime did not start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The runtime or the store did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nobody reads the output any more, or it cannot be written.
    #[error("print the result")]
    Print(#[from] io::Error),
    /// A value does not become JSON.
    #[error("print the result as JSON")]
    Json(#[from] serde_json::Error),
    /// Nothing fits.
    #[error("no session fits {text:?}; `greenroom sessions --store {}` lists them", shell(store))]
    NoSession { text: String, store: PathBuf },
    /// More than one fits.
    #[error("{text:?} fits {count} {what}, such as {examples}; give more of the id")]
    Ambiguous { text: String, what: &'static str, count: usize, examples: String },
    /// No such job.
    #[error("no job fits {text:?}; `greenroom jobs --store {}` lists them", shell(store))]
    NoJob { text: String, store: PathBuf },
    /// An order to a job.
    #[error(transparent)]
    Job(Box<JobError>),
    /// No such question.
    #[error(
        "no open question fits {text:?}; `greenroom approvals --store {}` lists those that are open",
        shell(store)
    )]
    NoApproval { text: String, store: PathBuf },
    /// No such call, or it has not ended.
    #[error(
        "no call {call:?} of {session} has an output; `greenroom log {session} --store {}` shows its calls",
        shell(store)
    )]
    NoOutput { call: String, session: SessionId, store: PathBuf },
    /// Its place is empty.
    #[error("read the output of {call}: the store has lost its {bytes} bytes")]
    LostOutput { call: String, bytes: u64 },
    /// Somebody was faster, or it was too late.
    #[error("answer {approval}: it is not open any more: {how}")]
    NotOpen { approval: ApprovalId, how: String },
    /// No such frame.
    #[error(
        "fork {session} at frame {at}: expected 1 to {last}; `greenroom log {session} --store {}` shows them",
        shell(store)
    )]
    NoFrame { at: Position, last: Position, session: SessionId, store: PathBuf },
    /// Nothing brings it back.
    #[error(
        "delete {session}: that takes {sessions} for good; `{}` does it",
        delete::surely(session, store)
    )]
    NotSure { session: SessionId, sessions: String, store: PathBuf },
    /// A store with other people's sessions.
    #[error(
        "run the demo on {}: it holds sessions that are not the demo's; choose another file",
        store.display()
    )]
    NotTheDemos { store: PathBuf },
    /// A store that is there already.
    #[error(
        "crash a demo on {}: the file exists; name one that does not, or none",
        store.display()
    )]
    NotNew { store: PathBuf },
    /// The demo in its own process.
    #[error("run the demo in a process of its own")]
    Child(#[source] io::Error),
    /// No place for a throw-away store.
    #[error("make a folder in {} for the demo's store; name a file with --store", temp.display())]
    NoFolder {
        temp: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The runtime gave up.
    #[error("the runtime stopped: {why}; start again with the same --store once that is mended")]
    Stopped { why: String },
    /// A figure does not become text.
    #[error("print the figures")]
    Metrics(#[source] std::fmt::Error),
    /// No executor.
    #[error("start the async runtime")]
    Executor(#[source] io::Error),
}

/// How a command ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Well,
    /// It ran, and what it ran failed.
    Badly,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}
