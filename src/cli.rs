//! The command line: what can be asked, where answers go, and what an error reads like. Results go
//! to stdout, everything else to stderr. Exit codes: 0 done, 1 it did not work, 2 the command line
//! was not understood, 130 interrupted.

mod attach;
mod commands;
mod delete;
mod demo;
mod doctor;
mod ending;
mod error;
mod halt;
mod jobs;
mod logs;
mod look;
mod metrics;
mod orders;
mod output;
mod permissions;
mod progress;
mod remote;
mod replay;
mod run;
mod screen;
mod serve;
mod settings;
mod top;
mod trace;
mod tree;
mod vendors;

use std::{io, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::config::{Environment, Settings};

use commands::{Cli, Command, Common, OnStore};
use error::{CliError, Done};
use screen::Screen;

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    // A wrong command line ends here, with code 2; `--help` and `--version` with 0.
    let cli = Cli::parse();
    let environment = Environment::read();
    let screen = Screen::new(&environment);
    match set_up(environment).and_then(|settings| {
        logs::start(&settings, usual_logs(&cli.command));
        run(cli.command, &settings, &screen)
    }) {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Badly) => ExitCode::FAILURE,
        Ok(Done::Interrupted) => ExitCode::from(130),
        // `greenroom log … | head` has all it wanted.
        Err(CliError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            screen.complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// What is logged where nobody says otherwise: less of a command that tells the same story itself.
#[expect(clippy::wildcard_enum_match_arm, reason = "commands that tell a story are few")]
const fn usual_logs(command: &Command) -> &'static str {
    match command {
        Command::Demo(_) | Command::Run(_) => "greenroom=error,ractor=error",
        Command::Doctor(_) => "greenroom=warn,ractor=warn",
        _ => "greenroom=info,ractor=warn",
    }
}

/// Finds the settings as they are seen from the current folder.
fn set_up(environment: Environment) -> Result<Settings, CliError> {
    // A folder that was removed below us has no settings; the user's own still count.
    let folder = std::env::current_dir().unwrap_or_default();
    Ok(Settings::find(environment, &folder)?)
}

fn run(command: Command, settings: &Settings, screen: &Screen) -> Result<Done, CliError> {
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let executor = executor.map_err(CliError::Executor)?;
    executor.block_on(async {
        match command {
            Command::Demo(args) => Box::pin(demo::run(args, settings, screen)).await,
            Command::Run(args) => Box::pin(run::run(args, settings, screen)).await,
            Command::Serve(args) => Box::pin(serve::run(args, settings, screen)).await,
            Command::Config(command) => settings::config(command, settings, screen),
            Command::Permissions(command) => permissions::run(&command, settings, screen),
            Command::Tree(args) => look::tree(&args, settings, screen).await,
            Command::Sessions(args) => look::sessions(&args, settings, screen).await,
            Command::Log(args) => look::log(&args, settings, screen).await,
            Command::Replay(args) => replay::run(args, settings).await,
            Command::Trace(args) => trace::run(&args, settings).await,
            Command::Output(args) => output::run(&args, settings).await,
            Command::Approvals(args) => look::approvals(&args, settings, screen).await,
            Command::Jobs(args) => jobs::run(args, settings, screen).await,
            Command::Totals(args) => look::totals(&args, settings, screen).await,
            Command::Metrics(args) => metrics::run(&args, settings).await,
            Command::Top(args) => top::run(&args, settings, screen).await,
            Command::Attach(args) => Box::pin(attach::run(&args, settings, screen)).await,
            Command::Cancel(args) => orders::cancel(args, settings).await,
            Command::Approve(args) => orders::approve(args, settings).await,
            Command::Halt(args) => halt::halt(args, settings).await,
            Command::Unhalt(args) => halt::unhalt(args, settings).await,
            Command::Release(args) => orders::release(args, settings).await,
            Command::Fork(args) => orders::fork(args, settings).await,
            Command::Delete(args) => delete::delete(args, settings).await,
            Command::Doctor(args) => doctor::run(&args, settings, screen).await,
            Command::Models(args) => vendors::models(args, settings, screen).await,
            Command::Auth(args) => vendors::auth(args, settings, screen).await,
            Command::Completions { shell } => completions(shell),
        }
    })
}

/// A shell's completions, as the shell sources them.
fn completions(shell: clap_complete::Shell) -> Result<Done, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "greenroom", &mut text);
    Screen::print(String::from_utf8_lossy(&text).trim_end())?;
    Ok(Done::Well)
}
