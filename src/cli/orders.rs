//! Commands that say one thing: an answer, a cancel, a release, a fork. A server that runs on the store is
//! told over its API. To a store that nobody works on they are said in the dark: the word is written, and
//! the next runtime on the store acts on it. One that another runtime holds is refused with its process.

use std::path::Path;

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use greenroom_actors::{
    domain::{
        agent::ModelChoice,
        catalog::ApprovalRow,
        event::{CancelTarget, Event},
        ids::{ApprovalId, Position},
        permission::{Answer, AnswerWord},
        tool::Args as ToolArgs,
    },
    runtime::{CallError, Reading},
};
use serde_json::json;

use crate::{
    app::{self, App},
    config::Settings,
};

use super::{CliError, Common, Done, look, remote::Remote, screen::Screen};

/// An answer that needs nothing beside it; the others have an option of their own.
const PLAIN: [AnswerWord; 7] = [
    AnswerWord::Once,
    AnswerWord::Turn,
    AnswerWord::Session,
    AnswerWord::Always,
    AnswerWord::All,
    AnswerWord::No,
    AnswerWord::Never,
];

fn plain() -> impl TypedValueParser<Value = AnswerWord> {
    let words = PLAIN.map(|word| PossibleValue::new(word.word()).help(word.says()));
    PossibleValuesParser::new(words).try_map(|word| word.parse::<AnswerWord>())
}

/// `greenroom approve`.
#[derive(Args, Debug)]
pub(super) struct ApproveArgs {
    /// Which question: its id as `greenroom approvals` lists it, its beginning or its end
    approval: String,
    /// The answer
    #[arg(
        value_parser = plain(),
        default_value = "once",
        conflicts_with_all = ["edit", "comment", "revise"]
    )]
    answer: AnswerWord,
    /// Yes, with these arguments instead
    #[arg(long, value_name = "JSON", conflicts_with_all = ["comment", "revise"])]
    edit: Option<String>,
    /// No, and the model reads this
    #[arg(long, value_name = "TEXT", conflicts_with = "revise")]
    comment: Option<String>,
    /// Not like this: the model tries again with this in mind
    #[arg(long, value_name = "TEXT")]
    revise: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `greenroom release`.
#[derive(Args, Debug)]
pub(super) struct ReleaseArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// Close the step that failed instead of making it again
    #[arg(long)]
    skip: bool,
    #[command(flatten)]
    common: Common,
}

/// `greenroom fork`.
#[derive(Args, Debug)]
pub(super) struct ForkArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// The last frame to keep, as `greenroom log` numbers them [default: the last one]
    #[arg(long, value_name = "POSITION")]
    at: Option<u64>,
    /// Go on with this model [default: its own]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Who serves that model [default: who serves its own]
    #[arg(long, value_name = "NAME", requires = "model")]
    provider: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn approve(args: ApproveArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let answer = match (args.edit, args.comment, args.revise) {
        (Some(json), _, _) => Answer::Edit { args: ToolArgs(json) },
        (_, Some(text), _) => Answer::Comment { text },
        (_, _, Some(feedback)) => Answer::Revise { feedback },
        (None, None, None) => {
            args.answer.with(None, None).expect("a plain answer needs nothing beside it")
        }
    };
    let reading = app::look(&store)?;
    let approval = which(&args.approval, &reading, &store).await?;
    let word = if answer.approves() { "approved" } else { "rejected" };
    let remote = Remote::on(&store)?;
    match &remote {
        Some(remote) => {
            let digest =
                reading.question(approval).await?.map(|row| row.ask.digest.0).unwrap_or_default();
            let path = format!("/v1/approvals/{}/{}", approval.session, approval.no);
            remote.post(&path, &said(&answer, &digest)?).await?;
        }
        None => {
            let app = app::dark(&store).await?;
            let done = app.runtime().decide(approval, answer).await;
            ended(app, done).await?;
        }
    }
    tell(args.common.json, &json!({ "approval": approval.to_string(), "decision": word }), || {
        format!("{word} {approval}; {} goes on with it", who(remote.as_ref()))
    })
}

pub(super) async fn release(args: ReleaseArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let session = look::find(&app::look(&store)?, &args.session, &store).await?;
    let remote = Remote::on(&store)?;
    match &remote {
        Some(remote) => {
            let path = format!("/v1/sessions/{session}/release");
            remote.post(&path, &json!({ "skip": args.skip })).await?;
        }
        None => {
            let app = app::dark(&store).await?;
            let done = app.runtime().release(session, args.skip).await;
            ended(app, done).await?;
        }
    }
    tell(args.common.json, &json!({ "session": session.to_string(), "released": true }), || {
        let step =
            if args.skip { "without the step that failed" } else { "at the step that failed" };
        format!("released {session}; {} goes on {step}", who(remote.as_ref()))
    })
}

