//! Words said to a store that nobody works on: answers, releases, forks, and a look at its health.
//! What was said in the dark is what the next runtime goes on with.

use greenroom::{AgentSpec, EffectClass, Runtime, Session, TypedTool};
use greenroom_actors::{
    domain::{catalog::Status, tool::Overlay},
    testing::harness::bounded,
};

use super::{err, folder, greenroom, json, out, ran};

/// What is played before, with a panic each time, and after.
const BEFORE: &str = "panic out of tune";
const AFTER: &str = "say Back in tune.";

const SCRIPT: &str = "
agent shaky
    ACT
agent *
    call stamp {}
  then
    say It says {last}.
";

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

/// A runtime whose agent must ask before it stamps.
async fn runtime(store: &str, act: &str) -> Runtime {
    let stamp = TypedTool::new("stamp", "Stamps.", |_ctx, _args: Nothing| async {
        Ok("stamped".to_owned())
    });
    let stamp = stamp.effect(EffectClass::Once);
    let builder = Runtime::builder().store(store).script(SCRIPT.replace("ACT", act)).tool(stamp);
    builder.start().await.expect("a runtime")
}

fn clerk(name: &str) -> AgentSpec {
    let mut clerk = AgentSpec::new(name, "scripted");
    clerk.tools = [("stamp".into(), Overlay::default())].into();
    clerk
}

/// Waits until the catalog says this of a session.
async fn until(runtime: &Runtime, session: &Session, status: Status) {
    let mut heard = runtime.follow(session.id());
    bounded("the session's status", async {
        while runtime.tree(session.id()).await.expect("a tree").row.status != status {
            heard.next().await;
        }
    })
    .await;
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an executor")
}

/// A store with an open question and a quarantined session.
fn prepared(store: &str) -> (Session, Session) {
    executor().block_on(async {
        let runtime = runtime(store, BEFORE).await;
        let clerk = runtime.spawn(&clerk("clerk")).await.expect("a clerk");
        let shaky = runtime.spawn(&self::clerk("shaky")).await.expect("another");
        drop(clerk.send("the letter").await.expect("said"));
        drop(shaky.send("a tune").await.expect("said"));
        until(&runtime, &clerk, Status::Waiting).await;
        until(&runtime, &shaky, Status::Quarantined).await;
        runtime.shutdown().await;
        (clerk, shaky)
    })
}

#[test]
fn what_was_said_in_the_dark_is_what_the_next_runtime_goes_on_with() {
    let (_folder, store) = folder();
    let (clerk, shaky) = prepared(&store);
    let doctor = ran(&["doctor", "--store", &store]);
    let said = out(&doctor);
    assert_eq!(doctor.status.code(), Some(0), "{said}{}", err(&doctor));
    assert!(said.contains("is sound") && said.contains("nobody works on it"), "{said}");
    assert!(said.contains("1 quarantined") && said.contains("1 open"), "{said}");

    let asked = json(&out(&ran(&["approvals", "--store", &store, "--json"])));
    let id = format!("{}/a1", clerk.id());
    assert_eq!(asked[0]["approval"], id, "as it is answered");
    let waits = out(&ran(&["sessions", "--store", &store]));
    assert!(waits.lines().any(|line| line.ends_with("  approval of stamp")), "{waits}");
    let end = id.rsplit('-').next().expect("its end");
    let approved = ran(&["approve", end, "--store", &store]);
    assert_eq!(approved.status.code(), Some(0), "{}", err(&approved));
    assert!(out(&approved).contains("approved"), "{}", out(&approved));
    let released = ran(&["release", "shaky", "--store", &store, "--json"]);
    assert_eq!(json(&out(&released))["session"], shaky.id().to_string(), "{}", err(&released));
    // Nothing moved meanwhile: the answer is the last that the log knows.
    let log = ran(&["log", "clerk", "--store", &store]);
    let last = out(&log).lines().last().unwrap_or_default().to_owned();
    assert!(last.contains("approval_decided"), "{last}");
    let again = ran(&["approve", &id, "no", "--store", &store]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("it is not open any more: approved by"), "{}", err(&again));
    let nothing = ran(&["approve", "nothing", "--store", &store]);
    assert!(err(&nothing).contains("no open question fits"), "{}", err(&nothing));

    executor().block_on(async {
        let runtime = runtime(&store, AFTER).await;
        for session in [&clerk, &shaky] {
            until(&runtime, session, Status::Idle).await;
        }
        for (session, words) in [(&clerk, "It says stamped."), (&shaky, "Back in tune.")] {
            let outcome = runtime.reading().last_outcome(session.id()).await.expect("a log");
            assert_eq!(outcome.expect("an end").text(), words);
        }
        runtime.shutdown().await;
    });
}

