//! Where the file tools of a crew work: the folder that the program was started in. What the
//! runtime itself lives on is kept from them, wherever it lies.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{domain::agent::AgentSpec, ports::Tool};

use crate::tools::files::{self, OpenError, Options, Root};

use super::hands;

/// The folder that calls work in, if one of these agents has tools that work in any.
pub(super) fn folder(agents: &[AgentSpec]) -> Result<Option<PathBuf>, OpenError> {
    if !have_files(agents) && !hands::are_wanted(agents) {
        return Ok(None);
    }
    let here = Path::new(".");
    let found = here.canonicalize();
    found.map(Some).map_err(|source| OpenError::Root { path: here.to_owned(), source })
}

fn have_files(agents: &[AgentSpec]) -> bool {
    let has =
        |agent: &AgentSpec| agent.tools.keys().any(|name| files::NAMES.contains(&name.as_str()));
    agents.iter().any(has)
}

/// The file tools, if one of these agents has any: who needs none, starts without a folder too.
pub(super) fn tools(
    (agents, here): (&[AgentSpec], Option<&Path>),
    file: &Path,
    store: &Path,
) -> Result<Vec<Arc<dyn Tool>>, OpenError> {
    let Some(path) = here.filter(|_| have_files(agents)).map(Path::to_owned) else {
        return Ok(Vec::new());
    };
    let mut guarded = vec![file.to_owned()];
    guarded.extend(["", "-wal", "-shm", ".lock"].map(|end| with(store, end)));
    files::tools(&Options {
        roots: vec![Root { path, writable: true }],
        guarded,
        ..Options::default()
    })
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
