//! A question and an answer as JSON, for webhooks and files. An answer names the question and the
//! digest of the request that it was shown, so that an answer to something else, a server's polite
//! page, or a copy of yesterday's file is none.
//!
//! A person reads these bytes as they are, so a call's arguments stand in them as its digest takes
//! them and not as the model spelt them, and what a terminal would obey or nobody can see stands as
//! its code: the same JSON.

use std::collections::BTreeMap;

use greenroom_actors::domain::{
    catalog::ApprovalRow,
    ids::Timestamp,
    permission::{Answer, AnswerLacks, AnswerWord, Subject},
    tool::ArgsObject,
    unseen,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::NoAnswer;

#[derive(Serialize)]
struct Question<'a> {
    kind: &'static str,
    approval: String,
    digest: &'a str,
    agent: &'a str,
    tenant: &'a str,
    subject: Subject,
    /// Those of a call, as they are: in `subject` they are a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<BTreeMap<String, Box<RawValue>>>,
    reasons: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<&'a str>,
    /// Both are milliseconds since 1970.
    asked_at: Timestamp,
    expires_at: Timestamp,
    answers: [AnswerWord; 10],
}

#[derive(Serialize)]
struct Closed<'a> {
    kind: &'static str,
    approval: String,
    digest: &'a str,
    how: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    approval: String,
    digest: String,
    answer: AnswerWord,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    args: Option<ArgsObject>,
}

/// A question.
pub(super) fn question(row: &ApprovalRow) -> Vec<u8> {
    let mut subject = row.ask.subject.clone();
    let mut arguments = None;
    if let Subject::ToolCall { request, .. } = &mut subject {
        request.args.0 = request.args.canonical();
        // What cannot be read is refused before anybody is asked. Values stay as they are written: a
        // large number that was read would be another.
        arguments = serde_json::from_str(&request.args.0).ok();
    }
    pretty(&Question {
        kind: "approval_requested",
        approval: row.id.to_string(),
        digest: &row.ask.digest.0,
        agent: row.agent.as_str(),
        tenant: row.tenant.as_str(),
        subject,
        arguments,
        reasons: &row.ask.reasons,
        proposal: row.ask.proposal.as_deref(),
        asked_at: row.asked_at,
        expires_at: row.ask.expires_at,
        answers: AnswerWord::ALL,
    })
}

/// That it is closed.
pub(super) fn closed(row: &ApprovalRow, how: &str) -> Vec<u8> {
    let (approval, digest) = (row.id.to_string(), row.ask.digest.0.as_str());
    pretty(&Closed { kind: "approval_closed", approval, digest, how })
}

/// Anything as lines of JSON that can be shown.
pub(super) fn pretty(value: &impl Serialize) -> Vec<u8> {
    let json =
        serde_json::to_string_pretty(value).expect("texts, numbers and lists of them become JSON");
    unseen::in_json(&json).into_bytes()
}

/// The answer to this question, if these bytes are one.
pub(super) fn answer(row: &ApprovalRow, bytes: &[u8]) -> Result<Answer, NoAnswer> {
    let reply: Reply = serde_json::from_slice(bytes)
        .map_err(|error| NoAnswer::because(format!("it is no answer: {error}")))?;
    if reply.approval != row.id.to_string() {
        return Err(NoAnswer::because("it answers another question"));
    }
    if reply.digest != row.ask.digest.0 {
        return Err(NoAnswer::because("its digest is that of another request"));
    }
    let Reply { answer: word, text, args, .. } = reply;
    if text.is_some() && !matches!(word, AnswerWord::Comment | AnswerWord::Revise) {
        return Err(NoAnswer::because("\"text\" belongs to comment and revise alone"));
    }
    if args.is_some() && word != AnswerWord::Edit {
        return Err(NoAnswer::because("\"args\" belong to edit alone"));
    }
    word.with(text, args.map(|ArgsObject(args)| args)).map_err(|lacks| {
        let field = match lacks {
            AnswerLacks::Text => "text",
            AnswerLacks::Args => "args",
        };
        NoAnswer::because(format!("this answer needs {field:?}"))
    })
}

#[cfg(test)]
pub(super) mod tests;
