//! The fold: what an event makes of a state. It decides nothing, so that old logs keep their
//! meaning whatever the rules become. An event that cannot follow what came before is refused.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the outer match names every event; the inner ones are handed only their group"
)]

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{
    budget::Amount,
    conversation::{Block, Message, Reply, ReplyBlock, Speaker},
    event::{Caller, CancelTarget, Creation, Event, RestartCause, TimerKind, UserInput},
    ids::{AgentName, ApprovalNo, Assignment, CallNo, SessionId, Timestamp, ToolCallNo, TurnId},
    outcome::ChildReport,
    permission::{Answer, Basis, Subject},
    tool::ToolOutcome,
    usage::Settlement,
};

use super::{
    builtin,
    state::{
        Calling, Child, HostCall, LastWord, Opened, Queued, Stage, State, Task, ToolCall, Turn,
    },
};

/// Bookings kept to be told again: more than one frame can close.
const RECENT: usize = 512;

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
    state.updated_at = at;
    if is_progress(event) {
        state.panics.clear();
    }
    fold.apply(state, event)
}

/// A committed step: it ends the count of panics. What recovery itself writes is none.
const fn is_progress(event: &Event) -> bool {
    match event {
        Event::ModelCallFinished { .. }
        | Event::TurnFinished { .. }
        | Event::ChildFinished { .. }
        | Event::SessionReleased { .. } => true,
        Event::ToolFinished { outcome, .. } => {
            matches!(outcome, ToolOutcome::Done { .. } | ToolOutcome::Failed { .. })
        }
        _ => false,
    }
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
                let opened = Opened {
                    rendered: (**rendered).clone(),
                    lineage: lineage.clone(),
                    fork: *fork,
                };
                self.opened(state, opened)
            }
            Event::InputAccepted { key, input } => {
                if state.inputs.insert(key.clone(), None).is_some() {
                    return self.cannot("its key was accepted before");
                }
                let queued = Queued { key: key.clone(), input: input.clone(), cancelled: None };
                state.queue.push_back(queued);
                Ok(())
            }
            Event::TurnStarted { turn, key, deadline } => {
                let queued = self.known(state.queue.pop_front(), "input")?;
                if queued.key != *key {
                    return self.cannot("another input is older");
                }
                self.turn_started(state, *turn, *deadline, queued)
            }
            Event::ModelCallStarted { .. }
            | Event::ModelCallFinished { .. }
            | Event::ModelCallFailed { .. }
            | Event::UsageSettled { .. }
            | Event::TimerSet { .. }
            | Event::TimerFired { .. } => self.model(state, event),
            Event::ToolRequested { .. }
            | Event::ApprovalRequested { .. }
            | Event::ApprovalDecided { .. }
            | Event::ApprovalClosed { .. }
            | Event::ToolStarted { .. }
            | Event::ToolFinished { .. } => self.tool(state, event),
            Event::ChildSpawned { child, agent, assignment, call, task, creation } => {
                let task = Task {
                    call: *call,
                    input: task.clone(),
                    report: None,
                    told: false,
                    cancel: None,
                };
                self.spawned(state, *child, agent, *assignment, (task, creation.as_deref()))
            }
            Event::ChildFinished { child, assignment, report } => {
                self.child_finished(state, *child, *assignment, report)
            }
            Event::CancelRequested { target, reason } => self.cancelled(state, *target, reason),
            Event::TurnFinished { turn, outcome } => {
                let running = self.known(state.turn.take(), "turn")?;
                if running.id != *turn || running.calling.is_some() {
                    return self.cannot("that turn is not over");
                }
                if state.calls.values().any(|call| call.by == Caller::Model { turn: *turn }) {
                    return self.cannot("a call of that turn is open");
                }
                if let Some(assignment) = running.assignment {
                    state.last_report = Some((assignment, outcome.clone()));
                }
                state.outcomes.insert(*turn, outcome.clone());
                Ok(())
            }
            Event::SessionRestarted { .. }
            | Event::SessionQuarantined { .. }
            | Event::SessionReleased { .. }
            | Event::SessionForked { .. } => self.life(state, event),
            Event::SessionRenamed { .. }
            | Event::SessionArchived { .. }
            | Event::GoalSet { .. }
            | Event::ToolsChanged { .. }
            | Event::Compacted { .. } => {
                mark(state, event);
                Ok(())
            }
            Event::BudgetWarned { .. }
            | Event::BudgetExhausted { .. }
            | Event::EngineState { .. }
            | Event::Checkpointed { .. } => Ok(()),
        }
    }

    fn opened(&self, state: &mut State, opened: Opened) -> Applied {
        // A fork's log begins with the frames of the log it was cut from, so that one is open.
        if state.opened.is_some() && opened.fork.is_none() {
            return self.cannot("the session is open already");
        }
        state.tools = Arc::new(opened.rendered.tools.clone());
        state.opened = Some(Arc::new(opened));
        state.created_at = self.at;
        Ok(())
    }

    fn turn_started(
        &self,
        state: &mut State,
        turn: TurnId,
        deadline: Timestamp,
        queued: Queued,
    ) -> Applied {
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
        let mut blocks = news_of_children(&mut state.children);
        blocks.extend(input.blocks);
        say(state, Message { speaker: Speaker::User, blocks });
        state.turn = Some(Turn {
            id: turn,
            key,
            deadline,
            model: input.overrides.model.unwrap_or_else(|| agent.model.clone()),
            sampling: input.overrides.sampling.unwrap_or_else(|| agent.sampling.clone()),
            mode: input.overrides.mode,
            assignment: input.assignment,
            calling: None,
            steps: 0,
            attempts: 0,
            retry_at: None,
            batch: Vec::new(),
            waived: false,
            cancel: cancelled,
            last_word: None,
        });
        Ok(())
    }

    fn model(&self, state: &mut State, event: &Event) -> Applied {
        if let Event::UsageSettled { call, model, settlement } = event {
            return self.settled(state, *call, model, settlement);
        }
        let turn = self.known(state.turn.as_mut(), "turn")?;
        match event {
            Event::ModelCallStarted { call, turn: id, model, bound, priced } => {
                if turn.calling.is_some() || turn.id != *id || *call != state.next.model {
                    return self.cannot("another call is open or due");
                }
                state.next.model = call.next();
                turn.retry_at = None;
                turn.batch.clear();
                turn.steps += u32::from(turn.attempts == 0);
                turn.calling = Some(Calling {
                    call: *call,
                    model: model.clone(),
                    bound: *bound,
                    priced: *priced,
                });
                state.unsettled.insert(*call, model.clone());
            }
            Event::ModelCallFinished { call, reply } => {
                if turn.calling.take().is_none_or(|calling| calling.call != *call) {
                    return self.cannot("that call is not open");
                }
                turn.attempts = 0;
                answered(state, reply);
            }
            Event::ModelCallFailed { call, .. } => {
                if turn.calling.take().is_none_or(|calling| calling.call != *call) {
                    return self.cannot("that call is not open");
                }
                turn.attempts += 1;
            }
            Event::TimerSet { timer: TimerKind::Retry, at } => turn.retry_at = Some(*at),
            Event::TimerFired { timer: TimerKind::Retry } => turn.retry_at = None,
            _ => {}
        }
        Ok(())
    }

    fn settled(
        &self,
        state: &mut State,
        call: crate::domain::ids::ModelCallNo,
        model: &crate::domain::ids::ModelName,
        settlement: &Settlement,
    ) -> Applied {
        if !state.unsettled.contains_key(&call) {
            return self.cannot("that call was booked for good or never begun");
        }
        match settlement {
            Settlement::Exact { usage, .. } => {
                state.usage += *usage;
                state.unsettled.remove(&call);
            }
            Settlement::Free => {
                state.unsettled.remove(&call);
            }
            Settlement::Unsettled { .. } => {
                state.unsettled.insert(call, model.clone());
            }
        }
        booked(state, CallNo::Model(call), State::booked(settlement), false);
        Ok(())
    }

    fn tool(&self, state: &mut State, event: &Event) -> Applied {
        match event {
            Event::ToolRequested { call, name, args, by } => {
                if *call != state.next.tool {
                    return self.cannot("another call number is due");
                }
                state.next.tool = call.next();
                if let Caller::Host { key, .. } = by {
                    let host = HostCall { call: *call, outcome: None };
                    state.host_calls.insert(key.clone(), host);
                }
                let asked = ToolCall {
                    name: name.clone(),
                    args: args.clone(),
                    by: by.clone(),
                    stage: Stage::Wanted,
                    cancel: None,
                };
                state.calls.insert(*call, asked);
                Ok(())
            }
            Event::ApprovalRequested { no, ask } => {
                if *no != state.next.approval {
                    return self.cannot("another approval number is due");
                }
                state.next.approval = no.next();
                if let Subject::ToolCall { call, .. } = &ask.subject {
                    let asked = self.known(state.calls.get_mut(call), "call")?;
                    asked.stage = Stage::Asking { no: *no };
                }
                state.approvals.insert(*no, (**ask).clone());
                Ok(())
            }
            Event::ApprovalDecided { no, answer, remember, .. } => {
                let ask = self.known(state.approvals.remove(no), "open approval")?;
                if let Some(rule) = remember {
                    state.answers.push(rule.clone());
                    if *answer == Answer::Always && !state.always.contains(rule) {
                        state.always.push(rule.clone());
                    }
                }
                self.decided(state, *no, answer, &ask.subject)
            }
            Event::ApprovalClosed { no, .. } => {
                let ask = self.known(state.approvals.remove(no), "open approval")?;
                if let Subject::ToolCall { call, .. } = ask.subject
                    && let Some(asked) = state.calls.get_mut(&call)
                {
                    asked.stage = Stage::Wanted;
                }
                Ok(())
            }
            Event::ToolStarted { call, basis, deadline, .. } => {
                let started = self.known(state.calls.get_mut(call), "open call")?;
                let fits = match (&started.stage, basis) {
                    (Stage::Wanted, Basis::Rules { .. } | Basis::BuiltIn) => true,
                    (Stage::Approved { no }, Basis::Approval { no: used }) => no == used,
                    _ => false,
                };
                if !fits {
                    return self.cannot("it was not allowed, or it was started before");
                }
                started.stage = Stage::Started { basis: basis.clone(), deadline: *deadline };
                Ok(())
            }
            Event::ToolFinished { call, outcome } => self.closed(state, *call, outcome),
            _ => Ok(()),
        }
    }

    fn decided(
        &self,
        state: &mut State,
        no: ApprovalNo,
        answer: &Answer,
        subject: &Subject,
    ) -> Applied {
        match answer {
            Answer::Turn => {
                if let Some(turn) = &mut state.turn {
                    turn.waived = true;
                }
            }
            Answer::All => state.waived = true,
            _ => {}
        }
        if let Subject::ToolCall { call, .. } = subject {
            let asked = self.known(state.calls.get_mut(call), "open call")?;
            if let Answer::Edit { args } = answer {
                asked.args = args.clone();
            }
            asked.stage = if answer.approves() { Stage::Approved { no } } else { Stage::Wanted };
        }
        Ok(())
    }

    fn closed(&self, state: &mut State, no: ToolCallNo, outcome: &ToolOutcome) -> Applied {
        let call = self.known(state.calls.remove(&no), "open call")?;
        if let Stage::Asking { no } = call.stage {
            state.approvals.remove(&no);
        }
        let started = u64::from(matches!(call.stage, Stage::Started { .. }));
        if !builtin::assigns(&call.name) || started == 0 {
            let actual = Amount { tool_calls: started, ..Amount::default() };
            booked(state, CallNo::Tool(no), actual, builtin::assigns(&call.name));
        }
        if let Some(read) = builtin::awaited(state, &call.name, &call.args)
            && matches!(outcome, ToolOutcome::Done { .. })
        {
            // The model reads these reports here, so the next turn does not tell them again.
            for id in read {
                let tasks = state.children.get_mut(&id).map(|child| &mut child.assignments);
                for task in tasks.into_iter().flatten().map(|(_, task)| task) {
                    task.told |= task.report.is_some();
                }
            }
        }
        match &call.by {
            Caller::Host { key, .. } => {
                let host = HostCall { call: no, outcome: Some(outcome.clone()) };
                state.host_calls.insert(key.clone(), host);
            }
            Caller::Model { .. } => report_to_model(state, no, outcome),
        }
        Ok(())
    }

    fn spawned(
        &self,
        state: &mut State,
        child: SessionId,
        agent: &AgentName,
        assignment: Assignment,
        (task, creation): (Task, Option<&Creation>),
    ) -> Applied {
        if let Some(creation) = creation {
            if state.children.contains_key(&child) || assignment != Assignment(1) {
                return self.cannot("the child exists already");
            }
            let assignments = BTreeMap::from([(assignment, task)]);
            let creation = Arc::new(creation.clone());
            state.children.insert(child, Child { agent: agent.clone(), creation, assignments });
            return Ok(());
        }
        let known = self.known(state.children.get_mut(&child), "child")?;
        let last = known.assignments.last_key_value().map(|(no, _)| no.next());
        if last != Some(assignment) {
            return self.cannot("another assignment is due");
        }
        known.assignments.insert(assignment, task);
        Ok(())
    }

    fn child_finished(
        &self,
        state: &mut State,
        child: SessionId,
        assignment: Assignment,
        report: &ChildReport,
    ) -> Applied {
        let known = self.known(state.children.get_mut(&child), "child")?;
        let task = self.known(known.assignments.get_mut(&assignment), "assignment")?;
        if task.report.is_some() {
            return self.cannot("that assignment has ended before");
        }
        task.report = Some(report.clone());
        let call = task.call;
        booked(state, CallNo::Tool(call), Amount { tool_calls: 1, ..Amount::default() }, true);
        Ok(())
    }

    fn cancelled(&self, state: &mut State, target: CancelTarget, reason: &str) -> Applied {
        let because = || Some(reason.to_owned());
        match target {
            CancelTarget::Everything => {
                for queued in &mut state.queue {
                    queued.cancelled = because();
                }
                for child in state.children.values_mut() {
                    cancel_child(child, reason);
                }
                for call in state.calls.values_mut() {
                    call.cancel = because();
                }
                if let Some(turn) = &mut state.turn {
                    turn.cancel.get_or_insert_with(|| reason.to_owned());
                }
            }
            CancelTarget::Assignment { no } => {
                state.cancelled.insert(no, reason.to_owned());
                for queued in &mut state.queue {
                    if queued.input.assignment == Some(no) {
                        queued.cancelled = because();
                    }
                }
                if state.turn.as_ref().is_some_and(|turn| turn.assignment == Some(no)) {
                    stop_turn(state, reason);
                    for child in state.children.values_mut() {
                        cancel_child(child, reason);
                    }
                }
            }
            CancelTarget::Child { child } => {
                let known = self.known(state.children.get_mut(&child), "child")?;
                cancel_child(known, reason);
            }
            CancelTarget::Turn { turn } => {
                if state.turn.as_ref().is_some_and(|running| running.id == turn) {
                    stop_turn(state, reason);
                }
            }
        }
        Ok(())
    }

    fn life(&self, state: &mut State, event: &Event) -> Applied {
        match event {
            Event::SessionRestarted { cause } => {
                state.restarts += 1;
                if matches!(cause, RestartCause::Panic { .. }) {
                    state.panics.push(self.at);
                }
            }
            Event::SessionQuarantined { reason } => {
                if state.quarantined.replace(reason.clone()).is_some() {
                    return self.cannot("it is quarantined already");
                }
            }
            Event::SessionReleased { .. } => {
                if state.quarantined.take().is_none() {
                    return self.cannot("it is not quarantined");
                }
            }
            Event::SessionForked { .. } => cut(state),
            _ => {}
        }
        Ok(())
    }
}

