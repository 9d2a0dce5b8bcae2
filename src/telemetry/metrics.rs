//! Metrics, from events and nothing else: the same events give the same figures whether they are
//! heard live or read from a store. Levels, which no event carries, are set from a look at the
//! house. Nothing here can fail or wait, so nothing that is measured depends on it.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    agent::{ModelChoice, Rendered},
    catalog::{Census, Status, Wait},
    event::{CancelTarget, Event, RestartCause, TimerKind},
    ids::{ApprovalNo, ModelCallNo, ModelName, SessionId, Timestamp, ToolCallNo, ToolName, TurnId},
    permission::{Answer, Closed},
    usage::{Settlement, Usage},
};
use prometheus_client::{encoding::text, registry::Registry};

use super::{
    families::{Counts, Families, Lengths, Levels},
    labels::{Bounded, Known, Labels},
    spans::Open,
};

mod house;
#[cfg(test)]
mod tests;

pub use house::{Breaker, Fill, Gate, House, Spread};

/// Who an event is about and when it happened.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The session.
    pub session: SessionId,
    /// Its agent.
    pub agent: &'a str,
    /// When the frame was made.
    pub at: Timestamp,
}

/// All metrics of one house.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    all: Families,
    agents: Bounded,
    models: Known,
    tools: Known,
    turns: Open<TurnId, ()>,
    calls: Open<ModelCallNo, String>,
    wanted: Open<ToolCallNo, String>,
    running: Open<ToolCallNo, ()>,
    asked: Open<ApprovalNo, ()>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("greenroom");
        Self {
            all: Families::registered(&mut registry),
            registry,
            agents: Bounded::default(),
            models: Known::default(),
            tools: Known::default(),
            turns: Open::default(),
            calls: Open::default(),
            wanted: Open::default(),
            running: Open::default(),
            asked: Open::default(),
        }
    }
}

