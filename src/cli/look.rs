//! Commands that read a store: they start nothing, change nothing, and work beside a running
//! runtime.

use std::{fmt::Write as _, path::Path};

use clap::Args;
use greenroom_actors::{
    domain::{
        catalog::{ApprovalRow, SessionFilter, SessionRow, TotalsOf},
        event::Event,
        ids::{Position, SessionId, Timestamp, Token},
        permission::Subject,
    },
    runtime::{Decoded, Reading},
};
use serde::Serialize;

use crate::{app, config::Settings};

use super::{
    CliError, Common, Done,
    ending::shell,
    progress,
    screen::{Column, Screen, Tone, cut, escaped, lasted, moment, table},
    tree,
};

/// `greenroom tree`.
#[derive(Args, Debug)]
pub(super) struct TreeArgs {
    /// Only this session and what is below it [default: every root]
    session: Option<String>,
    /// Archived ones too
    #[arg(long)]
    archived: bool,
    #[command(flatten)]
    common: Common,
}

/// `greenroom sessions`.
#[derive(Args, Debug)]
pub(super) struct SessionsArgs {
    /// Archived ones too
    #[arg(long)]
    archived: bool,
    #[command(flatten)]
    common: Common,
}

/// `greenroom log`.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// Only frames after this one
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Go on with those that come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    common: Common,
}

/// Commands without options of their own.
#[derive(Args, Debug)]
pub(super) struct PlainArgs {
    #[command(flatten)]
    common: Common,
}

