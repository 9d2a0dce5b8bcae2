//! One session as far as it was heard: what is open in it, and the span that each end makes. It keeps
//! names, numbers and times of what is open; of an event's content it reads nothing.

use std::{collections::BTreeMap, sync::Arc};

use greenroom_actors::domain::{
    agent::AgentSpec,
    event::{Caller, Event, Lineage, UserInput},
    ids::{
        ApprovalNo, CallId, InputKey, ModelCallNo, SessionId, Timestamp, ToolCallNo, ToolName,
        TurnId,
    },
    permission::Subject,
    span::{SpanId, Spanned, TraceId},
    tool::ToolOutcome,
    usage::{Settlement, Usage},
};
use opentelemetry::{Array, KeyValue, Value, trace::SpanKind};

use super::{
    Done, Measured, Of, Vendors,
    sketch::{Marks, Sketch},
};
use crate::telemetry::names;

/// What an input that waits is served by and below, where it says.
#[derive(Debug, Default)]
struct Wish {
    provider: Option<String>,
    above: Option<SpanId>,
    is_errand: bool,
}

/// A turn that is running.
#[derive(Debug)]
struct Turn {
    no: TurnId,
    /// The last call of a model before it: what is booked late of one is not this turn's.
    behind: ModelCallNo,
    start: Timestamp,
    above: Option<SpanId>,
    provider: String,
    usage: Usage,
    marks: Marks,
}

/// A question that waits.
#[derive(Debug)]
struct Asked {
    start: Timestamp,
    what: String,
    /// The call it is about, where it is about one.
    call: Option<ToolCallNo>,
    turn: Option<TurnId>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Run {
    session: SessionId,
    trace: TraceId,
    /// Who spawned it, and its call.
    parent: Option<SessionId>,
    above: Option<SpanId>,
    agent: String,
    provider: String,
    vendors: Arc<Vendors>,
    /// Inputs that are not begun.
    wishes: BTreeMap<String, Wish>,
    turn: Option<Turn>,
    last_call: ModelCallNo,
    models: BTreeMap<ModelCallNo, (Timestamp, String, TurnId)>,
    /// Calls that are not closed, and the turn that wants them.
    wanted: BTreeMap<ToolCallNo, (ToolName, Option<TurnId>)>,
    tools: BTreeMap<ToolCallNo, Timestamp>,
    questions: BTreeMap<ApprovalNo, Asked>,
}

impl Run {
    pub(super) fn opened(
        session: SessionId,
        agent: &AgentSpec,
        lineage: &Lineage,
        vendors: &Arc<Vendors>,
    ) -> Self {
        let above = lineage.parent.as_ref();
        Self {
            session,
            trace: TraceId::of(lineage.root),
            parent: above.map(|link| link.session),
            above: above.map(|link| SpanId::of(link.session, Spanned::Tool(link.call))),
            agent: agent.name.to_string(),
            provider: vendors.called(agent.provider.as_ref()),
            vendors: Arc::clone(vendors),
            wishes: BTreeMap::new(),
            turn: None,
            last_call: ModelCallNo::default(),
            models: BTreeMap::new(),
            wanted: BTreeMap::new(),
            tools: BTreeMap::new(),
            questions: BTreeMap::new(),
        }
    }

    pub(super) const fn parent(&self) -> Option<SessionId> {
        self.parent
    }

    /// An input was accepted; `above` is the call it comes from, if not the one that spawned the session.
    pub(super) fn wanted(&mut self, key: &InputKey, input: &UserInput, above: Option<SpanId>) {
        let provider = input.overrides.provider.as_ref();
        let provider = provider.map(|name| self.vendors.called(Some(name)));
        let is_errand = input.assignment.is_some();
        self.wishes.insert(key.0.clone(), Wish { provider, above, is_errand });
    }

