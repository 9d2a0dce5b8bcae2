//! What a model reads and writes. Wire-free: vendor formats end inside their adapters, except for
//! opaque blocks, which are kept as the vendor's own text and returned unchanged.

use serde::{Deserialize, Serialize};

use super::{
    ids::{ModelName, ProviderName, ToolCallNo, ToolName},
    tool::{Args, Output},
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The user, the parent, or tools reporting back.
    User,
    /// The model.
    Assistant,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub speaker: Speaker,
    /// What they say, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// Something too large for a frame, kept as a blob.
    Stored {
        /// Where it is.
        blob: BlobRef,
        /// Whether the blob is a block as JSON: thinking with its signature, or an opaque one.
        /// Otherwise it is text and nothing else.
        #[serde(default, skip_serializing_if = "is_false")]
        whole: bool,
    },
    /// Thinking the model showed.
    Thinking {
        /// The text, possibly empty.
        text: String,
        /// The vendor's signature, returned unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// The model asks for a tool.
    ToolUse {
        /// Our number of the call: the only id the model sees again.
        call: ToolCallNo,
        /// Which tool.
        name: ToolName,
        /// With what, exactly as the model wrote it.
        args: Args,
    },
    /// A tool reports.
    ToolResult {
        /// The call.
        call: ToolCallNo,
        /// What came of it.
        output: Output,
        /// Whether it is an error.
        is_error: bool,
    },
    /// An image.
    Image {
        /// Media type, such as `image/png`.
        media_type: String,
        /// The bytes.
        blob: BlobRef,
    },
    /// A block only its vendor understands (redacted thinking, encrypted reasoning, …).
    Opaque {
        /// Whose.
        provider: ProviderName,
        /// Its JSON text, returned byte for byte.
        json: String,
    },
}

/// For a field that is left out where it says nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A large value kept outside the log, by the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was done.
    EndTurn,
    /// It waits for its tools.
    ToolUse,
    /// The output limit cut it.
    MaxTokens,
    /// A stop sequence.
    StopSequence,
    /// It refused.
    Refusal,
    /// The vendor broke a long turn off; the same conversation with this answer goes on.
    Paused,
}

/// A block of a model's reply, before our own call numbers are given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReplyBlock {
    /// Anything that goes into the conversation as it is.
    Said {
        /// The block; never a tool use or a tool result.
        block: Block,
    },
    /// A tool the model asks for.
    ToolUse {
        /// Which tool.
        name: ToolName,
        /// With what, exactly as the model wrote it.
        args: Args,
    },
}

/// A model's complete answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// In order.
    pub blocks: Vec<ReplyBlock>,
    /// Why it stopped.
    pub stop: Stop,
    /// What the vendor reported; `None` when it did not.
    pub usage: Option<super::usage::Usage>,
    /// The model that really answered, where the vendor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<ModelName>,
}

impl Message {
    /// A user's text.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::User, blocks: vec![Block::Text { text: text.into() }] }
    }

    /// Everything said as plain text, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let mut all = String::new();
        for block in &self.blocks {
            if let Block::Text { text } = block {
                all.push_str(text);
            }
        }
        all
    }
}
