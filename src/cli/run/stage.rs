//! What is seen and heard of a run: who belongs to it, which of what happens is told where, and what
//! is asked. With `--json` each event is a line on stdout, and only questions are told besides.

use std::{collections::HashMap, io, path::Path};

use greenroom_actors::{
    Runtime,
    domain::{
        catalog::{Status, Totals},
        conversation::{Block, Reply, ReplyBlock},
        event::Event,
        ids::{AgentName, ApprovalId, Position, SessionId, Timestamp},
        model::ModelEvent,
        outcome::TurnOutcome,
        permission::Answer,
    },
    runtime::{CallError, Frame, Heard, Note, TreeNode},
};
use serde::Serialize;

use crate::{
    app,
    cli::{
        CliError,
        progress::Progress,
        screen::{Screen, Tone, counted},
        tree,
    },
};

use super::{asking::Questions, not_counted, speech::Speech, terminal::Terminal};

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Opened {
        session: SessionId,
        agent: &'a AgentName,
        store: &'a Path,
    },
    Text {
        session: SessionId,
        delta: &'a str,
    },
    Thinking {
        session: SessionId,
        delta: &'a str,
    },
    Progress {
        call: String,
        label: &'a str,
    },
    Event {
        session: SessionId,
        agent: &'a AgentName,
        position: Position,
        at: Timestamp,
        event: &'a Event,
    },
    Lagged {
        missed: u64,
    },
    Outcome {
        session: SessionId,
        outcome: &'a TurnOutcome,
        totals: &'a Totals,
    },
}

/// A run as it is seen.
#[derive(Debug)]
pub(super) struct Stage {
    screen: Screen,
    session: SessionId,
    /// Everybody in its tree. What others in the store do is not told.
    cast: HashMap<SessionId, AgentName>,
    speech: Speech,
    questions: Questions,
    progress: Progress,
    is_json: bool,
    /// Whether the end was asked for in the terminal.
    pub(super) is_interrupted: bool,
}

impl Stage {
    pub(super) fn new(
        screen: Screen,
        (session, agent): (SessionId, AgentName),
        terminal: Option<Terminal>,
        is_json: bool,
    ) -> Self {
        let known = [(session, agent.clone())];
        Self {
            screen,
            session,
            cast: HashMap::from([(session, agent)]),
            speech: Speech::new(screen),
            questions: Questions::new(screen, terminal),
            progress: Progress::new(screen, app::clock().now(), known).beside(session),
            is_json,
            is_interrupted: false,
        }
    }

    /// The session is there.
    pub(super) fn opened(&self, store: &Path, is_asked_elsewhere: bool) -> Result<(), CliError> {
        if self.is_json {
            let agent = self.cast.get(&self.session);
            let agent = agent.ok_or(CallError::UnknownSession { session: self.session })?;
            return print(&Line::Opened { session: self.session, agent, store });
        }
        let line = format!("session {} in {}", self.session, store.display());
        Screen::remark(&self.screen.paint_remark(Tone::Faint, &line));
        if !self.questions.has_somebody() {
            let line = if is_asked_elsewhere {
                "no terminal: what is asked waits for an answer from elsewhere"
            } else {
                "no terminal: what would be asked is denied"
            };
            Screen::remark(&self.screen.paint_remark(Tone::Faint, line));
        }
        Ok(())
    }

    /// Something was heard.
    pub(super) async fn hear(&mut self, runtime: &Runtime, heard: &Heard) -> Result<(), CliError> {
        match heard {
            Heard::Note(Note::Frame(frame)) => self.frame(frame, heard),
            Heard::Note(Note::Delta { call, event }) => match event {
                ModelEvent::Text { delta } => self.text(*call, delta),
                ModelEvent::Thinking { delta } => self.thinking(call.session, delta),
                ModelEvent::Limits { .. } | ModelEvent::Finished { .. } => Ok(()),
            },
            Heard::Note(Note::Progress { call, label }) if self.is_json => {
                if !self.cast.contains_key(&call.session) {
                    return Ok(());
                }
                print(&Line::Progress { call: call.to_string(), label })
            }
            Heard::Note(Note::Progress { .. }) => Ok(()),
            Heard::Lagged { missed } => {
                if self.is_json {
                    print(&Line::Lagged { missed: *missed })?;
                } else {
                    self.speech.fresh_line()?;
                    self.progress.hear(heard);
                }
                self.catch_up(runtime).await
            }
        }
    }

    fn text(
        &mut self,
        call: greenroom_actors::domain::ids::CallId,
        delta: &str,
    ) -> Result<(), CliError> {
        let session = call.session;
        if self.is_json && self.cast.contains_key(&session) {
            return print(&Line::Text { session, delta });
        }
        // The words of several agents at once would be a jumble.
        if session == self.session && !self.is_json {
            if self.questions.is_shown() {
                self.speech.hold(call);
            }
            self.speech.text(call, delta)?;
        }
        Ok(())
    }

