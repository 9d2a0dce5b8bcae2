//! Where the file tools of a crew work: the folder that the program was started in. What the
//! runtime itself lives on is kept from them, wherever it lies.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{domain::agent::AgentSpec, ports::Tool};

use crate::tools::files::{self, OpenError, Options, Root};

/// The file tools, if one of these agents has any: who needs none, starts without a folder too.
pub(super) fn tools(
    agents: &[AgentSpec],
    file: &Path,
    store: &Path,
) -> Result<Vec<Arc<dyn Tool>>, OpenError> {
    let has =
        |agent: &AgentSpec| agent.tools.keys().any(|name| files::NAMES.contains(&name.as_str()));
    if !agents.iter().any(has) {
        return Ok(Vec::new());
    }
    let here = Path::new(".");
    let path =
        here.canonicalize().map_err(|source| OpenError::Root { path: here.to_owned(), source })?;
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