#[test]
fn a_store_that_a_runtime_works_on_is_refused_with_its_process() {
    let (_folder, store) = folder();
    let executor = executor();
    let (runtime, clerk) = executor.block_on(async {
        let runtime = runtime(&store, BEFORE).await;
        let clerk = runtime.spawn(&clerk("clerk")).await.expect("a clerk");
        drop(clerk.send("the letter").await.expect("said"));
        until(&runtime, &clerk, Status::Waiting).await;
        (runtime, clerk)
    });
    let me = format!("process {}", std::process::id());
    let id = format!("{}/a1", clerk.id());
    for args in [vec!["approve", &id], vec!["release", "clerk"], vec!["fork", "clerk"]] {
        let refused = greenroom(&args).args(["--store", &store]).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(err(&refused).contains(&me), "{args:?}: {}", err(&refused));
    }
    // A look is welcome all the same.
    let doctor = ran(&["doctor", "--store", &store]);
    assert!(out(&doctor).contains(&me), "{}", out(&doctor));
    executor.block_on(async {
        clerk.cancel("enough").await.expect("cancelled");
        let _order = runtime.shutdown().await;
    });
}

#[test]
fn a_fork_goes_on_from_a_frame_and_wrong_frames_are_named() {
    let (_folder, store) = folder();
    let (clerk, _shaky) = prepared(&store);
    let far = ran(&["fork", "clerk", "--at", "99", "--store", &store]);
    assert_eq!(far.status.code(), Some(1));
    assert!(err(&far).contains("expected 1 to"), "{}", err(&far));
    let fork = ran(&["fork", "clerk", "--at", "1", "--store", &store, "--json"]);
    let fork = json(&out(&fork));
    assert_eq!(fork["from"], clerk.id().to_string());
    let id = fork["session"].as_str().expect("an id");
    let log = out(&ran(&["log", id, "--store", &store]));
    assert!(log.contains("session_forked"), "{log}");
    let sessions = json(&out(&ran(&["sessions", "--store", &store, "--json"])));
    assert_eq!(sessions.as_array().map(Vec::len), Some(3));
    let on = ran(&["fork", "shaky", "--at", "1", "--model", "other", "--store", &store, "--json"]);
    let on = json(&out(&on));
    assert_eq!(on["model"], "other");
    let id = on["session"].as_str().expect("an id");
    let log = out(&ran(&["log", id, "--json", "--store", &store]));
    let first = json(log.lines().next().expect("a frame"));
    assert!(first.to_string().contains("\"model\":\"other\""), "{first}");
}

#[test]
fn the_doctor_names_a_damaged_log_and_says_so_in_its_code() {
    let (_folder, store) = folder();
    let (clerk, _shaky) = prepared(&store);
    let conn = rusqlite::Connection::open(&store).expect("the file");
    let sql = "UPDATE frame SET body = body || ' ' WHERE position = 1 AND log = \
               (SELECT num FROM log WHERE id = ?1)";
    let changed = conn.execute(sql, [clerk.id().to_string()]).expect("changed");
    assert_eq!(changed, 1);
    drop(conn);
    let doctor = ran(&["doctor", "--store", &store]);
    assert_eq!(doctor.status.code(), Some(1), "{}", out(&doctor));
    let said = out(&doctor);
    assert!(said.contains("1 of 2 sessions do not verify"), "{said}");
    assert!(said.contains("held by") && said.contains("limits"), "{said}");
    assert!(said.contains(&clerk.id().to_string()), "{said}");
    assert!(said.contains("its hash does not match"), "why: {said}");
    // And hides no other from those who look.
    let tree = ran(&["tree", "--store", &store]);
    let drawn = out(&tree);
    assert_eq!(tree.status.code(), Some(1), "{drawn}{}", err(&tree));
    let line = |agent: &str| drawn.lines().find(|line| line.starts_with(agent)).map(str::to_owned);
    assert!(line("clerk").is_some_and(|line| line.contains("damaged")), "{drawn}");
    assert!(line("shaky").is_some_and(|line| line.contains("quarantined")), "{drawn}");
    let metrics = ran(&["metrics", "--store", &store]);
    assert_eq!(metrics.status.code(), Some(1));
    assert!(err(&metrics).contains("left out: "), "{}", err(&metrics));
    assert!(out(&metrics).contains("greenroom_restarts_total{agent=\"shaky\""));
}

