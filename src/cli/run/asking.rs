//! Questions to the person at the terminal: one at a time, in the order they came, each with exactly
//! what would run. A question that closes by itself is taken back.

use std::collections::VecDeque;

use greenroom_actors::domain::{
    ids::{AgentName, ApprovalId},
    permission::{Answer, Ask, Subject},
};

use crate::cli::screen::{Screen, Tone, escaped, exactly};

use super::{
    answers::{self, CHOICES, MEANING, Typed},
    terminal::Terminal,
};

/// What waits for an answer.
#[derive(Debug)]
struct Question {
    id: ApprovalId,
    agent: AgentName,
    ask: Ask,
}

/// What the next line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Choice,
    Args,
    Comment,
}

/// The questions of a run.
#[derive(Debug)]
pub(super) struct Questions {
    screen: Screen,
    terminal: Option<Terminal>,
    waiting: VecDeque<Question>,
    /// The first of them, once a person has seen it.
    shown: Option<ApprovalId>,
    expecting: Expecting,
}

impl Questions {
    pub(super) const fn new(screen: Screen, terminal: Option<Terminal>) -> Self {
        Self {
            screen,
            terminal,
            waiting: VecDeque::new(),
            shown: None,
            expecting: Expecting::Choice,
        }
    }

    /// Whether anybody is there to answer.
    pub(super) const fn has_somebody(&self) -> bool {
        self.terminal.is_some()
    }

    /// Something is asked.
    pub(super) fn asked(&mut self, id: ApprovalId, agent: AgentName, ask: Ask) {
        if self.waiting.iter().any(|question| question.id == id) {
            return;
        }
        self.waiting.push_back(Question { id, agent, ask });
    }

    /// A question is not open any more.
    pub(super) fn closed(&mut self, id: ApprovalId) {
        let Some(at) = self.waiting.iter().position(|question| question.id == id) else { return };
        self.waiting.remove(at);
        if self.shown == Some(id) {
            Screen::remark("\n(not asked any more)");
            self.shown = None;
        }
    }

    /// Whether somebody looks at a question now.
    pub(super) const fn is_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// Shows again what can be typed, below something that was told meanwhile.
    pub(super) fn remind(&self) {
        let can_answer = self.is_shown() && self.has_somebody();
        let Some(question) = self.waiting.front().filter(|_| can_answer) else { return };
        Screen::prompt(&format!("{}: {CHOICES} ", escaped(question.agent.as_str())));
    }

    /// Nothing is asked any more.
    pub(super) fn withdraw(&mut self) {
        self.waiting.clear();
        self.shown = None;
    }

    /// An answer to the question that is shown; never returns while there is none.
    pub(super) async fn answer(&mut self) -> (ApprovalId, Answer) {
        loop {
            let (Some(terminal), Some(question)) = (&mut self.terminal, self.waiting.front())
            else {
                return std::future::pending().await;
            };
            let id = question.id;
            if self.shown != Some(id) {
                return std::future::pending().await;
            }
            let Some(line) = terminal.line().await else {
                Screen::remark("\nno answer: that is a no");
                self.next();
                return (id, Answer::Reject);
            };
            if let Some(answer) = self.typed(&line) {
                self.next();
                return (id, answer);
            }
        }
    }

    /// The question that was shown has its answer; the next one is shown once it has been handed over.
    fn next(&mut self) {
        self.waiting.pop_front();
        self.shown = None;
    }

    fn typed(&mut self, line: &str) -> Option<Answer> {
        let typed = match self.expecting {
            Expecting::Choice => answers::choice(line),
            Expecting::Args => answers::edited(line),
            Expecting::Comment => answers::comment(line),
        };
        match typed {
            Typed::Answer(answer) => return Some(answer),
            Typed::WantsArgs => {
                self.expecting = Expecting::Args;
                Screen::prompt("other arguments, a JSON object in one line: ");
            }
            Typed::WantsComment => {
                self.expecting = Expecting::Comment;
                Screen::prompt("what the model should read: ");
            }
            Typed::Help => self.again(MEANING),
            Typed::Unclear(why) => self.again(&format!("  {why}")),
        }
        None
    }

    fn again(&mut self, words: &str) {
        self.expecting = Expecting::Choice;
        Screen::remark(words);
        Screen::prompt(&format!("{CHOICES} "));
    }

    /// Shows the first question, unless it is shown already.
    pub(super) fn show(&mut self) {
        let Some(question) = self.waiting.front() else { return };
        if self.shown == Some(question.id) {
            return;
        }
        self.shown = Some(question.id);
        self.expecting = Expecting::Choice;
        let (what, detail) = match &question.ask.subject {
            Subject::ToolCall { request, .. } => {
                (format!("may it call {}?", request.tool), request.args.shown())
            }
            Subject::Plan { text } => ("may it follow this plan?".to_owned(), escaped(text)),
            Subject::Question { text } => ("it asks".to_owned(), escaped(text)),
            Subject::Budget { .. } => ("may it spend more?".to_owned(), String::new()),
        };
        let head = escaped(&format!("{}: {what}", question.agent));
        let mut text = format!("\n{}\n  {detail}", self.screen.paint_remark(Tone::Busy, &head));
        for reason in &question.ask.reasons {
            text += &self
                .screen
                .paint_remark(Tone::Faint, &format!("\n  because: {}", exactly(reason)));
        }
        if let Some(proposal) = &question.ask.proposal {
            let rule = format!("\n  for a session or always: {}", exactly(proposal));
            text += &self.screen.paint_remark(Tone::Faint, &rule);
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.forget();
        }
        Screen::remark(&text);
        if self.has_somebody() {
            Screen::prompt(&format!("{CHOICES} "));
        }
    }
}