    fn thinking(&mut self, session: SessionId, delta: &str) -> Result<(), CliError> {
        if self.is_json && self.cast.contains_key(&session) {
            return print(&Line::Thinking { session, delta });
        }
        if session == self.session && !self.is_json && !self.questions.is_shown() {
            self.speech.thought(delta)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Frame, heard: &Heard) -> Result<(), CliError> {
        let Some(agent) = self.cast.get(&frame.session).cloned() else { return Ok(()) };
        let is_asked = self.questions.is_shown();
        let tells = !self.is_json && (self.progress.tells(frame) || self.speaks(frame));
        if is_asked && tells {
            Screen::prompt("\n");
        }
        for event in frame.events.iter() {
            if self.is_json {
                let (session, position, at) = (frame.session, frame.position, frame.at);
                print(&Line::Event { session, agent: &agent, position, at, event })?;
            }
            self.happened(frame.session, &agent, event)?;
        }
        if !self.is_json {
            if self.progress.tells(frame) {
                self.speech.fresh_line()?;
            }
            self.progress.hear(heard);
        }
        if is_asked && tells {
            self.questions.remind();
        }
        self.questions.show();
        Ok(())
    }

    /// Whether a frame ends words on stdout.
    fn speaks(&self, frame: &Frame) -> bool {
        let ends = |event: &Event| matches!(event, Event::ModelCallFinished { .. });
        frame.session == self.session && frame.events.iter().any(ends)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a selection; all else is for the log")]
    fn happened(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        event: &Event,
    ) -> Result<(), CliError> {
        let is_spoken_to = session == self.session && !self.is_json;
        let call = |no| greenroom_actors::domain::ids::CallId::model(session, no);
        match event {
            Event::ChildSpawned { child, agent, .. } => {
                self.cast.insert(*child, agent.clone());
            }
            Event::ModelCallFinished { call: no, reply } if is_spoken_to => {
                self.speech.finished(call(*no), &words(reply))?;
            }
            Event::ModelCallFailed { call: no, .. } if is_spoken_to => {
                self.speech.failed(call(*no))?;
            }
            Event::ApprovalRequested { no, ask } => {
                let id = ApprovalId { session, no: *no };
                self.questions.asked(id, agent.clone(), (**ask).clone());
            }
            Event::ApprovalDecided { no, .. } | Event::ApprovalClosed { no, .. } => {
                self.questions.closed(ApprovalId { session, no: *no });
            }
            _ => {}
        }
        Ok(())
    }

    /// Learns from the store what was missed: who there is, and what is asked.
    async fn catch_up(&mut self, runtime: &Runtime) -> Result<(), CliError> {
        let tree = runtime.tree(self.session).await?;
        learn(&tree, &mut self.cast);
        for row in runtime.approvals(None).await? {
            if self.cast.contains_key(&row.id.session) {
                self.questions.asked(row.id, row.agent, row.ask);
            }
        }
        self.questions.show();
        Ok(())
    }

    /// The next answer that a person gives.
    pub(super) async fn answer(&mut self) -> (ApprovalId, Answer) {
        self.questions.answer().await
    }

    /// Hands an answer over.
    pub(super) async fn decide(
        &mut self,
        runtime: &Runtime,
        (approval, answer): (ApprovalId, Answer),
    ) -> Result<(), CliError> {
        if let Err(error) = runtime.decide(approval, answer).await {
            not_counted(&error);
        }
        self.questions.show();
        Ok(())
    }

    /// Tells something that is no event.
    pub(super) fn remark(&mut self, words: &str) -> io::Result<()> {
        self.speech.fresh_line()?;
        if self.questions.is_shown() {
            Screen::prompt("\n");
        }
        Screen::remark(words);
        self.questions.remind();
        Ok(())
    }

    /// Somebody wants the turn stopped.
    pub(super) fn interrupted(&mut self) -> io::Result<()> {
        self.speech.fresh_line()?;
        self.questions.withdraw();
        Screen::remark("\ninterrupted: cancelling the turn (again to quit)");
        Ok(())
    }

    /// The turn has ended.
    pub(super) async fn ended(
        &mut self,
        runtime: &Runtime,
        outcome: &TurnOutcome,
    ) -> Result<(), CliError> {
        let node = runtime.tree(self.session).await?;
        if self.is_json {
            let (session, totals) = (self.session, &node.subtree);
            return print(&Line::Outcome { session, outcome, totals });
        }
        if let TurnOutcome::Completed { text, truncated } = outcome {
            self.speech.concluded(text)?;
            if *truncated {
                Screen::remark("the answer was cut off at the output limit");
            }
        }
        self.speech.fresh_line()?;
        let at_work = at_work(&node);
        if at_work > 0 {
            Screen::remark(&format!(
                "{} below still at work; they go on while the next run works on this store",
                counted(at_work as u64, "agent")
            ));
        }
        Screen::remark(&self.screen.paint_remark(Tone::Faint, &tree::sum(&node.subtree)));
        Ok(())
    }
}

/// What a reply says, without what it thinks and calls.
fn words(reply: &Reply) -> String {
    let texts = reply.blocks.iter().filter_map(|block| match block {
        ReplyBlock::Said { block: Block::Text { text } } => Some(text.as_str()),
        ReplyBlock::Said { .. } | ReplyBlock::ToolUse { .. } => None,
    });
    texts.collect()
}

fn learn(node: &TreeNode, cast: &mut HashMap<SessionId, AgentName>) {
    cast.insert(node.row.session, node.row.agent.clone());
    node.children.iter().for_each(|child| learn(child, cast));
}

fn at_work(node: &TreeNode) -> usize {
    let busy = |child: &TreeNode| matches!(child.row.status, Status::Running | Status::Waiting);
    node.children.iter().map(|child| usize::from(busy(child)) + at_work(child)).sum()
}

fn print(line: &Line<'_>) -> Result<(), CliError> {
    Ok(Screen::print(&serde_json::to_string(line)?)?)
}
