//! Questions to people: the inbox, and the answers. An answer names what was shown by its digest, so that
//! nobody says yes to something else; the first that is in the log counts.

use std::borrow::Cow;

use axum::{Json, extract::State as Of};
use greenroom_actors::domain::{
    catalog::{ApprovalFilter, ApprovalRow},
    ids::{ApprovalId, Timestamp},
    permission::{Answer as Says, AnswerLacks, AnswerWord, Subject},
    tool::ArgsObject,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Ctx, House,
    problem::{Answer, problem},
    routes::Route,
    take::{Asked, Question, Take, Who},
    token::{Caller, Scope},
    wire::{Accepted, Page, next, rows},
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/approvals", "Questions that wait, the first to expire first", list)
            .asks::<Wishes>()
            .gives::<Page<Asking>>(),
        Route::get("/v1/approvals/{session}/{no}", "One question", read).gives::<Asking>(),
        Route::post("/v1/approvals/{session}/{no}", (Scope::Approve, "Answers it"), decide)
            .takes::<Reply>()
            .gives::<Accepted>(),
    ]
}

/// Which questions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The `next` of the page before.
    #[schemars(regex(
        pattern = r"^(0|[1-9][0-9]{0,17}):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/a(0|[1-9][0-9]{0,8})$"
    ))]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only of this session.
    #[schemars(extend("format" = "uuid"))]
    session: Option<String>,
}

/// A question.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Asking {
    /// Its id, `SESSION/aN`.
    id: String,
    /// Who asks.
    session: String,
    /// Its number there.
    no: u32,
    agent: String,
    tenant: String,
    /// When it was asked, in milliseconds since 1970.
    asked_at: i64,
    /// Until when an answer counts.
    expires_at: i64,
    /// `tool_call`, `plan`, `budget` or `question`.
    kind: &'static str,
    /// What is asked, in words.
    subject: String,
    /// The tool that would run.
    tool: Option<String>,
    /// Its exact arguments, as JSON.
    arguments: Option<String>,
    /// Where it would run.
    cwd: Option<String>,
    /// Why it is asked.
    reasons: Vec<String>,
    /// What an answer is bound to.
    digest: String,
    /// A rule that would answer it next time.
    proposed_rule: Option<String>,
    /// The answers that there are.
    answers: Vec<&'static str>,
}

/// The answers to what runs nothing.
const YES_OR_NO: [AnswerWord; 4] =
    [AnswerWord::Once, AnswerWord::No, AnswerWord::Comment, AnswerWord::Revise];

impl From<ApprovalRow> for Asking {
    fn from(row: ApprovalRow) -> Self {
        let ApprovalRow { id, tenant, agent, asked_at, ask } = row;
        let (kind, subject, request) = match ask.subject {
            Subject::ToolCall { request, .. } => {
                ("tool_call", request.tool.to_string(), Some(request))
            }
            Subject::Plan { text } => ("plan", text, None),
            Subject::Budget { budget } => ("budget", format!("more budget: {budget:?}"), None),
            Subject::Question { text } => ("question", text, None),
        };
        let answers: &[AnswerWord] = if request.is_some() { &AnswerWord::ALL } else { &YES_OR_NO };
        Self {
            id: id.to_string(),
            session: id.session.to_string(),
            no: id.no.0,
            agent: agent.to_string(),
            tenant: tenant.to_string(),
            asked_at: asked_at.0,
            expires_at: ask.expires_at.0,
            kind,
            subject,
            tool: request.as_ref().map(|request| request.tool.to_string()),
            arguments: request.as_ref().map(|request| request.args.canonical()),
            cwd: request.and_then(|request| request.cwd),
            reasons: ask.reasons,
            digest: ask.digest.0,
            proposed_rule: ask.proposal,
            answers: answers.iter().map(|word| word.word()).collect(),
        }
    }
}

/// A place in the list: of the question that was the last on a page.
fn cursor(text: &str) -> Result<(Timestamp, ApprovalId), ()> {
    let (expires_at, id) = text.split_once(':').ok_or(())?;
    Ok((Timestamp(expires_at.parse().map_err(drop)?), id.parse().map_err(drop)?))
}

