//! Tools for files: read, write, edit, list, search; and a to-do list. All of them reach files
//! through one opener, which is what holds: a path is opened beneath a root or not at all, and what
//! permission judged is what is opened.
//!
//! ```text
//! place    where a path leads, as text          walk     a tree, without what git ignores
//! protect  names that are kept                  save     a whole file, or nothing of it
//! covers   what processes must not see
//! opener   descriptors beneath the roots        work     threads, bounded, with a brake
//! ```
//!
//! Tools answer in text that a model reads whole: a part of a file or a list, and where it goes on.

mod covers;
mod edit;
mod list;
mod opener;
mod options;
mod place;
mod protect;
mod read;
mod refusal;
mod save;
mod search;
mod text;
mod todo;
mod walk;
mod work;
mod write;

use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use greenroom_actors::ports::{Tool, ToolCtx};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::typed::{ToolError, TypedTool};

use opener::Opener;
use refusal::Refusal;
use work::{Brake, Work};

pub(super) use covers::{Covers, Trees};
pub use options::{NAMES, OpenError, Options, POOL, Root};

/// What all file tools share.
#[derive(Clone, Debug)]
struct Files {
    opener: Arc<Opener>,
    work: Work,
}

/// One call at work, on a thread of its own.
struct Job<'a> {
    opener: &'a Opener,
    ctx: &'a ToolCtx,
    brake: &'a Brake,
}

/// The tools, on these folders.
///
/// # Errors
/// When a folder cannot be used, or the system cannot open files safely.
pub fn tools(options: &Options) -> Result<Vec<Arc<dyn Tool>>, OpenError> {
    let files = Files { opener: Arc::new(Opener::new(options)?), work: Work::new() };
    Ok(vec![
        Arc::new(read::tool(&files)),
        Arc::new(write::tool(&files)),
        Arc::new(edit::tool(&files)),
        Arc::new(list::tool(&files)),
        Arc::new(search::tool(&files)),
        Arc::new(todo::tool()),
    ])
}

#[test]
fn tools_are_called_what_they_are_known_as() {
    let root = Root { path: ".".into(), writable: false };
    let tools = tools(&Options { roots: vec![root], ..Options::default() }).unwrap();
    let names: Vec<String> = tools.iter().map(|tool| tool.spec().name.to_string()).collect();
    assert_eq!(names, NAMES);
}

impl Files {
    /// A tool whose work waits for files.
    fn tool<A: JsonSchema + DeserializeOwned + Send + 'static>(
        &self,
        name: &str,
        description: &str,
        run: fn(&Job<'_>, A) -> Result<String, Refusal>,
    ) -> TypedTool<A> {
        let files = self.clone();
        let tool = TypedTool::new(name, description, move |ctx, args: A| {
            let files = files.clone();
            async move { files.run(ctx, move |job| run(job, args)).await }
        });
        tool.pool(POOL)
    }

    async fn run<T: Send + 'static>(
        &self,
        ctx: ToolCtx,
        run: impl FnOnce(&Job<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, ToolError> {
        let opener = Arc::clone(&self.opener);
        let job = move |ctx: &ToolCtx, brake: &Brake| run(&Job { opener: &opener, ctx, brake });
        self.work.run(ctx, job).await
    }
}

/// A glob over paths below where a tool starts. One without a slash means names at any depth.
fn glob(pattern: &str) -> Result<GlobMatcher, Refusal> {
    let anchored = pattern.strip_prefix('/');
    let deep = match anchored {
        Some(anchored) => anchored.to_owned(),
        None if pattern.contains('/') => pattern.to_owned(),
        None => format!("**/{pattern}"),
    };
    let glob = GlobBuilder::new(&deep).literal_separator(true).build();
    let glob = glob.map_err(|why| Refusal::Misfit(format!("glob {pattern:?}: {}", why.kind())))?;
    Ok(glob.compile_matcher())
}
