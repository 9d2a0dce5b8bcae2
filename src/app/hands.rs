//! The tools that start processes, as an app has them: held by custody, in a workspace. Only where
//! somebody asks for them is anything started.

use std::{path::Path, sync::Arc};

use greenroom_actors::{
    domain::{agent::AgentSpec, ids::ToolName},
    ports::Tool,
};

use super::AppError;

/// What they are called.
pub(super) fn names() -> impl Iterator<Item = ToolName> {
    ["exec", "shell"].into_iter().map(ToolName::from)
}

/// Whether one of these agents may have any.
pub(super) fn are_wanted(agents: &[AgentSpec]) -> bool {
    agents.iter().any(|agent| names().any(|name| agent.tools.contains_key(&name)))
}

/// The tools themselves.
#[cfg(target_os = "linux")]
pub(super) fn hands(workspace: &Path, store: &Path) -> Result<Vec<Arc<dyn Tool>>, AppError> {
    use crate::{
        clock::SystemClock,
        tools::{Bench, Exec, Shell, custody},
    };
    let custody = custody::Custody::start(custody::Options::default())?;
    let at = |source| AppError::Workspace { path: workspace.to_owned(), source };
    let mut bench = Bench::new(custody, Arc::new(SystemClock), workspace).map_err(at)?;
    // The log is nobody's to read or write but the runtime's, wherever it lies.
    let store = std::path::absolute(store).map_err(at)?;
    for part in ["", "-wal", "-shm", ".lock"] {
        let mut name = store.clone().into_os_string();
        name.push(part);
        bench = bench.hiding(name);
    }
    Ok(vec![Arc::new(Exec::new(bench.clone())), Arc::new(Shell::new(bench))])
}

/// Processes are held on Linux only, and none is started that is not.
#[cfg(not(target_os = "linux"))]
pub(super) fn hands(_workspace: &Path, _store: &Path) -> Result<Vec<Arc<dyn Tool>>, AppError> {
    Err(AppError::Custody)
}

/// What would hold a tool's process on this machine: in force, and missing with the reasons.
///
/// # Errors
/// When none can be held.
#[cfg(target_os = "linux")]
pub fn custody() -> Result<String, AppError> {
    use crate::tools::custody::{Custody, Options};
    Ok(Custody::start(Options::default())?.level().to_string())
}

/// The same where none can be held.
#[cfg(not(target_os = "linux"))]
pub fn custody() -> Result<String, AppError> {
    Err(AppError::Custody)
}