    /// The next event, and what ended with it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else begins or ends a span")]
    pub(super) fn hear(&mut self, at: Timestamp, event: &Event) -> Option<Done> {
        match event {
            Event::TurnStarted { turn, key, .. } => self.turn_started(*turn, key, at),
            Event::TurnFinished { outcome, .. } => {
                let error = (outcome.word() != "completed").then(|| outcome.word());
                return self.turn_ended(at, error);
            }
            Event::TimerSet { at: until, .. } => {
                let ms = KeyValue::new(names::RETRY_AFTER_MS, number(until.since_ms(at)));
                self.mark(names::RETRY, at, ms);
            }
            Event::ModelFellBack { to, .. } => {
                let model = KeyValue::new(names::REQUEST_MODEL, to.model.to_string());
                self.mark(names::FALLBACK, at, model);
                if let Some(turn) = &mut self.turn {
                    turn.provider = self.vendors.called(to.provider.as_ref());
                }
            }
            Event::ModelCallStarted { call, turn, model, .. } => {
                self.last_call = *call;
                self.models.insert(*call, (at, model.to_string(), *turn));
            }
            Event::ModelCallFinished { call, reply } => {
                let served = reply.served_by.as_ref().map(ToString::to_string);
                let stop = Some(names::stop(reply.stop));
                let end = CallEnd { served, stop, usage: reply.usage, error: None };
                return self.call_ended(*call, at, end);
            }
            Event::ModelCallFailed { call, failure } => {
                let error = Some(failure.kind.word());
                let end = CallEnd { usage: failure.usage, error, ..CallEnd::default() };
                return self.call_ended(*call, at, end);
            }
            Event::UsageSettled { call, settlement: Settlement::Exact { usage, .. }, .. } => {
                if let Some(turn) = self.turn.as_mut().filter(|turn| *call > turn.behind) {
                    turn.usage += *usage;
                }
            }
            Event::ToolRequested { call, name, by, .. } => {
                let turn = match by {
                    Caller::Model { turn } => Some(*turn),
                    Caller::Host { .. } => None,
                };
                self.wanted.insert(*call, (name.clone(), turn));
            }
            // One that is run again after a crash has begun when it first did.
            Event::ToolStarted { call, .. } => {
                self.tools.entry(*call).or_insert(at);
            }
            Event::ToolFinished { call, outcome } => return self.tool_ended(*call, at, outcome),
            Event::ApprovalRequested { no, ask } => self.asked(*no, at, &ask.subject),
            Event::ApprovalDecided { no, answer, .. } => {
                return self.question_ended(*no, at, names::answer(answer));
            }
            Event::ApprovalClosed { no, why } => {
                return self.question_ended(*no, at, names::closed(*why));
            }
            _ => {}
        }
        None
    }

    fn mark(&mut self, name: &'static str, at: Timestamp, attribute: KeyValue) {
        if let Some(turn) = &mut self.turn {
            turn.marks.add(name, at, attribute);
        }
    }

    fn turn_started(&mut self, no: TurnId, key: &InputKey, at: Timestamp) {
        let wish = self.wishes.remove(&key.0).unwrap_or_default();
        // What a person says to an agent that another one started is nobody's errand.
        let above = wish.above.or(self.above).filter(|_| wish.is_errand);
        let provider = wish.provider.unwrap_or_else(|| self.provider.clone());
        let (usage, marks) = (Usage::default(), Marks::default());
        let behind = self.last_call;
        self.turn = Some(Turn { no, behind, start: at, above, provider, usage, marks });
    }

    /// Something of a turn, or of none.
    fn sketch(
        &self,
        of: Spanned,
        turn: Option<TurnId>,
        name: String,
        (start, end): (Timestamp, Timestamp),
    ) -> Sketch {
        let session = self.session.to_string();
        Sketch {
            trace: self.trace,
            id: SpanId::of(self.session, of),
            parent: turn.map(|turn| SpanId::of(self.session, Spanned::Turn(turn))),
            name,
            kind: SpanKind::Internal,
            start,
            end,
            attributes: vec![
                KeyValue::new(names::CONVERSATION, session.clone()),
                KeyValue::new(names::AGENT_ID, session),
                KeyValue::new(names::AGENT, self.agent.clone()),
            ],
            marks: Marks::default(),
            error: None,
        }
    }

    fn turn_ended(&mut self, at: Timestamp, error: Option<&'static str>) -> Option<Done> {
        let turn = self.turn.take()?;
        let name = format!("{} {}", names::INVOKE_AGENT, self.agent);
        let mut sketch = self.sketch(Spanned::Turn(turn.no), None, name, (turn.start, at));
        sketch.parent = turn.above;
        sketch.marks = turn.marks;
        sketch.error = error;
        sketch.with(names::OPERATION, names::INVOKE_AGENT);
        sketch.with(names::PROVIDER, turn.provider);
        tokens(&mut sketch, &turn.usage);
        Some(finished(sketch, Of::Agent { agent: self.agent.clone() }))
    }

