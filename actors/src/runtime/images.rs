//! Images on their way in: put away before the input that names them, and looked at once more when
//! it does. An input in the log whose image is not kept would fail every turn of its session.

use crate::{
    domain::{
        conversation::{BlobRef, Block},
        event::UserInput,
        image::{MEDIA_TYPES, media_type},
    },
    limits,
    policy::turn::Rejected,
};

use super::{CallError, Runtime};

fn bad(what: String) -> CallError {
    Rejected::BadValue { what }.into()
}

impl Runtime {
    /// Puts an image away and returns the block that names it, for an input. What kind of image it
    /// is is read off its bytes. When this returns they are durable; the same bytes twice are kept
    /// once.
    ///
    /// # Errors
    /// When it is of no kind that every vendor reads, too large, or cannot be written.
    pub async fn keep_image(&self, bytes: Vec<u8>) -> Result<Block, CallError> {
        let (many, max) = (bytes.len(), limits::IMAGE_BYTES);
        if many > max {
            return Err(bad(format!(
                "an image of {many} bytes, at most {max} are taken; scale it"
            )));
        }
        let Some(media_type) = media_type(&bytes) else {
            let known = MEDIA_TYPES.join(", ");
            return Err(bad(format!("these {many} bytes are no image that is taken: {known}")));
        };
        let blob = self.inner.blobs.put(bytes).await?;
        Ok(Block::Image { media_type: media_type.to_owned(), blob })
    }

    /// Whether everything that an input names is kept, and is what it says.
    pub(super) async fn has_kept(&self, input: &UserInput) -> Result<(), CallError> {
        for block in &input.blocks {
            match block {
                Block::Image { media_type: told, blob } => {
                    let bytes = self.kept(blob).await?;
                    if media_type(&bytes) != Some(told.as_str()) {
                        return Err(bad(format!("blob {} is no {told}", blob.sha256)));
                    }
                }
                Block::Stored { blob, whole: false } => drop(self.kept(blob).await?),
                Block::Stored { blob, whole: true } => {
                    return Err(bad(format!("blob {} is no text", blob.sha256)));
                }
                Block::Text { .. }
                | Block::Thinking { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. }
                | Block::Opaque { .. } => {}
            }
        }
        Ok(())
    }

    async fn kept(&self, blob: &BlobRef) -> Result<Vec<u8>, CallError> {
        let bytes = self.inner.blobs.get(blob.clone()).await?;
        let bytes = bytes.filter(|bytes| bytes.len() as u64 == blob.bytes);
        bytes.ok_or_else(|| {
            let BlobRef { sha256, bytes } = blob;
            bad(format!("no blob {sha256} of {bytes} bytes is kept; put it away first"))
        })
    }
}
