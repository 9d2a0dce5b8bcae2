//! The command line: what can be asked, where answers go, and what an error reads like. Results go
//! to stdout, everything else to stderr. Exit codes: 0 done, 1 it did not work, 2 the command line
//! was not understood, 130 interrupted.

mod attach;
mod delete;
mod demo;
mod doctor;
mod ending;
mod halt;
mod jobs;
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

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use greenroom_actors::{
    domain::ids::{ApprovalId, Position, SessionId},
    runtime::{CallError, JobError},
};

use crate::{
    agents_file::Mistakes,
    app::AppError,
    config::{Environment, Settings},
    telemetry::redact::Masking,
};

use ending::shell;
use screen::Screen;

/// A runtime for LLM agents: supervised, durable sessions over an event log.
#[derive(Debug, Parser)]
#[command(name = "greenroom", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Commands that read do so beside a running runtime and change nothing.

Environment:
  GREENROOM_STORE   the store where no --store is given, but for `demo`
  GREENROOM_AGENTS  the agents file of `run` where no --agents is given
  GREENROOM_HOME    the folder of your config.toml [default: greenroom in
                    $XDG_CONFIG_HOME or in ~/.config]
  …_API_KEY         a vendor's credential; `greenroom auth` says which, and whether
                    it is accepted
  OTEL_EXPORTER_OTLP_ENDPOINT
                    a collector of spans and metrics of `run` and `serve`; with
                    …_PROTOCOL (http/protobuf or grpc), …_HEADERS, OTEL_SERVICE_NAME,
                    OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED
  HTTPS_PROXY       the proxy for vendors, with HTTP_PROXY, ALL_PROXY, NO_PROXY
  RUST_LOG          log lines on stderr [default: greenroom=info,ractor=warn;
                    for `demo` and `run` errors alone]
  NO_COLOR          no colours
  COLUMNS           how wide to print where there is no terminal to ask
  TMPDIR            where `demo` puts the store of a throw-away demo

Exit codes: 0 done, 1 it did not work, 2 the command line was not understood,
130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a director and eight subagents in parallel on a scripted model; two of them panic
    ///
    /// Kill it at any moment, even with `kill -9`, and start it again with the same --store: it
    /// goes on where it was.
    Demo(demo::DemoArgs),
    /// Run an agent of an agents file on a prompt; what needs a person's answer is asked here
    ///
    /// The answer goes to stdout as it comes, what everybody does is told on stderr. Where there is
    /// no terminal to ask in, the answer is no. Ctrl-C cancels the turn, a second one quits. With
    /// --json each event is a line.
    Run(run::RunArgs),
    /// Serve the agents of an agents file over HTTP, with a page that shows them live
    ///
    /// Prints where it listens and the token that lets in. The page, the API under /v1 and /metrics
    /// are described in the README; GET /openapi.json has every route.
    Serve(serve::ServeArgs),
    /// Show what is set and by whom, or check settings and agents files
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Judge commands by rules, without running them
    #[command(subcommand)]
    Permissions(permissions::PermissionsCommand),
    /// Show sessions and their subagents, with tokens, money and restarts
    Tree(look::TreeArgs),
    /// Show the tree live in the terminal
    Top(top::TopArgs),
    /// List sessions
    #[command(visible_alias = "ps")]
    Sessions(look::SessionsArgs),
    /// Print a session's log, frame by frame
    ///
    /// With --json each frame is a line.
    #[command(visible_alias = "logs")]
    Log(look::LogArgs),
    /// Take a run again from its frames, without model or tool, and find what was changed
    ///
    /// Each frame is held against what the machine would have written. Code 1, and the first frame
    /// that differs, where one does. Of a redacted trace only the order of what happened is checked.
    Replay(replay::ReplayArgs),
    /// Print a session's trace: JSON lines, with every content taken out
    Trace(trace::TraceArgs),
    /// Print what a tool call gave back, whole
    ///
    /// A model reads the beginning and the end of a long output; here is all of it that was kept.
    Output(output::OutputArgs),
    /// List what waits for a person's answer
    Approvals(look::PlainArgs),
    /// List jobs, show one, or order something of one
    ///
    /// An order reaches the server that runs on the store; where none runs, the next one on it
    /// carries it out.
    Jobs(jobs::JobsArgs),
    /// Sum tokens and money
    Totals(look::TotalsArgs),
    /// Print a store's figures as Prometheus reads them
    Metrics(metrics::MetricsArgs),
    /// Talk to a session of a running server in the terminal
    Attach(attach::AttachArgs),
    /// Answer a question, of a running server or in a store that no runtime works on
    ///
    /// In such a store the answer is written down; the next runtime on it goes on with it.
    Approve(orders::ApproveArgs),
    /// Stop a session and everybody below it, of a running server or in a store that no
    /// runtime works on
    Cancel(orders::CancelArgs),
    /// Stop everything, of a running server or in a store that no runtime works on
    ///
    /// Whatever is at work is cancelled, and nothing begins before `greenroom unhalt`,
    /// whoever asks and however often a runtime starts on the store.
    Halt(halt::HaltArgs),
    /// Let new work begin again after `greenroom halt`
    Unhalt(halt::UnhaltArgs),
    /// Let a quarantined session back, of a running server or in a store that no runtime
    /// works on
    Release(orders::ReleaseArgs),
    /// Open a session that goes on from a frame of another one
    ///
    /// The conversation up to there is shared; open calls, subagents, questions and answers stay
    /// behind. Prints the new session's id.
    Fork(orders::ForkArgs),
    /// Delete a session and all below it for good, of a running server or in a store that no
    /// runtime works on
    ///
    /// Only whole trees go, from their root, and only while nobody in them is at work. What they
    /// spent stays in the totals. Traces and backups are files of yours, and stay.
    Delete(delete::DeleteArgs),
    /// Check a store: file, logs, who works on it, and what waits for a person
    Doctor(doctor::DoctorArgs),
    /// List models: live from the vendors that are set up, with what is known about them
    ///
    /// Asks every vendor that the agents file names or whose key the environment holds; the others
    /// are listed from built-in data. Prices are dollars per million tokens.
    Models(vendors::ModelsArgs),
    /// Say whether each vendor accepts its credential, before any work starts
    ///
    /// Code 1 when one that an agent uses, or the one asked for, does not.
    Auth(vendors::AuthArgs),
    /// Print completions for a shell, to be sourced by it
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// The option of every command on a store.
#[derive(Args, Debug)]
struct OnStore {
    /// The store's file [default: as set, or greenroom.db]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
}

