//! What is made of a name, and one call from its setup to its answer over a real connection.

use futures_util::StreamExt as _;
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::Message,
        event::{FailureKind, ModelFailure},
        ids::{CallId, ModelCallNo, SessionId, Timestamp, TurnId},
        model::{ModelEvent, ModelRequest},
    },
    ports::ModelProvider as _,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{super::preset, *};

#[test]
fn an_address_is_completed_from_what_the_variables_of_the_vendors_hold() {
    for (name, said, expected) in [
        ("ollama", "0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("ollama", "box", "http://box"),
        ("vllm", "http://gpu:8000", "http://gpu:8000/v1"),
        ("vllm", "http://gpu:8000/own/", "http://gpu:8000/own"),
        ("azure", "https://me.openai.azure.com/", "https://me.openai.azure.com/openai/v1"),
        ("openai_chat", "https://proxy.example.com/v1", "https://proxy.example.com/v1"),
    ] {
        let setup = Setup::preset(preset(name).unwrap(), Some(said)).unwrap();
        assert_eq!(setup.base_url, expected, "{name} {said}");
    }
}

#[test]
fn a_provider_without_an_address_of_its_own_says_which_variable_to_set() {
    let error = Setup::preset(preset("azure").unwrap(), None).unwrap_err();
    assert!(error.to_string().contains("AZURE_OPENAI_BASE_URL"), "{error}");
}

#[test]
fn vertex_is_reached_in_its_region_and_globally() {
    let base = preset("vertex").unwrap().base_url.unwrap();
    let at = |location: &str| {
        placed(base, &Place { project: "p".to_owned(), location: location.to_owned() })
    };
    assert_eq!(at("us-central1"), "https://us-central1-aiplatform.googleapis.com");
    assert_eq!(at("global"), "https://aiplatform.googleapis.com");
}

#[test]
fn vertex_without_a_place_says_what_is_missing() {
    let way = Way::new(Arc::new(crate::clock::SystemClock), Patience::default(), None);
    let setup = Setup::preset(preset("vertex").unwrap(), None).unwrap();
    let error = connect(&way.unwrap(), setup).unwrap_err();
    assert!(error.to_string().contains("GOOGLE_CLOUD_PROJECT"), "{error}");
}

fn request() -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: "a".into(),
        turn: TurnId(1),
        deadline: Timestamp(0),
        model: "m".into(),
        instructions: String::new(),
        tools: Arc::new(vec![]),
        messages: vec![Arc::new(Message::user("hi"))],
        sampling: Sampling::default(),
        images: std::collections::BTreeMap::new(),
    }
}

/// What a server was sent, and what its client made of this answer.
async fn exchange(answer: &str) -> (String, Vec<Result<ModelEvent, ModelFailure>>) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", server.local_addr().unwrap());
    let way = Way::new(Arc::new(crate::clock::SystemClock), Patience::default(), None);
    let setup = Setup::preset(preset("deepseek").unwrap(), Some(&base)).unwrap();
    let value = Some(secrecy::SecretString::from("s3cret"));
    let setup = setup.key(Key::Variable { name: "DEEPSEEK_API_KEY".to_owned(), value });
    let vendor = connect(&way.unwrap(), setup).unwrap();
    let serve = async {
        let (mut peer, _) = server.accept().await.unwrap();
        let mut asked = Vec::new();
        let mut chunk = [0; 4_096];
        while !asked.ends_with(b"}") {
            let read = peer.read(&mut chunk).await.unwrap();
            asked.extend_from_slice(&chunk[..read]);
        }
        peer.write_all(answer.as_bytes()).await.unwrap();
        peer.shutdown().await.unwrap();
        String::from_utf8(asked).unwrap()
    };
    tokio::join!(serve, vendor.call(request()).collect())
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_provider_by_name_is_asked_with_its_key_and_read_to_its_end() {
    let chunks = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                  data: [DONE]\n\n";
    let (asked, events) = exchange(&format!("{HEAD}{chunks}")).await;
    assert!(asked.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer s3cret\r\n"), "{asked}");
    let key = format!("idempotency-key: {}\r\n", request().call);
    assert_eq!(asked.matches(&key).count(), 1, "{asked}");
    assert!(asked.contains(r#""thinking":{"type":"disabled"}"#), "{asked}");
    assert!(matches!(
        events.as_slice(),
        [Ok(ModelEvent::Text { .. }), Ok(ModelEvent::Finished { .. })]
    ));
}

#[tokio::test]
async fn a_stream_that_ends_early_fails_after_what_it_said() {
    let chunks =
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    let (_, events) = exchange(&format!("{HEAD}{chunks}")).await;
    let [Ok(ModelEvent::Text { .. }), Err(failure)] = events.as_slice() else {
        panic!("a text and a failure, not {events:?}");
    };
    assert_eq!((failure.kind, failure.retryable), (FailureKind::EndedEarly, true));
}
