//! `greenroom demo`: the company of `app`, seen at work. With a store that a killed demo left, the
//! same tree goes on; with one whose demos have ended, another begins beside them.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use greenroom_actors::{
    Runtime,
    domain::{
        catalog::SessionRow,
        event::{Event, UserInput},
        ids::{AgentName, InputKey, Position, SessionId, TenantId},
        outcome::TurnOutcome,
    },
    runtime::{CallError, Ended, Reading},
};
use serde::Serialize;

use crate::{
    app::{self, App, COMPANY_TENANT, COMPANY_TURN_MS, LEAD},
    config::Settings,
};

mod crash;
mod observer;

use super::{
    CliError, Done,
    ending::{Disk, Signals, me, shell, stopped},
    look,
    progress::Progress,
    screen::{Screen, Tone},
    tree::{self, Shown},
};

/// The one input of a demo: under this key it is the same however often it is sent. The seed stands
/// behind it, so that a demo that was killed goes on with the script it was begun with.
const KEY: &str = "premiere/";

/// `greenroom demo`.
#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// The store's file, made where there is none [default: a new folder for throw-away files]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Draws who panics and when [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Kill the demo's process at a moment of the seed, start it again, and check from outside
    #[arg(long)]
    crash: bool,
    /// Print the tree as JSON
    #[arg(long)]
    json: bool,
}

/// What a demo came to, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    store: &'a Path,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<TurnOutcome>,
    tree: &'a Shown,
}

/// How the waiting ended.
enum End {
    Outcome(TurnOutcome),
    Interrupted,
    Stopped(Ended),
}

pub(super) async fn run(
    args: DemoArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = match args.store {
        Some(store) => store,
        None => throw_away(&settings.environment.temp)?,
    };
    let clock = app::clock();
    let drawn = args.seed.unwrap_or_else(|| clock.random() % 10_000);
    if args.crash {
        return crash::run((&store, drawn, args.json), screen).await;
    }
    let before = earlier(&store).await?;
    let begun = before.unfinished.as_ref().and_then(|unfinished| unfinished.seed);
    let seed = begun.unwrap_or(drawn);
    let mut signals = Signals::listen();
    let app = App::start(app::company(&store, seed)).await?;
    let mut disk = Disk::watch(app.hindrance());
    Screen::remark(&format!("store {}, seed {seed}", store.display()));
    let names = before.rows.iter().map(|row| (row.session, row.agent.clone()));
    let mut progress = Progress::new(*screen, clock.now(), names);
    let heard = (&mut progress, &mut signals, &mut disk);
    let shown = show(app.runtime(), before.unfinished, seed, heard).await;
    let result = match shown {
        Ok((root, end)) => {
            finish(app.runtime(), root, end, (&store, seed, args.json), screen).await
        }
        Err(error) => Err(error),
    };
    if !matches!(result, Ok(Done::Interrupted)) {
        app.shutdown().await;
        return result;
    }
    Screen::remark("\ninterrupted: ending in order (again to end at once)");
    signals.let_end(app).await;
    let (me, store) = (me(), shell(&store));
    Screen::remark(&format!(
        "what was in hand is in the log; go on with:\n  {me} demo --store {store}"
    ));
    result
}

/// What demos left in a store.
#[derive(Default)]
struct Earlier {
    rows: Vec<SessionRow>,
    unfinished: Option<Unfinished>,
}

/// A demo that has not ended.
struct Unfinished {
    root: SessionId,
    /// What its script was drawn from, if it came as far as its input.
    seed: Option<u64>,
}

/// Looks before anything runs: a store with anybody else's sessions is left alone, because the
/// demo's model would answer for theirs.
async fn earlier(store: &Path) -> Result<Earlier, CliError> {
    let Some(reading) = app::look_if_any(store)? else { return Ok(Earlier::default()) };
    let rows = look::every(&reading, true).await?;
    if rows.iter().any(|row| row.tenant.as_str() != COMPANY_TENANT) {
        return Err(CliError::NotTheDemos { store: store.to_owned() });
    }
    let last = rows.iter().filter(|row| row.parent.is_none()).max_by_key(|row| row.created_at);
    let unfinished = match last {
        Some(root) if reading.last_outcome(root.session).await?.is_none() => {
            let root = root.session;
            Some(Unfinished { root, seed: seed(&reading, root).await? })
        }
        _ => None,
    };
    Ok(Earlier { rows, unfinished })
}