    fn call_ended(&mut self, call: ModelCallNo, at: Timestamp, end: CallEnd) -> Option<Done> {
        let (start, model, turn) = self.models.remove(&call)?;
        let provider = self.turn.as_ref().map_or(&self.provider, |turn| &turn.provider).clone();
        let name = format!("{} {model}", names::CHAT);
        let mut sketch = self.sketch(Spanned::Model(call), Some(turn), name, (start, at));
        sketch.kind = SpanKind::Client;
        sketch.error = end.error;
        sketch.with(names::OPERATION, names::CHAT);
        sketch.with(names::PROVIDER, provider.clone());
        sketch.with(names::REQUEST_MODEL, model.clone());
        if let Some(stop) = end.stop {
            // Who is served as asked does not always say so; whoever answers has a model all the same.
            sketch.with(names::RESPONSE_MODEL, end.served.clone().unwrap_or_else(|| model.clone()));
            sketch.with(names::FINISH_REASONS, Value::Array(Array::String(vec![stop.into()])));
        }
        if let Some(usage) = &end.usage {
            tokens(&mut sketch, usage);
        }
        let tokens = end.usage.map(|usage| (input(&usage), usage.output));
        Some(finished(sketch, Of::Model { provider, model, served: end.served, tokens }))
    }

    fn tool_ended(
        &mut self,
        call: ToolCallNo,
        at: Timestamp,
        outcome: &ToolOutcome,
    ) -> Option<Done> {
        let (tool, turn) = self.wanted.remove(&call)?;
        let start = self.tools.remove(&call)?;
        let name = format!("{} {tool}", names::EXECUTE_TOOL);
        let mut sketch = self.sketch(Spanned::Tool(call), turn, name, (start, at));
        sketch.error = (outcome.word() != "done").then(|| outcome.word());
        sketch.with(names::OPERATION, names::EXECUTE_TOOL);
        sketch.with(names::TOOL, tool.to_string());
        sketch.with(names::TOOL_CALL, CallId::tool(self.session, call).to_string());
        sketch.with(names::TOOL_TYPE, names::FUNCTION);
        Some(finished(sketch, Of::Tool { tool: tool.0 }))
    }

    fn asked(&mut self, no: ApprovalNo, at: Timestamp, subject: &Subject) {
        let (what, call) = match subject {
            Subject::ToolCall { call, request } => (request.tool.to_string(), Some(*call)),
            Subject::Plan { .. } => ("plan".to_owned(), None),
            Subject::Budget { .. } => ("budget".to_owned(), None),
            Subject::Question { .. } => ("question".to_owned(), None),
        };
        let by = call.and_then(|call| self.wanted.get(&call)).map(|(_, turn)| *turn);
        let turn = by.unwrap_or_else(|| self.turn.as_ref().map(|turn| turn.no));
        self.questions.insert(no, Asked { start: at, what, call, turn });
    }

    fn question_ended(&mut self, no: ApprovalNo, at: Timestamp, how: &'static str) -> Option<Done> {
        let Asked { start, what, call, turn } = self.questions.remove(&no)?;
        let name = format!("{} {what}", names::PERMISSION);
        let mut sketch = self.sketch(Spanned::Question(no), turn, name, (start, at));
        if let Some(call) = call {
            sketch.with(names::TOOL, what);
            sketch.with(names::TOOL_CALL, CallId::tool(self.session, call).to_string());
        }
        sketch.with(names::ANSWER, how);
        Some(Done { span: sketch.done(), measured: None })
    }
}

/// How a call of a model ended.
#[derive(Debug, Default)]
struct CallEnd {
    served: Option<String>,
    stop: Option<&'static str>,
    usage: Option<Usage>,
    error: Option<&'static str>,
}

fn finished(sketch: Sketch, of: Of) -> Done {
    let measured = Measured { ms: sketch.ms(), error: sketch.error, of };
    Done { span: sketch.done(), measured: Some(measured) }
}

/// What went in, from a cache or not.
const fn input(usage: &Usage) -> u64 {
    usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write)
}

fn tokens(sketch: &mut Sketch, usage: &Usage) {
    sketch.with(names::INPUT_TOKENS, number(input(usage)));
    sketch.with(names::CACHE_READ_TOKENS, number(usage.cache_read));
    sketch.with(names::CACHE_WRITE_TOKENS, number(usage.cache_write));
    sketch.with(names::OUTPUT_TOKENS, number(usage.output));
    sketch.with(names::REASONING_TOKENS, number(usage.reasoning));
}

/// Attributes have no larger numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
