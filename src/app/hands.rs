//! The tools that start processes, as an app has them: held by custody, in a workspace. Only where
//! somebody asks for them is anything started.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{
    domain::{agent::AgentSpec, ids::ToolName},
    ports::{Blobs, Tool},
};

use crate::{telemetry::redact::Secrets, tools::Holding};

use super::AppError;

/// What they are called.
pub(super) fn names() -> impl Iterator<Item = ToolName> {
    ["exec", "shell"].into_iter().map(ToolName::from)
}

/// Whether one of these agents may have any.
pub(super) fn are_wanted(agents: &[AgentSpec]) -> bool {
    agents.iter().any(|agent| names().any(|name| agent.tools.contains_key(&name)))
}

/// Who holds their processes.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Holder(crate::tools::custody::Custody);
/// Who holds their processes.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) enum Holder {}

#[cfg(target_os = "linux")]
impl Holder {
    /// The layers in force, and why others are not.
    pub(super) fn level(&self) -> String {
        self.0.level().to_string()
    }
}

#[cfg(not(target_os = "linux"))]
impl Holder {
    /// Who holds none is never had.
    pub(super) fn level(&self) -> String {
        match *self {}
    }
}

/// What the tools work on beside their workspace.
pub(super) struct Around<'a> {
    /// The store's file: its log is nobody's to read or write but the runtime's, wherever it lies.
    pub(super) store: &'a Path,
    /// Where long outputs are kept.
    pub(super) blobs: Arc<dyn Blobs>,
    /// What is masked in what they print.
    pub(super) secrets: &'a Secrets,
    /// What else is kept from commands.
    pub(super) guarded: Guarded,
}

/// Files that commands are kept from, wherever they lie.
#[derive(Clone, Debug, Default)]
pub struct Guarded {
    /// They must not even be opened: what holds keys.
    pub hidden: Vec<PathBuf>,
    /// They must not be changed: what says what agents may do.
    pub read_only: Vec<PathBuf>,
}

/// Starts custody. It is a copy of this process, which is small as long as nothing else has started.
#[cfg(target_os = "linux")]
pub(super) fn hold(holding: &Holding, home: Option<&str>) -> Result<Holder, AppError> {
    use crate::tools::custody::{Bounds, Custody, Layer, Options};
    let layer = |name: &String| {
        let known = Layer::ALL.into_iter().find(|layer| layer.word() == name);
        known.ok_or_else(|| AppError::NoSuchLayer { name: name.clone() })
    };
    let require = holding.require.iter().map(layer).collect::<Result<_, _>>()?;
    let home = home.map(PathBuf::from);
    let spared_processors = holding.spared_processors;
    let bounds = Bounds { spared_processors, ..Bounds::default() };
    Ok(Holder(Custody::start(Options { require, bounds, home, ..Options::default() })?))
}

/// The tools themselves.
#[cfg(target_os = "linux")]
pub(super) fn hands(
    holder: Holder,
    workspace: &Path,
    around: &Around<'_>,
) -> Result<Vec<Arc<dyn Tool>>, AppError> {
    use crate::{
        clock::SystemClock,
        tools::{Bench, Exec, Shell},
    };
    let at = |source| AppError::Workspace { path: workspace.to_owned(), source };
    let bench = Bench::new(holder.0, Arc::new(SystemClock), workspace).map_err(at)?;
    let store = std::path::absolute(around.store).map_err(at)?;
    let folder = store.parent().unwrap_or(Path::new("/"));
    let mut bench =
        bench.masking(around.secrets.clone()).keeping(Arc::clone(&around.blobs), folder);
    for part in ["", "-wal", "-shm", ".lock"] {
        let mut name = store.clone().into_os_string();
        name.push(part);
        bench = bench.hiding(name);
    }
    bench = around.guarded.hidden.iter().fold(bench, |bench, file| bench.hiding(file));
    bench = around.guarded.read_only.iter().fold(bench, |bench, file| bench.sparing(file));
    Ok(vec![Arc::new(Exec::new(bench.clone())), Arc::new(Shell::new(bench))])
}

/// Processes are held on Linux only, and none is started that is not.
#[cfg(not(target_os = "linux"))]
pub(super) fn hold(_holding: &Holding, _home: Option<&str>) -> Result<Holder, AppError> {
    Err(AppError::Custody)
}

/// Who holds none is never had.
#[cfg(not(target_os = "linux"))]
pub(super) fn hands(
    holder: Holder,
    _workspace: &Path,
    _around: &Around<'_>,
) -> Result<Vec<Arc<dyn Tool>>, AppError> {
    match holder {}
}

/// What holds a tool's process on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The layers in force, and missing with the reasons.
    pub level: String,
    /// What a process can do for want of others.
    pub lets: Vec<&'static str>,
    /// Whether one is missing without which it is not contained.
    pub is_open: bool,
}

/// What would hold a tool's process on this machine.
///
/// # Errors
/// When none can be held.
#[cfg(target_os = "linux")]
pub fn custody() -> Result<Held, AppError> {
    use crate::tools::custody::{Custody, Layer, Options};
    let custody = Custody::start(Options::default())?;
    let level = custody.level();
    let missing: Vec<Layer> = level.missing().map(|(layer, _)| layer).collect();
    Ok(Held {
        level: level.to_string(),
        lets: missing.iter().map(|layer| layer.lets()).collect(),
        is_open: missing.iter().any(|layer| layer.is_vital()),
    })
}

/// The same where none can be held.
#[cfg(not(target_os = "linux"))]
pub fn custody() -> Result<Held, AppError> {
    Err(AppError::Custody)
}
