//! Collectors that are odd: away, silent, silent for ever on one connection, asking to wait, refusing for good, breaking
//! off, answering what nobody can read. Each on a real socket.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, mpsc::sync_channel},
    time::{Duration, SystemTime},
};

use greenroom::{
    AgentSpec,
    clock::SystemClock,
    telemetry::otel::{self, Otlp, sdk},
};
use greenroom_actors::{
    limits,
    ports::Clock,
    testing::{clock::ManualClock, harness::bounded},
};
use opentelemetry::{
    InstrumentationScope,
    trace::{SpanContext, SpanId, SpanKind, Status},
};
use sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};

use super::{
    Play, SCRIPT, err, executor, folder, out, paying,
    peers::{Answer, Collector, Way, spans},
};

fn lot() -> Vec<SpanData> {
    let at = SystemTime::UNIX_EPOCH;
    vec![SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "one".into(),
        start_time: at,
        end_time: at,
        attributes: vec![],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("greenroom").build(),
    }]
}

fn near(url: &str, way: Way) -> otel::Collector {
    let protocol = match way {
        Way::Http => otel::Protocol::Http,
        Way::Grpc => otel::Protocol::Grpc,
    };
    otel::Collector::at(url).protocol(protocol)
}

fn exporter(url: &str, way: Way, clock: Arc<dyn Clock>) -> Otlp {
    Otlp::new(&near(url, way), clock, None).expect("an exporter")
}

#[test]
fn a_connection_that_went_silent_is_left_for_a_new_one() {
    for way in [Way::Http, Way::Grpc] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, told) = sync_channel(1);
        // The first is taken and never answered, as by a machine that has gone.
        std::thread::spawn(move || {
            let (mut silent, _) = listener.accept().expect("a connection");
            tell.send(Collector::listens(listener, way)).expect("it is waited for");
            let mut all = Vec::new();
            silent.read_to_end(&mut all).ok();
        });
        executor().block_on(async {
            let exporter = exporter(&url, way, Arc::new(SystemClock));
            bounded("the first lot", exporter.export(lot())).await.expect_err("nobody answers");
            let collector = told.recv().expect("a collector");
            bounded("the second", exporter.export(lot())).await.expect("a new connection");
            assert_eq!(collector.next().spans().len(), 1);
        });
    }
}

#[test]
fn what_is_refused_for_good_is_not_offered_again_and_what_may_be_taken_later_is() {
    let grpc = |code: u16| Answer { code, ..Answer::of(503) };
    // As `google.rpc.Status` has it: a `RetryInfo` of no time at all, and nothing.
    let (wait, none) =
        ("CAgaLgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxICCgA", "CAg");
    const DETAILS: &str = "grpc-status-details-bin";
    let table = [
        (Way::Http, Answer::of(503), true),
        (Way::Http, Answer::of(429), true),
        (Way::Http, Answer::of(0), true),
        (Way::Http, Answer::of(308).with("location", "http://127.0.0.1:9"), false),
        (Way::Http, Answer::of(413), false),
        (Way::Http, Answer::of(500), false),
        (Way::Grpc, grpc(14), true),
        (Way::Grpc, grpc(8).with(DETAILS, wait), true),
        // Without a word on when, it is the lot that is too large.
        (Way::Grpc, grpc(8), false),
        (Way::Grpc, grpc(8).with(DETAILS, none), false),
        (Way::Grpc, grpc(2), false),
        (Way::Grpc, grpc(13), false),
        (Way::Grpc, grpc(16), false),
    ];
    for (way, answer, again) in table {
        let collector = Collector::starts(way);
        collector.answers(answer.clone());
        let taken = executor().block_on(async {
            let exporter = exporter(&collector.url, way, Arc::new(SystemClock));
            bounded("an answer", exporter.export(lot())).await
        });
        assert_eq!(taken.is_err(), again, "{way:?} {answer:?}: {taken:?}");
        assert_eq!(collector.all().len(), 1);
    }
}

