//! `greenroom jobs`: what is in a store, beside a running runtime; and orders to one that nobody works on,
//! which the next runtime on it carries out.

use std::path::Path;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use greenroom_actors::{
    domain::job::{JobFilter, JobId, JobOrder, JobRow, JobState, JobView},
    limits,
    runtime::{JobError, Reading},
};

use crate::{app, config::Settings};

use super::{
    CliError, Common, Done,
    remote::Remote,
    screen::{Column, Screen, Tone, escaped, moment, table},
};

/// `greenroom jobs`.
#[derive(Args, Debug)]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs [what `greenroom jobs` does by itself]
    List(ListArgs),
    /// Show one job, with its history
    Show(OneArgs),
    /// Cancel one; of one that recurs and waits, the chain
    Cancel(OneArgs),
    /// Hold one
    Pause(OneArgs),
    /// Let one go on that is held
    Resume(OneArgs),
    /// Try one again that failed, was cancelled or was lost
    Retry(OneArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only in this state
    #[arg(long, value_parser = state())]
    state: Option<JobState>,
    /// Only of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The newest first
    #[arg(long)]
    newest: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct OneArgs {
    /// Its id, or the beginning or the end of it
    job: String,
    #[command(flatten)]
    common: Common,
}

fn state() -> impl TypedValueParser<Value = JobState> {
    let words = PossibleValuesParser::new(JobState::ALL.map(JobState::word));
    words.try_map(|word| word.parse::<JobState>())
}

/// What is ordered.
#[derive(Clone, Copy)]
enum Order {
    Cancel,
    Pause,
    Resume,
    Retry,
}

pub(super) async fn run(
    args: JobsArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    match args.command {
        None => list(args.list, settings, screen).await,
        Some(JobsCommand::List(args)) => list(args, settings, screen).await,
        Some(JobsCommand::Show(args)) => show(&args, settings).await,
        Some(JobsCommand::Cancel(args)) => order(&args, settings, Order::Cancel).await,
        Some(JobsCommand::Pause(args)) => order(&args, settings, Order::Pause).await,
        Some(JobsCommand::Resume(args)) => order(&args, settings, Order::Resume).await,
        Some(JobsCommand::Retry(args)) => order(&args, settings, Order::Retry).await,
    }
}

/// All lines that fit, page by page.
async fn every(reading: &Reading, filter: JobFilter) -> Result<Vec<JobRow>, CliError> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = JobFilter { after, rows: limits::LIST_ROWS, ..filter.clone() };
        let page = reading.jobs(page).await?;
        after = page.last().map(JobRow::place);
        let last = page.len() < limits::LIST_ROWS;
        rows.extend(page);
        if last {
            return Ok(rows);
        }
    }
}

