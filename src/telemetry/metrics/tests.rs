//! Which event moves which figure, as the text that is scraped.

use greenroom_actors::domain::{
    agent::ModelChoice,
    catalog::AwakeFigures,
    event::{FailureKind, ModelFailure},
    ids::AgentName,
    outcome::TurnOutcome,
    tool::{Args, Output, ToolOutcome},
    usage::NanoUsd,
};

use super::*;

fn heard(at: i64) -> Heard<'static> {
    Heard { session: SessionId(uuid::Uuid::nil()), agent: "lead", at: Timestamp(at) }
}

/// Hears events a second apart and returns what is scraped, but for help and types.
fn scraped(events: &[Event]) -> Vec<String> {
    let mut metrics = Metrics::default();
    metrics.know(["m", "n"], ["look"]);
    for (at, event) in (0..).zip(events) {
        metrics.hear(heard(at * 1_000), event);
    }
    let text = metrics.text().expect("text");
    assert!(text.ends_with("# EOF\n"), "{text}");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[track_caller]
fn shows(lines: &[String], wanted: &str) {
    assert!(lines.iter().any(|line| line == wanted), "{wanted} is not in\n{}", lines.join("\n"));
}

fn started(call: u32) -> Event {
    Event::ModelCallStarted {
        call: ModelCallNo(call),
        turn: TurnId(1),
        model: ModelName::from("m"),
        bound: greenroom_actors::domain::budget::Amount::default(),
        priced: true,
    }
}

fn settled(call: u32, settlement: Settlement) -> Event {
    Event::UsageSettled { call: ModelCallNo(call), model: ModelName::from("m"), settlement }
}

#[test]
fn a_call_that_breaks_off_and_one_that_answers_are_told_apart() {
    let failure =
        ModelFailure::new(FailureKind::Overloaded, "come back later".to_owned(), true).unbilled();
    let usage = Usage { input: 7, cache_read: 5, output: 3, reasoning: 2, ..Usage::default() };
    let exact = Settlement::Exact { usage, cost: Some(NanoUsd(2_500_000_000)) };
    let lines = scraped(&[
        started(1),
        Event::ModelCallFailed { call: ModelCallNo(1), failure },
        settled(1, Settlement::Free),
        Event::TimerSet { timer: TimerKind::Retry, at: Timestamp(9) },
        Event::ModelFellBack {
            turn: TurnId(1),
            from: ModelChoice { model: "m".into(), provider: None },
            to: ModelChoice { model: "n".into(), provider: Some("other".into()) },
            reason: "overloaded".to_owned(),
        },
        started(2),
        settled(2, Settlement::Unsettled { tokens_max: 99, cost_max: None }),
        settled(2, exact),
    ]);
    shows(&lines, r#"greenroom_model_calls_total{model="m",result="overloaded"} 1"#);
    shows(&lines, r#"greenroom_model_call_seconds_sum{model="m"} 1.0"#);
    shows(&lines, r#"greenroom_model_retries_total{agent="lead"} 1"#);
    shows(&lines, r#"greenroom_model_fallbacks_total{model="m"} 1"#);
    for booking in ["free", "bound", "exact"] {
        shows(&lines, &format!(r#"greenroom_bookings_total{{model="m",booking="{booking}"}} 1"#));
    }
    // A bound is no usage: only what was reported counts, once.
    for (kind, tokens) in [("input", 7), ("cache_read", 5), ("output", 3), ("reasoning", 2)] {
        let labels = format!(r#"agent="lead",model="m",kind="{kind}""#);
        shows(&lines, &format!("greenroom_tokens_total{{{labels}}} {tokens}"));
    }
    shows(&lines, r#"greenroom_cost_usd_total{agent="lead",model="m"} 2.5"#);
}

#[test]
fn help_and_type_stand_under_the_name_that_is_sampled() {
    let mut metrics = Metrics::default();
    metrics.know(["m"], []);
    metrics.hear(heard(0), &started(1));
    let text = metrics.text().expect("text");
    let names = |start: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        lines.filter_map(|rest| rest.split([' ', '{']).next()).map(str::to_owned).collect()
    };
    let (helped, typed) = (names("# HELP "), names("# TYPE "));
    for sampled in names("greenroom_").iter().map(|name| format!("greenroom_{name}")) {
        let family = ["_sum", "_count", "_bucket"].iter().find_map(|end| sampled.strip_suffix(end));
        let family = family.unwrap_or(&sampled).to_owned();
        assert!(helped.contains(&family) && typed.contains(&family), "{sampled}");
    }
    assert!(helped.contains(&"greenroom_events_total".to_owned()), "{helped:?}");
}

#[test]
fn a_tool_is_timed_from_its_start_and_named_at_its_end() {
    let call = ToolCallNo(1);
    let lines = scraped(&[
        Event::ToolRequested {
            call,
            name: "look".into(),
            args: Args("{}".to_owned()),
            by: greenroom_actors::domain::event::Caller::Model { turn: TurnId(1) },
        },
        Event::ToolFinished { call, outcome: ToolOutcome::Done { output: Output::text("ok") } },
    ]);
    shows(&lines, r#"greenroom_tool_calls_total{tool="look",outcome="done"} 1"#);
    let timed = lines.iter().any(|line| line.starts_with("greenroom_tool_call_seconds"));
    assert!(!timed, "it never ran: {lines:?}");
}

#[test]
fn turns_restarts_and_cancels_are_counted_by_what_became_of_them() {
    let outcome = TurnOutcome::Cancelled { reason: "enough".to_owned() };
    let lines = scraped(&[
        Event::TurnStarted { turn: TurnId(1), key: "k".into(), deadline: Timestamp(9) },
        Event::SessionRestarted { cause: RestartCause::Process },
        Event::CancelRequested {
            target: CancelTarget::Everything,
            reason: "enough".to_owned(),
            outcome: None,
        },
        Event::TurnFinished { turn: TurnId(1), outcome },
    ]);
    shows(&lines, r#"greenroom_turns_total{agent="lead",outcome="cancelled"} 1"#);
    shows(&lines, r#"greenroom_turn_seconds_sum{agent="lead"} 3.0"#);
    shows(&lines, r#"greenroom_restarts_total{agent="lead",cause="process"} 1"#);
    shows(&lines, r#"greenroom_cancels_total{target="everything"} 1"#);
    shows(&lines, r#"greenroom_events_total{event="turn_started"} 1"#);
}

#[test]
fn names_are_escaped_and_above_the_bound_they_are_one() {
    let mut metrics = Metrics::default();
    for no in 0..1_000 {
        let agent = AgentName(format!("a\"{no}\n"));
        let of = Heard { agent: agent.as_str(), ..heard(0) };
        metrics.hear(of, &Event::SessionReleased { skip: false, by: "me".into(), house: None });
    }
    let text = metrics.text().expect("text");
    let series: Vec<&str> =
        text.lines().filter(|line| line.starts_with("greenroom_releases_total{")).collect();
    assert_eq!(series.len(), 101);
    assert!(series.contains(&r#"greenroom_releases_total{agent="a\"0\n"} 1"#), "{series:?}");
    assert!(series.contains(&r#"greenroom_releases_total{agent="other"} 900"#), "{series:?}");
}

#[test]
fn a_model_and_a_tool_that_nobody_declared_are_others() {
    let call = |no| Event::ToolRequested {
        call: ToolCallNo(no),
        name: if no == 1 { "look".into() } else { "invented".into() },
        args: Args("{}".to_owned()),
        by: greenroom_actors::domain::event::Caller::Model { turn: TurnId(1) },
    };
    let outcome = || ToolOutcome::Done { output: Output::text("ok") };
    let nah = ModelName::from("nah");
    let free = Settlement::Free;
    let lines = scraped(&[
        settled(1, free),
        Event::UsageSettled { call: ModelCallNo(2), model: nah, settlement: free },
        call(1),
        Event::ToolFinished { call: ToolCallNo(1), outcome: outcome() },
        call(2),
        Event::ToolFinished { call: ToolCallNo(2), outcome: outcome() },
    ]);
    for model in ["m", "other"] {
        shows(&lines, &format!(r#"greenroom_bookings_total{{model="{model}",booking="free"}} 1"#));
    }
    for tool in ["look", "other"] {
        shows(&lines, &format!(r#"greenroom_tool_calls_total{{tool="{tool}",outcome="done"}} 1"#));
    }
}

#[test]
fn everybody_is_awake_asleep_or_ended_and_a_ghost_in_memory_shows() {
    let of =
        |status, sessions| Census { agent: "a".into(), status, waits: None, sessions, restarts: 0 };
    let census = [of(Status::Running, 2), of(Status::Waiting, 1), of(Status::Archived, 1)];
    let seen = |all| {
        let mut metrics = Metrics::default();
        let doing = [(Status::Running, 1)].into();
        let awake = Some(AwakeFigures { all, doing, inbox_sum: 7, inbox_max: 4 });
        metrics.look(&House { census: census.to_vec(), awake, ..House::default() });
        metrics.text().expect("text").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let calm = seen(1);
    shows(&calm, "greenroom_sessions_spawned 4");
    shows(&calm, "greenroom_sessions_asleep 2");
    shows(&calm, "greenroom_sessions_ended 1");
    shows(&calm, "greenroom_sessions_unaccounted 0");
    shows(&calm, "greenroom_sessions_stranded 1");
    shows(&calm, r#"greenroom_sessions{state="running"} 2"#);
    shows(&calm, r#"greenroom_agent_sessions{agent="a",state="waiting"} 1"#);
    shows(&calm, "greenroom_inbox_messages 7");
    shows(&calm, "greenroom_inbox_messages_max 4");
    // One more in memory than has a frame.
    shows(&seen(2), "greenroom_sessions_unaccounted -1");
}

#[test]
fn agents_beyond_the_bound_that_are_gone_are_counted_no_more() {
    let mut metrics = Metrics::default();
    let mut seen = |agents: usize| {
        let of = |no| Census {
            agent: AgentName(format!("agent {no:03}")),
            status: Status::Idle,
            waits: None,
            sessions: 2,
            restarts: 0,
        };
        metrics.look(&House { census: (0..agents).map(of).collect(), ..House::default() });
        metrics.text().expect("text").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    shows(&seen(105), r#"greenroom_agent_sessions{agent="other",state="idle"} 10"#);
    shows(&seen(100), r#"greenroom_agent_sessions{agent="other",state="idle"} 0"#);
}

#[test]
fn who_waits_at_a_gate_is_not_with_the_model_that_its_log_names() {
    let of = |agent: &str, status, words: Option<&str>, sessions| Census {
        agent: agent.into(),
        status,
        waits: words.map(Wait::of),
        sessions,
        restarts: 0,
    };
    let model = Some("model small");
    let census = vec![
        of("a", Status::Idle, None, 9),
        of("a", Status::Running, model, 3),
        of("b", Status::Running, model, 2),
        of("a", Status::Waiting, Some("approval of shell, 1 more"), 4),
        of("a", Status::Running, Some("2 children"), 5),
    ];
    let mut metrics = Metrics::default();
    metrics.look(&House { census, at_gates: 4, ..House::default() });
    let text = metrics.text().expect("text");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for (what, many) in [("model", 1), ("gate", 4), ("approval", 4), ("children", 5), ("tool", 0)] {
        shows(&lines, &format!(r#"greenroom_waiting_on{{what="{what}"}} {many}"#));
    }
}

#[test]
fn lengths_that_were_counted_elsewhere_are_a_histogram() {
    let mut metrics = Metrics::default();
    let appends = Spread { sum: 0.25, upto: vec![(0.001, 3), (0.1, 2), (f64::INFINITY, 1)] };
    metrics.look(&House { appends, ..House::default() });
    let text = metrics.text().expect("text");
    assert!(text.contains("# TYPE greenroom_append_seconds histogram"), "{text}");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    shows(&lines, "greenroom_append_seconds_sum 0.25");
    shows(&lines, "greenroom_append_seconds_count 6");
    for (upto, many) in [("0.001", 3), ("0.1", 5), ("+Inf", 6)] {
        shows(&lines, &format!(r#"greenroom_append_seconds_bucket{{le="{upto}"}} {many}"#));
    }
}

#[test]
fn a_gate_shows_who_is_in_flight_and_who_waits_and_what_for() {
    let mut metrics = Metrics::default();
    let fill = Fill { places: 40, taken: 3, waiting: 7 };
    let paused = Gate { fill, paused_until: Some(Timestamp(2_500)), breaker: Breaker::Probing };
    let mut seen = |gate: Gate| {
        metrics.look(&House { gates: vec![("key".to_owned(), gate)], ..House::default() });
        metrics.text().expect("text").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = seen(paused);
    shows(&lines, r#"greenroom_gate{name="key",state="taken"} 3"#);
    shows(&lines, r#"greenroom_gate{name="key",state="waiting"} 7"#);
    shows(&lines, r#"greenroom_gate_paused_until_seconds{name="key"} 2.5"#);
    shows(&lines, r#"greenroom_gate_breaker{name="key",state="probing"} 1"#);
    shows(&lines, r#"greenroom_gate_breaker{name="key",state="closed"} 0"#);
    // What is over is over in the next look as well.
    let lines = seen(Gate { fill, ..Gate::default() });
    shows(&lines, r#"greenroom_gate_paused_until_seconds{name="key"} 0.0"#);
    shows(&lines, r#"greenroom_gate_breaker{name="key",state="probing"} 0"#);
    shows(&lines, r#"greenroom_gate_breaker{name="key",state="closed"} 1"#);
}