impl Metrics {
    /// The figures as text, in the format that Prometheus scrapes.
    ///
    /// # Errors
    /// When a value cannot be written, which is a defect.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(scraped(&out))
    }

    /// Models and tools that exist: they are counted under their names, and others are not.
    pub fn know<'n>(
        &mut self,
        models: impl IntoIterator<Item = &'n str>,
        tools: impl IntoIterator<Item = &'n str>,
    ) {
        models.into_iter().for_each(|name| self.models.learn(name));
        tools.into_iter().for_each(|name| self.tools.learn(name));
    }

    /// The same of what an agent is made of.
    pub fn know_agent(&mut self, rendered: &Rendered) {
        let models = rendered.agent.models().map(ModelName::as_str);
        self.know(models, rendered.tools.iter().map(|tool| tool.name.as_str()));
    }

    /// What is declared in the log itself.
    fn learn(&mut self, event: &Event) {
        if let Event::SessionOpened { rendered, .. } = event {
            self.know_agent(rendered);
        }
        if let Event::ToolsChanged { tools, .. } = event {
            self.know([], tools.iter().map(|tool| tool.name.as_str()));
        }
    }

    /// Moves what one event moves.
    pub fn hear(&mut self, of: Heard<'_>, event: &Event) {
        self.learn(event);
        let agent = self.agents.value(of.agent);
        let mine = || one("agent", &agent);
        let all = &self.all;
        all.events.get_or_create(&one("event", event.name())).inc();
        match event {
            Event::SessionOpened { .. } => count(&all.sessions_opened, mine()),
            Event::TurnStarted { turn, .. } => self.turns.begin(of.session, *turn, of.at, ()),
            Event::TurnFinished { turn, outcome } => {
                count(&all.turns, two(("agent", &agent), ("outcome", outcome.word())));
                length(&all.turn_seconds, mine(), self.turns.end(of.session, *turn, of.at));
            }
            Event::ModelCallStarted { call, model, .. } => {
                let model = self.models.value(model.as_str());
                self.calls.begin(of.session, *call, of.at, model);
            }
            Event::ModelCallFinished { call, .. } => self.called(of, *call, "finished"),
            Event::ModelCallFailed { call, failure } => {
                self.called(of, *call, failure.kind.word());
            }
            Event::UsageSettled { model, settlement, .. } => {
                let model = self.models.value(model.as_str());
                self.booked(&agent, &model, settlement);
            }
            Event::TimerSet { timer: TimerKind::Retry, .. } => count(&all.model_retries, mine()),
            Event::ModelFellBack { from, .. } => self.left(from),
            Event::ToolRequested { call, name, .. } => self.tool_wanted(of, *call, name),
            Event::ToolStarted { call, .. } => self.running.begin(of.session, *call, of.at, ()),
            Event::ToolFinished { call, outcome } => self.tool_closed(of, *call, outcome.word()),
            Event::ApprovalRequested { no, .. } => {
                self.asked.begin(of.session, *no, of.at, ());
                count(&all.approvals, one("result", "asked"));
            }
            Event::ApprovalDecided { no, answer, .. } => {
                count(&all.approvals, one("result", answered(answer)));
                let asked = self.asked.end(of.session, *no, of.at);
                length(&all.approval_seconds, Labels::new(), asked);
            }
            Event::ApprovalClosed { no, why } => {
                self.asked.end(of.session, *no, of.at);
                count(&all.approvals, one("result", unanswered(*why)));
            }
            Event::ChildSpawned { .. } => count(&all.assignments, one("result", "given")),
            Event::ChildFinished { report, .. } => {
                count(&all.assignments, one("result", report.outcome.word()));
            }
            Event::CancelRequested { target, .. } => {
                count(&all.cancels, one("target", aim(*target)))
            }
            Event::ToolsChanged { .. } | Event::Compacted { .. } => {
                count(&all.prefix_changes, one("reason", event.name()));
            }
            Event::BudgetWarned { .. } => count(&all.budget_warnings, mine()),
            Event::BudgetExhausted { .. } => count(&all.budget_refusals, mine()),
            Event::SessionRestarted { cause } => {
                count(&all.restarts, two(("agent", &agent), ("cause", death(cause))));
            }
            Event::SessionQuarantined { .. } => count(&all.quarantines, mine()),
            Event::SessionReleased { .. } => count(&all.releases, mine()),
            Event::InputAccepted { .. }
            | Event::ChildStopped { .. }
            | Event::TimerFired { .. }
            | Event::EngineState { .. }
            | Event::Checkpointed { .. }
            | Event::SessionForked { .. }
            | Event::SessionRenamed { .. }
            | Event::SessionArchived { .. }
            | Event::GoalSet { .. } => {}
        }
    }

    /// So many notes were not heard: what is counted is too low by them.
    pub fn missed(&mut self, notes: u64) {
        self.all.missed.get_or_create(&Labels::new()).inc_by(notes);
    }

    fn called(&mut self, of: Heard<'_>, call: ModelCallNo, result: &str) {
        // A listener that came late does not know which model it was.
        let begun = self.calls.end(of.session, call, of.at);
        let model = begun.as_ref().map_or("unknown", |(model, _)| model).to_owned();
        count(&self.all.model_calls, two(("model", &model), ("result", result)));
        length(&self.all.model_call_seconds, one("model", &model), begun);
    }

    fn left(&mut self, from: &ModelChoice) {
        let model = self.models.value(from.model.as_str());
        count(&self.all.model_fallbacks, one("model", &model));
    }

    fn tool_wanted(&mut self, of: Heard<'_>, call: ToolCallNo, name: &ToolName) {
        let name = self.tools.value(name.as_str());
        self.wanted.begin(of.session, call, of.at, name);
    }

    fn tool_closed(&mut self, of: Heard<'_>, call: ToolCallNo, outcome: &str) {
        let name = self.wanted.end(of.session, call, of.at);
        let name = name.map_or_else(|| "unknown".to_owned(), |(name, _)| name);
        count(&self.all.tool_calls, two(("tool", &name), ("outcome", outcome)));
        let ran = self.running.end(of.session, call, of.at);
        length(&self.all.tool_call_seconds, one("tool", &name), ran);
    }

    fn booked(&self, agent: &str, model: &str, settlement: &Settlement) {
        let both = two(("agent", agent), ("model", model));
        let booking = match settlement {
            Settlement::Exact { usage, cost } => {
                for (kind, tokens) in kinds(usage) {
                    let mut labels = both.clone();
                    labels.push(("kind", kind.to_owned()));
                    self.all.tokens.get_or_create(&labels).inc_by(tokens);
                }
                if let Some(cost) = cost {
                    // A float is enough here: the exact figure is the ledger's.
                    self.all.cost.get_or_create(&both).inc_by(cost.0 as f64 / 1e9);
                }
                "exact"
            }
            Settlement::Unsettled { .. } => "bound",
            Settlement::Free => "free",
        };
        count(&self.all.bookings, two(("model", model), ("booking", booking)));
    }

    /// Sets the levels to what a look at the house saw.
    pub fn look(&mut self, house: &House) {
        let all = |is: &dyn Fn(Status) -> bool| {
            let these = house.census.iter().filter(|one| is(one.status));
            these.map(|one| whole(one.sessions)).sum::<i64>()
        };
        let awake = house.awake.clone().unwrap_or_default();
        let awake_and = |is: &dyn Fn(Status) -> bool| {
            let these = awake.doing.iter().filter(|(status, _)| is(**status));
            level(these.map(|(_, many)| many).sum())
        };
        for status in Status::ALL {
            let many = all(&|is| is == status);
            self.all.seen.sessions.get_or_create(&one("state", status.word())).set(many);
        }
        self.by_agent(&house.census);
        let is_archived = |status| status == Status::Archived;
        let ended = all(&is_archived) - awake_and(&is_archived);
        let asleep =
            all(&|status| !is_archived(status)) - awake_and(&|status| !is_archived(status));
        let (in_memory, spawned) = (level(awake.all), all(&|_any| true));
        self.all.seen.sessions_spawned.set(spawned);
        self.all.seen.sessions_awake.set(in_memory);
        self.all.seen.sessions_asleep.set(asleep);
        self.all.seen.sessions_ended.set(ended);
        self.all.seen.sessions_unaccounted.set(spawned - in_memory - asleep - ended);
        if house.awake.is_some() {
            let is_running = |status| status == Status::Running;
            self.all.seen.sessions_stranded.set(all(&is_running) - awake_and(&is_running));
        }
        self.all.seen.approvals_open.set(whole(house.approvals));
        for (what, many) in waiting(house) {
            let many = whole(many);
            self.all.seen.waiting_on.get_or_create(&one("what", what.word())).set(many);
        }
        self.all.seen.inbox_messages.set(level(awake.inbox_sum));
        self.all.seen.inbox_messages_max.set(level(awake.inbox_max));
        self.all.seen.restarts_held.set(level(house.held));
        self.all.seen.append_seconds.set(house.appends.clone());
        house.pools.iter().for_each(|(name, pool)| filled(&self.all.seen.pool, name, pool));
        house.gates.iter().for_each(|(name, gate)| self.gate(name, gate));
    }

    /// An agent that is not counted any more keeps its series, at nothing.
    fn by_agent(&mut self, census: &[Census]) {
        let mut counted: BTreeMap<(String, &str), i64> = BTreeMap::new();
        for agent in self.agents.values() {
            counted.extend(Status::ALL.map(|status| ((agent.to_owned(), status.word()), 0)));
        }
        for Census { agent, status, sessions, .. } in census {
            let agent = self.agents.value(agent.as_str());
            *counted.entry((agent, status.word())).or_default() += whole(*sessions);
        }
        for ((agent, state), many) in counted {
            let labels = two(("agent", &agent), ("state", state));
            self.all.seen.agent_sessions.get_or_create(&labels).set(many);
        }
    }

    fn gate(&self, name: &str, gate: &Gate) {
        filled(&self.all.seen.gate, name, &gate.fill);
        let until = gate.paused_until.map_or(0.0, |until| until.0 as f64 / 1e3);
        self.all.seen.gate_paused_until.get_or_create(&one("name", name)).set(until);
        for stage in Breaker::ALL {
            let labels = two(("name", name), ("state", stage.word()));
            self.all.seen.gate_breaker.get_or_create(&labels).set(i64::from(stage == gate.breaker));
        }
    }
}