fn mark(state: &mut State, event: &Event) {
    match event {
        Event::SessionRenamed { name } => state.name = Some(name.clone()),
        Event::SessionArchived { archived } => state.archived = *archived,
        Event::GoalSet { goal } => state.goal.clone_from(goal),
        Event::ToolsChanged { tools, .. } => state.tools = Arc::new(tools.clone()),
        Event::Compacted { messages, summary } => {
            let gone = usize::try_from(*messages).unwrap_or(usize::MAX);
            let rest = state.conversation.split_off(gone.min(state.conversation.len()));
            state.conversation.clear();
            state.conversation_bytes = 0;
            say(state, Message::user(summary.clone()));
            for message in rest {
                state.conversation_bytes += bytes_of(&message);
                state.conversation.push(message);
            }
        }
        _ => {}
    }
}

fn stop_turn(state: &mut State, reason: &str) {
    let Some(turn) = &mut state.turn else { return };
    turn.cancel.get_or_insert_with(|| reason.to_owned());
    let id = turn.id;
    for call in state.calls.values_mut() {
        if call.by == (Caller::Model { turn: id }) {
            call.cancel = Some(reason.to_owned());
        }
    }
}

fn cancel_child(child: &mut Child, reason: &str) {
    for task in child.assignments.values_mut() {
        if task.report.is_none() {
            task.cancel.get_or_insert_with(|| reason.to_owned());
        }
    }
}

