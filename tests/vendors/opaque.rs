//! What only its vendor understands goes through the log and back to it byte for byte, over a restart
//! between the two, whatever its size; and to no other vendor.

use greenroom::providers::Kind;
use greenroom_actors::{
    domain::{
        conversation::{Block, ReplyBlock},
        event::{Event, UserInput},
    },
    limits,
    testing::harness::{ended, events, say},
};

use crate::{
    house::{self, agent, name, vendor, way},
    server::Server,
    speech::{self, begins, ends, piece, streams},
};

/// Numbers, spaces and escapes that a careless reader would write in another way.
fn odd(secret: &str) -> String {
    format!(
        "\"z\": 1.50, \"a\":[ 1,2 ],\"e\":1E+2,\"big\":123456789012345678901234567890,\
         \"u\":\"\\u00e9\\/ \u{e9}\", \"data\":\"{secret}\""
    )
}

/// An answer with a block that only this vendor understands, and that block.
fn with_block(kind: Kind, secret: &str) -> (String, String) {
    let odd = odd(secret);
    match kind {
        Kind::Anthropic => {
            let block = format!("{{\"type\":\"from_the_future\", {odd}}}");
            let start = format!(
                "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":1,\
                 \"content_block\":{block}}}\n\n"
            );
            let body = format!("{}{}{start}{}", begins(kind), piece(kind, "So."), ends(kind));
            (body, block)
        }
        Kind::OpenAiResponses => {
            let item = format!(
                "{{\"id\":\"rs_1\", \"type\":\"reasoning\",\"summary\":[ ], \
                 \"encrypted_content\":\"{secret}\",{odd}}}"
            );
            let done = format!(
                "event: response.output_item.done\ndata: {{\"type\":\"response.output_item.done\",\
                 \"output_index\":0,\"item\":{item}}}\n\n"
            );
            // Reasoning stands before what it leads to; alone it would be refused.
            let said = format!("{}{}", begins(kind), piece(kind, "So."));
            let said = said.replace("\"output_index\":0", "\"output_index\":1");
            (format!("{done}{said}{}", ends(kind)), item)
        }
        Kind::Gemini | Kind::Vertex => {
            let part = format!("{{\"executableCode\": {{\"code\":\"x\"}},{odd}}}");
            let chunk = format!(
                "data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{part}]}}}}]}}\n\n"
            );
            (format!("{}{chunk}{}", piece(kind, "So."), ends(kind)), part)
        }
        Kind::OpenAiChat | Kind::Ollama => panic!("it has no blocks of its own"),
    }
}

const OWN: [Kind; 3] = [Kind::Anthropic, Kind::OpenAiResponses, Kind::Gemini];

/// The first answer has the block; each later one is text. What was asked second, by which time
/// everything in memory has died once.
async fn second_question(kind: Kind, body: String) -> (String, Vec<Event>) {
    let server = Server::new(move |_asked, no| match no {
        0 => streams(kind, body.clone()),
        _more => speech::says(kind, "Again."),
    })
    .await;
    let vendors = vec![vendor(&way(), kind, &server.url)];
    let stage = house::stage(vendors, |harness| harness.agent(agent(kind, &[]))).await;
    let session = say(&stage.runtime, name(kind), "k1", "go").await;
    assert_eq!(ended(&stage.runtime, session, "k1").await.text(), "So.", "{kind:?}");
    let stage = stage.crash().await;
    let input = UserInput::text("and now?");
    stage.runtime.submit(session, "k2".into(), input).await.unwrap();
    assert_eq!(ended(&stage.runtime, session, "k2").await.text(), "Again.", "{kind:?}");
    let log = events(&stage.runtime, session).await;
    (server.asked()[1].body.clone(), log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_nobody_knows_goes_back_to_the_byte_after_a_restart() {
    for kind in OWN {
        let (body, block) = with_block(kind, "c2VjcmV0");
        let (asked, _log) = second_question(kind, body).await;
        assert_eq!(asked.matches(&block).count(), 1, "{kind:?}: {asked}");
    }
}

/// As large as an event may not be, so that it stands in the log as the name of a blob.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_too_large_for_the_log_goes_back_to_the_byte_as_well() {
    let secret = "QUJD".repeat(limits::EVENT_BYTES / 4);
    for kind in OWN {
        let (body, block) = with_block(kind, &secret);
        let (asked, log) = second_question(kind, body).await;
        assert_eq!(asked.matches(&block).count(), 1, "{kind:?}: {} bytes", asked.len());
        let stored = log.iter().any(|event| match event {
            Event::ModelCallFinished { reply, .. } => reply.blocks.iter().any(|block| {
                matches!(block, ReplyBlock::Said { block: Block::Stored { whole: true, .. } })
            }),
            _ => false,
        });
        assert!(stored, "{kind:?}: it stands in a blob");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_too_large_for_the_log_goes_back_with_its_signature() {
    let kind = Kind::Anthropic;
    let thought = "Hm. \u{e9}".repeat(limits::EVENT_BYTES / 4);
    let block = serde_json::json!({"type": "content_block_start", "index": 1, "content_block":
        {"type": "thinking", "thinking": thought, "signature": "c2ln+/="}});
    let start = speech::frames(kind, &[block]);
    let body = format!("{}{}{start}{}", begins(kind), piece(kind, "So."), ends(kind));
    let (asked, _log) = second_question(kind, body).await;
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    let blocks = asked["messages"][1]["content"].as_array().unwrap();
    let sent = blocks.iter().find(|block| block["type"] == "thinking").unwrap();
    assert_eq!(sent["thinking"].as_str(), Some(thought.as_str()));
    assert_eq!(sent["signature"], "c2ln+/=");
}

/// Many middling pieces, of which none is large by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_blocks_that_only_together_are_too_large_go_back_one_by_one() {
    let kind = Kind::Anthropic;
    let block = |no: usize| {
        format!("{{\"type\":\"from_the_future\",\"no\":{no}, \"x\":\"{}\"}}", "y".repeat(20_000))
    };
    let starts: String = (1..=20)
        .map(|no| {
            format!(
                "data: {{\"type\":\"content_block_start\",\"index\":{no},\"content_block\":{}}}\n\n",
                block(no)
            )
        })
        .collect();
    let body = format!("{}{}{starts}{}", begins(kind), piece(kind, "So."), ends(kind));
    let (asked, _log) = second_question(kind, body).await;
    for no in 1..=20 {
        assert_eq!(asked.matches(&block(no)).count(), 1, "block {no}");
    }
}

/// The signature of a text, of a call and of thinking, in the part that it came in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_of_geminis_goes_back_in_its_part_after_a_restart() {
    let kind = Kind::Gemini;
    let signed = "{\"text\":\"So.\",\"thoughtSignature\":\"c2ln+/=\"}";
    let chunk = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{signed}]}}}}]}}\n\n"
    );
    let (asked, _log) = second_question(kind, format!("{chunk}{}", ends(kind))).await;
    assert_eq!(asked.matches(signed).count(), 1, "{asked}");
}
