//! Spans and metrics of runs, made of their frames alone: whoever has a session's log has them, so a
//! session that goes on after a restart goes on in the same trace, and whoever reads its log knows what
//! is open. Ids follow from ids (`domain::span`), so a span that is told twice is the same span.
//!
//! ```text
//!   invoke_agent lead            a turn
//!   ├─ chat m                    a call of a model; that one is made again is an event of the turn
//!   ├─ greenroom.permission pay  a question, from asking to its answer
//!   └─ execute_tool spawn_agent  a tool from start to close
//!      └─ invoke_agent hand      what it set to work
//! ```
//!
//! Nothing that was said is in them: names, numbers, kinds and times. The SDK's shapes of a finished
//! span and of a histogram are used and nothing else of it: no tracer, no thread, nothing global.

mod collector;
mod instruments;
mod otlp;
mod run;
mod sketch;
mod taker;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use greenroom_actors::domain::{
    event::{Event, UserInput},
    ids::{Assignment, Position, ProviderName, SessionId, Timestamp, ToolCallNo},
    span::{SpanId, Spanned},
};
use opentelemetry_sdk::trace::SpanData;

use super::names;

use run::Run;

pub use collector::{Collector, Protocol};
pub use instruments::{Instruments, Reader};
/// The SDK whose traits an exporter of a program's own implements, in the version that is meant.
pub use opentelemetry_sdk as sdk;
pub use otlp::{Otlp, Otlpless};
pub use taker::{MetricTaker, SpanTaker};

/// Sessions that are followed at once; a few hundred bytes each. Of one that is forgotten the log is read
/// again.
const FOLLOWED: usize = 20_000;

/// Something that has ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its span.
    pub span: SpanData,
    /// What it counts as.
    pub(super) measured: Option<Measured>,
}

/// What is measured of what ended.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) ms: u64,
    pub(super) error: Option<&'static str>,
    pub(super) of: Of,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) enum Of {
    Agent { agent: String },
    Model { provider: String, model: String, served: Option<String>, tokens: Option<(u64, u64)> },
    Tool { tool: String },
}

/// Follows sessions, and tells what ended.
#[derive(Debug, Default)]
pub struct Follower {
    runs: HashMap<SessionId, (Position, Run)>,
    /// The call behind each assignment that was given and not yet heard to arrive, where it is not the one
    /// that spawned the session.
    errands: HashMap<(SessionId, Assignment), (SessionId, ToolCallNo)>,
    vendors: Arc<Vendors>,
    /// The time of the latest frame, and what it was when sessions were last forgotten.
    latest: Timestamp,
    forgot: Timestamp,
}

/// What those who serve models are called there.
#[derive(Clone, Debug, Default)]
pub struct Vendors {
    /// Who serves models of which nobody says so.
    pub default: Option<ProviderName>,
    /// The vendor behind a name that was made up here.
    pub kinds: BTreeMap<ProviderName, &'static str>,
}

impl Vendors {
    fn called(&self, name: Option<&ProviderName>) -> String {
        let Some(name) = name.or(self.default.as_ref()) else {
            return names::PROVIDER_UNKNOWN.to_owned();
        };
        let kind = self.kinds.get(name).copied();
        // A script of an agents file is called after its model as well.
        let own = || name.as_str().split('/').next().unwrap_or_default();
        names::provider(kind.unwrap_or_else(own)).to_owned()
    }
}

impl Follower {
    /// Of a house with these vendors.
    #[must_use]
    pub fn new(vendors: Vendors) -> Self {
        Self { vendors: Arc::new(vendors), ..Self::default() }
    }

    /// The last frame that was heard of a session; none of one that is not followed. Its log has to be
    /// heard from there on, without a gap.
    #[must_use]
    pub fn heard(&self, session: SessionId) -> Position {
        self.runs.get(&session).map(|(heard, _)| *heard).unwrap_or_default()
    }

    /// Until when everything was heard of sessions that are forgotten: whoever hears the log of one again
    /// has been told what ended up to then.
    #[must_use]
    pub const fn forgot(&self) -> Timestamp {
        self.forgot
    }

    /// The session whose log has to be heard before these events of this one: it says with which call they
    /// were asked for.
    #[must_use]
    pub fn lacks(&self, session: SessionId, events: &[Event]) -> Option<SessionId> {
        let (_, run) = self.runs.get(&session)?;
        let lacks = |event: &Event| match event {
            // The first is its spawn, of which its own log says so.
            Event::InputAccepted { input: UserInput { assignment: Some(no), .. }, .. } => {
                *no > Assignment(1) && !self.errands.contains_key(&(session, *no))
            }
            _ => false,
        };
        run.parent().filter(|_| events.iter().any(lacks))
    }

    /// The next frame of a session, and what ended with it.
    pub fn hear(
        &mut self,
        session: SessionId,
        (position, at): (Position, Timestamp),
        events: &[Event],
    ) -> Vec<Done> {
        let mut done = Vec::new();
        self.latest = self.latest.max(at);
        for event in events {
            if let Event::SessionOpened { rendered, lineage, .. } = event {
                if self.runs.len() >= FOLLOWED {
                    self.runs.clear();
                    self.errands.clear();
                    self.forgot = self.latest;
                }
                let run = Run::opened(session, &rendered.agent, lineage, &self.vendors);
                self.runs.insert(session, (position, run));
            }
            if let Event::ChildSpawned { child, assignment, call, creation: None, .. } = event {
                if self.errands.len() >= FOLLOWED {
                    // Of agents that nobody hears: theirs would hang below their spawn, and nothing worse.
                    self.errands.clear();
                }
                self.errands.insert((*child, *assignment), (session, *call));
            }
            if let Some((heard, run)) = self.runs.get_mut(&session) {
                *heard = position;
                if let Event::InputAccepted { key, input } = event {
                    let errand = input.assignment.map(|no| (session, no));
                    let errand = errand.and_then(|errand| self.errands.remove(&errand));
                    let above = errand.map(|(by, call)| SpanId::of(by, Spanned::Tool(call)));
                    run.wanted(key, input, above);
                }
                done.extend(run.hear(at, event));
            }
        }
        done
    }
}

#[cfg(test)]
mod tests;