/// A fork keeps the conversation and what is pinned; what ties it to others stays behind. Open
/// calls stay open here: the fork's own next events close them, each by name.
fn cut(state: &mut State) {
    state.children.clear();
    state.approvals.clear();
    state.answers = crate::domain::permission::RuleSet::default();
    state.always.clear();
    state.waived = false;
    state.usage = crate::domain::usage::Usage::default();
    state.unsettled.clear();
    state.recent.clear();
    state.panics.clear();
    state.restarts = 0;
    state.quarantined = None;
    state.cancelled.clear();
    state.last_report = None;
    state.inputs.clear();
    state.queue.clear();
    state.host_calls.clear();
    state.archived = false;
    state.name = None;
    for call in state.calls.values_mut() {
        call.cancel = None;
        if let Stage::Asking { .. } = call.stage {
            call.stage = Stage::Wanted;
        }
    }
    if let Some(turn) = &mut state.turn {
        turn.calling = None;
        turn.assignment = None;
        turn.retry_at = None;
    }
}

fn answered(state: &mut State, reply: &Reply) {
    let mut no = state.next.tool;
    let mut batch = Vec::new();
    let mut text = String::new();
    let blocks = reply
        .blocks
        .iter()
        .map(|block| match block {
            ReplyBlock::Said { block } => {
                if let Block::Text { text: said } = block {
                    text.push_str(said);
                }
                block.clone()
            }
            ReplyBlock::ToolUse { name, args } => {
                let call = no;
                no = no.next();
                batch.push((call, None));
                Block::ToolUse { call, name: name.clone(), args: args.clone() }
            }
        })
        .collect::<Vec<_>>();
    if !blocks.is_empty() {
        say(state, Message { speaker: Speaker::Assistant, blocks });
    }
    if let Some(turn) = &mut state.turn {
        turn.last_word = batch.is_empty().then_some(LastWord { text, stop: reply.stop });
        turn.batch = batch;
    }
}