#[test]
fn the_doctor_of_a_file_that_is_broken_inside_says_so_and_ends() {
    let (_folder, store) = folder();
    let (_clerk, _shaky) = prepared(&store);
    let mut bytes = std::fs::read(&store).expect("the file");
    let page = 4_096;
    let middle = bytes.len() / page / 2 * page;
    bytes.get_mut(middle..middle + 3 * page).expect("three pages").fill(0x55);
    std::fs::write(&store, bytes).expect("the file");
    let doctor = ran(&["doctor", "--store", &store]);
    assert_eq!(doctor.status.code(), Some(1));
    let said = out(&doctor);
    assert!(said.contains("WRONG  file") && said.contains("is damaged"), "{said}{}", err(&doctor));
}

#[test]
fn a_store_that_is_not_there_is_made_by_no_order() {
    let (folder, store) = folder();
    for args in [vec!["approve", "x"], vec!["release", "x"], vec!["fork", "x"], vec!["doctor"]] {
        let refused = greenroom(&args).args(["--store", &store]).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(err(&refused).contains("there is no such file"), "{args:?}: {}", err(&refused));
    }
    let made = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(made, 0, "nothing was made");
}

#[test]
fn figures_of_a_store_are_those_of_its_totals() {
    let (_folder, store) = folder();
    let (_clerk, _shaky) = prepared(&store);
    let totals = json(&out(&ran(&["totals", "--store", &store, "--json"])));
    let metrics = ran(&["metrics", "--store", &store]);
    assert_eq!(metrics.status.code(), Some(0), "{}", err(&metrics));
    let text = out(&metrics);
    let sum = |kind: &str| -> u64 {
        let lines = text.lines().filter(|line| {
            line.starts_with("greenroom_tokens_total{")
                && line.contains(&format!("kind=\"{kind}\""))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    assert_eq!(sum("input"), totals["usage"]["input"].as_u64().expect("a number"));
    assert_eq!(sum("output"), totals["usage"]["output"].as_u64().expect("a number"));
    assert!(sum("input") > 0);
    for line in [
        "greenroom_sessions_spawned 2",
        "greenroom_sessions_unaccounted 0",
        "greenroom_approvals_open 1",
        "greenroom_restarts_total{agent=\"shaky\",cause=\"panic\"} 3",
        "greenroom_quarantines_total{agent=\"shaky\"} 1",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
    }
}

#[test]
fn completions_are_what_a_shell_sources() {
    for (shell, holds) in
        [("bash", "_greenroom"), ("zsh", "#compdef greenroom"), ("fish", "greenroom")]
    {
        let said = ran(&["completions", shell]);
        assert_eq!(said.status.code(), Some(0), "{shell}");
        assert!(out(&said).contains(holds), "{shell}");
    }
}

#[test]
fn a_session_is_deleted_for_good_by_who_is_sure_and_not_while_it_is_at_work() {
    let (_folder, store) = folder();
    let (clerk, shaky) = prepared(&store);
    let unsure = ran(&["delete", "shaky", "--store", &store]);
    assert_eq!(unsure.status.code(), Some(1));
    assert!(err(&unsure).contains("takes 1 session for good"), "{}", err(&unsure));
    assert!(err(&unsure).contains(&format!("greenroom delete {} --yes", shaky.id())));
    let spent = out(&ran(&["totals", "--store", &store, "--json"]));
    let deleted = ran(&["delete", "shaky", "--yes", "--store", &store]);
    assert_eq!(deleted.status.code(), Some(0), "{}", err(&deleted));
    assert!(out(&deleted).contains("1 session and all they said"), "{}", out(&deleted));
    let gone = ran(&["log", &shaky.id().to_string(), "--store", &store]);
    assert!(err(&gone).contains("no session fits"), "{}", err(&gone));
    assert_eq!(out(&ran(&["totals", "--store", &store, "--json"])), spent, "spent is spent");
    let busy = ran(&["delete", "clerk", "--yes", "--store", &store]);
    assert_eq!(busy.status.code(), Some(1));
    let why = format!("{} has work in hand", clerk.id());
    assert!(err(&busy).contains(&why), "{}", err(&busy));
    let doctor = ran(&["doctor", "--store", &store]);
    assert_eq!(doctor.status.code(), Some(0), "{}", out(&doctor));
    assert!(out(&doctor).contains("1 session, every log verifies"), "{}", out(&doctor));
}
