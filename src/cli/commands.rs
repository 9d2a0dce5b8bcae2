//! What can be asked on the command line, in the words that `--help` prints. What is done about it stands
//! in the file of each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Settings;

use super::{
    attach, delete, demo, doctor, halt, jobs, look, metrics, orders, output, permissions, replay,
    run, serve, settings, top, trace, vendors,
};

/// A runtime for LLM agents: supervised, durable sessions over an event log.
#[derive(Debug, Parser)]
#[command(name = "greenroom", version, after_help = AFTER_HELP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
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
                    for `doctor` warnings, for `demo` and `run` errors alone]
  NO_COLOR          no colours
  COLUMNS           how wide to print where there is no terminal to ask
  TMPDIR            where `demo` puts the store of a throw-away demo

Exit codes: 0 done, 1 it did not work, 2 the command line was not understood,
130 interrupted.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
pub(super) struct OnStore {
    /// The store's file [default: as set, or greenroom.db]
    #[arg(long, value_name = "PATH")]
    pub(super) store: Option<PathBuf>,
}

impl OnStore {
    pub(super) fn path(&self, settings: &Settings) -> PathBuf {
        self.store.clone().unwrap_or_else(|| settings.store.value.clone())
    }
}

/// Options of every command that reads or changes a store and has a result.
#[derive(Args, Debug)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) on: OnStore,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    pub(super) fn store(&self, settings: &Settings) -> PathBuf {
        self.on.path(settings)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

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
