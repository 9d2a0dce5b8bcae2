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

#[test]
fn vertex_at_a_place_that_would_lead_elsewhere_is_refused() {
    let way = Way::new(Arc::new(crate::clock::SystemClock), Patience::default(), None).unwrap();
    let connected = |project: &str, location: &str| {
        let mut setup = Setup::preset(preset("vertex").unwrap(), None).unwrap();
        setup.place = Some(Place { project: project.into(), location: location.into() });
        connect(&way, setup).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(connected("stage-1", "us-central1"), Ok(()));
    assert_eq!(connected("example.com:stage", "global"), Ok(()));
    for (project, location) in [
        ("p", "evil.example/"),
        ("p", "evil.example/x?"),
        ("p", "evil.example:1"),
        ("p", "me@evil.example"),
        ("p", ""),
        ("../../v1", "global"),
        ("a/b", "global"),
        ("p?x=", "global"),
        ("", "global"),
    ] {
        let error = connected(project, location).unwrap_err();
        assert!(error.contains("is no name of a project or a location"), "{error}");
    }
}

#[test]
fn neither_a_header_nor_a_password_is_shown() {
    let mut setup = Setup::new("own", Kind::OpenAiChat, "https://me:hush@host.example/v1?x");
    setup.headers = vec![("x-token".to_owned(), "hush".to_owned())];
    let shown = format!("{setup:?}");
    assert!(shown.contains("host.example") && !shown.contains("hush"), "{shown}");
    let options = Options {
        name: setup.name.clone(),
        base_url: setup.base_url.clone(),
        key: Key::None,
        headers: setup.headers.clone(),
        stream: true,
    };
    let shown = format!("{options:?}");
    assert!(shown.contains("host.example") && !shown.contains("hush"), "{shown}");
    let way = Way::new(Arc::new(crate::clock::SystemClock), Patience::default(), None);
    let error = connect(&way.unwrap(), setup).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("host.example") && !shown.contains("hush"), "{shown}");
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

/// A vendor that repeats the credential at each place near the end of what is told on of its words.
#[tokio::test]
async fn no_part_of_a_credential_is_told_on_where_the_words_are_cut() {
    use greenroom_actors::limits::WIRE_WORDS_BYTES;
    for before in WIRE_WORDS_BYTES - 20..WIRE_WORDS_BYTES {
        let said = format!("{} s3cret {}", "x".repeat(before), "y".repeat(WIRE_WORDS_BYTES));
        let body = format!(r#"{{"error":{{"message":"{said}","code":"no"}}}}"#);
        let head = "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n";
        let (asked, events) =
            exchange(&format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
        assert!(asked.contains("s3cret"), "{asked}");
        let [Err(failure)] = events.as_slice() else { panic!("a failure, not {events:?}") };
        assert_eq!(failure.kind, FailureKind::Auth);
        let words = failure.message.trim_end_matches("; the credential is DEEPSEEK_API_KEY");
        assert!(!words.contains(" s"), "{before}: {words}");
        assert!(words.len() < WIRE_WORDS_BYTES + 64, "{}", words.len());
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_with_the_name_of_its_provider() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n";
    for (answer, told) in [("", "deepseek: wait for 127"), (head, "deepseek: read the answer: ")] {
        let (_, events) = exchange(answer).await;
        let [Err(failure)] = events.as_slice() else { panic!("a failure, not {events:?}") };
        assert_eq!((failure.kind, failure.retryable), (FailureKind::Transport, true));
        assert!(failure.message.starts_with(told), "{}", failure.message);
    }
}

/// A value of another type than the protocol has is named by the parser with all it holds.
#[tokio::test]
async fn what_a_protocol_does_not_allow_is_told_in_few_words() {
    let chunk = format!("data: {{\"choices\":\"s3cret {}\"}}\n\n", "y".repeat(100_000));
    let (_, events) = exchange(&format!("{HEAD}{chunk}")).await;
    let [Err(failure)] = events.as_slice() else { panic!("a failure, not {events:?}") };
    assert_eq!(failure.kind, FailureKind::Malformed);
    assert!(failure.message.len() <= greenroom_actors::limits::WIRE_WORDS_BYTES);
    assert!(!failure.message.contains("s3cret"), "{}", failure.message);
}

#[tokio::test]
async fn a_list_of_models_that_never_ends_is_given_up_and_no_sooner() {
    use greenroom_actors::{
        limits::LIST_MS,
        owned::Owned,
        testing::{
            clock::ManualClock,
            harness::{bounded, eventually},
        },
    };
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", server.local_addr().unwrap());
    let clock = ManualClock::default();
    let way = Way::new(Arc::new(clock.clone()), Patience::default(), None).unwrap();
    let setup = Setup::preset(preset("vllm").unwrap(), Some(&base)).unwrap();
    let vendor = connect(&way, setup).unwrap();
    let mut asked = tokio::task::JoinSet::new();
    asked.spawn(vendor.verify_auth());
    let (mut peer, _) = server.accept().await.unwrap();
    let mut request = [0; 4_096];
    assert!(peer.read(&mut request).await.unwrap() > 0);
    // It goes on talking: each word is a sign of life.
    peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let talk = Owned::spawn(async move { while peer.write_all(b" ").await.is_ok() {} });
    let real: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
    let reads = || std::future::ready((clock.sleepers() > 0).then_some(()));
    eventually(&real, "somebody waits", reads).await;
    clock.advance(LIST_MS - 1);
    assert!(asked.try_join_next().is_none());
    clock.advance(1);
    let given_up = bounded("it is given up", asked.join_next()).await.unwrap().unwrap();
    let failure = given_up.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(failure.message.contains("list of models took longer than 30 s"), "{failure:?}");
    drop(talk);
}
