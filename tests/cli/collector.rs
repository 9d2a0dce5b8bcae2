//! Spans and metrics as a collector gets them: on a real socket, over both protocols, and decoded by
//! hand from the bytes that came.

#[path = "collector/peers.rs"]
mod peers;
#[path = "collector/trouble.rs"]
mod trouble;
#[path = "collector/wire.rs"]
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    net::TcpListener,
    process::{Command, Stdio},
};

use greenroom::{AgentSpec, Answer, EffectClass, Runtime, TypedTool, telemetry::otel};
use greenroom_actors::testing::harness::bounded;

use super::{err, folder, greenroom, json, out, ran};

use peers::{Asked, Collector, Way, spans};
use wire::{CLIENT, FAILED, INTERNAL, Span};

const AGENTS: &str = r#"
[models.house]
provider = "scripted"
script = "play.script"

[agents.lead]
role = "coordinator"
instructions = "canary-instructions"
routes = ["hand"]
permissions = { allow = ["spawn_agent", "await_agents"] }

[agents.hand]
instructions = "canary-instructions"
"#;

const SCRIPT: &str = r#"
agent lead
    call spawn_agent {"agent": "hand", "task": "canary-task"}
  then
    first 1 fail overloaded: canary-message
    call await_agents {}
  then
    say canary-answer
agent hand
    say canary-answer
"#;

