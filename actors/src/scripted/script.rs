//! A parsed script: values only. It knows nothing of requests; `reading` brings the two together.
//!
//! Invariants, kept by `parse`: every rule has a step, every step a branch, every branch a move,
//! and nothing follows a move that ends the stream on every occasion.

use crate::domain::{
    conversation::Stop,
    event::ModelFailure,
    ids::{ModelName, ToolName, TurnId},
};

/// A whole script: the first rule that fits a request answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) rules: Vec<Rule>,
}

/// What one agent says in one kind of turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The agent's name, possibly with `*`.
    pub(crate) agent: Pattern,
    /// Only in this turn.
    pub(crate) turn: Option<TurnId>,
    /// Only when the turn's input fits.
    pub(crate) when: Option<Pattern>,
    /// One per model call of the turn; each a choice of branches.
    pub(crate) steps: Vec<Vec<Branch>>,
    /// Whether the first step follows the last.
    pub(crate) again: bool,
}

/// One way a step can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Only when the last message (input or tool results) fits.
    pub(crate) when: Option<Pattern>,
    pub(crate) moves: Vec<Move>,
}

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Say(String),
    Think(String),
    /// Texts from here on come in pieces.
    Pace {
        chars: usize,
        every_ms: u64,
    },
    Wait {
        ms: u64,
    },
    Call {
        tool: ToolName,
        args: String,
        /// Whether `args` is JSON, so that placeholders are escaped.
        json: bool,
    },
    Usage(UsageLine),
    Stop(Stop),
    ServedBy(ModelName),
    Ending {
        on: Occasion,
        ending: Ending,
    },
}

/// What a `usage` line says; a kind it does not name is derived from the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsageLine {
    /// The vendor reports nothing.
    Unreported,
    Given {
        input: Option<u64>,
        cache_read: u64,
        cache_write: u64,
        output: Option<u64>,
        reasoning: Option<u64>,
    },
}

/// When an ending strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    Always,
    /// In the first attempts at the step, as this provider has counted them.
    First(u32),
    /// While the session's model calls have a lower number: needs no memory.
    UntilCall(u32),
}

/// How a stream ends other than well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Fail(ModelFailure),
    Hang,
    Panic(String),
    /// The stream just ends.
    End,
}

/// A text with `*` for anything between its parts; without one it stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(pub(crate) String);

impl Pattern {
    /// Whether the whole text fits.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let Some((head, mut tail)) = self.0.split_once('*') else {
            return self.0 == text;
        };
        let Some(mut rest) = text.strip_prefix(head) else {
            return false;
        };
        // Leftmost matches of the middle parts leave the most for what follows, so no going back.
        while let Some((part, next)) = tail.split_once('*') {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            (rest, tail) = (after, next);
        }
        rest.ends_with(tail)
    }

    /// Whether the text fits, or merely contains a pattern without `*`.
    pub(crate) fn found_in(&self, text: &str) -> bool {
        if self.0.contains('*') { self.fits(text) } else { text.contains(&self.0) }
    }
}
