//! `exec`: one program with its arguments, without a shell. The words that were decided about are the
//! words that the program gets: nothing splits, expands or interprets them.

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        permission::ScriptSeen,
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    limits,
    ports::{Tool, ToolCtx},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::arguments;

use super::{
    command::{Bench, Command},
    scripts,
};

/// Runs a program.
#[derive(Clone, Debug)]
pub struct Exec(Bench);

/// What `exec` is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExecArgs {
    /// The program and its arguments, one word each: ["git", "log", "-1"]. Nothing is expanded: no
    /// wildcards, variables, pipes or redirections.
    #[schemars(length(min = 1, max = limits::TOOL_ARGV))]
    argv: Vec<String>,
    /// The folder to run in, within the workspace; the workspace itself unless given.
    cwd: Option<String>,
    /// After how many milliseconds it is ended; 120000 unless given.
    #[schemars(range(min = 1))]
    timeout_ms: Option<u64>,
}

impl Exec {
    /// On this bench.
    #[must_use]
    pub const fn new(bench: Bench) -> Self {
        Self(bench)
    }
}

impl Tool for Exec {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "exec".into(),
            description: "Runs a program with arguments, without a shell, and returns what it \
                          printed. Its input is empty, it sees only the workspace and the system, \
                          and everything it started ends with it."
                .to_owned(),
            schema: schemars::schema_for!(ExecArgs).as_value().to_string(),
            effect: EffectClass::Once,
            pool: "exec".into(),
        }
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        read(args).map(drop)
    }

    fn look(&self, paths: Vec<String>) -> BoxFuture<'static, Vec<ScriptSeen>> {
        Box::pin(async move { scripts::look(paths) })
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let bench = self.0.clone();
        Box::pin(async move {
            let args = match read(&args) {
                Ok(args) => args,
                Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
            };
            let command = Command {
                argv: args.argv.into_iter().map(Into::into).collect(),
                cwd: args.cwd.as_deref(),
                timeout_ms: args.timeout_ms,
            };
            bench.run(&ctx, command).await
        })
    }
}

fn read(args: &Args) -> Result<ExecArgs, String> {
    let args: ExecArgs = arguments(args)?;
    if args.argv.is_empty() {
        return Err("at argv: it is empty; its first word is the program".to_owned());
    }
    if args.argv.len() > limits::TOOL_ARGV {
        let (words, most) = (args.argv.len(), limits::TOOL_ARGV);
        return Err(format!("at argv: {words} words, at most {most} are taken"));
    }
    Ok(args)
}