/// A company whose spans go there, and a command about it.
struct Play {
    folder: tempfile::TempDir,
    store: String,
    variables: Vec<(&'static str, String)>,
}

impl Play {
    fn of(script: &str, url: &str, way: Way) -> Self {
        let (folder, store) = folder();
        std::fs::write(folder.path().join("agents.toml"), AGENTS).expect("an agents file");
        std::fs::write(folder.path().join("play.script"), script).expect("a script");
        let variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", way.word().to_owned()),
        ];
        Self { folder, store, variables }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn command(&self, name: &str, more: &[&str]) -> Command {
        let file = self.folder.path().join("agents.toml");
        let file = file.to_str().expect("a path of text");
        let args = [&[name, "--agents", file, "--store", &self.store], more].concat();
        let mut command = greenroom(&args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self) -> std::process::Output {
        self.command("run", &["canary-prompt"]).output().expect("the binary runs")
    }
}

#[track_caller]
fn one<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let named: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(named.len(), 1, "{name}: {named:?}");
    named[0]
}

/// What the conventions require of each kind of span.
#[track_caller]
fn is_whole(span: &Span, sessions: &BTreeMap<&str, String>) {
    let operation = span.name.split(' ').next().expect("a name");
    let (kind, required): (u64, &[&str]) = match operation {
        "chat" => (CLIENT, &["gen_ai.provider.name", "gen_ai.request.model"]),
        "invoke_agent" => (
            INTERNAL,
            &["gen_ai.provider.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"],
        ),
        "execute_tool" => {
            (INTERNAL, &["gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.type"])
        }
        other => panic!("a span of {other}"),
    };
    assert_eq!(span.of("gen_ai.operation.name"), operation);
    assert_eq!(span.kind, kind, "{span:?}");
    required.iter().for_each(|name| assert!(!span.of(name).is_empty()));
    let whose = &sessions[span.of("gen_ai.agent.name")];
    assert_eq!(
        (span.of("gen_ai.conversation.id"), span.of("gen_ai.agent.id")),
        (&**whose, &**whose)
    );
    assert!(span.times.0 > 1_600_000_000_000_000_000 && span.times.1 >= span.times.0, "{span:?}");
    assert_eq!((span.trace.len(), span.id.len()), (32, 16));
    assert_eq!(span.status == FAILED, span.attributes.contains_key("error.type"), "{span:?}");
}

#[track_caller]
fn is_well_measured(asked: &[Asked]) {
    let last = asked.iter().rfind(|one| one.is_of_metrics()).expect("metrics");
    let points = wire::points(&last.body);
    let counted = |name: &str, unit: &str| -> u64 {
        let named = points.iter().filter(|point| point.name == name);
        named.inspect(|point| assert_eq!(point.unit, unit)).map(|point| point.count).sum()
    };
    assert_eq!(counted("gen_ai.client.operation.duration", "s"), 5);
    assert_eq!(counted("gen_ai.invoke_agent.duration", "s"), 2);
    assert_eq!(counted("gen_ai.execute_tool.duration", "s"), 2);
    assert_eq!(counted("gen_ai.client.token.usage", "{token}"), 8);
    let mut kinds = BTreeSet::new();
    for point in &points {
        let of_tokens = point.name == "gen_ai.client.token.usage";
        let (first, factor) = if of_tokens { (1.0, 4.0) } else { (0.01, 2.0) };
        let bounds: Vec<f64> = (0..14).map(|power| first * f64::powi(factor, power)).collect();
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * b;
        assert!(
            point.bounds.len() == 14 && point.bounds.iter().zip(&bounds).all(near),
            "{point:?}"
        );
        assert_eq!(point.buckets.len(), 15);
        assert_eq!(point.buckets.iter().sum::<u64>(), point.count);
        assert!(point.sum >= 0.0 && (!of_tokens || point.sum > 0.0), "{point:?}");
        kinds.extend(point.labels.get("gen_ai.token.type").cloned());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["input", "output"]);
    let failed = points.iter().filter(|point| point.labels.contains_key("error.type"));
    let failed: Vec<_> = failed.map(|point| (point.count, &*point.labels["error.type"])).collect();
    assert_eq!(failed, [(1, "overloaded")]);
}

fn a_tree_of_spans(way: Way) {
    let collector = Collector::starts(way);
    let play = Play::of(SCRIPT, &collector.url, way)
        .with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20open-sesame-42")
        .with("OTEL_SERVICE_NAME", "stage");
    let run = play.run();
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert!(!err(&run).contains("open-sesame"), "{}", err(&run));
    let asked = collector.all();
    assert!(asked.iter().all(|one| one.is_of_spans() || one.is_of_metrics()), "{asked:?}");
    for one in &asked {
        assert_eq!(one.header("authorization"), Some("Bearer open-sesame-42"));
        let kind = one.header("content-type");
        assert!(matches!(kind, Some("application/x-protobuf" | "application/grpc")), "{kind:?}");
        assert!(!String::from_utf8_lossy(&one.body).contains("canary"), "something said is told");
        assert!(one.whose().iter().all(|whose| whose["service.name"] == "stage"));
    }

    let sessions = json(&out(&ran(&["sessions", "--store", &play.store, "--json"])));
    let rows = sessions.as_array().expect("rows");
    let id = |agent: &str| {
        let row = rows.iter().find(|row| row["agent"] == agent).expect("a row");
        row["session"].as_str().expect("an id").to_owned()
    };
    let sessions = BTreeMap::from([("lead", id("lead")), ("hand", id("hand"))]);
    let spans = spans(&asked);
    spans.iter().for_each(|span| is_whole(span, &sessions));
    assert!(spans.iter().all(|span| span.trace == sessions["lead"].replace('-', "")));
    let ids: BTreeSet<&String> = spans.iter().map(|span| &span.id).collect();
    assert_eq!((ids.len(), spans.len()), (9, 9), "each is told once");

    let (lead, hand) = (one(&spans, "invoke_agent lead"), one(&spans, "invoke_agent hand"));
    let spawn = one(&spans, "execute_tool spawn_agent");
    assert_eq!(lead.parent, "");
    assert_eq!(spawn.parent, lead.id);
    assert_eq!(hand.parent, spawn.id);
    assert_eq!(one(&spans, "execute_tool await_agents").parent, lead.id);
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == "chat house").collect();
    assert_eq!(calls.len(), 5, "{spans:?}");
    for call in &calls {
        let agent = if call.of("gen_ai.agent.name") == "hand" { hand } else { lead };
        assert_eq!(call.parent, agent.id);
        assert_eq!(call.of("gen_ai.provider.name"), "scripted");
        if call.status != FAILED {
            assert!(["stop", "tool_call"].contains(&call.of("gen_ai.response.finish_reasons")));
            assert_eq!(call.of("gen_ai.request.model"), "house");
            assert!(!call.of("gen_ai.response.model").is_empty());
            for kind in ["input", "output", "cache_read.input", "cache_creation.input"] {
                let tokens = call.of(&format!("gen_ai.usage.{kind}_tokens"));
                assert!(tokens.parse::<u64>().is_ok(), "{tokens}");
            }
            assert_eq!(call.of("gen_ai.usage.reasoning.output_tokens"), "0");
        }
    }
    let failed: Vec<_> = calls.iter().filter(|call| call.status == FAILED).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].of("error.type"), "overloaded");
    assert_eq!(lead.events, ["greenroom.retry"]);
    is_well_measured(&asked);
}

#[test]
fn over_http_a_collector_gets_a_tree_of_spans_with_the_names_that_the_conventions_have() {
    a_tree_of_spans(Way::Http);
}

#[test]
fn over_grpc_it_gets_the_same() {
    a_tree_of_spans(Way::Grpc);
}