async fn list(args: ListArgs, settings: &Settings, screen: &Screen) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let filter = JobFilter {
        tenant: args.tenant.map(Into::into),
        queue: args.queue.map(Into::into),
        states: args.state.into_iter().collect(),
        order: if args.newest { JobOrder::Newest } else { JobOrder::Oldest },
        ..JobFilter::default()
    };
    let rows = every(&app::look(&store)?, filter).await?;
    let columns = [
        ("JOB", false),
        ("NAME", false),
        ("QUEUE", false),
        ("STATE", false),
        ("DONE", true),
        ("TRY", true),
        ("DUE (UTC)", false),
        ("LAST WORD", false),
    ]
    .map(|(title, is_number)| Column { title, is_number });
    let text = if args.common.json {
        serde_json::to_string_pretty(&rows)?
    } else if rows.is_empty() {
        format!("no jobs in {}", store.display())
    } else {
        table(screen, &columns, &rows.iter().map(line).collect::<Vec<_>>())
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

fn line(row: &JobRow) -> Vec<(String, Tone)> {
    let word = row.error.clone().or_else(|| row.detail.clone()).unwrap_or_default();
    let cells = [
        row.job.to_string(),
        escaped(&row.name),
        escaped(row.queue.as_str()),
        row.state.word().to_owned(),
        format!("{}%", row.progress),
        format!("{}/{}", row.attempt, row.attempts_max),
        row.due.map(moment).unwrap_or_default(),
        escaped(&word),
    ];
    cells.map(|text| (text, Tone::Plain)).to_vec()
}

async fn show(args: &OneArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let job = find(&reading, &args.job, &store).await?;
    let none = || CliError::NoJob { text: args.job.clone(), store: store.clone() };
    let view = reading.job(job).await?.ok_or_else(none)?;
    let text = if args.common.json {
        serde_json::to_string_pretty(&view)?
    } else {
        told(&view, reading.job_result(job).await?)
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// A job in lines: what it is, what happened to it, what it left.
fn told(view: &JobView, result: Option<String>) -> String {
    let JobView { row, history, history_dropped, .. } = view;
    let mut lines = vec![
        format!("{} {}", row.job, escaped(&row.name)),
        format!(
            "{} of queue {}, tenant {}: {}, {}%, attempt {} of {}",
            row.kind,
            escaped(row.queue.as_str()),
            escaped(row.tenant.as_str()),
            row.state.word(),
            row.progress,
            row.attempt,
            row.attempts_max
        ),
    ];
    lines.extend(row.due.map(|due| format!("due {} UTC", moment(due))));
    lines.extend(row.session.map(|session| format!("session {session}")));
    if *history_dropped > 0 {
        lines.push(format!("… {history_dropped} earlier"));
    }
    for entry in history {
        let detail = entry.detail.as_deref().map(escaped).unwrap_or_default();
        let step = serde_json::to_string(&entry.step).unwrap_or_default();
        let step = step.trim_matches('"').replace('_', " ");
        lines.push(format!("{}  {step:15}  {detail}", moment(entry.at)).trim_end().to_owned());
    }
    lines.extend(result.map(|text| format!("\n{}", app::plain(&text))));
    lines.join("\n")
}

async fn order(args: &OneArgs, settings: &Settings, order: Order) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let job = find(&app::look(&store)?, &args.job, &store).await?;
    if let Some(remote) = Remote::on(&store)? {
        let verb = match order {
            Order::Cancel => "cancel",
            Order::Pause => "pause",
            Order::Resume => "resume",
            Order::Retry => "retry",
        };
        remote.post(&format!("/v1/jobs/{job}/{verb}"), &serde_json::json!({})).await?;
        let row = app::look(&store)?.job(job).await?.map(|view| view.row);
        return ordered(args, job, row.as_ref(), "; the server goes on");
    }
    let house = app::dark(&store).await?;
    let jobs = house.runtime().jobs();
    let done = match order {
        Order::Cancel => jobs.cancel(job, "cancelled at the command line".to_owned()).await,
        Order::Pause => jobs.pause(job, None).await,
        Order::Resume => jobs.resume(job, None).await,
        Order::Retry => jobs.retry(job).await,
    };
    house.shutdown().await;
    let row: JobRow = done.map_err(|error: JobError| CliError::Job(Box::new(error)))?;
    ordered(args, job, Some(&row), "; the next runtime on this store goes on")
}

/// What became of an order.
fn ordered(args: &OneArgs, job: JobId, row: Option<&JobRow>, then: &str) -> Result<Done, CliError> {
    let state = row.map(|row| row.state);
    let text = if args.common.json {
        serde_json::to_string_pretty(&row)?
    } else {
        let then = if state.is_some_and(JobState::is_ended) { "" } else { then };
        format!("job {job} is {}{then}", state.map_or("gone", JobState::word))
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// The one job that a text fits.
async fn find(reading: &Reading, text: &str, store: &Path) -> Result<JobId, CliError> {
    if let Ok(job) = text.parse() {
        return Ok(job);
    }
    let wanted = text.to_lowercase();
    let rows = every(reading, JobFilter::default()).await?;
    let fits = |row: &&JobRow| {
        let id = row.job.to_string();
        id.starts_with(&wanted) || id.ends_with(&wanted) || row.name == text
    };
    let found: Vec<JobId> = rows.iter().filter(fits).map(|row| row.job).collect();
    match found.as_slice() {
        [job] => Ok(*job),
        [] => Err(CliError::NoJob { text: text.to_owned(), store: store.to_owned() }),
        several => Err(CliError::Ambiguous {
            text: text.to_owned(),
            what: "jobs",
            count: several.len(),
            examples: several
                .iter()
                .take(2)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" and "),
        }),
    }
}
