//! From a branch of the script to the events of one stream. The list of acts is made at once and
//! is a pure function of branch, request and attempt; playing it is the only part that waits.

use std::{collections::VecDeque, sync::Arc};

use futures_util::stream::{self, BoxStream, StreamExt};

use crate::{
    domain::{
        conversation::{Block, Reply, ReplyBlock, Stop},
        event::{FailureKind, ModelFailure},
        ids::{CallNo, ModelName},
        tool::Args,
        usage::Usage,
    },
    limits,
    ports::{Clock, ModelEvent, ModelRequest},
};

use super::{
    reading::{NoSuchChild, Reading},
    script::{Branch, Ending, Move, Occasion, UsageLine},
};

/// One thing a stream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Emit(ModelEvent),
    Wait { ms: u64 },
    Fail(ModelFailure),
    Hang,
    Panic(String),
    End,
}

/// The acts of one call. `attempt` counts from 1.
pub(crate) fn acts(
    branch: &Branch,
    request: &ModelRequest,
    reading: &Reading,
    attempt: u32,
) -> Vec<Act> {
    let mut stage = Stage::default();
    for next in &branch.moves {
        match stage.perform(next, request, reading, attempt) {
            Ok(true) => {}
            Ok(false) => return stage.acts,
            Err(missing) => {
                stage.acts.push(Act::Fail(refused(missing.to_string())));
                return stage.acts;
            }
        }
    }
    let reply = Box::new(stage.reply(request));
    stage.acts.push(Act::Emit(ModelEvent::Finished { reply }));
    stage.acts
}

/// A script that does not fit its test: asking again would not help.
pub(crate) fn refused(message: String) -> ModelFailure {
    ModelFailure::new(FailureKind::BadRequest, message, false).unbilled()
}

#[derive(Default)]
struct Stage {
    acts: Vec<Act>,
    blocks: Vec<ReplyBlock>,
    pace: Option<(usize, u64)>,
    usage: Option<UsageLine>,
    stop: Option<Stop>,
    served_by: Option<ModelName>,
    said_bytes: usize,
    thought_bytes: usize,
}

impl Stage {
    /// Performs a move; `false` when the stream is over.
    fn perform(
        &mut self,
        next: &Move,
        request: &ModelRequest,
        reading: &Reading,
        attempt: u32,
    ) -> Result<bool, NoSuchChild> {
        match next {
            Move::Say(text) => {
                let text = reading.fill(text, false)?;
                self.stream(&text, |delta| ModelEvent::Text { delta });
                self.said_bytes += text.len();
                self.blocks.push(ReplyBlock::Said { block: Block::Text { text } });
            }
            Move::Think(text) => {
                let text = reading.fill(text, false)?;
                self.stream(&text, |delta| ModelEvent::Thinking { delta });
                self.thought_bytes += text.len();
                let block = Block::Thinking { text, signature: None };
                self.blocks.push(ReplyBlock::Said { block });
            }
            Move::Pace { chars, every_ms } => self.pace = Some((*chars, *every_ms)),
            Move::Wait { ms } => self.acts.push(Act::Wait { ms: *ms }),
            Move::Call { tool, args, json } => {
                let args = reading.fill(args, *json)?;
                self.said_bytes += tool.as_str().len() + args.len();
                self.blocks.push(ReplyBlock::ToolUse { name: tool.clone(), args: Args(args) });
            }
            Move::Usage(line) => self.usage = Some(*line),
            Move::Stop(stop) => self.stop = Some(*stop),
            Move::ServedBy(model) => self.served_by = Some(model.clone()),
            Move::Ending { on, ending } => {
                if strikes(*on, request, attempt) {
                    self.acts.push(ending.into());
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn stream(&mut self, text: &str, event: fn(String) -> ModelEvent) {
        let Some((chars, every_ms)) = self.pace else {
            if !text.is_empty() {
                self.acts.push(Act::Emit(event(text.to_owned())));
            }
            return;
        };
        let mut rest = text.chars().peekable();
        while rest.peek().is_some() {
            let delta: String = rest.by_ref().take(chars).collect();
            self.acts.push(Act::Wait { ms: every_ms });
            self.acts.push(Act::Emit(event(delta)));
        }
    }

    fn reply(&mut self, request: &ModelRequest) -> Reply {
        let asks = self.blocks.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
        let natural = if asks { Stop::ToolUse } else { Stop::EndTurn };
        Reply {
            blocks: std::mem::take(&mut self.blocks),
            stop: self.stop.unwrap_or(natural),
            usage: self.usage(request),
            served_by: self.served_by.clone(),
        }
    }

    fn usage(&self, request: &ModelRequest) -> Option<Usage> {
        let derived = derived_usage(request, self.said_bytes, self.thought_bytes);
        match self.usage {
            None => Some(derived),
            Some(UsageLine::Unreported) => None,
            Some(UsageLine::Given { input, cache_read, cache_write, output, reasoning }) => {
                let output = output.unwrap_or_else(|| derived.output.max(reasoning.unwrap_or(0)));
                Some(Usage {
                    input: input.unwrap_or(derived.input),
                    cache_read,
                    cache_write,
                    output,
                    reasoning: reasoning.unwrap_or(derived.reasoning).min(output),
                })
            }
        }
    }
}

fn strikes(on: Occasion, request: &ModelRequest, attempt: u32) -> bool {
    match on {
        Occasion::Always => true,
        Occasion::First(attempts) => attempt <= attempts,
        Occasion::UntilCall(call) => match request.call.no {
            CallNo::Model(no) => no.0 < call,
            CallNo::Tool(_) => false,
        },
    }
}

impl From<&Ending> for Act {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Fail(failure) => Self::Fail(failure.clone()),
            Ending::Hang => Self::Hang,
            Ending::Panic(text) => Self::Panic(text.clone()),
            Ending::End => Self::End,
        }
    }
}

/// Four bytes are a token, rounded up: close to real tokenisers, and the same every time. The
/// output never exceeds its cap, as with a real vendor, so that reservations stay true bounds.
pub(crate) fn derived_usage(request: &ModelRequest, said: usize, thought: usize) -> Usage {
    let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX);
    let cap = request.sampling.output_tokens_max.unwrap_or(limits::OUTPUT_TOKENS);
    let output = tokens(said).saturating_add(tokens(thought)).min(cap);
    Usage {
        input: tokens(request.prompt_bytes().len()),
        output,
        reasoning: tokens(thought).min(output),
        ..Usage::default()
    }
}

/// Plays the acts. Without a clock nothing is waited for.
pub(crate) fn play(
    acts: Vec<Act>,
    clock: Option<Arc<dyn Clock>>,
) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
    stream::unfold(VecDeque::from(acts), move |mut rest| {
        let clock = clock.clone();
        async move {
            loop {
                match rest.pop_front()? {
                    Act::Emit(event) => return Some((Ok(event), rest)),
                    // A timer takes a millisecond where none is asked for.
                    Act::Wait { ms: 0 } => {}
                    Act::Wait { ms } => {
                        if let Some(clock) = &clock {
                            clock.after(ms).await;
                        }
                    }
                    Act::Fail(failure) => return Some((Err(failure), VecDeque::new())),
                    Act::Hang => std::future::pending().await,
                    Act::Panic(text) => panic!("{text}"),
                    Act::End => return None,
                }
            }
        }
    })
    .boxed()
}