#[test]
fn a_collector_with_a_safe_address_is_spoken_to_over_tls_in_both_protocols() {
    let peer = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", peer.local_addr().expect("an address"));
    let (tell, hellos) = std::sync::mpsc::sync_channel(1_024);
    std::thread::spawn(move || {
        for mut stream in peer.incoming().flatten() {
            let mut hello = [0; 2];
            if stream.read_exact(&mut hello).is_ok() && tell.send(hello).is_err() {
                return;
            }
        }
    });
    for way in [Way::Http, Way::Grpc] {
        let run = Play::of(SCRIPT, &url, way).run();
        assert_eq!((run.status.code(), out(&run).as_str()), (Some(0), "canary-answer\n"));
        // Handshakes, and nothing in clear; whoever is there is no server for them.
        let hellos: Vec<[u8; 2]> = hellos.try_iter().collect();
        assert!(!hellos.is_empty() && hellos.iter().all(|hello| *hello == [0x16, 3]), "{hellos:?}");
    }
}

#[test]
fn without_a_collector_nothing_is_sent_and_one_that_cannot_be_is_a_refusal() {
    let collector = Collector::starts(Way::Http);
    let run = Play::of(SCRIPT, &collector.url, Way::Http).with("OTEL_SDK_DISABLED", "true").run();
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let mut play = Play::of(SCRIPT, &collector.url, Way::Http);
    play.variables.clear();
    assert_eq!(play.run().status.code(), Some(0));
    assert!(collector.all().is_empty());

    let refused = |play: Play, words: &str| {
        let run = play.run();
        assert_eq!(run.status.code(), Some(1));
        assert!(err(&run).contains(words), "{}", err(&run));
    };
    refused(Play::of(SCRIPT, "a collector", Way::Http), "an address such as http://HOST:4318");
    refused(Play::of(SCRIPT, "collector:4317", Way::Grpc), "an address such as http://HOST:4317");
    let odd = Play::of(SCRIPT, &collector.url, Way::Http);
    let odd = odd.with("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    refused(
        odd,
        "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\": http/protobuf or grpc was expected",
    );
}

