//! What may have made a step: the inputs that a frame can be the answer to. Mostly its first event is
//! the input itself; where it is not, each input that may begin so is tried.

use crate::{
    domain::{
        budget::Room,
        conversation::{Reply, ReplyBlock, Stop},
        event::{Event, RestartCause},
        house::Readmission,
        ids::{CallId, CallNo, ModelCallNo, PrincipalId, ToolCallNo},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        permission::Subject,
        tool::{Args, ToolOutcome},
        usage::{Settlement, Usage},
    },
    limits,
    policy::turn::{Input, State, prompt},
};

/// An input, who sent it, and whether the house was dark then.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) input: Input,
    pub(super) by: PrincipalId,
    pub(super) dark: bool,
}

/// Every cause that a frame may have, the likeliest first.
pub(super) fn causes(state: &State, events: &[Event]) -> Vec<Cause> {
    let Some(first) = events.first() else { return Vec::new() };
    let by = events.iter().find_map(|event| {
        if let Event::ApprovalDecided { by, .. } | Event::SessionReleased { by, .. } = event {
            Some(by.clone())
        } else {
            None
        }
    });
    let by = by.unwrap_or_else(|| PrincipalId::from(""));
    let mut inputs = inputs(state, first, events);
    inputs.extend([Input::TimerFired, Input::Recovered { panic: None }]);
    let mut causes = Vec::new();
    for input in inputs {
        let dark = may_be_dark(&input);
        causes.push(Cause { input: input.clone(), by: by.clone(), dark: false });
        if dark {
            causes.push(Cause { input, by: by.clone(), dark: true });
        }
    }
    causes
}

/// Words of people are also only written down, in a house that is dark; nothing else happens there.
const fn may_be_dark(input: &Input) -> bool {
    match input {
        Input::Opened { .. }
        | Input::Submitted { .. }
        | Input::ApprovalDecided { .. }
        | Input::CancelRequested { .. }
        | Input::Released { .. }
        | Input::Invoked { .. }
        | Input::Renamed { .. }
        | Input::Archived { .. }
        | Input::Checkpointed { .. }
        | Input::GoalSet { .. } => true,
        Input::ModelFinished { .. }
        | Input::ModelFailed { .. }
        | Input::BudgetDecided { .. }
        | Input::SlotGranted { .. }
        | Input::SlotRefused { .. }
        | Input::ToolFinished { .. }
        | Input::ChildFinished { .. }
        | Input::TimerFired
        | Input::Recovered { .. }
        | Input::Readmitted { .. }
        | Input::BudgetWarned { .. } => false,
    }
}

