//! The fold: what an event makes of a state. It decides nothing, so that old logs keep their
//! meaning whatever the rules become. An event that cannot follow what came before is refused.

use std::sync::Arc;

use crate::domain::{
    budget::Mark,
    conversation::{Block, Message, Speaker},
    event::{Caller, Event, TimerKind, UserInput},
    ids::{InputKey, Timestamp, TurnId},
    outcome::TurnOutcome,
    tool::ToolOutcome,
};

use super::state::{Calling, Opened, Queued, Stage, State, ToolCall, Turn};

mod children;
mod life;
mod models;
mod talk;
mod tools;

/// An event that cannot follow what came before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow: {why}")]
pub struct Impossible {
    /// Which event.
    pub event: &'static str,
    /// Why not.
    pub why: String,
}

type Applied = Result<(), Impossible>;

/// Folds one event, written at `at`, into the state.
///
/// # Errors
/// When the event cannot follow what came before; the state is then not to be used.
pub fn apply(state: &mut State, event: &Event, at: Timestamp) -> Applied {
    let fold = Fold { event: event.name(), at };
    if state.opened.is_none() && !matches!(event, Event::SessionOpened { .. }) {
        return fold.cannot("the session is not open");
    }
    if at < state.updated_at {
        state.set_back_runs(at);
    }
    state.updated_at = at;
    if is_progress(event) {
        state.panics.clear();
    }
    fold.apply(state, event)
}

/// A committed step: it ends the count of panics. What recovery itself writes is none.
pub(crate) const fn is_progress(event: &Event) -> bool {
    matches!(
        event,
        Event::ModelCallFinished { .. }
            | Event::TurnFinished { .. }
            | Event::ChildFinished { .. }
            | Event::SessionReleased { .. }
            | Event::ToolFinished {
                outcome: ToolOutcome::Done { .. } | ToolOutcome::Failed { .. },
                ..
            }
    )
}

struct Fold {
    event: &'static str,
    at: Timestamp,
}

impl Fold {
    fn cannot<T>(&self, why: impl Into<String>) -> Result<T, Impossible> {
        Err(Impossible { event: self.event, why: why.into() })
    }

    fn known<T>(&self, found: Option<T>, what: &str) -> Result<T, Impossible> {
        found.map_or_else(|| self.cannot(format!("no such {what}")), Ok)
    }

    fn apply(&self, state: &mut State, event: &Event) -> Applied {
        match event {
            Event::SessionOpened { rendered, lineage, fork } => {
                let (rendered, lineage) = ((**rendered).clone(), lineage.clone());
                self.opened(state, Opened { rendered, lineage, fork: *fork })
            }
            Event::InputAccepted { key, input } => self.accepted(state, key, input),
            Event::TurnStarted { turn, key, deadline } => {
                self.turn_started(state, *turn, key, *deadline)
            }
            Event::TurnFinished { turn, outcome } => self.turn_finished(state, *turn, outcome),
            Event::ModelCallStarted { call, turn, model, bound, priced } => {
                let (call, bound, priced) = (*call, *bound, *priced);
                let new = Calling { call, model: model.clone(), bound, priced };
                self.call_started(state, *turn, new)
            }
            Event::ModelCallFinished { call, reply } => self.call_finished(state, *call, reply),
            Event::ModelCallFailed { call, failure } => self.call_failed(state, *call, failure),
            Event::ModelFellBack { turn, to, .. } => self.fell_back(state, *turn, to),
            Event::UsageSettled { call, model, settlement } => {
                self.settled(state, *call, model, settlement)
            }
            Event::TimerSet { timer: TimerKind::Retry, at } => self.retry_at(state, Some(*at)),
            Event::TimerFired { timer: TimerKind::Retry } => self.retry_at(state, None),
            Event::ToolRequested { call, name, args, by } => {
                let (name, args, by) = (name.clone(), args.clone(), by.clone());
                let new = ToolCall { name, args, by, stage: Stage::Wanted, cancel: None };
                self.requested(state, *call, new)
            }
            Event::ApprovalRequested { no, ask } => self.asked(state, *no, ask),
            Event::ApprovalDecided { no, answer, by, remember } => {
                state.remember_answer(*no, answer, by);
                self.decided(state, *no, answer, remember.as_ref())
            }
            Event::ApprovalClosed { no, .. } => self.unasked(state, *no),
            Event::ToolStarted { call, basis, deadline, .. } => {
                self.started(state, *call, basis, *deadline)
            }
            Event::ToolFinished { call, outcome } => self.closed(state, *call, outcome),
            Event::ChildSpawned { child, agent, assignment, call, task, creation } => {
                let task = children::assigned(state, *call, task);
                self.spawned(state, (*child, *assignment), agent, (task, creation.as_deref()))
            }
            Event::ChildFinished { child, assignment, report } => {
                self.child_finished(state, *child, *assignment, report)
            }
            Event::ChildStopped { child, assignment: no } => self.child_stopped(state, *child, *no),
            Event::CancelRequested { target, reason, outcome } => {
                self.cancelled(state, *target, reason, outcome.as_ref())
            }
            Event::SessionQuarantined { reason } => self.quarantined(state, reason),
            Event::SessionReleased { skip, by, house } => self.released(state, (*skip, by), *house),
            Event::SessionRestarted { .. }
            | Event::SessionForked { .. }
            | Event::SessionRenamed { .. }
            | Event::SessionArchived { .. }
            | Event::GoalSet { .. }
            | Event::ToolsChanged { .. }
            | Event::Compacted { .. }
            | Event::BudgetWarned { .. }
            | Event::BudgetExhausted { .. }
            | Event::EngineState { .. }
            | Event::Checkpointed { .. } => {
                self.mark(state, event);
                Ok(())
            }
        }
    }