#[test]
fn a_collector_that_asks_to_be_left_alone_for_a_while_is() {
    // A `RetryInfo` of 7 seconds.
    let seven = "CA4aMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIBw";
    let busy = [
        (Way::Http, Answer::of(429).with("retry-after", "7")),
        (Way::Grpc, Answer::of(503).with("grpc-status-details-bin", seven)),
    ];
    for (way, answer) in busy {
        let collector = Collector::starts(way);
        collector.answers(answer);
        let clock = ManualClock::default();
        executor().block_on(async {
            let exporter = exporter(&collector.url, way, Arc::new(clock.clone()));
            bounded("an answer", exporter.export(lot())).await.expect_err("not now");
            collector.says(200);
            for ms in [0, 6_999] {
                clock.advance(ms);
                bounded("no answer", exporter.export(lot())).await.expect_err("not yet");
            }
            assert_eq!(collector.all().len(), 1, "{way:?}: it was asked again too early");
            clock.advance(1);
            bounded("an answer", exporter.export(lot())).await.expect("now");
            assert_eq!(collector.all().len(), 1);
        });
    }
}

#[test]
fn who_takes_a_lot_and_never_ends_its_answer_has_taken_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut bytes = [0; 4_096];
        stream.read_exact(&mut bytes[..100]).expect("the beginning of a request");
        stream.write_all(b"HTTP/1.1 200 So\r\ncontent-length: 1000\r\n\r\n").expect("it reads");
        // A byte now and then is a sign of life, until whoever reads has gone.
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) if stream.write_all(b"\0").is_ok() => {}
                Err(_) => return,
            }
        }
    });
    executor().block_on(async {
        let exporter = exporter(&url, Way::Http, Arc::new(SystemClock));
        let begun = SystemClock.running();
        bounded("an answer", exporter.export(lot())).await.expect("taken");
        let took_ms = SystemClock.running().since_ms(begun);
        assert!(took_ms < limits::EXPORT_MS, "who asks has given up by then: {took_ms} ms");
    });
}

#[test]
fn an_address_without_a_host_is_none() {
    for way in [Way::Http, Way::Grpc] {
        for odd in ["http://", "http://:4318", "ftp://h:1", "h:4318", "http://h:99999"] {
            let made = executor()
                .block_on(async { Otlp::new(&near(odd, way), Arc::new(SystemClock), None) });
            let error = made.expect_err(odd).to_string();
            assert!(error.contains("an address such as http://HOST:43"), "{way:?} {odd}: {error}");
        }
    }
}

#[test]
fn an_address_that_is_refused_is_shown_without_what_may_be_a_credential() {
    for way in [Way::Http, Way::Grpc] {
        for (odd, shown) in [
            ("ftp://me:hush@there/at?key=hush", "\"there/at\""),
            ("ftp://me:hu?sh@there", "\"\""),
            ("there:1#hush", "\"there:1\""),
        ] {
            let made = executor()
                .block_on(async { Otlp::new(&near(odd, way), Arc::new(SystemClock), None) });
            let error = made.expect_err(odd).to_string();
            assert!(error.contains(shown) && !error.contains("hu"), "{way:?} {odd}: {error}");
        }
    }
}

#[test]
fn an_answer_that_nobody_can_read_costs_its_lot_and_not_those_that_follow() {
    let (_folder, store) = folder();
    let collector = Collector::starts(Way::Grpc);
    collector.answers(Answer::of(503).with("grpc-status-details-bin", "%%%"));
    let mut odd = near(&collector.url, Way::Grpc);
    odd.rhythm.spans_ms = 20;
    executor().block_on(async {
        let (runtime, _) = paying(&store, odd).await;
        collector.next();
        collector.says(200);
        let clerk = AgentSpec::new("other", "scripted");
        let session = runtime.spawn(&clerk).await.expect("a session");
        let turn = session.send("canary-prompt").await.expect("said");
        bounded("the turn's end", turn.outcome()).await.expect("an outcome");
        let asked = collector.until("invoke_agent other");
        assert!(spans(&asked).iter().any(|span| span.name == "invoke_agent other"));
        runtime.shutdown().await;
    });
}

#[test]
fn what_was_lost_is_counted_and_said_at_the_end() {
    let part = |lost| vec![0x0a, 2, 0x08, lost];
    let check = |way: Way, answer: Answer, all: &[&str]| {
        let collector = Collector::starts(way);
        collector.answers(answer);
        let run = Play::of(SCRIPT, &collector.url, way).run();
        assert_eq!((run.status.code(), out(&run).as_str()), (Some(0), "canary-answer\n"));
        for words in all {
            assert!(err(&run).contains(words), "{words} is not in:\n{}", err(&run));
        }
    };
    let away = Answer::of(503);
    let why = "answers 503";
    check(Way::Http, away.clone(), &["they are lost lost=9", "last metrics were not taken", why]);
    let refused = ["spans were refused for good lost=9", "the collector answers"];
    check(Way::Http, Answer::of(400), &refused);
    check(Way::Grpc, Answer { code: 3, ..away }, &refused);
    for way in [Way::Http, Way::Grpc] {
        let answer = Answer { message: part(4), ..Answer::of(200) };
        check(way, answer, &["spans were refused for good lost=4"]);
    }
}

