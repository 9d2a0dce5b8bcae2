//! The runtime's own tools: an agent spawns, awaits, cancels, lists and addresses other agents.
//! They touch nothing outside, take no slot, and are decided here.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        event::{CancelTarget, Creation, Event, Lineage, ParentLink, UserInput},
        ids::{AgentName, Assignment, PoolKind, SessionId, ToolCallNo, ToolName},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    limits,
};

use super::{
    desk::Desk,
    measure::clip,
    state::{Stage, State, Task},
};

/// Spawns an agent.
pub const SPAWN: &str = "spawn_agent";
/// Waits for agents.
pub const AWAIT: &str = "await_agents";
/// Cancels an agent.
pub const CANCEL: &str = "cancel_agent";
/// Lists agents.
pub const LIST: &str = "list_agents";
/// Gives an agent more to do.
pub const SEND: &str = "send_agent";

/// All of them.
pub const ALL: [&str; 5] = [SPAWN, AWAIT, CANCEL, LIST, SEND];

/// Whether a tool is the runtime's own.
#[must_use]
pub fn is_builtin(name: &ToolName) -> bool {
    ALL.contains(&name.as_str())
}

/// Whether a tool assigns work to an agent, and so needs a place among the living.
#[must_use]
pub fn assigns(name: &ToolName) -> bool {
    matches!(name.as_str(), SPAWN | SEND)
}

/// What a closed call draws on a budget of tool calls. The runtime's own tools that only wait or
/// look are not counted: nothing was reserved for them, so counting them could overrun a budget.
#[must_use]
pub fn counts(name: &ToolName, started: bool) -> u64 {
    u64::from(started && (assigns(name) || !is_builtin(name)))
}