    /// What can follow anything.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller names the group, one by one")]
    fn mark(&self, state: &mut State, event: &Event) {
        match event {
            Event::SessionRestarted { cause } => self.restarted(state, cause),
            Event::SessionForked { .. } => life::cut(state),
            Event::SessionRenamed { name } => state.name = Some(name.clone()),
            Event::SessionArchived { archived } => state.archived = *archived,
            Event::GoalSet { goal } => state.goal.clone_from(goal),
            Event::ToolsChanged { tools, .. } => state.tools = Arc::new(tools.clone()),
            Event::Compacted { messages, summary } => talk::compacted(state, *messages, summary),
            Event::BudgetWarned { account, percent, dimension } => {
                state.warned.insert((*account, *dimension, Mark::of(*percent)));
            }
            _ => {}
        }
    }

    fn opened(&self, state: &mut State, opened: Opened) -> Applied {
        // A fork's log begins with the frames of the log it was cut from, so that one is open.
        if state.opened.is_some() && opened.fork.is_none() {
            return self.cannot("the session is open already");
        }
        state.inherit_runs(&opened.lineage.raised, self.at);
        state.tools = Arc::new(opened.rendered.tools.clone());
        state.opened = Some(Arc::new(opened));
        state.created_at = self.at;
        Ok(())
    }

    fn accepted(&self, state: &mut State, key: &InputKey, input: &UserInput) -> Applied {
        if state.inputs.insert(key.clone(), None).is_some() {
            return self.cannot("its key was accepted before");
        }
        let queued = Queued { key: key.clone(), input: input.clone(), cancelled: None };
        state.queue.push_back(queued);
        Ok(())
    }

    fn turn_started(
        &self,
        state: &mut State,
        turn: TurnId,
        key: &InputKey,
        deadline: Timestamp,
    ) -> Applied {
        let queued = self.known(state.queue.pop_front(), "input")?;
        if queued.key != *key {
            return self.cannot("another input is older");
        }
        if state.turn.is_some() || turn != state.next.turn {
            return self.cannot("another turn is running or due");
        }
        let Some(opened) = state.opened.clone() else { return self.cannot("not open") };
        let agent = &opened.rendered.agent;
        state.next.turn = turn.next();
        state.inputs.insert(queued.key.clone(), Some(turn));
        let Queued { key, input, cancelled } = queued;
        let cancelled =
            cancelled.or_else(|| input.assignment.and_then(|no| state.cancelled.get(&no).cloned()));
        let mut blocks = talk::news_of_children(state);
        blocks.extend(input.blocks);
        talk::say(state, Message { speaker: Speaker::User, blocks });
        let overrides = input.overrides;
        // Who names a model for this turn wants that one; the chain stands in for the agent's own.
        let own = overrides.model.is_none() && overrides.provider.is_none();
        state.turn = Some(Box::new(Turn {
            id: turn,
            key,
            deadline,
            model: overrides.model.unwrap_or_else(|| agent.model.clone()),
            provider: overrides.provider.or_else(|| agent.provider.clone()),
            fallback: if own { agent.fallback.clone() } else { Vec::new() },
            sampling: overrides.sampling.unwrap_or_else(|| agent.sampling.clone()),
            mode: overrides.mode,
            assignment: input.assignment,
            calling: None,
            steps: 0,
            stepping: false,
            attempts: 0,
            patience: 0,
            trouble: None,
            retry_at: None,
            batch: Vec::new(),
            waived: false,
            cancel: cancelled,
            outcome: None,
            said: String::new(),
            last_word: None,
        }));
        Ok(())
    }

    fn turn_finished(&self, state: &mut State, turn: TurnId, outcome: &TurnOutcome) -> Applied {
        let running = self.known(state.turn.take(), "turn")?;
        if running.id != turn || running.calling.is_some() {
            return self.cannot("that turn is not over");
        }
        if state.calls.values().any(|call| call.by == Caller::Model { turn }) {
            return self.cannot("a call of that turn is open");
        }
        if let Some(assignment) = running.assignment {
            state.reports.insert(assignment, turn);
            // A cancel that comes again finds the report.
            state.cancelled.remove(&assignment);
        }
        state.remember_end(turn, outcome.clone());
        Ok(())
    }
}

/// An input's text, for matching and for titles.
#[must_use]
pub fn text_of(input: &UserInput) -> String {
    input
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            Block::Thinking { .. }
            | Block::Image { .. }
            | Block::Stored { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. }
            | Block::Opaque { .. } => None,
        })
        .collect()
}
