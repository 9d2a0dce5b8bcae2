//! Values that nobody may read, said by everybody who can say something, and then looked for
//! wherever something is written, told or shown.

use std::path::Path;

use greenroom::{AgentSpec, Goal, Heard, Note, Output, Runtime, ToolOutcome, TurnEvent};
use greenroom_actors::{domain::tool::EffectClass, testing::harness::bounded};

use crate::workshop::tool;

const CANARY: &str = "sk-canary-7Qx9/Zp+04";

/// Three ways in which a tool says it, a model that repeats it to a tool and in its own words.
const SCRIPT: &str = r#"
agent *
    call leak {}
  then
    call leak {"how": "fail"}
  then
    call leak {"how": "panic"}
  then
    call leak {"how": "again sk-canary-7Qx9/Zp+04"}
  then
    stream 2 every 1ms
    say I read sk-canary-7Qx9/Zp+04 and c2stY2FuYXJ5LTdReDkvWnArMDQ= there.
"#;

fn spelt_in(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let spellings = [CANARY.to_ascii_lowercase(), hex, "c2sty2fuyxj5ltdredkvwnar".to_owned()];
    spellings.into_iter().find(|spelling| text.contains(spelling))
}

/// No file below the folder holds it.
fn nowhere_below(folder: &Path) {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            let found = spelt_in(&std::fs::read(&path).unwrap());
            assert_eq!(found, None, "{}", path.display());
        }
    }
    assert!(files > 0, "there is a store");
}

fn leak() -> crate::workshop::Prop {
    tool("leak", EffectClass::Pure, |ctx, args| async move {
        ctx.progress.report(format!("at {CANARY}"));
        let args = args.0;
        assert!(!args.contains(CANARY), "a tool sees none");
        assert!(!args.contains("panic"), "it broke over {CANARY}");
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let output = Output::text(format!("env: KEY={CANARY} and {hex}, {args}"));
        if args.contains("fail") {
            return ToolOutcome::Failed { output };
        }
        ToolOutcome::Done { output }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tools_and_models_say_of_a_secret_is_masked_before_anybody_reads_or_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Runtime::builder().store(folder.path().join("green.db")).script(SCRIPT);
    let runtime = builder.secret(CANARY).start().await.unwrap();
    // Registered later, it is held to the same.
    runtime.add_tool(leak()).await.unwrap();
    let mut house = runtime.subscribe();
    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("leak");
    let session = runtime.spawn(&clerk).await.unwrap();
    let mut turn = session.send("go").await.unwrap();
    let (mut said, mut all) = (String::new(), String::new());
    while let Some(event) = bounded("the turn", turn.next()).await {
        all += &format!("{event:?}\n");
        if let TurnEvent::Text(text) = &event {
            said += text;
        }
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!(outcome.text(), said, "what was streamed is what was said");
    assert_eq!(said, "I read [redacted] and [redacted]Q= there.");
    while let Heard::Note(note) = bounded("the house", house.next()).await.unwrap() {
        let ended =
            matches!(&note, Note::Frame(frame) if format!("{frame:?}").contains("TurnFinished"));
        all += &format!("{note:?}\n");
        if ended {
            break;
        }
    }
    for shown in ["KEY=[redacted] and [redacted]", "at [redacted]", "it broke over [redacted]"] {
        assert!(all.contains(shown), "{shown:?} is not in {all}");
    }
    assert_eq!(spelt_in(all.as_bytes()), None, "{all}");
    runtime.shutdown().await;
    nowhere_below(folder.path());
}

#[tokio::test]
async fn what_people_and_programs_say_of_a_secret_is_masked_before_it_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let script = "agent *\n  say You said: {input}";
    let builder = Runtime::builder().store(folder.path().join("green.db")).script(script);
    let builder = builder.agent(AgentSpec::new("late", "scripted").instructions(CANARY));
    let runtime = builder.secret(CANARY).tool(leak()).start().await.unwrap();
    let said = format!("it is {CANARY}, keep it");
    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("leak").instructions(&*said);
    let session = runtime.spawn(&clerk).await.unwrap();
    let outcome = session.send(said.as_str()).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.text(), "You said: it is [redacted], keep it", "the model is told no more");
    session.rename(&said).await.unwrap();
    session.set_goal(Some(Goal { objective: said.clone(), token_budget: None })).await.unwrap();
    session.checkpoint(CANARY, &said).await.unwrap();
    session.run_tool("leak", serde_json::json!({ "how": said })).await.unwrap();
    session.cancel(&said).await.unwrap();
    let late = runtime.open("late").await.unwrap();
    for session in [&session, &late] {
        let log = format!("{:?}", session.log().await.unwrap());
        assert!(log.contains("[redacted]"), "{log}");
        assert_eq!(spelt_in(log.as_bytes()), None, "{log}");
    }
    runtime.shutdown().await;
    nowhere_below(folder.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_mask_the_same_store_holds_the_secret() {
    // What the test above looks for can be found: here nobody said that it is a secret.
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::builder().store(folder.path().join("green.db")).script(SCRIPT);
    let runtime = runtime.tool(leak_plainly()).start().await.unwrap();
    let session =
        runtime.spawn(&AgentSpec::new("clerk", "scripted").allowed_tool("leak")).await.unwrap();
    session.send("go").await.unwrap().outcome().await.unwrap();
    runtime.shutdown().await;
    let store = std::fs::read(folder.path().join("green.db")).unwrap();
    assert!(spelt_in(&store).is_some(), "a secret that nobody knows is written");
}

fn leak_plainly() -> crate::workshop::Prop {
    tool("leak", EffectClass::Pure, |_ctx, _args| async {
        ToolOutcome::Done { output: Output::text(CANARY) }
    })
}

#[tokio::test]
async fn more_secrets_than_can_be_kept_out_are_a_refusal_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("green.db");
    let all = (0..=1_000).map(|no| format!("value-of-number-{no}"));
    let builder =
        all.fold(Runtime::builder().store(&store), |builder, value| builder.secret(value));
    let why = builder.start().await.unwrap_err().to_string();
    assert!(why.contains("there is room for 1000") && why.contains("give fewer"), "{why}");
    assert!(!store.exists(), "nothing was begun");
}