/// `greenroom totals`.
#[derive(Args, Debug)]
pub(super) struct TotalsArgs {
    /// Only this session and what is below it
    session: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn tree(
    args: &TreeArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let roots = match &args.session {
        Some(text) => vec![find(&reading, text, &store).await?],
        None => {
            let rows = every(&reading, args.archived).await?;
            rows.into_iter().filter(|row| row.parent.is_none()).map(|row| row.session).collect()
        }
    };
    let (mut trees, now) = (Vec::new(), app::clock().now());
    for root in roots {
        let node = reading.tree(root).await?;
        trees.push(tree::shown(&reading, node, now).await?);
    }
    tree::held(&reading, &mut trees).await?;
    let text = if args.common.json {
        serde_json::to_string_pretty(&trees)?
    } else if trees.is_empty() {
        nothing("no sessions", &store)
    } else {
        tree::draw(screen, &trees)
    };
    Screen::print(&text)?;
    if trees.iter().any(tree::is_damaged) {
        let store = shell(&store);
        Screen::remark(&format!("a log is damaged; `greenroom doctor --store {store}` says which"));
        return Ok(Done::Badly);
    }
    Ok(Done::Well)
}

pub(super) async fn sessions(
    args: &SessionsArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let mut rows = every(&app::look(&store)?, args.archived).await?;
    // Ids of subagents are hashes: in their order a list would shuffle the trees.
    rows.sort_by_key(|row| (row.created_at, row.session));
    let columns = [
        ("SESSION", false),
        ("AGENT", false),
        ("STATE", false),
        ("RESTARTS", true),
        ("FRAMES", true),
        ("CHANGED (UTC)", false),
        ("WAITS FOR", false),
    ]
    .map(|(title, is_number)| Column { title, is_number });
    let line = |row: &SessionRow| {
        let id = if is_narrow(screen) { tree::short(row.session) } else { row.session.to_string() };
        let plain = |text: String| (text, Tone::Plain);
        let mut changed = moment(row.updated_at);
        changed.truncate("2026-11-21 10:20:30".len());
        if is_narrow(screen) {
            changed = day_and_time(row.updated_at);
        }
        vec![
            (id, Tone::Faint),
            plain(row.agent.to_string()),
            tree::state(row.status, None),
            plain(row.restarts.to_string()),
            plain(row.position.to_string()),
            plain(changed),
            plain(row.waiting_on.clone().unwrap_or_default()),
        ]
    };
    let text = if args.common.json {
        serde_json::to_string_pretty(&rows)?
    } else if rows.is_empty() {
        nothing("no sessions", &store)
    } else {
        table(screen, &columns, &rows.iter().map(line).collect::<Vec<_>>())
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// A frame as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    position: Position,
    at: Timestamp,
    token: Token,
    events: &'a [Event],
}

pub(super) async fn log(
    args: &LogArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let session = find(&reading, &args.session, &store).await?;
    let frames = reading.read(session, Position(args.after)).await?;
    if frames.is_empty() && !args.follow {
        Screen::remark(&format!("no frames after {} in {session}", args.after));
        return Ok(Done::Well);
    }
    let mut cursor = Position(args.after);
    let mut frames = frames;
    loop {
        if let Some(last) = frames.last() {
            cursor = last.envelope.position;
            Screen::print(told(&frames, args.common.json, screen)?.trim_end())?;
        }
        if !args.follow {
            return Ok(Done::Well);
        }
        if frames.is_empty() {
            app::clock().after(FOLLOW_MS).await;
        }
        frames = reading.page(session, cursor, FOLLOW_ROWS).await?;
    }
}

/// How often a followed log is looked at, and how much of it is read at once.
const FOLLOW_MS: u64 = 200;
const FOLLOW_ROWS: usize = 256;

/// Frames as lines.
fn told(frames: &[Decoded<Event>], is_json: bool, screen: &Screen) -> Result<String, CliError> {
    let mut text = String::new();
    for frame in frames {
        let (position, at) = (frame.envelope.position, frame.envelope.at);
        if is_json {
            let line = Line { position, at, token: frame.envelope.token, events: &frame.events };
            text += &serde_json::to_string(&line)?;
            text.push('\n');
            continue;
        }
        for (no, event) in frame.events.iter().enumerate() {
            // A frame is one atom: its events stand under one number.
            let head = if no == 0 { position.to_string() } else { String::new() };
            let when = if is_narrow(screen) { day_and_time(at) } else { moment(at) };
            let wide = when.len();
            let when = if no == 0 { when } else { String::new() };
            let head = format!("{head:>5}  {when:wide$}  {:19}  ", event.name());
            let room =
                screen.width.map_or(usize::MAX, |width| width.saturating_sub(head.chars().count()));
            // Writing to a text cannot fail.
            let _written = writeln!(
                text,
                "{}",
                format!("{head}{}", cut(&progress::detail(event), room)).trim_end()
            );
        }
    }
    Ok(text)
}

pub(super) async fn approvals(
    args: &PlainArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let mut rows = app::look(&store)?.approvals(None).await?;
    for row in &mut rows {
        // As the digest takes them: a model may spell a command so that nobody can read it.
        if let Subject::ToolCall { request, .. } = &mut row.ask.subject {
            request.args.0 = request.args.shown();
        }
    }
    let columns = [
        ("APPROVAL", false),
        ("AGENT", false),
        ("WAITS", true),
        ("EXPIRES (UTC)", false),
        ("WHAT", false),
    ]
    .map(|(title, is_number)| Column { title, is_number });
    let now = app::clock().now();
    let text = if args.common.json {
        let lines = rows.iter().map(|row| Asked { approval: row.id.to_string(), row });
        serde_json::to_string_pretty(&lines.collect::<Vec<_>>())?
    } else if rows.is_empty() {
        nothing("nothing waits for an answer", &store)
    } else {
        let line = |row: &ApprovalRow| {
            let what = match &row.ask.subject {
                Subject::ToolCall { request, .. } => format!("{} {}", request.tool, request.args.0),
                Subject::Plan { text } | Subject::Question { text } => text.clone(),
                Subject::Budget { .. } => "more budget".to_owned(),
            };
            let at = row.ask.expires_at;
            let (id, expires) = if is_narrow(screen) {
                (format!("{}/a{}", tree::short(row.id.session), row.id.no), day_and_time(at))
            } else {
                (row.id.to_string(), moment(at))
            };
            let waits = lasted(now.since_ms(row.asked_at));
            let cells = [id, row.agent.to_string(), waits, expires, escaped(&what)];
            cells.map(|text| (text, Tone::Plain)).to_vec()
        };
        table(screen, &columns, &rows.iter().map(line).collect::<Vec<_>>())
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

pub(super) async fn totals(
    args: &TotalsArgs,
    settings: &Settings,
    _screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let of = match &args.session {
        Some(text) => TotalsOf::Subtree(find(&reading, text, &store).await?),
        None => TotalsOf::Runtime,
    };
    let totals = reading.totals(of).await?;
    let text =
        if args.common.json { serde_json::to_string_pretty(&totals)? } else { tree::sum(&totals) };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// An open question as JSON: `approval` is what `greenroom approve` takes.
#[derive(Serialize)]
struct Asked<'a> {
    approval: String,
    #[serde(flatten)]
    row: &'a ApprovalRow,
}

/// Whether whole ids and moments would leave no room for what is said.
fn is_narrow(screen: &Screen) -> bool {
    screen.width.is_some_and(|width| width < 120)
}

/// A moment without its year and below its second.
fn day_and_time(at: Timestamp) -> String {
    moment(at).chars().skip("2026-".len()).take("11-21 10:20:30".len()).collect()
}

fn nothing(what: &str, store: &Path) -> String {
    format!("{what} in {}", store.display())
}

/// Every line, archived ones where wanted.
pub(super) async fn every(reading: &Reading, archived: bool) -> Result<Vec<SessionRow>, CliError> {
    let filter = SessionFilter { archived, ..SessionFilter::default() };
    Ok(reading.all_sessions(filter).await?)
}

/// The one session that a text fits.
pub(super) async fn find(
    reading: &Reading,
    text: &str,
    store: &Path,
) -> Result<SessionId, CliError> {
    let rows = every(reading, true).await?;
    let wanted = text.to_lowercase();
    let fits = |row: &&SessionRow| {
        let id = row.session.to_string();
        id.starts_with(&wanted)
            || id.ends_with(&wanted)
            || row.agent.as_str() == text
            || row.name.as_deref() == Some(text)
    };
    let found: Vec<SessionId> = rows.iter().filter(fits).map(|row| row.session).collect();
    match found.as_slice() {
        [session] => Ok(*session),
        [] => Err(CliError::NoSession { text: text.to_owned(), store: store.to_owned() }),
        several => {
            let examples: Vec<String> = several.iter().take(2).map(ToString::to_string).collect();
            Err(CliError::Ambiguous {
                text: text.to_owned(),
                what: "sessions",
                count: several.len(),
                examples: examples.join(" and "),
            })
        }
    }
}