#[test]
fn half_a_credential_in_the_place_of_a_name_is_not_shown() {
    for way in [Way::Http, Way::Grpc] {
        let play = Play::of(SCRIPT, "http://127.0.0.1:9", way);
        let run = play.with("OTEL_EXPORTER_OTLP_HEADERS", "x-team: canary-key-0042==").run();
        assert_eq!(run.status.code(), Some(1));
        assert!(err(&run).contains("with a header whose name is none"), "{}", err(&run));
        assert!(!err(&run).contains("0042"), "{}", err(&run));
    }
}

#[test]
fn a_header_that_no_request_can_have_is_refused_by_its_name() {
    for way in [Way::Http, Way::Grpc] {
        for (name, value, words) in [
            ("x-team", "canary\nx-more: 1", "the header \"x-team\": its value is none"),
            ("Content-Length", "5", "the header \"content-length\": the protocol sets it itself"),
        ] {
            let odd = near("http://127.0.0.1:9", way).header(name, value);
            let made = executor().block_on(async { Otlp::new(&odd, Arc::new(SystemClock), None) });
            let error = made.expect_err(name).to_string();
            assert!(error.ends_with(words) && !error.contains("canary"), "{way:?}: {error}");
        }
    }
}

#[test]
fn a_query_in_an_address_stays_behind_the_path() {
    let collector = Collector::starts(Way::Http);
    let url = format!("{}/otlp/?key=open-sesame-42", collector.url);
    let run = Play::of(SCRIPT, &url, Way::Http).run();
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let mut paths: Vec<String> = collector.all().into_iter().map(|one| one.path).collect();
    paths.dedup();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["/otlp/v1/metrics?key=open-sesame-42", "/otlp/v1/traces?key=open-sesame-42"]
    );
}

#[test]
fn two_processes_are_two_instances_and_one_is_one_in_spans_and_metrics() {
    let collector = Collector::starts(Way::Http);
    let play = Play::of(SCRIPT, &collector.url, Way::Http);
    let mut instances = Vec::new();
    for _ in 0..2 {
        assert_eq!(play.run().status.code(), Some(0));
        let asked = collector.all();
        let all: Vec<_> = asked.iter().flat_map(super::peers::Asked::whose).collect();
        let mut named: Vec<_> =
            all.iter().map(|whose| whose.get("service.instance.id").cloned()).collect();
        assert!(asked.iter().any(super::peers::Asked::is_of_metrics) && named.len() >= 2);
        named.dedup();
        assert_eq!(named.len(), 1, "{named:?}");
        instances.push(named.remove(0).expect("an instance"));
    }
    assert_ne!(instances[0], instances[1]);
}

#[test]
fn a_collector_that_is_away_or_refuses_changes_no_run() {
    let refusing = Collector::starts(Way::Http);
    refusing.says(503);
    let busy = Collector::starts(Way::Grpc);
    busy.says(503);
    let away = "http://127.0.0.1:9";
    let all =
        [(away, Way::Http), (away, Way::Grpc), (&refusing.url, Way::Http), (&busy.url, Way::Grpc)];
    for (url, way) in all {
        let run = Play::of(SCRIPT, url, way).run();
        assert_eq!(run.status.code(), Some(0), "{}", err(&run));
        assert_eq!(out(&run), "canary-answer\n");
    }
    assert!(!refusing.all().is_empty() && !busy.all().is_empty());
}

#[test]
fn a_collector_that_is_silent_holds_the_end_of_a_run_up_for_a_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let begun = SystemClock.running();
    // The second is another process on the same store.
    let mut play = Play::of(SCRIPT, &url, Way::Http);
    for way in [Way::Http, Way::Grpc] {
        play = play.with("OTEL_EXPORTER_OTLP_PROTOCOL", way.word());
        let run = play.run();
        assert_eq!((run.status.code(), out(&run).as_str()), (Some(0), "canary-answer\n"));
        assert!(!err(&run).contains("panicked"), "{}", err(&run));
    }
    let took_ms = SystemClock.running().since_ms(begun);
    assert!(took_ms < 2 * (limits::EXPORT_END_MS + 15_000), "{took_ms} ms");
}