/// How many wait for what. The log of one that waits at a gate says that it is with its model.
fn waiting(house: &House) -> BTreeMap<Wait, u64> {
    let mut waiting: BTreeMap<Wait, u64> = Wait::ALL.map(|wait| (wait, 0)).into();
    for Census { waits, sessions, .. } in &house.census {
        if let Some(many) = waits.and_then(|wait| waiting.get_mut(&wait)) {
            *many += sessions;
        }
    }
    let model = waiting.entry(Wait::Model).or_default();
    let at_gates = house.at_gates.min(*model);
    *model -= at_gates;
    *waiting.entry(Wait::Gate).or_default() += at_gates;
    waiting
}

fn filled(family: &Levels, name: &str, fill: &Fill) {
    for (state, many) in [("places", fill.places), ("taken", fill.taken), ("waiting", fill.waiting)]
    {
        family.get_or_create(&two(("name", name), ("state", state))).set(level(many));
    }
}

fn count(family: &Counts, labels: Labels) {
    family.get_or_create(&labels).inc();
}

fn length<W>(family: &Lengths, labels: Labels, ended: Option<(W, f64)>) {
    if let Some((_, seconds)) = ended {
        family.get_or_create(&labels).observe(seconds);
    }
}

/// OpenMetrics names a counter's family without `_total`; what scrapes the older text format looks
/// for help and type under the name of the sample. Both read it when all three names are one.
fn scraped(text: &str) -> String {
    let counters: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let head = (words.next(), words.next(), words.next(), words.next());
        match head {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest))
                if counters.contains(name) =>
            {
                out += &format!("# {what} {name}_total {rest}");
            }
            _ => out += line,
        }
        out.push('\n');
    }
    out
}

fn one(key: &'static str, value: &str) -> Labels {
    vec![(key, value.to_owned())]
}

fn two(first: (&'static str, &str), second: (&'static str, &str)) -> Labels {
    vec![(first.0, first.1.to_owned()), (second.0, second.1.to_owned())]
}

fn whole(many: u64) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

fn level(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

const fn kinds(usage: &Usage) -> [(&'static str, u64); 5] {
    [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ]
}

const fn aim(target: CancelTarget) -> &'static str {
    match target {
        CancelTarget::Everything => "everything",
        CancelTarget::Assignment { .. } => "assignment",
        CancelTarget::Child { .. } => "child",
        CancelTarget::Turn { .. } => "turn",
    }
}

const fn death(cause: &RestartCause) -> &'static str {
    match cause {
        RestartCause::Panic { .. } => "panic",
        RestartCause::Process => "process",
    }
}

const fn answered(answer: &Answer) -> &'static str {
    if answer.approves() { "approved" } else { "rejected" }
}

const fn unanswered(why: Closed) -> &'static str {
    match why {
        Closed::Expired => "expired",
        Closed::Withdrawn => "withdrawn",
    }
}
