//! Images in inputs: which are taken, that they stay, and what they are bounded at.

use super::play::*;
use crate::{
    domain::{
        conversation::{BlobRef, Block},
        event::UserInput,
        ids::ModelCallNo,
    },
    limits,
    policy::turn::{Input, prompt},
};

fn image(media_type: &str, no: u8, bytes: u64) -> Block {
    let blob = BlobRef { sha256: format!("{no:064x}"), bytes };
    Block::Image { media_type: media_type.to_owned(), blob }
}

fn shows(key: &str, images: Vec<Block>) -> Input {
    let mut input = UserInput::text("look");
    input.blocks.extend(images);
    Input::Submitted { key: key.into(), input: Box::new(input) }
}

#[test]
fn images_that_no_vendor_takes_are_refused_at_the_door() {
    let max = limits::IMAGE_BYTES as u64;
    for (images, why) in [
        (
            vec![image("image/svg+xml", 1, 9)],
            "! an image of type \"image/svg+xml\"; taken are: image/png, image/jpeg, image/gif, image/webp",
        ),
        (
            vec![image("image/png", 1, 9), image("image/png", 2, max + 1)],
            "! an image of 3750001 bytes, at most 3750000 are taken; scale it",
        ),
        (
            (0..21).map(|no| image("image/gif", no, 9)).collect(),
            "! 21 images in one input, at most 20 are taken",
        ),
        (
            (0..4).map(|no| image("image/webp", no, max)).collect(),
            "! with these the conversation's images have 15000000 bytes, at most 14000000 are \
             taken; fork it from before the images, or begin another",
        ),
    ] {
        Play::of(agent()).check(shows("k", images), why);
    }
}

#[test]
fn a_conversation_takes_only_so_many_bytes_of_images_said_or_queued() {
    let half = || (0..2).map(|no| image("image/jpeg", no, 3_500_000)).collect::<Vec<_>>();
    let full = "! with these the conversation's images have 14000001 bytes, at most 14000000 are \
                taken; fork it from before the images, or begin another";
    let one = || vec![image("image/png", 9, 1)];
    Play::of(agent())
        .with(shows("k1", half()))
        .check(shows("k2", half()), "+ input_accepted k2")
        .check(shows("k3", one()), full)
        // The same input again is the same input.
        .check(shows("k2", half()), "")
        .check(say("k4"), "+ input_accepted k4");
}

#[test]
fn images_stay_in_the_conversation_and_crashes_forget_none() {
    let mut play = Play::of(agent())
        .with(shows("k1", vec![image("image/png", 7, 100)]))
        .with(answers(1, reply("nice", &[])))
        .with(say("k2"));
    let asked = |play: &Play| {
        let request = prompt::request(&play.state, ModelCallNo(2), play.now).unwrap();
        assert!(request.images.is_empty(), "the bytes come with the call, not from the log");
        request.prompt_bytes()
    };
    let before = asked(&play);
    assert!(String::from_utf8(before.clone()).unwrap().contains(&format!("{:064x}", 7)));
    play.crash(None);
    assert_eq!(before, asked(&play));
}

#[test]
fn an_image_is_bounded_by_what_the_dearest_vendor_counts_and_not_by_its_bytes() {
    let input = |images: Vec<Block>| {
        let play = Play::of(counted()).with(shows("k", images));
        prompt::bound(&play.state).0
    };
    let none = input(Vec::new());
    // What names an image in the log is counted as text besides.
    let named = 200;
    for bytes in [1, 3_000_000] {
        let two = input(vec![image("image/png", 1, bytes), image("image/png", 2, bytes)]);
        let counted = two - none;
        assert!((2 * limits::IMAGE_TOKENS..2 * (limits::IMAGE_TOKENS + named)).contains(&counted));
    }
}
