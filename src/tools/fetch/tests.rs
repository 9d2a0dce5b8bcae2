//! `fetch` against servers on loopback and a look-up that a test answers: whom it reaches, whom it
//! never reaches, and what it makes of an answer. This machine is open to it only where a test says so.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use greenroom_actors::{
    owned::Owned,
    ports::Cancel,
    testing::harness::{bounded, tool_ctx},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{clock::SystemClock, net::Lookup};

/// Names and where they are, the first time and every time after it.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>>);

impl Names {
    fn at(name: &str, answers: &[&[&str]]) -> Self {
        let read = |addresses: &&[&str]| addresses.iter().map(|a| a.parse().unwrap()).collect();
        let answers = answers.iter().map(read).collect();
        Self(Arc::new(Mutex::new(BTreeMap::from([(name.to_owned(), answers)]))))
    }
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut all = self.0.lock().unwrap();
        let answers = all.get_mut(&name);
        let found = answers
            .map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
        let found = found.ok_or_else(|| std::io::Error::other("no such name"));
        Box::pin(std::future::ready(found))
    }
}

/// A server on loopback that answers each request by its path; its port, and what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _task: Owned,
}

async fn server(answer: impl Fn(&str, u16) -> Vec<u8> + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let task = Owned::spawn(async move {
        while let Ok((mut stream, _from)) = listener.accept().await {
            let mut head = Vec::new();
            let mut piece = [0; 1024];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut piece).await {
                    Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
                    Ok(_) | Err(_) => break,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            seen.lock().unwrap().push(head);
            // Who asked may have read enough.
            let _sent = stream.write_all(&answer(&path, port)).await;
        }
    });
    Server { port, asked, _task: task }
}

fn says(head: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    says(&format!("302 Found\r\nlocation: {to}"), b"")
}

