//! The metrics by name: what each counts, in which unit, with which labels. One place, so that a
//! dashboard's author finds every name; `metrics.rs` says which event moves which.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{
        MetricType,
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use super::{labels::Labels, metrics::Spread};

/// Upper ends of the buckets of lengths, in seconds: from a tool that computes to a person's
/// answer after lunch; each about three times the one before.
const SECONDS: [f64; 14] =
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_600.0];

/// Counts.
pub(super) type Counts = Family<Labels, Counter>;
/// Sums of money.
pub(super) type Sums = Family<Labels, Counter<f64, AtomicU64>>;
/// Figures that go up and down.
pub(super) type Levels = Family<Labels, Gauge>;
/// Moments, in seconds since 1970.
pub(super) type Moments = Family<Labels, Gauge<f64, AtomicU64>>;
/// Lengths.
pub(super) type Lengths = Family<Labels, Histogram, Buckets>;

/// Makes a histogram of lengths.
#[derive(Clone, Debug)]
pub(super) struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

/// Lengths that somebody else has counted, as they were last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<Mutex<Spread>>);

impl Counted {
    pub(super) fn set(&self, spread: Spread) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = spread;
    }
}

impl EncodeMetric for Counted {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Spread { sum, upto } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = upto.iter().map(|(_end, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(*sum, count, upto, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Everything that is measured.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) events: Counts,
    pub(super) sessions_opened: Counts,
    pub(super) turns: Counts,
    pub(super) turn_seconds: Lengths,
    pub(super) model_calls: Counts,
    pub(super) model_call_seconds: Lengths,
    pub(super) model_retries: Counts,
    pub(super) model_fallbacks: Counts,
    pub(super) bookings: Counts,
    pub(super) tokens: Counts,
    pub(super) cost: Sums,
    pub(super) tool_calls: Counts,
    pub(super) tool_call_seconds: Lengths,
    pub(super) approvals: Counts,
    pub(super) approval_seconds: Lengths,
    pub(super) assignments: Counts,
    pub(super) restarts: Counts,
    pub(super) quarantines: Counts,
    pub(super) releases: Counts,
    pub(super) budget_warnings: Counts,
    pub(super) budget_refusals: Counts,
    pub(super) cancels: Counts,
    pub(super) prefix_changes: Counts,
    pub(super) missed: Counts,
    /// What no event carries.
    pub(super) seen: Seen,
}

/// Levels, as a look at the house has found them.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) sessions: Levels,
    pub(super) agent_sessions: Levels,
    pub(super) sessions_awake: Gauge,
    pub(super) sessions_asleep: Gauge,
    pub(super) sessions_ended: Gauge,
    pub(super) sessions_spawned: Gauge,
    pub(super) sessions_unaccounted: Gauge,
    pub(super) sessions_stranded: Gauge,
    pub(super) approvals_open: Gauge,
    pub(super) waiting_on: Levels,
    pub(super) inbox_messages: Gauge,
    pub(super) inbox_messages_max: Gauge,
    pub(super) restarts_held: Gauge,
    pub(super) append_seconds: Counted,
    pub(super) pool: Levels,
    pub(super) gate: Levels,
    pub(super) gate_paused_until: Moments,
    pub(super) gate_breaker: Levels,
}

impl Families {
    /// All of them, at nothing, in a registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let mut all = Names(registry);
        Self {
            events: all.counts("events", "Events committed to the logs, by their name"),
            sessions_opened: all.counts("sessions_opened", "Sessions opened, by agent"),
            turns: all.counts("turns", "Turns that ended, by agent and outcome"),
            turn_seconds: all.lengths("turn", "Length of turns from begin to end, by agent"),
            model_calls: all.counts("model_calls", "Model calls that ended, by model and result"),
            model_call_seconds: all.lengths("model_call", "Length of model calls, by model"),
            model_retries: all.counts("model_retries", "Pauses before another try, by agent"),
            model_fallbacks: all.counts("model_fallbacks", "Times a turn left a model for the next, by the one left"),
            bookings: all.counts(
                "bookings",
                "Words on what a model call came to: exact, a bound, or nothing; by model",
            ),
            tokens: all.counts(
                "tokens",
                "Tokens that models reported, by agent, model and kind; reasoning is part of output",
            ),
            cost: all.sums("cost_usd", "What those tokens cost, by agent and model"),
            tool_calls: all.counts("tool_calls", "Tool calls that closed, by tool and outcome"),
            tool_call_seconds: all.lengths("tool_call", "Length of tool calls that ran, by tool"),
            approvals: all.counts("approvals", "Questions to a person, by what became of them"),
            approval_seconds: all.lengths("approval", "How long a person's answer took"),
            assignments: all.counts("assignments", "Assignments of subagents, by what became of them"),
            restarts: all.counts("restarts", "Sessions started again with work in hand, by agent and cause"),
            quarantines: all.counts("quarantines", "Sessions taken off the stage, by agent"),
            releases: all.counts("releases", "Sessions let back by a person, by agent"),
            budget_warnings: all.counts("budget_warnings", "Budgets that passed their mark, by agent"),
            budget_refusals: all.counts("budget_refusals", "Calls a budget had no room for, by agent"),
            cancels: all.counts("cancels", "Cancels, by what they were aimed at"),
            prefix_changes: all.counts("prefix_changes", "Changes of a prompt's prefix, by reason"),
            missed: all.counts("metrics_missed", "Events that were not heard, so that they count nowhere"),
            seen: Seen::registered(&mut all),
        }
    }
}

