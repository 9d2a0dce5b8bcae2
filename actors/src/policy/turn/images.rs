//! Images at the door: which are taken, and how many. Whether their bytes are kept is for whoever
//! holds the blobs to say, before it knocks here.

use crate::{
    domain::{
        conversation::{BlobRef, Block},
        event::UserInput,
        image::MEDIA_TYPES,
    },
    limits,
};

use super::{input::Rejected, state::State};

fn images(blocks: &[Block]) -> impl Iterator<Item = (&str, &BlobRef)> {
    blocks.iter().filter_map(|block| match block {
        Block::Image { media_type, blob } => Some((media_type.as_str(), blob)),
        Block::Text { .. }
        | Block::Stored { .. }
        | Block::Thinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Opaque { .. } => None,
    })
}

fn bytes(blocks: &[Block]) -> u64 {
    images(blocks).map(|(_, blob)| blob.bytes).fold(0, u64::saturating_add)
}

/// Refuses images that no vendor takes, and more than one conversation may carry.
pub(super) fn fit(state: &State, input: &UserInput) -> Result<(), Rejected> {
    let refused = |what: String| Err(Rejected::BadValue { what });
    let many = images(&input.blocks).count();
    if many == 0 {
        return Ok(());
    }
    if many > limits::IMAGES {
        let max = limits::IMAGES;
        return refused(format!("{many} images in one input, at most {max} are taken"));
    }
    for (media_type, blob) in images(&input.blocks) {
        if !MEDIA_TYPES.contains(&media_type) {
            let known = MEDIA_TYPES.join(", ");
            return refused(format!("an image of type {media_type:?}; taken are: {known}"));
        }
        if blob.bytes > limits::IMAGE_BYTES as u64 {
            let (is, max) = (blob.bytes, limits::IMAGE_BYTES);
            return refused(format!("an image of {is} bytes, at most {max} are taken; scale it"));
        }
    }
    let said = state.conversation.iter().map(|message| bytes(&message.blocks));
    let queued = state.queue.iter().map(|queued| bytes(&queued.input.blocks));
    let before = said.chain(queued).fold(0, u64::saturating_add);
    let all = before.saturating_add(bytes(&input.blocks));
    if all > limits::IMAGES_BYTES {
        let max = limits::IMAGES_BYTES;
        return refused(format!(
            "with these the conversation's images have {all} bytes, at most {max} are taken; fork \
             it from before the images, or begin another"
        ));
    }
    Ok(())
}
