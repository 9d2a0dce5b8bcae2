//! Speaking to a session, and how the turn ended that answers: an input is in the log when it is
//! accepted, and its key finds its turn, now or after any number of restarts.

use axum::{Json, extract::State as Of, http::StatusCode};
use greenroom_actors::{
    domain::{
        catalog::Status,
        event::{TurnOverrides, UserInput},
        ids::InputKey,
        outcome::TurnOutcome,
        permission::Mode,
    },
    runtime::{Heard, Listener, Note},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::{Answer, problem},
    routes::Route,
    take::{Asked, Id, Key, Named, Take, Who},
    token::Scope,
};

/// The longest that a request waits for the end of a turn; who wants more asks again, or listens.
const WAIT_MS: u64 = 60_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/messages", (Scope::Act, "Says something to it"), say)
            .takes::<Message>()
            .gives::<Said>()
            .status(202),
        Route::get("/v1/sessions/{session}/turns/{key}", "How the turn of an input ended", ended)
            .asks::<Wait>()
            .gives::<Turn>(),
    ]
}

/// What is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    /// The words.
    text: String,
    /// For this turn, another model.
    #[serde(default)]
    model: Option<String>,
    /// For this turn, who serves it.
    #[serde(default)]
    provider: Option<String>,
    /// For this turn, another mode of permission.
    #[serde(default)]
    mode: Option<ModeWire>,
}

/// How what would be asked is treated.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModeWire {
    /// Only tools that change nothing run.
    Plan,
    /// What would be asked is denied.
    DontAsk,
    /// Rules decide.
    Default,
    /// Edits within the roots are allowed.
    AcceptEdits,
    /// What would be asked is allowed.
    BypassPermissions,
}

impl From<ModeWire> for Mode {
    fn from(mode: ModeWire) -> Self {
        match mode {
            ModeWire::Plan => Self::Plan,
            ModeWire::DontAsk => Self::DontAsk,
            ModeWire::Default => Self::Default,
            ModeWire::AcceptEdits => Self::AcceptEdits,
            ModeWire::BypassPermissions => Self::BypassPermissions,
        }
    }
}

/// That it is in the log.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Said {
    /// To which session.
    session: String,
    /// Its key: it finds the turn.
    key: String,
}

async fn say(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Key(key): Key,
    Take(message): Take<Message>,
) -> Answer<(StatusCode, Json<Said>)> {
    ctx.line(&caller, session).await?;
    ctx.halt.lets_begin()?;
    if message.text.trim().is_empty() {
        return Err(problem("unprocessable", "`text` is empty: expected something to say"));
    }
    let key = key.unwrap_or_else(|| ctx.runtime.fresh_key());
    let overrides = TurnOverrides {
        model: message.model.map(Into::into),
        provider: message.provider.map(Into::into),
        mode: message.mode.map(Into::into),
        sampling: None,
    };
    let input = UserInput { overrides, ..UserInput::text(message.text) };
    ctx.runtime.on_behalf_of(caller.name).submit(session, key.clone(), input).await?;
    let said = Said { session: session.to_string(), key: key.0 };
    Ok((StatusCode::ACCEPTED, Json(said)))
}

/// How long to wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// For the end, in milliseconds.
    #[schemars(range(max = 60_000))]
    wait_ms: Option<u64>,
}

/// A turn.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Turn {
    /// Its number in its session.
    turn: u32,
    /// How it ended: `completed`, `failed`, `cancelled` or `budget_exhausted`.
    outcome: &'static str,
    /// Its answer, or why there is none.
    text: String,
    /// Whether the answer was cut.
    truncated: bool,
}

async fn ended(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Named(session, key): Named,
    Asked(wait): Asked<Wait>,
) -> Answer<Json<Turn>> {
    ctx.line(&caller, session).await?;
    let wait_ms = wait.wait_ms.unwrap_or(0);
    if wait_ms > WAIT_MS {
        let words = format!("wait_ms is {wait_ms}: expected at most {WAIT_MS}");
        return Err(problem("invalid", words));
    }
    // It listens before it reads, so that nothing falls between; nobody is woken for it.
    let mut listener = ctx.runtime.follow(session);
    let Some(mut sought) = ctx.reading.input(session, &InputKey(key)).await? else {
        return Err(problem("not_found", "no input of this session has that key"));
    };
    let mut late = ctx.clock.after(wait_ms);
    loop {
        if let Some((turn, outcome)) = ctx.reading.turn_of(&mut sought).await? {
            let truncated = matches!(outcome, TurnOutcome::Completed { truncated: true, .. });
            let text = outcome.text().to_owned();
            return Ok(Json(Turn { turn: turn.0, outcome: outcome.word(), text, truncated }));
        }
        if ctx.line(&caller, session).await?.status == Status::Quarantined {
            let words = "the session is quarantined, and its turn with it; release it first";
            return Err(problem("conflict", words));
        }
        tokio::select! {
            biased;
            heard = grown(&mut listener) => if !heard {
                return Err(problem("unavailable", "the runtime has ended").again_in(5));
            },
            () = &mut late => {
                let words = format!("the turn has not ended within {wait_ms} ms; ask again");
                return Err(problem("conflict", words).again_in(1));
            }
        }
    }
}

/// Returns when the log has grown, or may have; `false` when nobody writes it any more.
async fn grown(listener: &mut Listener) -> bool {
    loop {
        match listener.next().await {
            Some(Heard::Note(Note::Frame(_)) | Heard::Lagged { .. }) => return true,
            Some(Heard::Note(Note::Delta { .. } | Note::Progress { .. })) => {}
            None => return false,
        }
    }
}
