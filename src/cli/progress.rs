//! What happened, as lines for a person: live for the demo, and after the fact for `log`.

use std::collections::HashMap;

use greenroom_actors::{
    domain::{
        conversation::{Block, ReplyBlock},
        event::{CancelTarget, Event, RestartCause, TimerKind, UserInput},
        ids::{AgentName, SessionId, Timestamp},
        outcome::TurnOutcome,
        permission::Answer,
        tool::ToolOutcome,
    },
    runtime::{Frame, Heard, Note},
};

use super::screen::{Screen, Tone, cut};

/// Tells a tree's progress on stderr, a line for whatever is worth one.
#[derive(Debug)]
pub(super) struct Progress {
    screen: Screen,
    names: HashMap<SessionId, AgentName>,
    begun: Timestamp,
    /// A session whose words are shown elsewhere, as are all questions.
    beside: Option<SessionId>,
}

impl Progress {
    /// Of sessions whose agents are known so far.
    pub(super) fn new(
        screen: Screen,
        begun: Timestamp,
        known: impl IntoIterator<Item = (SessionId, AgentName)>,
    ) -> Self {
        Self { screen, names: known.into_iter().collect(), begun, beside: None }
    }

    /// The same beside the words of a session and what is asked, which are not told twice.
    pub(super) const fn beside(mut self, session: SessionId) -> Self {
        self.beside = Some(session);
        self
    }

    /// Whether a frame is worth a line.
    pub(super) fn tells(&self, frame: &Frame) -> bool {
        frame.events.iter().any(|event| self.told(frame.session, event).is_some())
    }

    fn told(&self, session: SessionId, event: &Event) -> Option<(Tone, String)> {
        let is_elsewhere = match event {
            Event::ApprovalRequested { .. } => self.beside.is_some(),
            Event::TurnStarted { .. }
            | Event::TurnFinished { outcome: TurnOutcome::Completed { .. }, .. } => {
                self.beside == Some(session)
            }
            _ => false,
        };
        if is_elsewhere { None } else { told(event) }
    }

    /// Something was heard.
    pub(super) fn hear(&mut self, heard: &Heard) {
        match heard {
            Heard::Note(Note::Frame(frame)) => self.frame(frame),
            Heard::Lagged { missed } => {
                Screen::remark(&format!("         ({missed} notes passed by too fast to print)"));
            }
            // Pieces of text of nine agents at once would be a jumble.
            Heard::Note(Note::Delta { .. } | Note::Progress { .. }) => {}
        }
    }

