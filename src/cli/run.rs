//! `greenroom run`: one agent of an agents file on one prompt. Its words go to stdout as they come,
//! what it and those below it do is told on stderr, and what needs a person's answer is asked in the
//! terminal; where there is none, the answer is no. Ctrl-C cancels the turn, a second one quits.

mod answers;
mod asking;
mod speech;
mod stage;
mod terminal;

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use greenroom_actors::{
    Runtime,
    domain::{
        agent::AgentSpec,
        catalog::{SessionRow, Status},
        event::{CancelTarget, UserInput},
        ids::{AgentName, SessionId, TenantId},
        outcome::TurnOutcome,
    },
    limits,
    runtime::{CallError, Desk, Ended, Listener, Places, consulted},
};

use crate::{
    app::{self, App, TENANT},
    config::Settings,
    document::{listed, near},
};

use super::{
    CliError, Common, Done,
    ending::{Disk, Signals, Wish, shell, stopped},
    look,
    screen::Screen,
    trace::TraceTo,
};

use stage::Stage;
pub(super) use terminal::Terminal;

/// `greenroom run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// What to say to the agent; `-` reads it from stdin
    prompt: String,
    /// The agents file [default: as set]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
    /// Who is spoken to [default: the coordinator, or the only agent]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    traces: TraceTo,
    #[command(flatten)]
    common: Common,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// Nobody said which file.
    #[error(
        "run without an agents file: name one with --agents FILE, with GREENROOM_AGENTS, or with `agents` in your settings"
    )]
    NoAgents,
    /// Several agents, none of whom leads.
    #[error("run without --agent: {} has no coordinator; expected {names}", file.display())]
    NoLead { file: PathBuf, names: String },
    /// No such agent.
    #[error("no agent {name:?} in {}; expected {names}{meant}", file.display())]
    NoAgent { name: String, file: PathBuf, names: String, meant: String },
    /// A store where others have work in hand: a runtime would take it up, with the wrong model.
    #[error(
        "run on {}: agents that are not in {} have work in hand there: {others}; name another --store",
        store.display(),
        file.display()
    )]
    OthersWork { store: PathBuf, file: PathBuf, others: String },
    /// Nothing to say.
    #[error("run without words: the prompt is empty")]
    NoPrompt,
    /// The prompt cannot be read.
    #[error("read the prompt from stdin")]
    Prompt(#[source] io::Error),
}

/// How the waiting ended.
enum End {
    Outcome(TurnOutcome),
    Quit,
    Stopped(Ended),
}

pub(super) async fn run(
    args: RunArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let file = args.agents.or_else(|| settings.agents.as_ref().map(|agents| agents.value.clone()));
    let file = file.ok_or(RunError::NoAgents)?;
    let store = args.common.store(settings);
    let crew = app::crew(&file, &store, &settings.environment)?;
    crew.ready()?;
    let (mut config, lead) = (crew.config, crew.lead);
    only_ours(&store, &config.agents, &file).await?;
    let agent = choose(args.agent, lead, &config.agents, file)?;
    let prompt = prompt(args.prompt)?;
    let terminal = Terminal::open();
    config.options.layers = settings.rules.clone();
    let workspace = config.options.places.workspace.take();
    config.options.places = Places { workspace, ..settings.places() };
    config.approvals.or_those_of(settings);
    let is_asked_elsewhere = config.approvals.reach_somebody();
    if terminal.is_none() && !is_asked_elsewhere {
        config.options.desk = Desk::Headless;
    }
    let mut signals = Signals::listen();
    config.traces = args.traces.wanted();
    config.exports.collector = settings.environment.collector()?;
    let app = App::start(config).await?;
    let result = async {
        let runtime = app.runtime();
        let listener = runtime.subscribe();
        let session = runtime.open(&agent, TenantId::from(TENANT)).await?;
        let mut stage = Stage::new(*screen, (session, agent), terminal, args.common.json);
        stage.opened(&store, is_asked_elsewhere)?;
        let mut disk = Disk::watch(app.hindrance());
        let seen = (listener, &mut stage, &mut signals, &mut disk);
        let end = play(runtime, session, prompt, seen).await;
        if end.is_err() {
            off_the_stage(runtime, session, &store).await?;
        }
        finish(runtime, end?, stage).await
    };
    let result = Box::pin(result).await;
    signals.let_end(app).await;
    result
}

/// Says how a session comes back that was quarantined.
async fn off_the_stage(
    runtime: &Runtime,
    session: SessionId,
    store: &Path,
) -> Result<(), CallError> {
    let row = runtime.reading().session(session).await?;
    if row.is_some_and(|row| row.status == Status::Quarantined) {
        let store = shell(store);
        Screen::remark(&format!("`greenroom release {session} --store {store}` lets it back"));
    }
    Ok(())
}

/// Refuses a store where agents have work in hand that are not of this file: it would be taken up with
/// the wrong models.
pub(super) async fn only_ours(
    store: &Path,
    agents: &[AgentSpec],
    file: &Path,
) -> Result<(), CliError> {
    let others = others_at_work(store, agents).await?;
    if others.is_empty() {
        return Ok(());
    }
    let others = others.into_iter().collect::<Vec<_>>().join(", ");
    let (store, file) = (store.to_owned(), file.to_owned());
    Err(RunError::OthersWork { store, file, others }.into())
}

