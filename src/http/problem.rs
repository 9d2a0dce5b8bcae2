//! What went wrong, as problem details (RFC 9457) with a code that stays the same. The one place where
//! an error of the runtime becomes a status: what it says names no path, no statement and nothing that
//! another service answered.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use greenroom_actors::{
    JournalError,
    domain::ids::SessionId,
    runtime::{CallError, Rejected},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What went wrong.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// A name for its kind.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What programs compare: it stays the same.
    code: &'static str,
    /// What was wrong here, what was expected and what to do.
    detail: String,
    /// When to try again, in seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// The answer of a route.
pub(super) type Answer<T> = Result<T, Problem>;

/// The codes with their statuses and titles: what clients may rely on.
pub(super) const CODES: [(&str, StatusCode, &str); 22] = [
    ("unauthorised", StatusCode::UNAUTHORIZED, "No valid token"),
    ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
    ("not_found", StatusCode::NOT_FOUND, "There is no such thing"),
    ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Not with this method"),
    ("invalid", StatusCode::BAD_REQUEST, "The request is not understood"),
    ("unprocessable", StatusCode::UNPROCESSABLE_ENTITY, "The request cannot be carried out"),
    ("not_json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON"),
    ("slow", StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
    ("too_large", StatusCode::PAYLOAD_TOO_LARGE, "Too large"),
    ("too_long", StatusCode::URI_TOO_LONG, "The address is too long"),
    ("misdirected", StatusCode::MISDIRECTED_REQUEST, "Not the host that was called"),
    ("foreign_origin", StatusCode::FORBIDDEN, "Called from another site"),
    ("conflict", StatusCode::CONFLICT, "It is not in a state for that"),
    ("changed", StatusCode::CONFLICT, "It is not what was shown"),
    ("expired", StatusCode::GONE, "Too late"),
    ("gone", StatusCode::GONE, "It was deleted"),
    ("key_reused", StatusCode::UNPROCESSABLE_ENTITY, "The key was used for another request"),
    ("busy", StatusCode::TOO_MANY_REQUESTS, "Too much at once"),
    ("halted", StatusCode::SERVICE_UNAVAILABLE, "Everything was stopped"),
    ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not now"),
    ("timed_out", StatusCode::GATEWAY_TIMEOUT, "No answer in time"),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR, "A defect, or a store that cannot be read"),
];

/// Makes one.
pub(super) fn problem(code: &'static str, detail: impl Into<String>) -> Problem {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let (status, title) =
        known.map_or((StatusCode::INTERNAL_SERVER_ERROR, "A defect"), |known| (known.1, known.2));
    Problem {
        kind: format!("urn:greenroom:problem:{code}"),
        title,
        status: status.as_u16(),
        code,
        detail: detail.into(),
        retry_after: None,
    }
}

/// No such session, or none of this caller's.
pub(super) fn no_session(session: SessionId) -> Problem {
    problem(
        "not_found",
        format!("no session {session}; GET /v1/sessions lists those that there are"),
    )
}

impl Problem {
    /// Whether it has this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// The same with a word on when to try again.
    pub(super) const fn again_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejected) => rejected.into(),
            CallError::UnknownSession { session } => no_session(session),
            CallError::UnknownAgent { .. } => problem("not_found", error.to_string()),
            CallError::Render(_) | CallError::Rules { .. } | CallError::CannotSkip { .. } => {
                problem("unprocessable", error.to_string())
            }
            CallError::NotARoot { .. } | CallError::Hindered { .. } => {
                problem("conflict", error.to_string())
            }
            CallError::TimedOut { .. } => problem("timed_out", error.to_string()).again_in(1),
            CallError::Journal(JournalError::Unavailable { .. }) => {
                problem("unavailable", "the store cannot be used for now").again_in(1)
            }
            CallError::Ended { .. } => problem("unavailable", "the runtime has ended").again_in(5),
            // What the store says may hold paths: it is for the log of the house.
            CallError::Journal(_) | CallError::Read(_) => {
                tracing::error!(%error, "a request met a store that cannot be read");
                problem("internal", "the log cannot be read; `greenroom doctor` says why")
            }
        }
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let words = rejected.to_string();
        match rejected {
            Rejected::Busy => problem("busy", words).again_in(1),
            Rejected::NotOpened
            | Rejected::NoSuchApproval { .. }
            | Rejected::NoSuchChild { .. } => problem("not_found", words),
            Rejected::Halted { .. } => problem("halted", words),
            Rejected::Gone => problem("gone", words),
            Rejected::Expired { .. } => problem("expired", words),
            Rejected::TooLarge { .. } => problem("too_large", words),
            Rejected::BadValue { .. } => problem("unprocessable", words),
            Rejected::Quarantined { .. }
            | Rejected::NotQuarantined
            | Rejected::Archived
            | Rejected::Exists
            | Rejected::Full { .. }
            | Rejected::TurnInLog { .. }
            | Rejected::CallInLog { .. } => problem("conflict", words),
        }
    }
}