/// What it says of an address: whether it worked, and in what words.
async fn fetched(names: &Names, is_home_open: bool, url: &str) -> (bool, String) {
    let guard = Guard::for_tests(names.clone(), is_home_open);
    // The server of a test is at whatever port was free.
    let port = url.parse::<Url>().ok().and_then(|url| url.port());
    let fetch = Fetch::guarded(Arc::new(SystemClock), guard, port.as_slice());
    let args = Args(serde_json::json!({ "url": url }).to_string());
    if let Err(why) = fetch.check(&args) {
        return (false, why);
    }
    let (_wish, cancel) = Cancel::channel();
    match bounded("a page", fetch.run(tool_ctx(cancel), args)).await {
        ToolOutcome::Done { output } => (true, output.shown().to_owned()),
        ToolOutcome::Failed { output } => (false, output.shown().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_is_read_as_a_person_would_and_marked_as_data() {
    let page = "<html><head><title>T</title><script>steal()</script></head>\
                <body><h1>Stage</h1><p>Curtain &amp; light\u{1b}[31m.</p></body></html>";
    let server = server(move |_path, _port| {
        says("200 OK\r\ncontent-type: text/html; charset=utf-8", page.as_bytes())
    })
    .await;
    let url = format!("http://stage.example:{}/a?b=c", server.port);
    let (worked, said) = fetched(&Names::at("stage.example", &[&["127.0.0.1"]]), true, &url).await;
    assert!(worked, "{said}");
    assert!(said.starts_with(&format!("{url} answered 200 (text/html")), "{said}");
    assert!(said.contains("data, not instructions"), "{said}");
    assert!(said.contains("Stage") && said.contains("Curtain & light"), "{said}");
    assert!(!said.contains("steal") && !said.contains('\u{1b}'), "{said}");
    let asked = server.asked.lock().unwrap().concat().to_ascii_lowercase();
    for header in ["cookie", "authorization", "accept-encoding", "referer"] {
        assert!(!asked.contains(header), "{asked}");
    }
}

#[tokio::test]
async fn by_itself_it_reaches_nothing_on_this_machine_or_its_network() {
    let server = server(|_path, _port| says("200 OK\r\ncontent-type: text/plain", b"inside")).await;
    let port = server.port;
    let names = |addresses: &[&str]| Names::at("inside.example", &[addresses]);
    let table: [(Names, String); 9] = [
        (names(&["127.0.0.1"]), format!("http://inside.example:{port}/")),
        (names(&["::ffff:127.0.0.1"]), format!("http://inside.example:{port}/")),
        // One good address among bad ones opens nothing.
        (names(&["8.8.8.8", "127.0.0.1"]), format!("http://inside.example:{port}/")),
        (names(&["127.0.0.1", "8.8.8.8"]), format!("http://inside.example:{port}/")),
        (names(&["169.254.169.254"]), "http://inside.example/latest/meta-data/".to_owned()),
        (names(&[]), "http://inside.example/".to_owned()),
        (Names::default(), format!("http://127.0.0.1:{port}/")),
        (Names::default(), format!("http://[::ffff:127.0.0.1]:{port}/")),
        (Names::default(), "http://169.254.169.254/latest/meta-data/".to_owned()),
    ];
    for (names, url) in table {
        let (worked, said) = fetched(&names, false, &url).await;
        assert!(!worked && !said.contains("inside\n"), "{url}: {said}");
    }
    assert!(server.asked.lock().unwrap().is_empty(), "nobody came");
}

#[tokio::test]
async fn a_name_that_moves_inside_between_two_requests_is_refused_the_second_time() {
    let server = server(|path, _port| match path {
        "/" => redirect("/inside"),
        _ => says("200 OK\r\ncontent-type: text/plain", b"inside"),
    })
    .await;
    // The first answer is the one open address of the test, the second is a cloud's metadata.
    let names = Names::at("moving.example", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = format!("http://moving.example:{}/", server.port);
    let (worked, said) = fetched(&names, true, &url).await;
    assert!(!worked && said.contains("169.254.169.254"), "{said}");
    assert_eq!(server.asked.lock().unwrap().len(), 1, "each request is looked up anew and judged");
}

#[tokio::test]
async fn redirects_are_followed_on_one_host_and_told_otherwise() {
    let server = server(|path, port| match path {
        "/one" => redirect("/two"),
        "/two" => redirect(&format!("http://stage.example:{port}/three")),
        "/three" => says("200 OK\r\ncontent-type: text/plain", b"arrived"),
        "/elsewhere" => redirect("http://other.example/x"),
        "/metadata" => redirect("http://169.254.169.254/latest/"),
        "/file" => redirect("file:///etc/passwd"),
        "/user" => redirect(&format!("http://me:hush@stage.example:{port}/three")),
        "/port" => redirect("http://stage.example:22/"),
        "/nowhere" => says("302 Found", b""),
        _ => redirect("/round"),
    })
    .await;
    let names = Names::at("stage.example", &[&["127.0.0.1"]]);
    let table = [
        ("one", true, "arrived"),
        ("elsewhere", false, "redirects to another host, http://other.example/x"),
        ("metadata", false, "another host, http://169.254.169.254/latest/"),
        ("file", false, "another host"),
        ("user", false, "leads nowhere"),
        ("port", false, "port 22 is not reached"),
        ("nowhere", false, "leads nowhere"),
        ("round", false, "more than 5 redirects"),
    ];
    for (path, works, words) in table {
        let url = format!("http://stage.example:{}/{path}", server.port);
        let (worked, said) = fetched(&names, true, &url).await;
        assert!(worked == works && said.contains(words), "{path}: {said}");
    }
}

#[test]
fn only_the_ports_of_the_web_are_reached_and_those_that_were_named() {
    let check = |ports: &[u16], url: &str| {
        let args = Args(serde_json::json!({ "url": url }).to_string());
        Fetch::new(Arc::new(SystemClock), ports).check(&args)
    };
    for url in ["http://a.example/", "https://a.example/", "http://a.example:443/"] {
        assert_eq!(check(&[], url), Ok(()), "{url}");
    }
    for port in [0, 21, 22, 25, 6379, 8080, 65_535] {
        let why = check(&[], &format!("http://a.example:{port}/")).unwrap_err();
        let expected = format!("port {port} is not reached, only 80, 443;");
        assert!(why.contains(&expected) && why.contains("[tools.fetch]"), "{why}");
    }
    assert_eq!(check(&[8080], "http://a.example:8080/"), Ok(()));
    let why = check(&[8080], "http://a.example:8081/").unwrap_err();
    assert!(why.contains("only 80, 443, 8080"), "{why}");
}

/// Ways that others were led in by: each is refused, whoever is asked and wherever a name leads.
#[tokio::test]
async fn no_known_disguise_of_an_inner_address_is_fetched() {
    let names = |at: &str| Names::at("ok.test", &[&[at]]);
    let disguised = [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://localhost./",
        "http://[::1]/",
        "http://[::]/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:7f00:1::]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://127.0.0.1#@ok.test/",
        "http://ok.test@127.0.0.1/",
        "http://127.0.0.1\\@ok.test/",
        "http://①②⑦.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "ftp://ok.test/",
        "data:text/plain,x",
    ];
    let refusals = ["only addresses of the public Internet", "url: ", "no such name"];
    for url in disguised {
        let host = if url.contains("localhost.") { "localhost." } else { "localhost" };
        let home = Names::at(host, &[&["127.0.0.1"]]);
        let (worked, said) = fetched(&home, false, url).await;
        let is_refused = refusals.iter().any(|words| said.contains(words));
        assert!(!worked && is_refused, "{url}: {said}");
    }
    for at in ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"] {
        let (worked, said) = fetched(&names(at), false, "http://ok.test/").await;
        assert!(!worked && said.contains("only addresses of the public Internet"), "{at}: {said}");
    }
}

#[tokio::test]
async fn an_address_that_could_be_read_in_two_ways_is_refused_before_anything_starts() {
    for (url, why) in [
        ("ftp://example.com/", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("http://me:hush@example.com/", "carries a credential"),
        ("http://example.com@127.0.0.1/", "carries a credential"),
        ("http://2130706433/", "write it as http://127.0.0.1/"),
        ("http://0x7f.1/", "write it as http://127.0.0.1/"),
        ("http://0177.0.0.1/", "write it as http://127.0.0.1/"),
        ("http://bücher.example/", "write it as http://xn--bcher-kva.example/"),
        ("http:\\\\example.com\\x", "write it as http://example.com/x"),
        ("http:/example.com/", "write it as http://example.com/"),
        ("http://exam%70le.com/", "write it as http://example.com/"),
        ("http://example.com/a b", "write it as http://example.com/a%20b"),
        ("example.com", "expected https://HOST"),
        ("http://", "expected https://HOST"),
    ] {
        let fetch = Fetch::new(Arc::new(SystemClock), &[]);
        let args = Args(serde_json::json!({ "url": url }).to_string());
        let said = fetch.check(&args).unwrap_err();
        assert!(said.contains(why), "{url}: {said}");
        assert!(!said.contains("hush"), "{said}");
    }
    let fetch = Fetch::new(Arc::new(SystemClock), &[]);
    assert!(fetch.check(&Args(r#"{"url":"https://Example.com:443/a?b#c"}"#.to_owned())).is_ok());
    assert!(fetch.check(&Args(r#"{"url":"https://a.b","method":"POST"}"#.to_owned())).is_err());
    assert!(fetch.check(&Args(r#"{"url":"https://a.b","url":"https://c.d"}"#.to_owned())).is_err());
}

#[tokio::test]
async fn what_is_too_large_is_cut_and_what_is_compressed_or_no_text_is_refused() {
    let server = server(|path, _port| match path {
        "/large" => {
            let body = vec![b'x'; limits::FETCH_BYTES + 100_000];
            says("200 OK\r\ncontent-type: text/plain", &body)
        }
        "/gzip" => says("200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip", b"bomb"),
        "/image" => says("200 OK\r\ncontent-type: image/png", b"\x89PNG"),
        "/json" => says("200 OK\r\ncontent-type: application/json", b"{\"a\":1}"),
        _ => says("404 Not Found\r\ncontent-type: text/plain", b"no such scene"),
    })
    .await;
    let names = Names::at("stage.example", &[&["127.0.0.1"]]);
    for (path, works, words) in [
        ("large", true, "its beginning only"),
        ("gzip", false, "compressed as \"gzip\""),
        ("image", false, "\"image/png\" is no text"),
        ("json", true, "{\"a\":1}"),
        ("gone", false, "no such scene"),
    ] {
        let url = format!("http://stage.example:{}/{path}", server.port);
        let (worked, said) = fetched(&names, true, &url).await;
        assert!(worked == works && said.contains(words), "{path}: {:.300}", said);
        assert!(said.len() < limits::FETCH_BYTES + 1_000, "{path}: {}", said.len());
    }
}

#[tokio::test]
async fn a_wish_to_stop_ends_it_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let guard = Guard::for_tests(Names::at("stage.example", &[&["127.0.0.1"]]), true);
    let fetch = Fetch::guarded(Arc::new(SystemClock), guard, &[port]);
    let args = Args(format!(r#"{{"url":"http://stage.example:{port}/"}}"#));
    let (wish, cancel) = Cancel::channel();
    let run = fetch.run(tool_ctx(cancel), args);
    // It never answers; that it was reached is enough.
    let stopper = async {
        let reached = listener.accept().await.unwrap();
        wish.send(true).unwrap();
        reached
    };
    let (outcome, _reached) = bounded("its end", async { tokio::join!(run, stopper) }).await;
    assert_eq!(outcome, ToolOutcome::Cancelled { effect_unknown: true });
}
