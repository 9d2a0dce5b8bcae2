//! A stream cut into chunks anywhere is the same stream; cut off anywhere it is no answer.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::*;
use crate::net::{Broken, Frames};

/// Made by hand: a comment, both ends of lines, letters of several bytes, thinking, two calls, usage.
const STREAM: &str = concat!(
    ": PROCESSING\n\n",
    "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"härter\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 🦀\"}}],\"obfuscation\":\"x\"}\r\n\r\n",
    "data:{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

async fn decode(closes: bool, chunks: impl IntoIterator<Item = &[u8]>) -> Vec<ModelEvent> {
    let chunks: Vec<Result<Bytes, Broken>> =
        chunks.into_iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let mut frames = Frames::of(Framing::Events, stream::iter(chunks));
    let wire = OpenAiChat::new("own", Quirks { closes, ..Quirks::COMPATIBLE });
    let mut decoder = wire.decoder();
    let mut out = Vec::new();
    while let Some(frame) = frames.next().await {
        decoder.frame(&frame.unwrap(), &mut out).unwrap();
    }
    decoder.end(&mut out).unwrap();
    out
}

#[tokio::test]
async fn chunks_of_any_size_are_the_same_stream() {
    let whole = decode(true, [STREAM.as_bytes()]).await;
    let reply = finished(&whole).unwrap();
    assert_eq!(short(reply), ["(härter)", "Grüße 🦀", r#"f{"x":1}"#, "g{}"]);
    assert!(reply.usage.is_some());
    for size in [1, 2, 7, 64] {
        assert_eq!(decode(true, STREAM.as_bytes().chunks(size)).await, whole, "{size}");
    }
    for at in 0..STREAM.len() {
        let (a, b) = STREAM.as_bytes().split_at(at);
        assert_eq!(decode(true, [a, b]).await, whole, "{at}");
    }
}

#[tokio::test]
async fn a_stream_cut_off_at_any_byte_is_no_answer() {
    let stopped = STREAM.find("data: {\"choices\":[],").unwrap();
    // An event is whole without the blank line behind it as well.
    let (stopped, closed) = (stopped - 2, STREAM.len() - 2);
    for at in 0..closed {
        let cut = &STREAM.as_bytes()[..at];
        assert!(finished(&decode(true, [cut]).await).is_none(), "{at}");
        // A server that need not close its streams has said its reason, or has not answered.
        let lenient = decode(false, [cut]).await;
        assert_eq!(finished(&lenient).is_some(), at >= stopped, "{at}");
    }
}
