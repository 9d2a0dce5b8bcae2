//! A webhook: signed, patient with a server that is away, and deaf to one that says anything but an
//! answer to this very question.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{
    server::{Heard, Server},
    *,
};

const KEY: &str = "a key of the hook";

/// A response made of what was heard.
type Lie = fn(&Heard) -> (&'static str, String);

/// A yes to what was heard.
fn yes(heard: &Heard) -> String {
    let question = heard.json();
    let (id, digest) = (&question["approval"], &question["digest"]);
    format!(r#"{{"approval": {id}, "digest": {digest}, "answer": "once"}}"#)
}

fn kinds(server: &Server) -> Vec<String> {
    let kind = |heard: Heard| heard.json()["kind"].as_str().expect("a kind").to_owned();
    server.heard().into_iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_sent_the_question_signed_and_answers_in_its_response() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let server = Server::that(|heard, _| ("200 OK", yes(heard))).await;
    let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
    let (session, turn) = pays(&runtime).await;
    assert_eq!(said(turn).await, "paid 900");
    assert_eq!(answered_by(&runtime, &session).await, ["webhook"]);
    seen("it hears that the question is closed", || server.heard().len() == 2).await;
    assert_eq!(kinds(&server), ["approval_requested", "approval_closed"]);
    for heard in server.heard() {
        assert!(heard.head.starts_with("POST /hook "), "{}", heard.head);
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(format!("v1:{}:{}", heard.header("x-greenroom-time"), heard.body).as_bytes());
        let hex: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(heard.header("x-greenroom-signature"), format!("v1={hex}"));
        assert!(!heard.head.contains(KEY) && !heard.body.contains(KEY));
    }
    assert_eq!(server.heard()[1].json()["how"], "allowed by webhook");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_tried_again() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let server = Server::that(|heard, before| match before {
        0 => ("503 Service Unavailable", String::new()),
        _ => ("200 OK", yes(heard)),
    })
    .await;
    let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
    let (_session, turn) = pays(&runtime).await;
    assert_eq!(said(turn).await, "paid 900");
    let heard = server.heard();
    assert_eq!(heard[0].body, heard[1].body, "the same question under the same id");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_misses_the_end_is_told_again() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let server = Server::that(|heard, before| match before {
        0 => ("200 OK", yes(heard)),
        1 => ("502 Bad Gateway", String::new()),
        _ => ("204 No Content", String::new()),
    })
    .await;
    let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
    let (_session, turn) = pays(&runtime).await;
    assert_eq!(said(turn).await, "paid 900");
    seen("it hears of the end once more", || server.heard().len() == 3).await;
    assert_eq!(kinds(&server)[1..], ["approval_closed", "approval_closed"]);
    let heard = server.heard();
    assert_eq!(heard[1].body, heard[2].body);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hostile_server_says_is_no_answer_and_the_api_still_can() {
    let lies: [(&str, Lie); 6] = [
        ("too large", |heard| ("200 OK", format!("{}{}", yes(heard), " ".repeat(70_000)))),
        ("of another request", |heard| {
            let digest = heard.json()["digest"].as_str().expect("a digest").to_owned();
            ("200 OK", yes(heard).replace(&digest, &"0".repeat(64)))
        }),
        ("of another question", |heard| ("200 OK", yes(heard).replace("/a1", "/a2"))),
        ("a page", |_| ("200 OK", "<html>once</html>".to_owned())),
        ("a bare yes", |_| ("200 OK", "\"once\"".to_owned())),
        ("a redirect", |heard| ("302 Found", yes(heard))),
    ];
    for (what, lie) in lies {
        let (folder, uses) = (Folder::new(), Arc::default());
        let server = Server::that(move |heard, _| lie(heard)).await;
        let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
        let (session, turn) = pays(&runtime).await;
        let row = open(&runtime).await;
        seen("the server was asked", || !server.heard().is_empty()).await;
        runtime.decide(row.id, Answer::Reject).await.expect("it is open");
        // The log's word on the question is the person's: the server's would have come first.
        bounded("the turn", turn.outcome()).await.expect("its outcome");
        assert_eq!(answered_by(&runtime, &session).await, ["host"], "{what}");
        seen("it hears of the end", || server.heard().len() == 2).await;
        assert_eq!(kinds(&server), ["approval_requested", "approval_closed"], "{what}: asked once");
        assert_eq!(uses.load(SeqCst), 0, "{what}");
        runtime.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_that_comes_after_a_no_changes_nothing() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let server = Server::held(|heard, _| ("200 OK", yes(heard))).await;
    let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
    let (session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    seen("the server was asked", || !server.heard().is_empty()).await;
    runtime.decide(row.id, Answer::Reject).await.expect("it is open");
    server.lets_go();
    bounded("the turn", turn.outcome()).await.expect("its outcome");
    seen("it hears of the end", || server.heard().len() == 2).await;
    assert_eq!(server.heard()[1].json()["how"], "refused by host");
    assert_eq!(answered_by(&runtime, &session).await, ["host"]);
    assert_eq!(uses.load(SeqCst), 0);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_response_leaves_the_answer_to_the_api() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let server = Server::that(|_, _| ("202 Accepted", String::new())).await;
    let runtime = house(folder.path(), &uses).webhook(&server.url, KEY).start().await.unwrap();
    let (_session, turn) = pays(&runtime).await;
    seen("the server was asked", || !server.heard().is_empty()).await;
    // It answers later, under the id that it was told.
    let id: ApprovalId = server.heard()[0].json()["approval"].as_str().unwrap().parse().unwrap();
    runtime.on_behalf_of("the hook".into()).decide(id, Answer::Once).await.expect("it is open");
    assert_eq!(said(turn).await, "paid 900");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_others_could_answer_for_is_refused_at_the_start() {
    let (folder, uses) = (Folder::new(), Arc::default());
    for (url, expected) in [
        ("http://example.com/hook?token=abc", "https was expected"),
        ("ftp://localhost/", "an address such as https://"),
        ("hook", "an address such as https://"),
    ] {
        let started = house(folder.path(), &uses).webhook(url, KEY).start().await;
        let why = started.expect_err(url).to_string();
        assert!(why.contains(expected) && !why.contains("abc"), "{why}");
    }
}
