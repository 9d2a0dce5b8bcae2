//! `greenroom permissions`: what a policy says about a command, in words, without running anything;
//! or about many, one JSON line each, so that a policy can be tested like code.

mod cases;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use greenroom_actors::{
    domain::{
        permission::{Decision, Request, Verdict},
        tool::Args as ToolArgs,
    },
    runtime::{Desk, Layers, Places, Policy, RuleError, Standing, decide},
};

use crate::config::{PolicyFile, Settings};

use super::{
    CliError, Done,
    screen::{Screen, Tone, exactly},
};

/// `greenroom permissions …`.
#[derive(Debug, Subcommand)]
pub(super) enum PermissionsCommand {
    /// Say what would be decided about a shell command, and why
    ///
    /// Nothing is run. Ends with 0 when it is allowed and with 1 when it is asked or denied; with
    /// --cases with 1 when a case with a `want` is judged weaker than that.
    Check(CheckArgs),
}

/// `greenroom permissions check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The command, in quotes
    #[arg(value_name = "COMMAND", required_unless_present = "cases", conflicts_with = "cases")]
    command: Option<String>,
    /// Judge by this policy file instead of your settings
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Judge each case of a file with a JSON object on each line
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// The folder that the command would run in [default: the current one]
    #[arg(long, value_name = "PATH")]
    cwd: Option<PathBuf>,
    /// Judge as where nobody can be asked
    #[arg(long)]
    headless: bool,
}

/// Why nothing was judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum JudgeError {
    /// A rule of the settings.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The cases.
    #[error("read the cases of {path}")]
    Cases {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// One of them.
    #[error("read case {line} of {path}")]
    Case {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
}

/// The rules and folders to judge by.
struct Court<'a> {
    args: &'a CheckArgs,
    settings: &'a Settings,
    file: Option<PolicyFile>,
}

impl Court<'_> {
    /// The policy as it is for somebody who works in `cwd`.
    fn policy(&self, cwd: &str) -> Result<Policy, JudgeError> {
        let desk = if self.args.headless { Desk::Headless } else { Desk::Staffed };
        let places = self.settings.places();
        Ok(match &self.file {
            Some(file) => {
                let layers = Layers { user: file.rules.clone(), ..Layers::default() };
                Policy::compile(&layers, desk)?.at(file.places(places, cwd))
            }
            None => {
                let places = Places { workspace: Some(cwd.to_owned()), ..places };
                Policy::compile(&self.settings.rules, desk)?.at(places)
            }
        })
    }
}

/// What rules say about a request of nobody in particular.
fn judged(policy: &Policy, request: &Request) -> Verdict {
    let standing = Standing::new(&[]);
    decide(policy, &standing, request)
}

fn shell(command: &str, cwd: &str) -> Request {
    let args = serde_json::json!({ "command": command }).to_string();
    Request { tool: "shell".into(), args: ToolArgs(args), cwd: Some(cwd.to_owned()) }
}

pub(super) fn run(
    command: &PermissionsCommand,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let PermissionsCommand::Check(args) = command;
    let file = args.policy.as_deref().map(PolicyFile::read).transpose()?;
    let court = Court { args, settings, file };
    if let Some(path) = &args.cases {
        return cases::run(&court, path);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let cwd = here.join(args.cwd.as_deref().unwrap_or(std::path::Path::new("")));
    let cwd = cwd.to_string_lossy();
    let cwd = if cwd.len() > 1 { cwd.trim_end_matches('/') } else { &cwd };
    let command = args.command.as_deref().unwrap_or_default();
    let verdict = judged(&court.policy(cwd)?, &shell(command, cwd));
    explain(&verdict, screen)?;
    Ok(if verdict.decision == Decision::Allow { Done::Well } else { Done::Badly })
}

fn explain(verdict: &Verdict, screen: &Screen) -> Result<(), CliError> {
    let (tone, word) = match verdict.decision {
        Decision::Allow => (Tone::Good, "allowed"),
        Decision::Ask => (Tone::Busy, "asked: a person has to answer"),
        Decision::Deny => (Tone::Bad, "denied"),
    };
    Screen::print(&screen.paint(tone, word))?;
    for reason in &verdict.reasons {
        Screen::print(&format!("  because {}", exactly(reason)))?;
    }
    if let Some(rule) = &verdict.proposal {
        Screen::print(&format!("  this rule would allow it: {}", exactly(rule)))?;
    }
    Ok(())
}
