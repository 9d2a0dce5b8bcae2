//! Bounds of what stands in a log: events, frames, and what is too large for them.

/// One event in bytes; what is larger is a blob before the frame that names it.
pub const EVENT_BYTES: usize = 256 * 1024;
/// One frame in bytes: below the 1 MiB payload of the brokers a log may later live on.
pub const FRAME_BYTES: usize = 512 * 1024;
/// A text above this goes into a blob: an event holds several.
pub const INLINE_BYTES: usize = 32 * 1024;
/// Head and tail shown of a text that went into a blob, each.
pub const PREVIEW_BYTES: usize = 4 * 1024;
/// One blob.
pub const BLOB_BYTES: usize = 64 * 1024 * 1024;
/// A user's input text: half of an event, so that its envelope fits beside it.
pub const INPUT_BYTES: usize = 128 * 1024;
/// One image: 5 MB in base64, which makes four bytes of three, is the least that a vendor takes.
pub const IMAGE_BYTES: usize = 3_750_000;
/// Images in one input: above 20 a vendor takes only small ones.
pub const IMAGES: usize = 20;
/// All images of a conversation, since each call sends them again: 18.7 MB in base64, within the 20 MB
/// of a whole request that are the least that a vendor takes. `GATE_CALLS` at once with as many are
/// 900 MB, and more on the wire; who talks about pictures with that many agents at once has the memory for it.
pub const IMAGES_BYTES: u64 = 14_000_000;
/// Tokens of one image, at most, whatever its size. Vendors scale a large one down and count tiles:
/// Anthropic 1,600 or, of its largest, 4,784; Gemini 16 tiles of 258; OpenAI 8 tiles, dearest where
/// a tile counts 5,667 and the image 2,833: 48,169.
pub const IMAGE_TOKENS: u64 = 48_169;
/// A reason for a cancel, or a vendor's words about a failure: it is repeated in the event of every
/// queued turn that it ends, and `QUEUE` of them must fit into one frame.
pub const REASON_BYTES: usize = 2_048;
/// A key of an input or of a call: it stands beside what it names in the log, and as the cause in
/// every frame that follows from it. Two ids and a word are 80 bytes.
pub const KEY_BYTES: usize = 512;
/// A session's name: one line of a list.
pub const NAME_BYTES: usize = 200;
/// A model's name in an answer: servers on one's own machine say the path of a file there. It stands
/// in the events of its call beside what was said.
pub const MODEL_NAME_BYTES: usize = 1_024;
/// A rendered agent in bytes: it stands in every child's first frame beside the lineage.
pub const AGENT_BYTES: usize = 64 * 1024;
