//! Who is let in, from where, and with what: the outer and the inner door, and how a connection may
//! behave.

use greenroom::FaceOptions;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    client::{Client, Reply},
    theatre::{Theatre, at, runtime},
};

/// A route of the document: method, path with its parts filled in, the scope it needs.
pub struct Known {
    pub method: String,
    pub path: String,
    pub template: String,
    pub scope: Option<String>,
}

/// Every route that the face says it has.
pub async fn routes(client: &Client, session: &str) -> Vec<Known> {
    let document = client.get("/openapi.json").await.is(200).json();
    let mut known = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scope = operation["security"].pointer("/0/token/0").and_then(Value::as_str);
            let filled =
                path.replace("{session}", session).replace("{no}", "1").replace("{job}", NIL);
            known.push(Known {
                method: method.to_uppercase(),
                path: filled.replace("{name}", "pay").replace("{key}", "none"),
                template: path.clone(),
                scope: scope.map(str::to_owned),
            });
        }
    }
    assert!(known.len() > 35, "{}", known.len());
    known
}

const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// Asks with an empty object, which no route that changes something does anything with: there is no such
/// session.
async fn knock(client: &Client, route: &Known) -> Reply {
    let json = [("Content-Type", "application/json")];
    let body: &[u8] = if route.method == "GET" { b"" } else { b"{\"odd\": 1}" };
    client.ask(&route.method, &route.path, &json, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_wants_a_token_that_is_known_and_for_it() {
    let theatre = Theatre::open().await;
    let nobody = theatre.nobody();
    let wrong = Client { token: "A".repeat(43), ..nobody.clone() };
    let mut open = Vec::new();
    for route in routes(&theatre.admin, NIL).await {
        let who = format!("{} {}", route.method, route.template);
        let Some(scope) = &route.scope else {
            knock(&nobody, &route).await.is(200);
            open.push(route.template);
            continue;
        };
        for client in [&nobody, &wrong, &theatre.expired] {
            let reply = knock(client, &route).await;
            assert_eq!((reply.status, reply.code()), (401, "unauthorised".to_owned()), "{who}");
        }
        for (held, client) in &theatre.only {
            // A stream that is let in does not end.
            if held.word() == scope && route.template.ends_with("changes") {
                client.follow(&route.path, &[]).await;
                continue;
            }
            let reply = knock(client, &route).await;
            match held.word() == scope {
                true => assert!(![401, 403].contains(&reply.status), "{who}: {}", reply.text()),
                false => assert_eq!(reply.code(), "forbidden", "{who} with {}", held.word()),
            }
        }
    }
    assert_eq!(open, ["/healthz"], "nothing else is for everybody");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_taken_from_one_header_and_from_nowhere_else() {
    let theatre = Theatre::open().await;
    let (nobody, token) = (theatre.nobody(), theatre.admin.token.clone());
    for path in [
        format!("/v1/status?token={token}"),
        format!("/v1/status?access_token={token}"),
        format!("/v1/changes?token={token}"),
    ] {
        assert_eq!(nobody.get(&path).await.code(), "unauthorised", "{path}");
    }
    let bearer = format!("Bearer {token}");
    let basic = format!("Basic {token}");
    for headers in [
        vec![("Authorization", basic.as_str())],
        vec![("Authorization", token.as_str())],
        vec![("Authorization", &bearer), ("Authorization", &bearer)],
        vec![("Cookie", &bearer)],
        vec![("X-Authorization", &bearer)],
    ] {
        let reply = nobody.ask("GET", "/v1/status", &headers, b"").await;
        assert_eq!(reply.code(), "unauthorised", "{headers:?}");
    }
    nobody.ask("GET", "/v1/status", &[("Authorization", &bearer)], b"").await.is(200);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_it_by_another_name_or_from_another_site_is_sent_away() {
    let theatre = Theatre::open().await;
    let (admin, token) = (&theatre.admin, &theatre.admin.token);
    let port = admin.at.port();
    let host = |lines: &str| {
        format!(
            "GET /v1/status HTTP/1.1\r\n{lines}Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
    };
    for lines in [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        format!("Host: localhost.:{port}\r\n"),
        "Host: 127.0.0.1:1\r\n".to_owned(),
        "Host: 2130706433\r\n".to_owned(),
        "Host: 0x7f.1\r\n".to_owned(),
        "Host: [::ffff:127.0.0.1]\r\n".to_owned(),
        "Host: \r\n".to_owned(),
        format!("Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n"),
        String::new(),
    ] {
        if let Some(reply) = admin.raw(host(&lines).as_bytes()).await {
            assert!([400, 421].contains(&reply.status), "{lines:?}: {}", reply.text());
        }
    }
    let absolute = format!(
        "GET http://evil.example/v1/status HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(admin.raw(absolute.as_bytes()).await.unwrap().code(), "misdirected");
    for lines in [format!("Host: localhost:{port}\r\n"), format!("Host: [::1]:{port}\r\n")] {
        admin.raw(host(&lines).as_bytes()).await.unwrap().is(200);
    }
    for foreign in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
        ("Origin", "file://"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        for (method, path) in [
            ("GET", "/v1/status"),
            ("GET", "/v1/changes"),
            ("POST", "/v1/halt"),
            ("OPTIONS", "/v1/halt"),
        ] {
            let reply = admin.ask(method, path, &[foreign], b"").await;
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{foreign:?}");
            assert_eq!(reply.code(), "foreign_origin", "{method} {path} {foreign:?}");
        }
    }
    let own = format!("http://127.0.0.1:{port}");
    admin.ask("GET", "/v1/status", &[("Origin", &own)], b"").await.is(200);
    admin.ask("GET", "/v1/status", &[("Sec-Fetch-Site", "same-origin")], b"").await.is(200);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_asked_for_with_json_and_by_no_other_way() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let admin = &theatre.admin;
    let body = br#"{"name": "taken"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
    ] {
        let reply =
            admin.ask("POST", &at(&session, "rename"), &[("Content-Type", kind)], body).await;
        assert_eq!(reply.code(), "not_json", "{kind}");
    }
    assert_eq!(admin.ask("POST", &at(&session, "rename"), &[], body).await.code(), "not_json");
    let packed = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    assert_eq!(admin.ask("POST", &at(&session, "rename"), &packed, body).await.code(), "not_json");
    for verb in ["rename", "archive", "cancel", "messages", "release"] {
        let reply = admin.get(&at(&session, verb)).await;
        assert_eq!(reply.code(), "method_not_allowed", "{verb}");
    }
    for (wrong, place) in [
        (json!({}), "missing field `name`"),
        (json!({ "name": 7 }), "name is not as expected"),
        (json!({ "name": "a", "odd": true }), "unknown field `odd`"),
        (json!([1]), "the body is not as expected"),
    ] {
        let reply = admin.post(&at(&session, "rename"), &wrong).await.is(400);
        assert!(reply.text().contains(place), "{}", reply.text());
    }
    let row = admin.get(&format!("/v1/sessions/{session}")).await.is(200).json();
    assert_eq!(row["name"], Value::Null, "nothing of it was done");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_too_deep_or_too_long_is_refused() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let (admin, path) = (&theatre.admin, at(&session, "messages"));
    let json = [("Content-Type", "application/json")];
    let large = json!({ "text": "x".repeat(400 * 1_024) }).to_string();
    assert_eq!(admin.ask("POST", &path, &json, large.as_bytes()).await.code(), "too_large");
    // Without a length, piece by piece.
    let mut pieces = admin.head("POST", &path, &json) + "Transfer-Encoding: chunked\r\n\r\n";
    for _ in 0..40 {
        pieces += &format!("{:x}\r\n{}\r\n", 16 * 1_024, "x".repeat(16 * 1_024));
    }
    if let Some(reply) = admin.raw(pieces.as_bytes()).await {
        assert_eq!(reply.code(), "too_large");
    }
    let deep = format!("{{\"text\": {}1{}}}", "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(admin.ask("POST", &path, &json, deep.as_bytes()).await.code(), "invalid");
    let long = format!("/v1/tree?q={}", "x".repeat(5_000));
    assert_eq!(admin.get(&long).await.code(), "too_long");
    let endless = format!("/v1/tree?q={}", "x".repeat(64 * 1_024));
    let refused = admin.raw((admin.head("GET", &endless, &[]) + "\r\n").as_bytes()).await;
    assert!(refused.is_none_or(|reply| [400, 414, 431].contains(&reply.status)));
    let mut many = admin.head("GET", "/v1/status", &[]);
    (0..10_000).for_each(|no| many += &format!("X-{no}: 1\r\n"));
    let refused = admin.raw((many + "\r\n").as_bytes()).await;
    assert!(refused.is_none_or(|reply| [400, 431].contains(&reply.status)));
    admin.get("/v1/status").await.is(200);
    theatre.close().await;
}

/// Requests that two readers could take apart differently: each is refused, or is one request to
/// everybody, and what hides behind it is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_hides_in_another() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let (admin, path) = (&theatre.admin, at(&session, "rename"));
    let hidden = admin.head("POST", &path, &[("Content-Type", "application/json")])
        + "Content-Length: 18\r\n\r\n{\"name\": \"hidden\"}";
    let framings = [
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            hidden.len() + 5
        ),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Content-Length: 0\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("Content-Length : {}\r\n\r\n{hidden}", hidden.len()),
        format!("Content-Length: +{}\r\n\r\n{hidden}", hidden.len()),
        format!("Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("X: a\r\n folded: b\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("X: a\nContent-Length: {}\n\n{hidden}", hidden.len()),
        format!("X: a\rContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{hidden}"),
    ];
    for framing in &framings {
        for (method, path) in
            [("GET", "/v1/status"), ("POST", "/v1/unhalt"), ("DELETE", "/healthz")]
        {
            let head = admin.head(method, path, &[("Content-Type", "application/json")]);
            // Whatever was asked is answered once; the connection ends with that answer.
            let mut stream = TcpStream::connect(admin.at).await.unwrap();
            let _taken = stream.write_all((head + framing).as_bytes()).await;
            let mut answers = String::new();
            let _ended = stream.read_to_string(&mut answers).await;
            assert!(answers.matches("HTTP/1.1 ").count() <= 1, "{framing:?}: {answers}");
        }
    }
    let row = admin.get(&format!("/v1/sessions/{session}")).await.is(200).json();
    assert_eq!(row["name"], Value::Null, "what was hidden was not done");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_passes_by_the_door() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let nobody = theatre.nobody();
    for path in [
        "//v1/status",
        "/v1//status",
        "/./v1/status",
        "/v1/./status",
        "/healthz/../v1/status",
        "/healthz/%2e%2e/v1/status",
        "/v1%2fstatus",
        "/v1/status%00",
        "/v1/status;x=1",
        "/V1/STATUS",
        "/v1/status/",
        "/v1/%73tatus",
        "/healthz%2f..%2fv1/status",
        "/v1/status%c0%af",
        "/metrics/",
        "/page/../../Cargo.toml",
        "/..%2f..%2fetc/passwd",
        "/page/%2e%2e/%2e%2e/Cargo.toml",
    ] {
        let reply = nobody.get(path).await;
        assert!([401, 404].contains(&reply.status), "{path}: {}", reply.status);
        assert!(!reply.text().contains("awake"), "{path}");
    }
    // One spelling for each session.
    for other in [
        session.to_uppercase(),
        session.replace('-', ""),
        format!("{{{session}}}"),
        format!("urn:uuid:{session}"),
    ] {
        let reply = theatre.admin.get(&format!("/v1/sessions/{other}")).await;
        assert_eq!(reply.status, 404, "{other}");
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime(folder.path()).await;
    let options = FaceOptions { requests_per_second: 5, ..FaceOptions::default() };
    let theatre = Theatre::with(folder, runtime, options).await;
    let mut refused = None;
    for _ in 0..40 {
        let reply = theatre.admin.get("/healthz").await;
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("forty at once of five a second");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.code(), "busy");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_shuts_nobody_out_who_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime(folder.path()).await;
    let options = FaceOptions { requests_per_second: 5, ..FaceOptions::default() };
    let theatre = Theatre::with(folder, runtime, options).await;
    let (nobody, wrong) = (theatre.nobody(), Client { token: "x".repeat(43), ..theatre.nobody() });
    for client in [&nobody, &wrong] {
        let mut told = Vec::new();
        while told.last() != Some(&429) && told.len() < 400 {
            told.push(client.get("/v1/status").await.status);
        }
        assert_eq!(told.last(), Some(&429), "both from one address: {told:?}");
    }
    // They go on, and the bucket of their address stays empty.
    theatre.admin.get("/v1/status").await.is(200);
    theatre.tenant.get("/v1/status").await.is(200);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_where_others_reach_it_only_when_that_is_said() {
    let theatre = Theatre::open().await;
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = theatre.face.serve(everywhere, false).await.unwrap_err();
    assert!(refused.to_string().contains("expected a loopback address"), "{refused}");
    let bare = greenroom::Face::new(&theatre.runtime, FaceOptions::default());
    let refused = bare.serve("127.0.0.1:0".parse().unwrap(), true).await.unwrap_err();
    assert!(refused.to_string().contains("no token was declared"), "{refused}");
    theatre.close().await;
}