async fn list(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<Asking>>> {
    let limit = rows(wishes.limit)?;
    let is_cursor =
        |_odd| problem("invalid", "`after` is no cursor: expected the `next` of a page");
    let is_id = |_odd| problem("invalid", "`session` is no session's id");
    let filter = ApprovalFilter {
        tenant: caller.tenant,
        session: wishes.session.as_deref().map(str::parse).transpose().map_err(is_id)?,
        // By the order of the list and not by a place in it: others may have been answered meanwhile.
        after: wishes.after.as_deref().map(cursor).transpose().map_err(is_cursor)?,
        rows: limit,
        only: None,
    };
    let found = ctx.reading.questions(filter).await?;
    let next = next(&found, limit, |row| format!("{}:{}", row.ask.expires_at.0, row.id));
    Ok(Json(Page { items: found.into_iter().map(Asking::from).collect(), next }))
}

impl House {
    /// An open question where it is this caller's.
    async fn question(&self, caller: &Caller, id: ApprovalId) -> Answer<ApprovalRow> {
        self.line(caller, id.session).await?;
        self.reading.question(id).await?.ok_or_else(|| {
            problem(
                "not_found",
                format!("{id} is not open: it was answered, withdrawn, or never asked"),
            )
        })
    }
}

async fn read(Of(ctx): Of<Ctx>, Who(caller): Who, Question(id): Question) -> Answer<Json<Asking>> {
    Ok(Json(ctx.question(&caller, id).await?.into()))
}

/// An answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    /// Which.
    #[schemars(with = "Answers")]
    answer: AnswerWord,
    /// The digest of what was shown.
    digest: String,
    /// For `comment` and `revise`: what the model should read.
    #[serde(default)]
    feedback: Option<String>,
    /// For `edit`: the arguments.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    arguments: Option<ArgsObject>,
}

/// The answers there are, for the document.
struct Answers;

impl JsonSchema for Answers {
    fn schema_name() -> Cow<'static, str> {
        "Answer".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let each = AnswerWord::ALL
            .map(|word| serde_json::json!({ "const": word.word(), "description": word.says() }));
        json_schema!({ "type": "string", "oneOf": each })
    }
}

impl Reply {
    fn says(self) -> Answer<Says> {
        let feedback = self.feedback.filter(|text| !text.trim().is_empty());
        let args = self.arguments.map(|ArgsObject(args)| args);
        self.answer.with(feedback, args).map_err(|lacks| {
            let field = match lacks {
                AnswerLacks::Text => "feedback",
                AnswerLacks::Args => "arguments",
            };
            problem("unprocessable", format!("expected `{field}` with this answer"))
        })
    }
}

async fn decide(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Question(id): Question,
    Take(reply): Take<Reply>,
) -> Answer<Json<Accepted>> {
    let row = ctx.question(&caller, id).await?;
    if row.ask.digest.0 != reply.digest {
        return Err(problem("changed", "the digest is not that of this question; read it anew"));
    }
    let says = reply.says()?;
    if says.approves() {
        ctx.halt.lets_begin()?;
    }
    if says == Says::Always && caller.tenant.is_some() {
        let words = "`always` holds for every tenant; this token answers for one: say `session`";
        return Err(problem("forbidden", words));
    }
    ctx.runtime.on_behalf_of(caller.name).decide(id, says).await?;
    Ok(Json(Accepted { session: id.session.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edited_arguments_are_the_text_that_was_sent() {
        let edit = |args: &str| {
            let body = format!(r#"{{"answer":"edit","digest":"d","arguments":{args}}}"#);
            serde_json::from_str::<Reply>(&body).map(|reply| reply.says().ok())
        };
        let large = r#"{"to": 18446744073709551617, "share": 0.10000000000000000001}"#;
        let Ok(Some(Says::Edit { args })) = edit(large) else { panic!("no edit") };
        assert_eq!(args.0, large);
        for odd in ["[1]", "7", r#"{"a":1,"a":2}"#, r#"{"a":1e999}"#] {
            assert!(edit(odd).is_err(), "{odd}");
        }
    }
}
