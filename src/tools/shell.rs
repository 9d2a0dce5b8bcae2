//! `shell`: one string for bash, the same bytes that were analysed. Bash reads no profile and no file
//! of the user's, takes no function or option from the environment, and ends with the string: there
//! is no session that keeps a state nobody analysed.

use std::ffi::OsString;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        permission::ScriptSeen,
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    ports::{Tool, ToolCtx},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::arguments;

use super::{
    command::{Bench, Command},
    scripts,
};

/// Runs a bash string.
#[derive(Clone, Debug)]
pub struct Shell(Bench);

/// What `shell` is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShellArgs {
    /// What bash runs. Each call begins anew: no folder, variable or function stays.
    command: String,
    /// The folder to run in, within the workspace; the workspace itself unless given.
    cwd: Option<String>,
    /// After how many milliseconds it is ended; 120000 unless given.
    #[schemars(range(min = 1))]
    timeout_ms: Option<u64>,
}

impl Shell {
    /// On this bench.
    #[must_use]
    pub const fn new(bench: Bench) -> Self {
        Self(bench)
    }
}

/// How bash is called: the string is its own argument, so none of it is read as an option.
fn argv(command: &str) -> Vec<OsString> {
    ["bash", "--noprofile", "--norc", "-c", command].map(OsString::from).into()
}

impl Tool for Shell {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "shell".into(),
            description: "Runs a bash command line and returns what it printed. Use exec for a \
                          single program; this is for pipes, redirections and lists. Its input is \
                          empty, it sees only the workspace and the system, and everything it \
                          started ends with it."
                .to_owned(),
            schema: schemars::schema_for!(ShellArgs).as_value().to_string(),
            effect: EffectClass::Once,
            pool: "shell".into(),
        }
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        arguments::<ShellArgs>(args).map(drop)
    }

    fn look(&self, paths: Vec<String>) -> BoxFuture<'static, Vec<ScriptSeen>> {
        Box::pin(async move { scripts::look(paths) })
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let bench = self.0.clone();
        Box::pin(async move {
            let args: ShellArgs = match arguments(&args) {
                Ok(args) => args,
                Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
            };
            let command = Command {
                argv: argv(&args.command),
                cwd: args.cwd.as_deref(),
                timeout_ms: args.timeout_ms,
            };
            bench.run(&ctx, command).await
        })
    }
}
