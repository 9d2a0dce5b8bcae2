//! Tools: what one says of itself, how its arguments are looked at, how it runs, and how the world is
//! asked whether it did.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;

use crate::domain::{
    ids::ToolName,
    permission::ScriptSeen,
    tool::{Args, ToolOutcome, ToolSpec},
};

use super::ToolCtx;

/// Whether a started call of a `verifiable` tool happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It did; this is its result.
    Happened(ToolOutcome),
    /// It certainly did not: it may be run.
    DidNot,
    /// The world does not say.
    Unknown,
}

/// A tool. It must tolerate being dropped at any await; what it cannot undo belongs to the effect
/// class that its spec states.
pub trait Tool: Send + Sync + 'static {
    /// What it is.
    fn spec(&self) -> ToolSpec;

    /// Whether arguments fit its schema, before anybody is asked and before anything starts. What
    /// is wrong is said so that a model can mend it. Must be quick and touch nothing.
    ///
    /// # Errors
    /// What is wrong, and what was expected.
    fn check(&self, _args: &Args) -> Result<(), String> {
        Ok(())
    }

    /// Looks at files that a call would run, in the order they are named in: a person is asked about
    /// them as they are, and they are looked at again before the call starts.
    fn look(&self, paths: Vec<String>) -> BoxFuture<'static, Vec<ScriptSeen>> {
        let unseen = |path| ScriptSeen { path, sha256: None };
        Box::pin(std::future::ready(paths.into_iter().map(unseen).collect()))
    }

    /// Runs it once.
    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome>;

    /// Asks the world whether a started call happened; only for `verifiable` tools.
    fn probe(&self, _ctx: ToolCtx, _args: Args) -> BoxFuture<'static, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// Tools by name.
pub type ToolTable = BTreeMap<ToolName, Arc<dyn Tool>>;