/// Agents with work in hand in a store who are not among these.
async fn others_at_work(store: &Path, agents: &[AgentSpec]) -> Result<BTreeSet<String>, CliError> {
    let Some(reading) = app::look_if_any(store)? else { return Ok(BTreeSet::new()) };
    let rows = look::every(&reading, true).await?;
    let is_other = |row: &SessionRow| {
        // Or its model is asked about one below it.
        let is = |agent: &AgentSpec| row.agent == agent.name || row.agent == consulted(&agent.name);
        let is_ours = row.tenant.as_str() == TENANT && agents.iter().any(is);
        matches!(row.status, Status::Running | Status::Waiting) && !is_ours
    };
    Ok(rows.iter().filter(|row| is_other(row)).map(|row| row.agent.to_string()).collect())
}

/// Who is spoken to.
fn choose(
    wanted: Option<String>,
    lead: Option<AgentName>,
    agents: &[AgentSpec],
    file: PathBuf,
) -> Result<AgentName, RunError> {
    let known = || agents.iter().map(|agent| agent.name.as_str());
    let Some(name) = wanted else {
        return lead.ok_or_else(|| RunError::NoLead { file, names: listed(known()) });
    };
    if known().any(|known| known == name) {
        return Ok(AgentName(name));
    }
    let meant = near(&name, known());
    let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
    Err(RunError::NoAgent { names: listed(known()), meant, name, file })
}

/// The prompt, from stdin where it is `-`.
fn prompt(text: String) -> Result<String, RunError> {
    let text = if text == "-" {
        let mut read = String::new();
        // One byte too many is enough for the session to refuse it, with both sizes.
        let mut stdin = io::stdin().lock().take(limits::INPUT_BYTES as u64 + 1);
        stdin.read_to_string(&mut read).map_err(RunError::Prompt)?;
        read.trim_end().to_owned()
    } else {
        text
    };
    if text.trim().is_empty() { Err(RunError::NoPrompt) } else { Ok(text) }
}

/// Hands the prompt over, and tells and asks until the turn has ended.
async fn play(
    runtime: &Runtime,
    session: SessionId,
    prompt: String,
    (mut listener, stage, signals, disk): (Listener, &mut Stage, &mut Signals, &mut Disk),
) -> Result<End, CliError> {
    let key = runtime.fresh_key();
    runtime.submit(session, key.clone(), UserInput::text(prompt)).await?;
    let outcome = runtime.outcome(session, key, limits::TIME_MAX_MS);
    let stopped = runtime.ended();
    let cancel = runtime.cancel(session, CancelTarget::Everything, "interrupted in the terminal");
    let mut is_cancelling = false;
    let mut is_cancelled = false;
    tokio::pin!(outcome, stopped, cancel);
    let end = loop {
        tokio::select! {
            biased;
            wish = signals.next() => match wish {
                Wish::Interrupt if !is_cancelled => {
                    stage.interrupted()?;
                    (is_cancelling, is_cancelled) = (true, true);
                }
                Wish::Interrupt | Wish::End => break End::Quit,
            },
            result = &mut cancel, if is_cancelling => {
                is_cancelling = false;
                result?;
            }
            Some(heard) = listener.next() => stage.hear(runtime, &heard).await?,
            answer = stage.answer() => stage.decide(runtime, answer).await?,
            outcome = &mut outcome => break End::Outcome(outcome?.1),
            why = &mut stopped => break End::Stopped(why),
            trouble = disk.next() => stage.remark(&trouble)?,
        }
    };
    // What was said before the end may still be on its way here.
    while let Some(Some(heard)) = futures_util::FutureExt::now_or_never(listener.next()) {
        stage.hear(runtime, &heard).await?;
    }
    stage.is_interrupted = is_cancelled || matches!(end, End::Quit);
    Ok(end)
}

/// Says what it came to.
async fn finish(runtime: &Runtime, end: End, mut stage: Stage) -> Result<Done, CliError> {
    let outcome = match end {
        End::Outcome(outcome) => outcome,
        End::Quit => {
            Screen::remark(
                "interrupted: what was in hand is in the log, and goes on while the next run works on this store",
            );
            return Ok(Done::Interrupted);
        }
        End::Stopped(why) => return Err(CliError::Stopped { why: stopped(&why) }),
    };
    stage.ended(runtime, &outcome).await?;
    Ok(match outcome {
        TurnOutcome::Completed { .. } => Done::Well,
        TurnOutcome::Cancelled { .. } if stage.is_interrupted => Done::Interrupted,
        TurnOutcome::Failed { .. }
        | TurnOutcome::Cancelled { .. }
        | TurnOutcome::BudgetExhausted { .. } => Done::Badly,
    })
}

/// A question that could not be answered is no reason to end: it may have expired meanwhile.
fn not_counted(error: &CallError) {
    Screen::remark(&format!("the answer did not count: {error}"));
}