/// The seed of a demo, from the key of its input.
async fn seed(reading: &Reading, root: SessionId) -> Result<Option<u64>, CliError> {
    let frames = reading.read(root, Position(0)).await?;
    Ok(frames.iter().flat_map(|frame| &frame.events).find_map(|event| {
        let Event::InputAccepted { key, .. } = event else { return None };
        key.as_str().strip_prefix(KEY)?.parse().ok()
    }))
}

/// Starts the tree, or takes it up, and tells its progress until it ends.
async fn show(
    runtime: &Runtime,
    unfinished: Option<Unfinished>,
    seed: u64,
    (progress, signals, disk): (&mut Progress, &mut Signals, &mut Disk),
) -> Result<(SessionId, End), CliError> {
    let mut heard = runtime.subscribe_to_frames();
    let root = match unfinished {
        Some(Unfinished { root, .. }) => {
            Screen::remark("an unfinished demo is in this store: it goes on where it was");
            root
        }
        None => runtime.open(&AgentName::from(LEAD), TenantId::from(COMPANY_TENANT)).await?,
    };
    let key = InputKey(format!("{KEY}{seed}"));
    // A demo that was killed before its input was in the log gets it now; otherwise it is the same.
    runtime.submit(root, key.clone(), UserInput::text("The premiere is tonight.")).await?;
    let outcome = runtime.outcome(root, key, COMPANY_TURN_MS);
    let stopped = runtime.ended();
    tokio::pin!(outcome, stopped);
    let end = loop {
        tokio::select! {
            biased;
            Some(note) = heard.next() => progress.hear(&note),
            outcome = &mut outcome => break End::Outcome(outcome?.1),
            why = &mut stopped => break End::Stopped(why),
            _wish = signals.next() => break End::Interrupted,
            trouble = disk.next() => Screen::remark(&trouble),
        }
    };
    Ok((root, end))
}

/// Prints what it came to.
async fn finish(
    runtime: &Runtime,
    root: SessionId,
    end: End,
    (store, seed, json): (&Path, u64, bool),
    screen: &Screen,
) -> Result<Done, CliError> {
    let outcome = match end {
        End::Outcome(outcome) => outcome,
        End::Interrupted => return Ok(Done::Interrupted),
        End::Stopped(why) => return Err(CliError::Stopped { why: stopped(&why) }),
    };
    let tree = read_tree(runtime, root).await?;
    // By its id: after another demo on this store its agent's name fits two.
    let one = tree::first_below(&tree);
    let well = matches!(outcome, TurnOutcome::Completed { .. });
    if json {
        let report = Report { store, seed, outcome: Some(outcome), tree: &tree };
        Screen::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        let restarted = tree::restarts(&tree);
        let restarted: Vec<String> =
            restarted.iter().map(|(agent, times)| format!("{agent} {times}×")).collect();
        let mut text = format!("\n{}\n", tree::draw(screen, &[tree]));
        if !restarted.is_empty() {
            let restarted = screen.paint(Tone::Busy, &restarted.join(", "));
            text += &format!("restarted: {restarted}\n");
        }
        let (me, store, one) = (me(), shell(store), tree::short(one));
        text += &format!(
            "\nGo on (kill the last one, start it again: it goes on where it was):\n  \
             {me} log {one} --store {store}\n  {me} tree --store {store}\n  {me} demo --store {store}"
        );
        Screen::print(&text)?;
    }
    Ok(if well { Done::Well } else { Done::Badly })
}

async fn read_tree(runtime: &Runtime, root: SessionId) -> Result<Shown, CallError> {
    let node = runtime.tree(root).await?;
    tree::shown(&runtime.reading(), node, app::clock().now()).await
}

/// A new folder that nobody else can write to, and a store's file in it.
fn throw_away(temp: &Path) -> Result<PathBuf, CliError> {
    let pid = std::process::id();
    let mut no = 0;
    loop {
        let folder = temp.join(format!("greenroom-demo-{pid}-{no}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder.join("greenroom.db")),
            // An earlier process had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => no += 1,
            Err(source) => return Err(CliError::NoFolder { temp: temp.to_owned(), source }),
        }
    }
}