/// Once every call of a batch has closed, the model reads all results in one message, in the
/// order of the calls, however they came in.
fn report_to_model(state: &mut State, no: ToolCallNo, outcome: &ToolOutcome) {
    let (output, is_error) = outcome.told();
    let Some(turn) = &mut state.turn else { return };
    for (call, result) in &mut turn.batch {
        if *call == no {
            *result = Some(Block::ToolResult { call: no, output: output.clone(), is_error });
        }
    }
    if turn.batch.iter().all(|(_, result)| result.is_some()) {
        let blocks = turn.batch.iter().filter_map(|(_, result)| result.clone()).collect();
        say(state, Message { speaker: Speaker::User, blocks });
    }
}

fn news_of_children(children: &mut BTreeMap<SessionId, Child>) -> Vec<Block> {
    let mut news = Vec::new();
    for (id, child) in children {
        for task in child.assignments.values_mut() {
            if let Some(report) = &task.report
                && !task.told
            {
                task.told = true;
                let (word, text) = (report.outcome.word(), report.outcome.text());
                let text = format!("[agent {} {id} {word}] {text}", child.agent);
                news.push(Block::Text { text });
            }
        }
    }
    news
}

fn booked(state: &mut State, call: CallNo, actual: Amount, assigns: bool) {
    if state.recent.len() == RECENT {
        state.recent.pop_front();
    }
    state.recent.push_back((call, actual, assigns));
}

fn say(state: &mut State, message: Message) {
    state.conversation_bytes += bytes_of(&message);
    state.conversation.push(Arc::new(message));
}

fn bytes_of(message: &Message) -> u64 {
    // The stored form is never shorter than the text in it, so this is an upper bound of its
    // tokens: no tokenizer makes more tokens than bytes.
    let stored: u64 = message
        .blocks
        .iter()
        .map(|block| match block {
            Block::Stored { blob } | Block::Image { blob, .. } => blob.bytes,
            Block::Text { .. }
            | Block::Thinking { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. }
            | Block::Opaque { .. } => 0,
        })
        .sum();
    stored + serde_json::to_vec(message).map_or(0, |bytes| bytes.len() as u64)
}

/// An input's text, for matching and for titles.
#[must_use]
pub fn text_of(input: &UserInput) -> String {
    input
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}