impl OnStore {
    fn path(&self, settings: &Settings) -> PathBuf {
        self.store.clone().unwrap_or_else(|| settings.store.value.clone())
    }
}

/// Options of every command that reads or changes a store and has a result.
#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    on: OnStore,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    fn store(&self, settings: &Settings) -> PathBuf {
        self.on.path(settings)
    }
}

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// A file of settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// What was to be judged.
    #[error(transparent)]
    Judge(#[from] permissions::JudgeError),
    /// What was to be served.
    #[error(transparent)]
    Serve(#[from] serve::ServingError),
    /// A running server.
    #[error(transparent)]
    Remote(#[from] remote::RemoteError),
    /// What was to be run.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// The collector of the environment.
    #[error(transparent)]
    Collector(#[from] crate::config::Unfit),
    /// What was to be run again.
    #[error(transparent)]
    Replay(#[from] replay::Broken),
    /// The store or the runtime did not start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The runtime or the store did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nobody reads the output any more, or it cannot be written.
    #[error("print the result")]
    Print(#[from] io::Error),
    /// A value does not become JSON.
    #[error("print the result as JSON")]
    Json(#[from] serde_json::Error),
    /// Nothing fits.
    #[error("no session fits {text:?}; `greenroom sessions --store {}` lists them", shell(store))]
    NoSession { text: String, store: PathBuf },
    /// More than one fits.
    #[error("{text:?} fits {count} {what}, such as {examples}; give more of the id")]
    Ambiguous { text: String, what: &'static str, count: usize, examples: String },
    /// No such job.
    #[error("no job fits {text:?}; `greenroom jobs --store {}` lists them", shell(store))]
    NoJob { text: String, store: PathBuf },
    /// An order to a job.
    #[error(transparent)]
    Job(Box<JobError>),
    /// No such question.
    #[error(
        "no open question fits {text:?}; `greenroom approvals --store {}` lists those that are open",
        shell(store)
    )]
    NoApproval { text: String, store: PathBuf },
    /// No such call, or it has not ended.
    #[error(
        "no call {call:?} of {session} has an output; `greenroom log {session} --store {}` shows its calls",
        shell(store)
    )]
    NoOutput { call: String, session: SessionId, store: PathBuf },
    /// Its place is empty.
    #[error("read the output of {call}: the store has lost its {bytes} bytes")]
    LostOutput { call: String, bytes: u64 },
    /// Somebody was faster, or it was too late.
    #[error("answer {approval}: it is not open any more: {how}")]
    NotOpen { approval: ApprovalId, how: String },
    /// No such frame.
    #[error(
        "fork {session} at frame {at}: expected 1 to {last}; `greenroom log {session} --store {}` shows them",
        shell(store)
    )]
    NoFrame { at: Position, last: Position, session: SessionId, store: PathBuf },
    /// Nothing brings it back.
    #[error(
        "delete {session}: that takes {sessions} for good; `{}` does it",
        delete::surely(session, store)
    )]
    NotSure { session: SessionId, sessions: String, store: PathBuf },
    /// A store with other people's sessions.
    #[error(
        "run the demo on {}: it holds sessions that are not the demo's; choose another file",
        store.display()
    )]
    NotTheDemos { store: PathBuf },
    /// A store that is there already.
    #[error(
        "crash a demo on {}: the file exists; name one that does not, or none",
        store.display()
    )]
    NotNew { store: PathBuf },
    /// The demo in its own process.
    #[error("run the demo in a process of its own")]
    Child(#[source] io::Error),
    /// No place for a throw-away store.
    #[error("make a folder in {} for the demo's store; name a file with --store", temp.display())]
    NoFolder {
        temp: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The runtime gave up.
    #[error("the runtime stopped: {why}; start again with the same --store once that is mended")]
    Stopped { why: String },
    /// A figure does not become text.
    #[error("print the figures")]
    Metrics(#[source] std::fmt::Error),
    /// No executor.
    #[error("start the async runtime")]
    Executor(#[source] io::Error),
}

/// How a command ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Well,
    /// It ran, and what it ran failed.
    Badly,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    // A wrong command line ends here, with code 2; `--help` and `--version` with 0.
    let cli = Cli::parse();
    let environment = Environment::read();
    let screen = Screen::new(&environment);
    match set_up(environment).and_then(|settings| {
        let quiet = matches!(cli.command, Command::Demo(_) | Command::Run(_));
        start_logs(&settings, quiet);
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

/// Log lines on stderr. `quiet` is for a command that tells the same story itself.
fn start_logs(settings: &Settings, quiet: bool) {
    let usual = if quiet { "greenroom=error,ractor=error" } else { "greenroom=info,ractor=warn" };
    let wanted = settings.log.as_ref().map_or(usual, |log| &log.value);
    let filter = tracing_subscriber::EnvFilter::try_new(wanted).unwrap_or_else(|_unreadable| {
        // Logs must not stop a command.
        Screen::remark(&format!("log filter {wanted:?} is not understood; it is {usual:?} now"));
        tracing_subscriber::EnvFilter::new(usual)
    });
    let secrets = settings.environment.secrets.clone();
    let sink = Masking::new(secrets.clone(), io::stderr);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink);
    // Somebody who embeds this has set logs up already.
    let _set = logs.with_target(false).try_init();
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name() == Some("main") {
            let payload = panic.payload();
            let said = payload.downcast_ref::<&str>().copied();
            let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let said = said.unwrap_or_default();
            let clean = secrets.clean_words(said);
            if clean == said {
                return loud(panic);
            }
            // What panics say by themselves would hold the secret.
            return Screen::remark(&format!("the program panicked: {clean}"));
        }
        // Whoever owns the task hears of it and says what it does about it.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(place, thread = thread.name().unwrap_or("unnamed"), "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of a command and of all below it, as 80 columns show it.
    fn pages(command: clap::Command, pages: &mut Vec<String>) {
        let mut command = command.term_width(80);
        pages.push(command.render_long_help().to_string());
        pages.push(command.render_help().to_string());
        for below in command.get_subcommands().cloned().collect::<Vec<_>>() {
            self::pages(below, pages);
        }
    }

    #[test]
    fn every_help_fits_eighty_columns() {
        let mut all = Vec::new();
        pages(Cli::command(), &mut all);
        assert!(all.len() > 30, "{}", all.len());
        for line in all.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