#[test]
fn after_a_kill_the_same_trace_goes_on_and_no_id_means_two_things() {
    const SLOW: &str = r#"
agent lead
    call spawn_agent {"agent": "hand", "task": "canary-task"}
  then
    call await_agents {}
  then
    until call 4 hang
    say canary-answer
agent hand
    say canary-answer
"#;
    let collector = Collector::starts(Way::Http);
    let play = Play::of(SLOW, &collector.url, Way::Http).with("OTEL_BSP_SCHEDULE_DELAY", "20");
    let mut first = play.command("run", &["canary-prompt"]);
    let first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut first = first.expect("the binary starts");
    let mut asked = collector.until("execute_tool await_agents");
    first.kill().expect("it is ours");
    first.wait().expect("it is ours");
    let told = spans(&asked).len();
    let mut second = play.command("serve", &["--listen", "127.0.0.1:0"]);
    let second = second.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut second = second.expect("the binary starts");
    asked.extend(collector.until("invoke_agent lead"));
    second.kill().expect("it is ours");
    second.wait().expect("it is ours");

    let spans = spans(&asked);
    assert!(told >= 5 && spans.len() > told, "{told} of {}", spans.len());
    let mut known: BTreeMap<&str, &Span> = BTreeMap::new();
    for span in &spans {
        assert_eq!(span.trace, spans[0].trace);
        if let Some(same) = known.insert(&span.id, span) {
            assert_eq!((&same.name, same.times), (&span.name, span.times), "one id, two spans");
        }
    }
    let (lead, spawn) = (one(&spans, "invoke_agent lead"), one(&spans, "execute_tool spawn_agent"));
    assert_eq!(spawn.parent, lead.id, "told before the death, of a turn that ended after it");
    assert!(lead.times.0 <= spawn.times.0 && lead.times.1 >= spawn.times.1);
    let lost = spans
        .iter()
        .filter(|span| span.attributes.get("error.type").is_some_and(|of| of == "lost"));
    assert_eq!(lost.map(|span| &span.parent).collect::<Vec<_>>(), [&lead.id]);
    assert!(!asked.iter().any(|one| String::from_utf8_lossy(&one.body).contains("canary")));
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[expect(dead_code, reason = "only its schema is used")]
struct Pay {
    note: String,
}

/// A house in which somebody pays, after a person was asked.
async fn paying(store: &str, collector: otel::Collector) -> (Runtime, String) {
    let (told, tells) = std::sync::mpsc::sync_channel(1);
    let pay = TypedTool::new("pay", "Pays.", move |ctx, _args: Pay| {
        told.send(ctx.traceparent).expect("somebody hears it");
        async { Ok("canary-result") }
    });
    let script = "agent *\n  call pay {\"note\": \"canary-argument\"}\n then\n  say canary-answer";
    let runtime = Runtime::builder()
        .store(store)
        .script(script)
        .tool(pay.effect(EffectClass::Once))
        .on_question(|_question| async { Some(Answer::Once) })
        .collector(collector)
        .start()
        .await
        .expect("a runtime");
    let clerk = AgentSpec::new("clerk", "scripted").instructions("canary-instructions").tool("pay");
    let session = runtime.spawn(&clerk).await.expect("a session");
    let turn = session.send("canary-prompt").await.expect("said");
    bounded("the turn's end", turn.outcome()).await.expect("an outcome");
    (runtime, tells.try_recv().expect("the tool was told"))
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an executor")
}

#[test]
fn a_wait_for_permission_is_a_span_and_a_tool_is_told_the_very_span_that_is_sent_of_it() {
    let (_folder, store) = folder();
    let collector = Collector::starts(Way::Grpc);
    let near = otel::Collector::at(collector.url.clone()).protocol(otel::Protocol::Grpc);
    let traceparent = executor().block_on(async {
        let (runtime, traceparent) = paying(&store, near).await;
        runtime.shutdown().await;
        traceparent
    });
    let asked = collector.all();
    assert!(!asked.iter().any(|one| String::from_utf8_lossy(&one.body).contains("canary")));
    let spans = spans(&asked);
    let (turn, pay) = (one(&spans, "invoke_agent clerk"), one(&spans, "execute_tool pay"));
    let wait = one(&spans, "greenroom.permission pay");
    assert_eq!((&wait.parent, &pay.parent), (&turn.id, &turn.id));
    assert_eq!(wait.of("greenroom.permission.answer"), "once");
    assert_eq!(wait.of("gen_ai.tool.call.id"), pay.of("gen_ai.tool.call.id"));
    assert!(wait.times.1 <= pay.times.0, "first the answer, then the call");
    assert_eq!(traceparent, format!("00-{}-{}-01", pay.trace, pay.id));
    // Nobody says who serves its model: the house's first provider does.
    assert_eq!(turn.of("gen_ai.provider.name"), "scripted");
}

const RUNNER: &str = "[models.house]\nprovider = \"scripted\"\nscript = \"play.script\"\n\
    [agents.clerk]\ninstructions = \"You run commands.\"\n\
    tools = [\"exec\"]\npermissions = { allow = [\"exec\"] }\n";

#[test]
fn what_a_command_finds_in_its_environment_is_the_span_that_is_sent_of_it() {
    const ENV: &str = "agent clerk\n  call exec {\"argv\": [\"env\"]}\n then\n  say {results}\n";
    let collector = Collector::starts(Way::Http);
    let play = Play::of(ENV, &collector.url, Way::Http);
    std::fs::write(play.folder.path().join("agents.toml"), RUNNER).expect("an agents file");
    let place = play.folder.path().join("place");
    std::fs::create_dir(&place).expect("a folder");
    let run = play.command("run", &["Go."]).current_dir(&place).output().expect("the binary runs");
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let said = out(&run);
    let spans = spans(&collector.all());
    let exec = one(&spans, "execute_tool exec");
    let wanted = format!("TRACEPARENT=00-{}-{}-01", exec.trace, exec.id);
    assert!(said.contains(&wanted), "{wanted} is not in:\n{said}");
}

#[test]
fn a_collector_that_comes_late_gets_what_was_kept_for_it_once() {
    let (_folder, store) = folder();
    for way in [Way::Http, Way::Grpc] {
        let store = format!("{store}.{}", way == Way::Http);
        // Nobody else takes the port meanwhile: it is the kernel's last choice of thousands.
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = port.local_addr().expect("an address");
        drop(port);
        let protocol = match way {
            Way::Http => otel::Protocol::Http,
            Way::Grpc => otel::Protocol::Grpc,
        };
        let mut late = otel::Collector::at(format!("http://{at}")).protocol(protocol);
        late.rhythm.spans_ms = 20;
        let asked = executor().block_on(async {
            let (runtime, _) = paying(&store, late).await;
            let collector = Collector::listens(TcpListener::bind(at).expect("the port"), way);
            collector.says(503);
            // It is there and takes nothing, and then it does.
            let refused = [collector.next(), collector.next()];
            assert!(refused.iter().all(|one| !one.taken));
            collector.says(200);
            let mut asked = collector.until("invoke_agent clerk");
            if spans(&asked).is_empty() {
                asked = collector.until("invoke_agent clerk");
            }
            runtime.shutdown().await;
            asked.extend(collector.all());
            asked
        });
        let mut names: Vec<String> = spans(&asked).into_iter().map(|span| span.name).collect();
        names.sort_unstable();
        let once = [
            "chat scripted",
            "chat scripted",
            "execute_tool pay",
            "greenroom.permission pay",
            "invoke_agent clerk",
        ];
        assert_eq!(names, once, "{way:?}");
    }
}
