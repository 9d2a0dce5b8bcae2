//! An answer as it grows: pieces of text, thinking and arguments, put together in the order in which
//! they were begun, whatever the order of what is added to them. It bounds them all: an answer that
//! never stops growing is refused, not kept.

use greenroom_actors::{
    domain::{
        conversation::{Block, Reply, ReplyBlock, Stop},
        ids::{ModelName, ProviderName, ToolName},
        model::ModelEvent,
        tool::Args,
        usage::Usage,
    },
    limits,
};

use super::Trouble;

/// A growing answer.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pieces: Vec<Piece>,
    bytes: usize,
    /// The vendor's last cumulative word: assigned, never added.
    pub(crate) usage: Option<Usage>,
    /// The model that answers, where the vendor says.
    pub(crate) served_by: Option<String>,
}

/// A piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text.
    Text(String),
    /// Thinking, with the vendor's signature.
    Thinking { text: String, signature: Option<String> },
    /// A tool that is asked for; arguments as text, which may come in fragments.
    Tool { name: String, args: String },
    /// What only this family of vendors understands.
    Opaque { family: &'static str, json: String },
}

/// Where a piece stands in its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At(usize);

impl At {
    /// Whether it stands directly behind that one.
    pub(crate) const fn follows(self, other: Self) -> bool {
        self.0 == other.0 + 1
    }
}

impl Draft {
    /// Begins a piece.
    pub(crate) fn begin(&mut self, piece: Piece) -> Result<At, Trouble> {
        // Text and thinking stand between calls, so twice as many pieces as calls is no honest answer.
        if self.pieces.len() >= 4 * limits::CALLS_READ {
            let what = format!("the answer has more than {} parts", 4 * limits::CALLS_READ);
            return Err(Trouble::Malformed(what));
        }
        let bytes = match &piece {
            Piece::Text(text) => text.len(),
            Piece::Thinking { text, signature } => {
                text.len() + signature.as_ref().map_or(0, String::len)
            }
            Piece::Tool { name, args } => name.len() + args.len(),
            Piece::Opaque { json, .. } => json.len(),
        };
        self.grow(bytes)?;
        self.pieces.push(piece);
        Ok(At(self.pieces.len() - 1))
    }

    /// Adds to a piece of text or thinking, and says so to whoever listens; to a tool's arguments,
    /// and says nothing: nobody may act on half of them.
    pub(crate) fn add(
        &mut self,
        at: At,
        delta: &str,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), Trouble> {
        if delta.is_empty() {
            return Ok(());
        }
        self.grow(delta.len())?;
        match self.pieces.get_mut(at.0) {
            Some(Piece::Text(text)) => {
                text.push_str(delta);
                out.push(ModelEvent::Text { delta: delta.to_owned() });
            }
            Some(Piece::Thinking { text, .. }) => {
                text.push_str(delta);
                out.push(ModelEvent::Thinking { delta: delta.to_owned() });
            }
            Some(Piece::Tool { args, .. }) => args.push_str(delta),
            Some(Piece::Opaque { .. }) | None => {
                return Err(Trouble::malformed("a piece that cannot grow was added to"));
            }
        }
        Ok(())
    }

    /// A piece, to be looked at or completed; what is added to it here is not told to anybody.
    pub(crate) fn piece(&mut self, at: At) -> Option<&mut Piece> {
        self.pieces.get_mut(at.0)
    }

    /// Whether a tool is asked for.
    pub(crate) fn asks_tools(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Tool { .. }))
    }

    /// Accounts for bytes that are kept.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limits::WIRE_REPLY_BYTES {
            let what = format!("the answer is larger than {} bytes", limits::WIRE_REPLY_BYTES);
            return Err(Trouble::Malformed(what));
        }
        Ok(())
    }

    /// The answer, ended for this reason. The draft is empty afterwards.
    pub(crate) fn finish(&mut self, stop: Stop) -> Reply {
        let blocks = std::mem::take(&mut self.pieces).into_iter().filter_map(block).collect();
        let served_by = self.served_by.take().filter(|model| !model.is_empty()).map(ModelName);
        Reply { blocks, stop, usage: self.usage, served_by }
    }
}

/// A piece as a block; text that never came is none.
fn block(piece: Piece) -> Option<ReplyBlock> {
    let block = match piece {
        Piece::Text(text) if text.is_empty() => return None,
        Piece::Text(text) => Block::Text { text },
        Piece::Thinking { text, signature: None } if text.is_empty() => return None,
        Piece::Thinking { text, signature } => Block::Thinking { text, signature },
        Piece::Tool { name, args } => {
            // Vendors send nothing at all for a call without arguments.
            let args = if args.trim().is_empty() { "{}".to_owned() } else { args };
            return Some(ReplyBlock::ToolUse { name: ToolName(name), args: Args(args) });
        }
        Piece::Opaque { family, json } => {
            Block::Opaque { provider: ProviderName(family.to_owned()), json }
        }
    };
    Some(ReplyBlock::Said { block })
}
