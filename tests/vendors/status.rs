//! V4 from the socket to the person: a status and whatever body came with it, as the failure that the
//! session acts on and as the sentence that is shown. The whole table of decisions is held row by row
//! in `src/providers/failure/tests.rs`.

use greenroom::providers::{Kind, Setup, connect};
use greenroom_actors::{
    domain::{
        event::FailureKind::{self, Auth, BadRequest, Overloaded, RateLimited, TimedOut},
        outcome::TurnOutcome,
    },
    testing::harness::{ended, say},
};
use serde_json::json;

use crate::{
    house::{self, agent, call, name, vendor, way},
    server::{Answer, Server},
    speech::KINDS,
};

/// Status, word, and then: what it is, whether to ask again, whether it was certainly not billed.
const ROWS: [(u16, &str, FailureKind, bool, bool); 8] = [
    (400, "invalid_request_error", BadRequest, false, true),
    (401, "authentication_error", Auth, false, true),
    (404, "not_found_error", BadRequest, false, true),
    (408, "timeout_error", TimedOut, true, false),
    (429, "rate_limit_error", RateLimited, true, true),
    (500, "api_error", Overloaded, true, false),
    (502, "api_error", Overloaded, true, false),
    (529, "overloaded_error", Overloaded, true, true),
];

const PAGE: &str = "<html><head><title>Sorry</title></head><body><h1>No</h1></body></html>";

/// An error as this vendor words it.
fn worded(kind: Kind, word: &str) -> String {
    let message = "Why on earth not";
    match kind {
        Kind::Anthropic => {
            json!({"type": "error", "error": {"type": word, "message": message}}).to_string()
        }
        Kind::OpenAiChat | Kind::OpenAiResponses => {
            json!({"error": {"type": word, "code": word, "message": message}}).to_string()
        }
        Kind::Gemini | Kind::Vertex => {
            json!({"error": {"status": word, "message": message}}).to_string()
        }
        Kind::Ollama => json!({"error": message}).to_string(),
    }
}

/// The same status with an error in JSON, a page, nothing, and a body that stops amid its length.
fn bodies(kind: Kind, status: u16, word: &str) -> [(&'static str, Answer); 4] {
    let text = worded(kind, word);
    let half = text.get(..text.len() / 2).unwrap();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nretry-after: 7");
    let cut = format!("{head}\r\ncontent-length: {}\r\n\r\n{half}", text.len());
    let waits = |answer: Answer| answer.header("retry-after", "7");
    [
        ("JSON", waits(Answer::json(status, text))),
        ("a page", waits(Answer::new(status, "text/html", PAGE))),
        ("nothing", waits(Answer::json(status, ""))),
        ("half", Answer::raw(cut)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_decided_and_told_whatever_body_comes_with_it() {
    for kind in KINDS {
        for (status, word, failure_kind, retryable, unbilled) in ROWS {
            let bodies_of =
                move |no: usize| bodies(kind, status, word).into_iter().nth(no).unwrap();
            let server = Server::new(move |_asked, no| bodies_of(no).1).await;
            let vendor = vendor(&way(), kind, &server.url);
            for no in 0..4 {
                let what = format!("{} {status} with {}", name(kind), bodies_of(no).0);
                let failure = call(&vendor).await.unwrap_err();
                let decided = (failure.kind, failure.retryable, failure.unbilled);
                assert_eq!(decided, (failure_kind, retryable, unbilled), "{what}: {failure:?}");
                assert_eq!(failure.retry_after_ms, retryable.then_some(7_000), "{what}");
                let says = format!("{} answered {status}", name(kind));
                assert!(failure.message.starts_with(&says), "{what}: {failure:?}");
                assert!(!failure.message.contains('<'), "{what}: {failure:?}");
                let in_words = failure.message.contains("Why on earth not");
                assert_eq!(in_words, no == 0, "{what}: {failure:?}");
            }
            // None of them was tried again below us.
            assert_eq!(server.count(), 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reads_who_said_what_and_where_the_credential_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-very-secret\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let kind = Kind::OpenAiChat;
    let server = Server::new(move |asked, _no| {
        assert_eq!(asked.header("authorization"), Some("Bearer sk-very-secret"));
        let said = "Incorrect API key provided: sk-very-secret.";
        let error = json!({"error": {"code": "invalid_api_key", "message": said}});
        Answer::json(401, error.to_string())
    })
    .await;
    let setup = Setup::new(name(kind), kind, &server.url)
        .key(greenroom::providers::Key::File(file.clone()));
    let vendor = connect(&way(), setup).unwrap();
    let stage = house::stage(vec![vendor], |harness| harness.agent(agent(kind, &[]))).await;
    let session = say(&stage.runtime, name(kind), "k", "go").await;
    let TurnOutcome::Failed { reason } = ended(&stage.runtime, session, "k").await else {
        panic!("it did not fail");
    };
    let says = "chat answered 401: invalid_api_key: Incorrect API key provided: ….";
    assert!(reason.contains(says), "{reason}");
    assert!(reason.contains(&format!("the credential is {}", file.display())), "{reason}");
    assert!(!reason.contains("sk-very-secret"), "{reason}");
    assert_eq!(server.count(), 1, "a wrong credential is not tried again");
}

/// V10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed_and_no_other_host_sees_the_credential() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-very-secret").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let thief = Server::new(|_asked, _no| Answer::json(200, "{}")).await;
    let to = thief.url.replace("127.0.0.1", "localhost");
    for kind in KINDS {
        let to = to.clone();
        let statuses = [301, 302, 303, 307, 308];
        let server = Server::new(move |_asked, no| {
            Answer::json(statuses[no], "").header("location", &format!("{to}/v1/messages"))
        })
        .await;
        let setup = Setup::new(name(kind), kind, &server.url)
            .key(greenroom::providers::Key::File(file.clone()));
        let vendor = connect(&way(), setup).unwrap();
        for status in statuses {
            let failure = call(&vendor).await.unwrap_err();
            assert_eq!((failure.kind, failure.retryable), (BadRequest, false), "{failure:?}");
            let says = format!("{} answered {status}: redirects are not followed", name(kind));
            assert!(failure.message.starts_with(&says), "{failure:?}");
        }
        assert!(server.asked().iter().all(|asked| {
            ["authorization", "x-api-key", "x-goog-api-key"]
                .iter()
                .any(|header| asked.header(header).is_some_and(|key| key.contains("secret")))
        }));
    }
    assert_eq!(thief.count(), 0);
}
