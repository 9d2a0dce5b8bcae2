//! Images, from a program to the model: kept before they are named, and for as long as the
//! conversation, over restarts and forks.

use std::path::Path;

use greenroom::{AgentSpec, BlobRef, Block, Budget, CallError, Event, Input, Runtime, UserInput};
use greenroom_actors::limits;

const SCRIPT: &str = "agent *\n    say {images}\n";

async fn starts(folder: &Path) -> Runtime {
    let builder = Runtime::builder().store(folder.join("green.db")).script(SCRIPT);
    builder.start().await.unwrap()
}

/// So many bytes that begin as a PNG does.
fn png(bytes: usize) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.resize(bytes, 7);
    image
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_reaches_the_model_in_every_turn_after_a_restart_and_in_a_fork() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = starts(folder.path()).await;
    let viewer = AgentSpec::new("viewer", "scripted").budget(Budget::default().tokens(1_000_000));
    let session = runtime.spawn(&viewer).await.unwrap();
    // Larger than any frame: only its name is in the log.
    let (large, small) = (png(limits::FRAME_BYTES + 1), b"\xff\xd8\xff\xe0small".to_vec());
    let input = Input::text("These two:").image(large).image(small);
    let seen = session.send(input).await.unwrap().outcome().await.unwrap();
    let both = "image/png, 524289 bytes\nimage/jpeg, 9 bytes";
    assert_eq!(seen.text(), both);
    let id = session.id();
    runtime.shutdown().await;

    let runtime = starts(folder.path()).await;
    let session = runtime.session(id);
    let again = session.send("And now?").await.unwrap().outcome().await.unwrap();
    assert_eq!(again.text(), both, "after a restart");
    let fork = session.fork().await.unwrap();
    let there = fork.send("Here too?").await.unwrap().outcome().await.unwrap();
    assert_eq!(there.text(), both, "in a fork");
    // What was reserved for each call is above what two images can cost anywhere.
    let bounds: Vec<u64> = session
        .log()
        .await
        .unwrap()
        .iter()
        .flat_map(|frame| &frame.events)
        .filter_map(|event| match event {
            Event::ModelCallStarted { bound, .. } => Some(bound.tokens),
            _ => None,
        })
        .collect();
    assert_eq!(bounds.len(), 2);
    assert!(bounds.iter().all(|tokens| *tokens >= 2 * limits::IMAGE_TOKENS), "{bounds:?}");
    assert!(bounds.iter().all(|tokens| *tokens < 4 * limits::IMAGE_TOKENS), "{bounds:?}");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_image_or_is_not_kept_is_refused_before_it_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = starts(folder.path()).await;
    let session = runtime.spawn(&AgentSpec::new("viewer", "scripted")).await.unwrap();
    let refused = |told: Result<_, CallError>| told.map(drop).unwrap_err().to_string();

    let told = refused(session.send(Input::default().image(b"<svg/>".to_vec())).await);
    let known = "image/png, image/jpeg, image/gif, image/webp";
    assert_eq!(told, format!("these 6 bytes are no image that is taken: {known}"));
    let told = refused(session.send(Input::default().image(png(limits::IMAGE_BYTES + 1))).await);
    assert_eq!(told, "an image of 3750001 bytes, at most 3750000 are taken; scale it");

    let named = |media_type: &str, blob: BlobRef| UserInput {
        blocks: vec![Block::Image { media_type: media_type.to_owned(), blob }],
        ..UserInput::text("")
    };
    let nowhere = BlobRef { sha256: "0".repeat(64), bytes: 9 };
    let told = refused(session.send_as("k1", named("image/png", nowhere)).await);
    assert!(told.ends_with("is kept; put it away first"), "{told}");
    let Block::Image { blob, .. } = runtime.keep_image(png(30)).await.unwrap() else { panic!() };
    let told = refused(session.send_as("k2", named("image/gif", blob)).await);
    assert!(told.ends_with("is no image/gif"), "{told}");
    assert_eq!(session.log().await.unwrap().len(), 1, "nothing but its opening");
    runtime.shutdown().await;
}