/// Their descriptions, for an agent that has routes.
#[must_use]
pub fn specs(routes: &BTreeSet<AgentName>) -> Vec<ToolSpec> {
    let names: Vec<&str> = routes.iter().map(AgentName::as_str).collect();
    let id = r#""agent_id":{"type":"string","description":"as spawn_agent returned it"}"#;
    let tool = |name: &str, description: &str, properties: &str, required: &str| ToolSpec {
        name: name.into(),
        description: description.to_owned(),
        schema: format!(
            r#"{{"type":"object","properties":{{{properties}}},"required":[{required}],"additionalProperties":false}}"#
        ),
        effect: EffectClass::Pure,
        pool: PoolKind::from("builtin"),
    };
    let agents = serde_json::to_string(&names).unwrap_or_default();
    vec![
        tool(
            SPAWN,
            "Start another agent on a task of its own. Returns its agent_id at once; it works in parallel.",
            &format!(
                r#""agent":{{"type":"string","enum":{agents}}},"task":{{"type":"string","description":"everything it needs to know"}}"#
            ),
            r#""agent","task""#,
        ),
        tool(
            AWAIT,
            "Wait until agents have ended and read their results. Without agent_ids: all of them.",
            r#""agent_ids":{"type":"array","items":{"type":"string"}},"timeout_ms":{"type":"integer","minimum":0}"#,
            "",
        ),
        tool(CANCEL, "Stop an agent and everything below it.", id, r#""agent_id""#),
        tool(LIST, "List your agents and how they are.", "", ""),
        tool(
            SEND,
            "Give an agent you started another task.",
            &format!(r#"{id},"task":{{"type":"string"}}"#),
            r#""agent_id","task""#,
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpawnArgs {
    agent: AgentName,
    task: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AwaitArgs {
    #[serde(default)]
    agent_ids: Option<Vec<SessionId>>,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelArgs {
    agent_id: SessionId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendArgs {
    agent_id: SessionId,
    task: String,
}

#[derive(Serialize)]
struct Started<'a> {
    agent_id: SessionId,
    agent: &'a AgentName,
    assignment: Assignment,
}

#[derive(Serialize)]
struct Shown<'a> {
    agent_id: SessionId,
    agent: &'a AgentName,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Cow<'a, str>>,
}

/// An agent without its result, as `shown` writes it into an event.
const ROW_BYTES: usize = 256;

/// What is said of an agent that may be started, but that this runtime does not have.
pub(super) fn unknown_agent(name: &AgentName) -> String {
    format!("agent {name} is not defined in this runtime")
}

fn parse<T: DeserializeOwned>(name: &str, args: &Args) -> Result<T, String> {
    serde_json::from_str(&args.0).map_err(|error| format!("{name}: bad arguments: {error}"))
}

/// A built-in call's work, checked: what it will do once it may.
enum Work {
    Spawn { creation: Box<Creation>, agent: AgentName, task: String },
    Send { child: SessionId, task: String },
}

impl Desk<'_, '_> {
    /// Starts a built-in call that is allowed. One that assigns work waits for the ledger first.
    pub(super) fn start_builtin(&mut self, no: ToolCallNo) {
        let Some(call) = self.state.calls.get(&no) else { return };
        let (name, args) = (call.name.clone(), call.args.clone());
        match name.as_str() {
            // The check comes before the wait: a bad request should not queue for a place.
            SPAWN | SEND => {
                if let Err(why) = self.work(no, &name, &args) {
                    self.close(no, ToolOutcome::Failed { output: Output::text(why) });
                }
            }
            AWAIT => match parse::<AwaitArgs>(AWAIT, &args) {
                Ok(args) => self.await_agents(no, &args),
                Err(why) => self.close(no, ToolOutcome::Failed { output: Output::text(why) }),
            },
            CANCEL => match parse::<CancelArgs>(CANCEL, &args) {
                Ok(args) => self.cancel_agent(no, &args),
                Err(why) => self.close(no, ToolOutcome::Failed { output: Output::text(why) }),
            },
            _ => {
                self.start(no, None);
                let all: Vec<SessionId> = self.state.children.keys().copied().collect();
                let output = Output::text(shown(self.state, &all, self.room(1)));
                self.close(no, ToolOutcome::Done { output });
            }
        }
    }

    /// The ledger has given a place: the work is assigned in one frame.
    pub(super) fn assign(&mut self, no: ToolCallNo) {
        let Some(call) = self.state.calls.get(&no) else { return };
        let (name, args) = (call.name.clone(), call.args.clone());
        let work = match self.work(no, &name, &args) {
            Ok(work) => work,
            Err(why) => {
                return self.close(no, ToolOutcome::Failed { output: Output::text(why) });
            }
        };
        self.start(no, None);
        let (child, agent, assignment, task, creation) = match work {
            Work::Spawn { creation, agent, task } => {
                let child = SessionId::child_of(self.state.session, no);
                (child, agent, Assignment(1), task, Some(creation))
            }
            Work::Send { child, task } => {
                let Some(known) = self.state.children.get(&child) else { return };
                let last = known.assignments.last_key_value().map_or(Assignment(0), |(no, _)| *no);
                (child, known.agent.clone(), last.next(), task, None)
            }
        };
        let mut input = UserInput::text(task);
        input.assignment = Some(assignment);
        let told = Started { agent_id: child, agent: &agent, assignment };
        let output = Output::text(serde_json::to_string(&told).unwrap_or_default());
        self.emit(Event::ChildSpawned {
            child,
            agent,
            assignment,
            call: no,
            task: input,
            creation,
        });
        self.close(no, ToolOutcome::Done { output });
    }

    fn work(&self, no: ToolCallNo, name: &ToolName, args: &Args) -> Result<Work, String> {
        let state = &*self.state;
        let Some(opened) = &state.opened else { return Err("not open".to_owned()) };
        let own = &opened.rendered.agent;
        let width = own.limits.width as usize;
        if name.as_str() == SEND {
            let args: SendArgs = parse(SEND, args)?;
            let child = args.agent_id;
            let known = state.children.get(&child);
            let known = known.ok_or_else(|| format!("{child} is not an agent you started"))?;
            if known.open().is_none() && state.live_children() >= width {
                return Err(format!("limit reached: {width} agents are working for you already"));
            }
            return Ok(Work::Send { child, task: args.task });
        }
        let args: SpawnArgs = parse(SPAWN, args)?;
        if !own.routes.contains(&args.agent) {
            let known: Vec<&str> = own.routes.iter().map(AgentName::as_str).collect();
            return Err(format!("no agent {}; you may start: {}", args.agent, known.join(", ")));
        }
        let Some(rendered) = self.env.agents.get(&args.agent) else {
            return Err(unknown_agent(&args.agent));
        };
        if opened.lineage.depth_left == 0 {
            return Err("limit reached: agents may not be started any deeper".to_owned());
        }
        if state.live_children() >= width {
            return Err(format!("limit reached: {width} agents are working for you already"));
        }
        if state.children.len() >= limits::CHILDREN {
            let max = limits::CHILDREN;
            return Err(format!("limit reached: {max} agents were started here; fork the session"));
        }
        let lineage = Lineage {
            root: opened.lineage.root,
            parent: Some(ParentLink { session: state.session, call: no }),
            depth: opened.lineage.depth + 1,
            depth_left: (opened.lineage.depth_left - 1).min(rendered.agent.limits.depth),
            total: opened.lineage.total,
            accounts: state.accounts(),
            authority: state.authority(),
            raised: state.raised_tools(self.env.now),
        };
        let creation = Box::new(Creation { rendered: rendered.clone(), lineage });
        Ok(Work::Spawn { creation, agent: args.agent, task: args.task })
    }

    fn await_agents(&mut self, no: ToolCallNo, args: &AwaitArgs) {
        let unknown = args.agent_ids.iter().flatten();
        let unknown = unknown.copied().find(|id| !self.state.children.contains_key(id));
        if let Some(child) = unknown {
            let output = Output::text(format!("{child} is not an agent you started"));
            return self.close(no, ToolOutcome::Failed { output });
        }
        self.start(no, args.timeout_ms);
        self.close_waits(false);
    }

    fn cancel_agent(&mut self, no: ToolCallNo, args: &CancelArgs) {
        let child = args.agent_id;
        if !self.state.children.contains_key(&child) {
            let output = Output::text(format!("{child} is not an agent you started"));
            return self.close(no, ToolOutcome::Failed { output });
        }
        self.start(no, None);
        let reason = "cancelled by its parent".to_owned();
        let (target, outcome) = (CancelTarget::Child { child }, None);
        self.emit(Event::CancelRequested { target, reason, outcome });
        self.close_waits(false);
    }

    /// Closes waiting calls whose agents have ended, or, when `due`, whose time has run out.
    pub(super) fn close_waits(&mut self, due: bool) {
        let mut over = Vec::new();
        for (no, call) in &self.state.calls {
            let Stage::Started { deadline, .. } = &call.stage else { continue };
            let Some(awaited) = awaited(self.state, &call.name, &call.args) else { continue };
            // Whoever cancels wants to know that nothing is left, also below one off the stage.
            let to_its_end = call.name.as_str() == CANCEL;
            let ended = |id: &SessionId| {
                self.state.children.get(id).is_none_or(|child| {
                    let stopping = || child.assignments.values().any(Task::is_stopping);
                    child.open().is_none() && !(to_its_end && stopping())
                })
            };
            if awaited.iter().all(ended) || (due && *deadline <= self.env.now) {
                over.push((*no, awaited));
            }
        }
        let mut left = over.len();
        for (no, awaited) in over {
            let output = Output::text(shown(self.state, &awaited, self.room(left)));
            left -= 1;
            self.close(no, ToolOutcome::Done { output });
        }
    }
}

/// Which agents a waiting call waits for.
pub(super) fn awaited(state: &State, name: &ToolName, args: &Args) -> Option<Vec<SessionId>> {
    match name.as_str() {
        AWAIT => {
            let args: AwaitArgs = parse(AWAIT, args).ok()?;
            Some(args.agent_ids.unwrap_or_else(|| state.children.keys().copied().collect()))
        }
        CANCEL => Some(vec![parse::<CancelArgs>(CANCEL, args).ok()?.agent_id]),
        _ => None,
    }
}

/// How agents are, in at most some `room` bytes of a stored event. What does not fit is cut, and
/// says so: a result that no frame can hold would stop the session for good.
fn shown(state: &State, ids: &[SessionId], room: usize) -> String {
    let fits = room / ROW_BYTES;
    let ids = ids.get(ids.len().saturating_sub(fits)..).unwrap_or_default();
    let mut share = room;
    loop {
        let rows: Vec<Shown<'_>> = ids.iter().filter_map(|id| row(state, *id, share)).collect();
        let text = serde_json::to_string(&rows).unwrap_or_default();
        // In the event it is a text within a text.
        let stored = serde_json::to_string(&text).map_or(usize::MAX, |stored| stored.len());
        if stored <= room || share == 0 {
            return text;
        }
        share /= 2;
    }
}

fn row(state: &State, id: SessionId, share: usize) -> Option<Shown<'_>> {
    let child = state.children.get(&id)?;
    let ended = child.assignments.values().rev().find_map(|task| task.report.as_ref());
    let (status, result) = match (child.open(), ended) {
        (Some(_), _) | (None, None) => ("running", None),
        (None, Some(report)) => (report.outcome.word(), Some(report.outcome.text())),
    };
    let result = result.map(|text| clip(text, share));
    Some(Shown { agent_id: id, agent: &child.agent, status, result })
}
