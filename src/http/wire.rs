//! The shapes that go over the wire, apart from the log's own: names, units and nothing of how it is
//! kept. Events go as they stand in the log, for that is the one vocabulary.

use std::sync::Arc;

use greenroom_actors::{
    domain::{
        catalog::{SessionRow, Status, Totals},
        event::Event,
        ids::SessionId,
    },
    runtime::{Decoded, Frame},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// What is on it.
    pub(super) items: Vec<T>,
    /// What to ask for the next page with, as `after`; nothing on the last one.
    pub(super) next: Option<String>,
}

/// The most that a page has.
pub(super) const PAGE_ROWS: usize = 500;
/// What it has where nothing is said.
pub(super) const USUAL_ROWS: usize = 100;

/// How many rows a page is to have.
pub(super) fn rows(limit: Option<usize>) -> Result<usize, super::problem::Problem> {
    match limit {
        None => Ok(USUAL_ROWS),
        Some(limit) if (1..=PAGE_ROWS).contains(&limit) => Ok(limit),
        Some(limit) => {
            let words = format!("limit is {limit}: expected 1 to {PAGE_ROWS}");
            Err(super::problem::problem("invalid", words))
        }
    }
}

/// What the next page is asked for with: the last of a page that is full.
pub(super) fn next<T>(found: &[T], limit: usize, cursor: impl Fn(&T) -> String) -> Option<String> {
    found.last().filter(|_last| found.len() == limit).map(cursor)
}

/// What was spent. Money is in nano-dollars.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Spent {
    /// Model calls that were settled exactly.
    pub(super) calls: u64,
    /// Tokens that models read, without those from a cache.
    pub(super) input_tokens: u64,
    /// Tokens that models wrote.
    pub(super) output_tokens: u64,
    /// Tokens that were read from a cache.
    pub(super) cache_read_tokens: u64,
    /// Tokens that were written to a cache.
    pub(super) cache_write_tokens: u64,
    /// What they cost.
    pub(super) cost_nano_usd: u64,
    /// Calls whose price nobody knows.
    pub(super) unpriced_calls: u64,
    /// Calls that broke off, so that only a bound is known.
    pub(super) unsettled_calls: u64,
    /// The most that those may have used.
    pub(super) unsettled_tokens_max: u64,
    /// The most that those may have cost.
    pub(super) unsettled_cost_nano_usd_max: u64,
}

impl From<Totals> for Spent {
    fn from(totals: Totals) -> Self {
        Self {
            calls: totals.calls,
            input_tokens: totals.usage.input,
            output_tokens: totals.usage.output,
            cache_read_tokens: totals.usage.cache_read,
            cache_write_tokens: totals.usage.cache_write,
            cost_nano_usd: totals.cost.0,
            unpriced_calls: totals.unpriced_calls,
            unsettled_calls: totals.unsettled_calls,
            unsettled_tokens_max: totals.unsettled_tokens_max,
            unsettled_cost_nano_usd_max: totals.unsettled_cost_max.0,
        }
    }
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Nothing; it can be spoken to.
    Idle,
    /// It works.
    Running,
    /// It waits for somebody.
    Waiting,
    /// It was taken off the stage.
    Quarantined,
    /// It was put away.
    Archived,
}

impl From<Status> for State {
    fn from(status: Status) -> Self {
        match status {
            Status::Idle => Self::Idle,
            Status::Running => Self::Running,
            Status::Waiting => Self::Waiting,
            Status::Quarantined => Self::Quarantined,
            Status::Archived => Self::Archived,
        }
    }
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::Idle => Self::Idle,
            State::Running => Self::Running,
            State::Waiting => Self::Waiting,
            State::Quarantined => Self::Quarantined,
            State::Archived => Self::Archived,
        }
    }
}

/// What a session is for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GoalWire {
    /// In words.
    pub(super) objective: String,
    /// Tokens it may use for it.
    #[serde(default)]
    pub(super) token_budget: Option<u64>,
}

/// A session. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Line {
    /// Its id.
    pub(super) session: String,
    /// The root of its tree.
    root: String,
    /// Who spawned it.
    parent: Option<String>,
    /// Whose data it is.
    tenant: String,
    /// Its agent.
    agent: String,
    /// Its name.
    name: Option<String>,
    /// What it is doing.
    state: State,
    /// How its last turn ended, where it does nothing.
    pub(super) outcome: Option<&'static str>,
    /// What it waits for.
    pub(super) waiting_on: Option<String>,
    /// Since when it does what it does.
    since: i64,
    /// Whether it is in memory.
    pub(super) awake: bool,
    /// Messages in its mailbox.
    pub(super) inbox: usize,
    /// How often it was started again with work in hand.
    restarts: u64,
    /// Its last frame.
    position: u64,
    /// When it was opened.
    created_at: i64,
    /// When its log last grew.
    updated_at: i64,
    /// What it is for.
    goal: Option<GoalWire>,
    /// What it spent itself.
    pub(super) own: Spent,
    /// What it spent with everybody below it.
    pub(super) subtree: Spent,
    /// How many children it has.
    pub(super) children: u64,
}

impl Line {
    /// The line of a row. Who is awake and what was spent are for whoever knows.
    pub(super) fn of(row: SessionRow) -> Self {
        let goal = row
            .goal
            .map(|goal| GoalWire { objective: goal.objective, token_budget: goal.token_budget });
        Self {
            session: row.session.to_string(),
            root: row.root.to_string(),
            parent: row.parent.map(|parent| parent.to_string()),
            tenant: row.tenant.to_string(),
            agent: row.agent.to_string(),
            name: row.name,
            state: row.status.into(),
            outcome: None,
            waiting_on: row.waiting_on,
            since: row.updated_at.0,
            awake: false,
            inbox: 0,
            restarts: row.restarts,
            position: row.position.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            goal,
            own: Spent::default(),
            subtree: Spent::default(),
            children: 0,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }
}

/// A frame of a log.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FrameWire {
    /// Whose.
    session: String,
    /// Its place in the log; with the session, a cursor.
    pub(super) position: u64,
    /// When.
    at: i64,
    /// The owner that wrote it.
    token: u64,
    /// On whose behalf.
    principal: String,
    /// What happened: each has a `type`.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    events: Arc<[Event]>,
}

impl FrameWire {
    /// A frame that was read.
    pub(super) fn of(session: SessionId, frame: Decoded<Event>) -> Self {
        let envelope = frame.envelope;
        Self {
            session: session.to_string(),
            position: envelope.position.0,
            at: envelope.at.0,
            token: envelope.token.0,
            principal: envelope.principal.to_string(),
            events: frame.events.into(),
        }
    }

    /// A frame that was heard.
    pub(super) fn heard(frame: &Frame) -> Self {
        Self {
            session: frame.session.to_string(),
            position: frame.position.0,
            at: frame.at.0,
            token: frame.token.0,
            principal: frame.principal.to_string(),
            events: Arc::clone(&frame.events),
        }
    }
}

/// That an order is in the log.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Accepted {
    /// Of which session.
    pub(super) session: String,
}

/// Nothing to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