impl Seen {
    fn registered(all: &mut Names<'_>) -> Self {
        Self {
            sessions: all.levels("sessions", "Sessions, by what they are doing"),
            agent_sessions: all
                .levels("agent_sessions", "Sessions of each agent, by what they are doing"),
            sessions_awake: all.level("sessions_awake", "Sessions in memory"),
            sessions_asleep: all
                .level("sessions_asleep", "Sessions on disk alone that can still work"),
            sessions_ended: all.level("sessions_ended", "Sessions put away"),
            sessions_spawned: all.level("sessions_spawned", "Sessions ever opened"),
            sessions_unaccounted: all.level(
                "sessions_unaccounted",
                "Spawned less awake, asleep and ended: anything but 0 is a leak",
            ),
            sessions_stranded: all.level(
                "sessions_stranded",
                "Sessions with work in hand that are not in memory: above 0 for long is a fault",
            ),
            approvals_open: all.level("approvals_open", "Questions that wait for a person"),
            waiting_on: all
                .levels("waiting_on", "Sessions with work in hand, by what they wait for"),
            inbox_messages: all.level("inbox_messages", "Messages in all mailboxes of sessions"),
            inbox_messages_max: all.level("inbox_messages_max", "Messages in the fullest mailbox"),
            restarts_held: all
                .level("restarts_held", "Sessions whose restart waits, because many died together"),
            append_seconds: all
                .counted("append", "How long frames took to be durable in their logs"),
            pool: all.levels("pool", "Tool pools: places, places taken, calls that wait"),
            gate: all
                .levels("gate", "Gates of credentials: places, calls in flight, calls that wait"),
            gate_paused_until: all.moments(
                "gate_paused_until",
                "Until when a vendor asked that nobody calls, since 1970; 0 when it did not",
            ),
            gate_breaker: all.levels(
                "gate_breaker",
                "Breakers of gates, 1 at the state they are in: closed, open, probing",
            ),
        }
    }
}

/// Names metrics as they are registered. The library appends `_total` to counters.
struct Names<'r>(&'r mut Registry);

impl Names<'_> {
    fn counts(&mut self, name: &str, help: &str) -> Counts {
        let made = Counts::default();
        self.0.register(name, help, made.clone());
        made
    }

    fn sums(&mut self, name: &str, help: &str) -> Sums {
        let made = Sums::default();
        self.0.register(name, help, made.clone());
        made
    }

    fn levels(&mut self, name: &str, help: &str) -> Levels {
        let made = Levels::default();
        self.0.register(name, help, made.clone());
        made
    }

    fn moments(&mut self, name: &str, help: &str) -> Moments {
        let made = Moments::default();
        self.0.register_with_unit(name, help, Unit::Seconds, made.clone());
        made
    }

    fn counted(&mut self, name: &str, help: &str) -> Counted {
        let made = Counted::default();
        self.0.register_with_unit(name, help, Unit::Seconds, made.clone());
        made
    }

    fn level(&mut self, name: &str, help: &str) -> Gauge {
        let made = Gauge::default();
        self.0.register(name, help, made.clone());
        made
    }

    fn lengths(&mut self, name: &str, help: &str) -> Lengths {
        let made = Lengths::new_with_constructor(Buckets);
        self.0.register_with_unit(name, help, Unit::Seconds, made.clone());
        made
    }
}
