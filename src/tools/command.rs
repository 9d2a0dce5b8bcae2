//! What `exec` and `shell` have in common: where a command runs, which file its program is, and how
//! what came of it is told to the model.
//!
//! Refuses: a folder outside the workspace. Rules of files hold the process itself to it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{
    domain::tool::{Args, Output, ToolOutcome},
    limits,
    ports::{Clock, ToolCtx},
};
use serde::de::DeserializeOwned;

use crate::telemetry::chain;

use super::custody::{Custody, End, Order, Report, StartError, Why, Wishes};

/// What a command runs with.
#[derive(Clone)]
pub struct Bench {
    custody: Custody,
    clock: Arc<dyn Clock>,
    workspace: PathBuf,
    read: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    network: bool,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

/// One command.
pub(super) struct Command<'a> {
    pub(super) argv: Vec<OsString>,
    pub(super) cwd: Option<&'a str>,
    pub(super) timeout_ms: Option<u64>,
}

impl Bench {
    /// Commands run in this folder, and may do anything below it.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn new(
        custody: Custody,
        clock: Arc<dyn Clock>,
        workspace: impl AsRef<Path>,
    ) -> std::io::Result<Self> {
        let workspace = workspace.as_ref().canonicalize()?;
        Ok(Self { custody, clock, workspace, read: Vec::new(), hidden: Vec::new(), network: false })
    }

    /// A further tree that commands may read.
    #[must_use]
    pub fn reading(mut self, tree: impl Into<PathBuf>) -> Self {
        self.read.push(tree.into());
        self
    }

    /// A file that commands must not touch although it lies where they may: it looks empty to them.
    /// It takes mounts of their own, so who must rely on it requires that layer.
    #[must_use]
    pub fn hiding(mut self, file: impl Into<PathBuf>) -> Self {
        self.hidden.push(file.into());
        self
    }

    /// Commands may speak to the network.
    #[must_use]
    pub const fn with_network(mut self) -> Self {
        self.network = true;
        self
    }

    pub(super) async fn run(&self, ctx: &ToolCtx, command: Command<'_>) -> ToolOutcome {
        let order = match self.order(ctx, &command) {
            Ok(order) => order,
            Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
        };
        // Asked to end so early that what it wrote still comes out as an answer; of a short call
        // half is left for that, and its own deadline ends whoever is not done by then.
        let left_ms = ctx.deadline.since_ms(self.clock.now());
        let left_ms = left_ms - limits::TOOL_END_MS.min(left_ms / 2);
        let after_ms = command.timeout_ms.unwrap_or(limits::TOOL_RUN_MS).min(left_ms);
        let wishes = Wishes { clock: &*self.clock, after_ms, cancel: ctx.cancel.clone() };
        match self.custody.run(&order, wishes).await {
            Ok(report) => told(&report, after_ms),
            Err(error) => ToolOutcome::Failed { output: Output::text(in_words(&error, &order)) },
        }
    }

    fn order(&self, ctx: &ToolCtx, command: &Command<'_>) -> Result<Order, String> {
        let base = ctx.cwd.as_ref().map_or_else(|| self.workspace.clone(), PathBuf::from);
        let cwd = base.join(command.cwd.unwrap_or("."));
        let cwd = cwd.canonicalize().map_err(|error| format!("cwd {}: {error}", cwd.display()))?;
        if !cwd.starts_with(&self.workspace) {
            let workspace = self.workspace.display();
            return Err(format!("cwd {}: outside the workspace {workspace}", cwd.display()));
        }
        let name =
            command.argv.first().ok_or("argv: it is empty; its first word is the program")?;
        let program = find(name, &cwd, self.custody.path())?;
        Ok(Order {
            program,
            argv: command.argv.clone(),
            env: BTreeMap::from([("PWD".into(), cwd.clone().into_os_string())]),
            cwd,
            network: self.network,
            read: self.read.clone(),
            write: vec![self.workspace.clone()],
            hidden: self.hidden.clone(),
        })
    }
}

/// The file of a program: what is named by a path is there; a bare name is looked for.
fn find(name: &OsStr, cwd: &Path, path: Option<&OsString>) -> Result<PathBuf, String> {
    let shown = name.display();
    if name.as_encoded_bytes().contains(&b'/') {
        return Ok(cwd.join(name));
    }
    let mut denied = false;
    for folder in path.iter().flat_map(std::env::split_paths) {
        let file = folder.join(name);
        let Ok(about) = file.metadata() else { continue };
        if !about.is_file() {
            continue;
        }
        if about.permissions().mode() & 0o111 != 0 {
            return Ok(file);
        }
        denied = true;
    }
    Err(if denied {
        format!("{shown}: found, but it is not executable")
    } else {
        format!(
            "{shown}: no such program in {}",
            path.map_or("".into(), |path| path.to_string_lossy())
        )
    })
}

/// A process that did not start, so that a model can mend it.
fn in_words(error: &StartError, order: &Order) -> String {
    let program = order.program.display();
    match error {
        StartError::Step { step: super::custody::Step::Execute, source } => {
            format!("{program}: {source}")
        }
        StartError::Step { step: super::custody::Step::Cwd, source } => {
            format!("cwd {}: {source}", order.cwd.display())
        }
        StartError::Step { .. }
        | StartError::NotMade(_)
        | StartError::Refused(_)
        | StartError::Lost => chain(error),
    }
}

/// What came of it, for the model.
fn told(report: &Report, after_ms: u64) -> ToolOutcome {
    let mut parts = Vec::new();
    match (report.why, report.end) {
        (Why::Cancelled, _) => return ToolOutcome::Cancelled { effect_unknown: true },
        (Why::Deadline, _) => parts.push(format!("[timed out after {after_ms} ms and was ended]")),
        (Why::Itself, End::Exited(0)) => {}
        (Why::Itself, End::Exited(code)) => parts.push(format!("[exit code {code}]")),
        (Why::Itself, End::Signalled(signal)) => {
            let name = rustix::process::Signal::from_named_raw(signal);
            let name =
                name.map_or_else(|| signal.to_string(), |name| format!("{signal}, {name:?}"));
            parts.push(format!("[ended by signal {name}]"));
        }
        (Why::Itself, End::Unknown) => parts.push("[how it ended is unknown]".to_owned()),
    }
    let is_good = parts.is_empty();
    let out = report.out.shown();
    if !out.is_empty() {
        parts.push(out);
    }
    let err = report.err.shown();
    if !err.is_empty() {
        parts.push(format!("[stderr]\n{err}"));
    }
    if report.abandoned {
        parts.push("[a pipe was still open after the end; it was not read on]".to_owned());
    }
    if parts.is_empty() {
        parts.push("[no output]".to_owned());
    }
    let output = Output::text(parts.join("\n"));
    if is_good { ToolOutcome::Done { output } } else { ToolOutcome::Failed { output } }
}

/// Arguments as their struct has them, or what is wrong with them.
pub(super) fn parse<A: DeserializeOwned>(args: &Args) -> Result<A, String> {
    // A key that stands twice is no argument; who decided may have read the other one.
    args.object().map_err(|error| chain(&error))?;
    let mut json = serde_json::Deserializer::from_str(&args.0);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let what = error.into_inner();
        if at == "." { what.to_string() } else { format!("at {at}: {what}") }
    })
}