fn inputs(state: &State, first: &Event, events: &[Event]) -> Vec<Input> {
    match first {
        Event::SessionOpened { rendered, lineage, fork } => {
            let (rendered, lineage) = ((**rendered).clone(), lineage.clone());
            let creation = Box::new(crate::domain::event::Creation { rendered, lineage });
            vec![Input::Opened { creation, fork: *fork }]
        }
        Event::InputAccepted { key, input } => {
            vec![Input::Submitted { key: key.clone(), input: Box::new(input.clone()) }]
        }
        Event::ModelCallStarted { .. }
        | Event::ModelCallFinished { .. }
        | Event::ModelCallFailed { .. }
        | Event::UsageSettled { .. }
        | Event::BudgetWarned { .. }
        | Event::BudgetExhausted { .. } => models(state, first, events),
        Event::ToolRequested { .. }
        | Event::ApprovalRequested { .. }
        | Event::ApprovalDecided { .. }
        | Event::ToolStarted { .. }
        | Event::ToolFinished { .. } => tools(state, first),
        Event::ChildFinished { .. }
        | Event::ChildStopped { .. }
        | Event::CancelRequested { .. }
        | Event::SessionRestarted { .. }
        | Event::SessionQuarantined { .. }
        | Event::SessionReleased { .. }
        | Event::SessionRenamed { .. }
        | Event::SessionArchived { .. }
        | Event::Checkpointed { .. }
        | Event::GoalSet { .. } => lives(first, events),
        // These follow from a timer or from waking, or no step writes them yet.
        Event::TurnStarted { .. }
        | Event::ModelFellBack { .. }
        | Event::ApprovalClosed { .. }
        | Event::ChildSpawned { .. }
        | Event::TimerSet { .. }
        | Event::TimerFired { .. }
        | Event::TurnFinished { .. }
        | Event::EngineState { .. }
        | Event::ToolsChanged { .. }
        | Event::Compacted { .. }
        | Event::SessionForked { .. } => Vec::new(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "its caller sorts events by their subject")]
fn models(state: &State, first: &Event, events: &[Event]) -> Vec<Input> {
    match first {
        Event::ModelCallStarted { call, bound, priced, .. } => {
            let room = Room { bound: *bound, priced: *priced };
            vec![decided(state, CallNo::Model(*call), Ok(room))]
        }
        Event::ModelCallFinished { call, reply } => {
            let slots = slots(state, reply, events);
            vec![Input::ModelFinished { call: *call, reply: reply.clone(), slots }]
        }
        Event::ModelCallFailed { call, failure } => {
            let plain = Input::ModelFailed { call: *call, failure: failure.clone() };
            let runaway = runaway(*call, &failure.message, usage(events));
            std::iter::once(plain).chain(runaway).collect()
        }
        Event::UsageSettled { call, settlement: Settlement::Exact { usage, .. }, .. } => {
            let reply = Reply {
                blocks: Vec::new(),
                stop: Stop::EndTurn,
                usage: Some(*usage),
                served_by: None,
            };
            vec![Input::ModelFinished { call: *call, reply: Box::new(reply), slots: Vec::new() }]
        }
        Event::BudgetWarned { account, percent, dimension: Some(dimension) } => {
            let (account, dimension, percent) = (*account, *dimension, *percent);
            vec![Input::BudgetWarned { account, dimension, percent }]
        }
        Event::BudgetExhausted { shortage } => {
            let of = events.iter().find_map(|event| {
                if let Event::ToolFinished { call, .. } = event {
                    Some(CallNo::Tool(*call))
                } else {
                    None
                }
            });
            let short = |no| decided(state, no, Err(shortage.clone()));
            let model = short(CallNo::Model(state.next.model));
            std::iter::once(model).chain(of.map(short)).collect()
        }
        _ => Vec::new(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "its caller sorts events by their subject")]
fn tools(state: &State, first: &Event) -> Vec<Input> {
    use crate::domain::event::Caller;
    let ready = |no: ToolCallNo, scripts| {
        vec![
            Input::SlotGranted { call: no, scripts },
            decided(state, CallNo::Tool(no), Ok(Room { bound: Default::default(), priced: true })),
        ]
    };
    match first {
        Event::ToolRequested { name, args, by: Caller::Host { key, mode, cwd }, .. } => {
            let (key, name, args) = (key.clone(), name.clone(), args.clone());
            vec![Input::Invoked { key, name, args, mode: *mode, cwd: cwd.clone() }]
        }
        Event::ApprovalRequested { ask, .. } => match &ask.subject {
            Subject::ToolCall { call, .. } => ready(*call, ask.scripts.clone()),
            Subject::Plan { .. } | Subject::Budget { .. } | Subject::Question { .. } => Vec::new(),
        },
        Event::ApprovalDecided { no, answer, .. } => {
            vec![Input::ApprovalDecided { no: *no, answer: answer.clone() }]
        }
        Event::ToolStarted { call, .. } => ready(*call, Vec::new()),
        Event::ToolFinished { call, outcome } => {
            let (call, outcome) = (*call, outcome.clone());
            let mut inputs = Vec::new();
            if let ToolOutcome::Refused { reason } = &outcome {
                inputs.push(Input::SlotRefused { call, reason: reason.clone() });
            }
            inputs.push(Input::ToolFinished { call, outcome });
            inputs.extend(ready(call, Vec::new()));
            inputs
        }
        _ => Vec::new(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "its caller sorts events by their subject")]
fn lives(first: &Event, events: &[Event]) -> Vec<Input> {
    if let Some(readmitted) = readmitted(events) {
        return vec![readmitted];
    }
    match first {
        Event::ChildFinished { child, assignment, report } => {
            let (child, assignment, report) = (*child, *assignment, report.clone());
            vec![Input::ChildFinished { child, assignment, report }]
        }
        Event::ChildStopped { child, assignment } => {
            // Of that report only is kept that everything below has ended.
            let outcome = TurnOutcome::Cancelled { reason: String::new() };
            let outcome = ChildOutcome::Turn { outcome };
            let report = ChildReport { outcome, usage: Usage::default() };
            vec![Input::ChildFinished { child: *child, assignment: *assignment, report }]
        }
        Event::CancelRequested { target, reason, .. } => {
            vec![Input::CancelRequested { target: *target, reason: reason.clone() }]
        }
        Event::SessionRestarted { cause } => {
            let panic = match cause {
                RestartCause::Panic { message } => Some(message.clone()),
                RestartCause::Process => None,
            };
            vec![Input::Recovered { panic }]
        }
        Event::SessionReleased { skip, .. } => vec![Input::Released { skip: *skip }],
        Event::SessionRenamed { name } => vec![Input::Renamed { name: name.clone() }],
        Event::SessionArchived { archived } => vec![Input::Archived { archived: *archived }],
        Event::Checkpointed { name, at, value } => {
            let (name, at, value) = (name.clone(), *at, value.clone());
            vec![Input::Checkpointed { name, at, value }]
        }
        Event::GoalSet { goal } => vec![Input::GoalSet { goal: goal.clone() }],
        _ => Vec::new(),
    }
}

/// A release that the house's log ordered, if the frame carries one out.
fn readmitted(events: &[Event]) -> Option<Input> {
    let (at, by) = events.iter().find_map(|event| {
        if let Event::SessionReleased { house: Some(at), by, .. } = event {
            Some((*at, by.clone()))
        } else {
            None
        }
    })?;
    let reason = events.iter().find_map(|event| {
        if let Event::SessionQuarantined { reason } = event { Some(reason.clone()) } else { None }
    });
    let reason = reason.unwrap_or_default();
    Some(Input::Readmitted { release: Box::new(Readmission { at, reason, by }) })
}

fn decided(
    state: &State,
    no: CallNo,
    decision: Result<Room, crate::domain::budget::Shortage>,
) -> Input {
    let asked = Box::new(prompt::purpose(state, no));
    Input::BudgetDecided { call: CallId { session: state.session, no }, asked, decision }
}

/// For each tool that a reply asks for, whether it was started at once.
fn slots(state: &State, reply: &Reply, events: &[Event]) -> Vec<bool> {
    let mut no = state.next.tool;
    let mut slots = Vec::new();
    for block in &reply.blocks {
        if let ReplyBlock::ToolUse { .. } = block {
            let started =
                |event: &Event| matches!(event, Event::ToolStarted { call, .. } if *call == no);
            slots.push(events.iter().any(started));
            no = no.next();
        }
    }
    slots
}

fn usage(events: &[Event]) -> Option<Usage> {
    events.iter().find_map(|event| {
        if let Event::UsageSettled { settlement: Settlement::Exact { usage, .. }, .. } = event {
            Some(*usage)
        } else {
            None
        }
    })
}

/// An answer with more calls than a frame holds. The log keeps how many there were, and that is all
/// that was decided on.
fn runaway(call: ModelCallNo, message: &str, usage: Option<Usage>) -> Option<Input> {
    let calls: usize = message.strip_suffix(" tool calls in one message")?.parse().ok()?;
    // However few there were, they did not fit; whoever says more than could be read lies.
    let calls = (calls <= limits::FRAME_BYTES).then_some(calls)?;
    let large = "x".repeat(limits::FRAME_BYTES);
    let one = |at: usize| {
        let args = Args(if at == 0 { large.clone() } else { String::new() });
        ReplyBlock::ToolUse { name: "x".into(), args }
    };
    let blocks = (0..calls).map(one).collect();
    let reply = Box::new(Reply { blocks, stop: Stop::ToolUse, usage, served_by: None });
    Some(Input::ModelFinished { call, reply, slots: Vec::new() })
}
