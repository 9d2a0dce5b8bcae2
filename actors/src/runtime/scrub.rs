//! What the host wants in no log, taken out of what people and programs say: inputs, agents'
//! instructions, answers, names and reasons. It acts at the doors of the runtime, before anything is
//! decided or recorded, so that what is in force is what the log says. Tools and models are cleaned by
//! whoever registers them, for only they know what comes in pieces.

use std::{fmt, sync::Arc};

use crate::{
    domain::{
        agent::AgentSpec,
        conversation::Block,
        event::{Goal, UserInput},
        job::{JobSpec, Work},
        permission::Answer,
    },
    policy::turn::Input,
};

type Clean = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Takes out of a text what nobody may read.
#[derive(Clone)]
pub struct Scrub(Arc<Clean>);

impl Scrub {
    /// By this: the text without it, or nothing where there is none in it.
    #[must_use]
    pub fn new(clean: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(clean))
    }

    /// A job's name, and what it is told.
    pub(super) fn job(&self, spec: &mut JobSpec) {
        self.text(&mut spec.name);
        let (Work::Host { payload: text } | Work::Prompt { prompt: text, .. }) = &mut spec.work;
        self.text(text);
    }

    pub(super) fn text(&self, text: &mut String) {
        if let Some(clean) = (self.0)(text) {
            *text = clean;
        }
    }

    pub(super) fn input(&self, input: &mut UserInput) {
        for block in &mut input.blocks {
            match block {
                Block::Text { text } => self.text(text),
                // An input holds none of these, or it is bytes with a hash.
                Block::Thinking { .. }
                | Block::Opaque { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. }
                | Block::Stored { .. }
                | Block::Image { .. } => {}
            }
        }
    }

    pub(super) fn agent(&self, agent: &AgentSpec) -> AgentSpec {
        let mut agent = agent.clone();
        self.text(&mut agent.instructions);
        for overlay in agent.tools.values_mut() {
            overlay.values_mut().for_each(|value| self.text(value));
        }
        agent
    }

    fn answer(&self, answer: &mut Answer) {
        match answer {
            Answer::Edit { args } => self.text(&mut args.0),
            Answer::Comment { text } | Answer::Revise { feedback: text } => self.text(text),
            Answer::Once
            | Answer::Turn
            | Answer::Session
            | Answer::Always
            | Answer::All
            | Answer::Reject
            | Answer::Never => {}
        }
    }

    /// What somebody orders; all else that reaches a session comes from the runtime itself.
    pub(super) fn order(&self, input: &mut Input) {
        match input {
            Input::ApprovalDecided { answer, .. } => self.answer(answer),
            Input::CancelRequested { reason, .. } => self.text(reason),
            Input::Invoked { args, cwd, .. } => {
                self.text(&mut args.0);
                cwd.iter_mut().for_each(|folder| self.text(folder));
            }
            Input::Renamed { name } => self.text(name),
            Input::Checkpointed { name, value, .. } => {
                self.text(&mut name.0);
                self.text(value);
            }
            Input::GoalSet { goal: Some(Goal { objective, .. }) } => self.text(objective),
            // Inputs and agents are cleaned where they come in; of the rest nobody writes a word.
            Input::Opened { .. }
            | Input::Submitted { .. }
            | Input::ModelFinished { .. }
            | Input::ModelFailed { .. }
            | Input::BudgetDecided { .. }
            | Input::SlotGranted { .. }
            | Input::SlotRefused { .. }
            | Input::ToolFinished { .. }
            | Input::ChildFinished { .. }
            | Input::TimerFired
            | Input::Recovered { .. }
            | Input::Released { .. }
            | Input::Readmitted { .. }
            | Input::Archived { .. }
            | Input::GoalSet { goal: None }
            | Input::BudgetWarned { .. } => {}
        }
    }
}

/// Nothing is taken out.
impl Default for Scrub {
    fn default() -> Self {
        Self::new(|_text| None)
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrub")
    }
}