pub(super) async fn fork(args: ForkArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session, &store).await?;
    let row = reading.session(session).await?;
    let last = row.map(|row| row.position).unwrap_or_default();
    let at = args.at.map_or(last, Position);
    if at == Position(0) || at > last {
        return Err(CliError::NoFrame { at, last, session, store });
    }
    let fork = match Remote::on(&store)? {
        Some(remote) => {
            let path = format!("/v1/sessions/{session}/fork");
            let mut wish = json!({ "at": at.0 });
            for (name, value) in [("model", &args.model), ("provider", &args.provider)] {
                if let Some(value) = value {
                    wish[name] = json!(value);
                }
            }
            let opened = remote.post(&path, &wish).await?;
            opened["session"].as_str().unwrap_or_default().to_owned()
        }
        None => {
            let app = app::dark(&store).await?;
            let provider = args.provider.clone().map(Into::into);
            let fork = match args.model.clone() {
                Some(model) => {
                    let model = ModelChoice { model: model.into(), provider };
                    app.runtime().fork_on(session, at, model).await
                }
                None => app.runtime().fork(session, at).await,
            };
            ended(app, fork).await?.to_string()
        }
    };
    let on = args.model.as_ref().map(|model| format!(" on {model}")).unwrap_or_default();
    let mut told = json!({ "session": fork, "from": session.to_string(), "at": at.0 });
    if let Some(model) = args.model {
        told["model"] = json!(model);
    }
    tell(args.common.json, &told, || format!("{fork} goes on from frame {at} of {session}{on}"))
}

/// `greenroom cancel`.
#[derive(Args, Debug)]
pub(super) struct CancelArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "cancelled on the command line")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn cancel(args: CancelArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let session = look::find(&app::look(&store)?, &args.session, &store).await?;
    let remote = Remote::on(&store)?;
    match &remote {
        Some(remote) => {
            let path = format!("/v1/sessions/{session}/cancel");
            remote.post(&path, &json!({ "reason": args.reason })).await?;
        }
        None => {
            let app = app::dark(&store).await?;
            let everything = CancelTarget::Everything;
            let done = app.runtime().cancel(session, everything, &args.reason).await;
            ended(app, done).await?;
        }
    }
    tell(args.common.json, &json!({ "session": session.to_string(), "cancelled": true }), || {
        format!("cancelled {session}; {} carries it out", who(remote.as_ref()))
    })
}

/// Who acts on a word.
const fn who(remote: Option<&Remote>) -> &'static str {
    match remote {
        Some(_) => "the server",
        None => "the next runtime on this store",
    }
}

/// An answer in the words of the API.
fn said(answer: &Answer, digest: &str) -> Result<serde_json::Value, CliError> {
    let (feedback, arguments) = match answer {
        Answer::Comment { text } => (Some(text), None),
        Answer::Revise { feedback } => (Some(feedback), None),
        Answer::Edit { args } => (None, Some(args)),
        Answer::Once
        | Answer::Turn
        | Answer::Session
        | Answer::Always
        | Answer::All
        | Answer::Reject
        | Answer::Never => (None, None),
    };
    let arguments: Option<serde_json::Value> =
        arguments.map(|args| serde_json::from_str(&args.0)).transpose()?;
    let mut said = json!({ "answer": answer.word(), "digest": digest });
    if let Some(feedback) = feedback {
        said["feedback"] = json!(feedback);
    }
    if let Some(arguments) = arguments {
        said["arguments"] = arguments;
    }
    Ok(said)
}

/// Ends the dark house, whatever came of the word, and says what came of it.
async fn ended<T>(app: App, done: Result<T, CallError>) -> Result<T, CliError> {
    app.shutdown().await;
    Ok(done?)
}

pub(super) fn tell(
    as_json: bool,
    told: &serde_json::Value,
    words: impl FnOnce() -> String,
) -> Result<Done, CliError> {
    let text = if as_json { serde_json::to_string_pretty(told)? } else { words() };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// The one open question that a text fits.
async fn which(text: &str, reading: &Reading, store: &Path) -> Result<ApprovalId, CliError> {
    let open = reading.approvals(None).await?;
    let fits = |row: &&ApprovalRow| {
        let id = row.id.to_string();
        id.starts_with(text) || id.ends_with(text)
    };
    let exact = open.iter().find(|row| row.id.to_string() == text);
    let found: Vec<&ApprovalRow> =
        exact.map_or_else(|| open.iter().filter(fits).collect(), |row| vec![row]);
    match found.as_slice() {
        [row] => Ok(row.id),
        [] => Err(match closed(text, reading).await? {
            Some((approval, how)) => CliError::NotOpen { approval, how },
            None => CliError::NoApproval { text: text.to_owned(), store: store.to_owned() },
        }),
        several => Err(CliError::Ambiguous {
            text: text.to_owned(),
            what: "open questions",
            count: several.len(),
            examples: several
                .iter()
                .take(2)
                .map(|row| row.id.to_string())
                .collect::<Vec<_>>()
                .join(" and "),
        }),
    }
}

/// What became of a question that is not open, if the text names one whole.
#[expect(clippy::wildcard_enum_match_arm, reason = "only these two events close a question")]
async fn closed(text: &str, reading: &Reading) -> Result<Option<(ApprovalId, String)>, CliError> {
    let Some((session, wanted)) = text.split_once("/a") else { return Ok(None) };
    let rows = look::every(reading, true).await?;
    let Some(row) = rows.iter().find(|row| row.session.to_string() == session) else {
        return Ok(None);
    };
    let mut found = None;
    for frame in reading.read(row.session, Position(0)).await? {
        for event in &frame.events {
            let (no, how) = match event {
                Event::ApprovalDecided { no, answer, by, .. } => {
                    let word = if answer.approves() { "approved" } else { "rejected" };
                    (*no, format!("{word} by {by}"))
                }
                Event::ApprovalClosed { no, why } => (*no, format!("{why:?}").to_lowercase()),
                _ => continue,
            };
            if no.to_string() == wanted {
                found = Some((ApprovalId { session: row.session, no }, how));
            }
        }
    }
    Ok(found)
}