    fn frame(&mut self, frame: &Frame) {
        for event in frame.events.iter() {
            self.learn(frame.session, event);
            let Some((tone, words)) = self.told(frame.session, event) else { continue };
            let name = self.names.get(&frame.session).map_or("?", AgentName::as_str);
            let ms = frame.at.since_ms(self.begun);
            let head = format!("{:>3}.{:02}s  ", ms / 1_000, ms % 1_000 / 10);
            let room = self.screen.remarks_width.unwrap_or(usize::MAX);
            let used = head.chars().count() + name.chars().count().max(10) + 2;
            let words = cut(&words, room.saturating_sub(used));
            let head = self.screen.paint_remark(Tone::Faint, &head);
            Screen::remark(&format!(
                "{head}{name:<10}  {}",
                self.screen.paint_remark(tone, &words)
            ));
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only these two events name an agent")]
    fn learn(&mut self, session: SessionId, event: &Event) {
        match event {
            Event::SessionOpened { rendered, .. } => {
                self.names.insert(session, rendered.agent.name.clone());
            }
            Event::ChildSpawned { child, agent, .. } => {
                self.names.insert(*child, agent.clone());
            }
            _ => {}
        }
    }
}

/// The line that an event is worth while it happens, if it is worth one.
#[expect(clippy::wildcard_enum_match_arm, reason = "a selection for a person; the log has it all")]
fn told(event: &Event) -> Option<(Tone, String)> {
    let line = match event {
        Event::TurnStarted { .. } => (Tone::Faint, "begins".to_owned()),
        Event::ChildSpawned { agent, .. } => (Tone::Plain, format!("sends {agent} to work")),
        Event::ToolStarted { .. } | Event::ToolRequested { .. } => {
            let Event::ToolRequested { name, args, .. } = event else { return None };
            // Spawns have their own line.
            if name.as_str() == "spawn_agent" {
                return None;
            }
            (Tone::Plain, format!("calls {name} {}", args.shown()))
        }
        Event::ToolFinished { outcome, .. } if is_trouble(outcome) => (Tone::Bad, came_to(outcome)),
        Event::SessionRestarted { .. } => (Tone::Busy, detail(event)),
        Event::ModelCallFailed { call, failure } => {
            (Tone::Bad, format!("lost its model call m{call}: {}", failure.message))
        }
        Event::TimerSet { timer: TimerKind::Retry, at } => {
            (Tone::Busy, format!("asks its model again at {}", at.utc()))
        }
        Event::ModelFellBack { to, reason, .. } => {
            (Tone::Busy, format!("goes on with model {to}, because of {reason}"))
        }
        Event::SessionQuarantined { reason } => (Tone::Bad, format!("is off the stage: {reason}")),
        Event::BudgetWarned { .. } => (Tone::Busy, format!("budget: {}", detail(event))),
        Event::BudgetExhausted { shortage } => (Tone::Bad, shortage.to_string()),
        Event::CancelRequested { .. } => (Tone::Busy, format!("cancels {}", detail(event))),
        Event::ApprovalRequested { .. } => (Tone::Busy, format!("asks: {}", detail(event))),
        Event::TurnFinished { outcome, .. } => {
            let well = matches!(outcome, TurnOutcome::Completed { .. });
            (
                if well { Tone::Good } else { Tone::Bad },
                format!("{}: {}", outcome.word(), outcome.text()),
            )
        }
        _ => return None,
    };
    Some(line)
}

/// Whether a call came to something that a person should see.
const fn is_trouble(outcome: &ToolOutcome) -> bool {
    match outcome {
        ToolOutcome::Failed { .. } | ToolOutcome::Refused { .. } | ToolOutcome::OutcomeUnknown => {
            true
        }
        ToolOutcome::Done { .. } | ToolOutcome::Cancelled { .. } | ToolOutcome::NotCarried => false,
    }
}

/// An answer in words.
fn answered(answer: &Answer) -> String {
    let word = match answer {
        Answer::Once => "yes, once",
        Answer::Turn => "yes, for this turn",
        Answer::Session => "yes, for this session",
        Answer::Always => "yes, always",
        Answer::All => "yes, to everything",
        Answer::Reject => "no",
        Answer::Never => "no, never",
        Answer::Edit { args } => return format!("yes, with {}", args.shown()),
        Answer::Comment { text } => return format!("no: {text}"),
        Answer::Revise { feedback } => return format!("try again: {feedback}"),
    };
    word.to_owned()
}

/// A call's end in words, which some ends begin with their own word.
fn came_to(outcome: &ToolOutcome) -> String {
    let (word, told) = (outcome.word(), outcome.told());
    let text = told.0.shown();
    if text.starts_with(word) { text.to_owned() } else { format!("{word}: {text}") }
}

/// What a line of the log says beside the event's name. Complete where an event is small; the
/// first words where it is large.
pub(super) fn detail(event: &Event) -> String {
    match event {
        Event::SessionOpened { rendered, lineage, .. } => {
            let below = lineage.parent.as_ref().map(|parent| format!(" below {}", parent.session));
            format!("agent {}{}", rendered.agent.name, below.unwrap_or_default())
        }
        Event::InputAccepted { key, input } => format!("{} (under {key})", said(input)),
        Event::TurnStarted { turn, key, .. } => format!("turn {turn} (for {key})"),
        Event::ModelCallStarted { call, model, .. } => format!("m{call} to {model}"),
        Event::ModelCallFinished { call, reply } => {
            let blocks: Vec<String> = reply.blocks.iter().map(replied).collect();
            format!("m{call}: {}", blocks.join(" | "))
        }
        Event::ModelCallFailed { call, failure } => {
            format!("m{call}: {}: {}", failure.kind.word(), failure.message)
        }
        Event::ModelFellBack { from, to, reason, .. } => format!("from {from} to {to}: {reason}"),
        Event::UsageSettled { call, settlement, .. } => {
            format!("m{call}: {} tokens, {}", settlement.tokens(), settlement.cost())
        }
        Event::BudgetWarned { account, percent, dimension } => {
            let what = dimension.map(|dimension| format!(" in {}", dimension.word()));
            format!("{percent} % of {account}{} are spent", what.unwrap_or_default())
        }
        Event::BudgetExhausted { shortage } => shortage.to_string(),
        Event::ToolRequested { call, name, args, .. } => {
            format!("t{call}: {name} {}", args.shown())
        }
        Event::ToolStarted { call, .. } => format!("t{call}"),
        Event::ToolFinished { call, outcome } => {
            format!("t{call}: {}", came_to(outcome))
        }
        Event::ApprovalRequested { no, ask } => format!("a{no}: {}", ask.reasons.join("; ")),
        Event::ApprovalDecided { no, answer, by, .. } => {
            format!("a{no}: {} by {by}", answered(answer))
        }
        Event::ApprovalClosed { no, why } => {
            format!("a{no}: {}", format!("{why:?}").to_lowercase())
        }
        Event::ChildSpawned { child, agent, assignment, .. } => {
            format!("{agent} {child}, assignment {assignment}")
        }
        Event::ChildFinished { child, report, .. } => {
            format!("{child}: {}: {}", report.outcome.word(), report.outcome.text())
        }
        Event::TimerSet { timer, at } => format!("{timer:?} at {}", at.utc()),
        Event::TimerFired { timer } => format!("{timer:?}"),
        Event::CancelRequested { target, reason, .. } => format!("{}: {reason}", aimed(target)),
        Event::TurnFinished { turn, outcome } => {
            format!("turn {turn}: {}: {}", outcome.word(), outcome.text())
        }
        Event::SessionRestarted { cause: RestartCause::Panic { message } } => {
            format!("panicked ({message}); started again from its log")
        }
        Event::SessionRestarted { cause: RestartCause::Process } => {
            "its process died; taken up again from its log".to_owned()
        }
        Event::SessionQuarantined { reason } => reason.clone(),
        other => rest(other),
    }
}

/// The rarer events.
#[expect(clippy::wildcard_enum_match_arm, reason = "the second half of `detail`")]
fn rest(event: &Event) -> String {
    match event {
        Event::EngineState { engine, version, .. } => format!("{engine} version {version}"),
        Event::ToolsChanged { tools, reason } => format!("{} tools: {reason}", tools.len()),
        Event::ChildStopped { child, assignment } => {
            format!("{child}, assignment {assignment}: nothing below it is at work")
        }
        Event::Compacted { messages, summary } => format!("{messages} messages: {summary}"),
        Event::Checkpointed { name, at, .. } => format!("{name} at {at}"),
        Event::SessionForked { from } => format!("from {} at {}", from.session, from.at),
        Event::SessionReleased { skip, by, .. } => {
            format!("by {by}{}", if *skip { ", the step skipped" } else { "" })
        }
        Event::SessionRenamed { name } => name.clone(),
        Event::SessionArchived { archived } => archived.to_string(),
        Event::GoalSet { goal } => {
            goal.as_ref().map_or_else(|| "none".to_owned(), |goal| goal.objective.clone())
        }
        _ => String::new(),
    }
}

fn said(input: &UserInput) -> String {
    let blocks: Vec<String> = input.blocks.iter().map(block).collect();
    blocks.join(" | ")
}

fn block(block: &Block) -> String {
    match block {
        Block::Text { text } | Block::Thinking { text, .. } => text.clone(),
        Block::Stored { blob, .. } => format!("({} bytes stored)", blob.bytes),
        Block::ToolUse { name, args, .. } => format!("{name} {}", args.shown()),
        Block::ToolResult { output, .. } => output.shown().to_owned(),
        Block::Image { media_type, .. } => format!("({media_type})"),
        Block::Opaque { provider, .. } => format!("(opaque, of {provider})"),
    }
}

fn replied(reply: &ReplyBlock) -> String {
    match reply {
        ReplyBlock::Said { block: said } => block(said),
        ReplyBlock::ToolUse { name, args } => format!("{name} {}", args.shown()),
    }
}

fn aimed(target: &CancelTarget) -> String {
    match target {
        CancelTarget::Everything => "everything".to_owned(),
        CancelTarget::Assignment { no } => format!("assignment {no}"),
        CancelTarget::Child { child } => format!("child {child}"),
        CancelTarget::Turn { turn } => format!("turn {turn}"),
    }
}

#[cfg(test)]
mod tests {
    use greenroom_actors::domain::{
        conversation::{Reply, Stop},
        event::Caller,
        ids::{ModelCallNo, ToolCallNo, TurnId},
        tool::{Args, Output},
    };

    use super::*;

    #[test]
    fn arguments_stand_in_the_log_as_they_are_asked_about() {
        let args = Args("{ \"b\":1, \"a\":\"rm \\u0078\u{202e}\u{200b}\u{e0041}\" }".to_owned());
        let shown = r#"{"a":"rm x\u202e\u200b\udb40\udc41","b":1}"#;
        assert_eq!(args.shown(), shown);
        let name = || "shell".into();
        let asked = ReplyBlock::ToolUse { name: name(), args: args.clone() };
        let reply =
            Reply { blocks: vec![asked], stop: Stop::ToolUse, usage: None, served_by: None };
        let reply = Box::new(reply);
        let by = Caller::Model { turn: TurnId(1) };
        for event in [
            Event::ToolRequested { call: ToolCallNo(1), name: name(), args: args.clone(), by },
            Event::ModelCallFinished { call: ModelCallNo(1), reply },
        ] {
            assert!(detail(&event).contains(shown), "{}", detail(&event));
        }
        assert_eq!(answered(&Answer::Edit { args }), format!("yes, with {shown}"));
    }

    #[test]
    fn the_end_of_a_call_says_its_word_once() {
        let unknown = came_to(&ToolOutcome::OutcomeUnknown);
        assert_eq!(unknown.matches("outcome_unknown").count(), 1, "{unknown}");
        let done = ToolOutcome::Done { output: Output::text("signed") };
        assert_eq!(came_to(&done), "done: signed");
    }
}
