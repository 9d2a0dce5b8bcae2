//! The same with a real process and a real SIGKILL: the test binary plays the first half in a
//! child, is killed, and the test goes on where the child was.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use greenroom_actors::domain::ids::InputKey;

use super::*;
use crate::stage::{deps, file_in, open};

const FOLDER: &str = "GREENROOM_RESTART_FOLDER";
const SCENE: &str = "GREENROOM_RESTART_SCENE";

/// Where the child is killed.
const SCENES: [(&str, &str, EffectClass); 4] = [
    ("model", "until call 2 hang", EffectClass::Once),
    ("tool once", "", EffectClass::Once),
    ("tool idempotent", "", EffectClass::Idempotent),
    ("approval", "", EffectClass::Once),
];

fn scene(name: &str) -> (&'static str, EffectClass) {
    let found = SCENES.iter().find(|(scene, _, _)| *scene == name).expect("a scene");
    (found.1, found.2)
}

fn arrange(name: &str, harness: Harness, prop: &Prop) -> Harness {
    let mut harness = with_tool(prop)(harness);
    if name == "approval" {
        harness.options.layers.user.allow.clear();
    }
    harness.deps.clock = Arc::new(Numbering::default());
    harness
}

/// Not a test of its own: it runs as a child of the one below, and passes when nobody asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_when_told() {
    let (Some(folder), Ok(name)) = (env::var_os(FOLDER), env::var(SCENE)) else { return };
    let (hang, effect) = scene(&name);
    let prop = Prop::new("look", effect).hold();
    let store = open(&file_in(Path::new(&folder)));
    let harness = arrange(&name, Harness::scripted(deps(&store), &solo(hang, "")), &prop);
    let runtime = harness.start().await;
    let session = say(&runtime, "solo", "k", "what is up?").await;
    match name.as_str() {
        "model" => model_call_begun(&runtime, session, 1).await,
        "approval" => drop(asked(&runtime, 1).await),
        _ => seen("the tool runs", || prop.at_work() == 1).await,
    }
    let mut out = std::io::stdout();
    writeln!(out, "\nready {session}").and_then(|()| out.flush()).expect("tell the parent");
    // Killed here; a child that its parent forgot ends by itself.
    bounded("to be killed", std::future::pending::<()>()).await;
}

/// Plays a scene in a child until it is ready, and kills it.
fn killed_at(name: &str, folder: &Path) -> SessionId {
    let mut child = Command::new(env::current_exe().expect("this binary"))
        .args(["--exact", "restart::process::plays_when_told", "--nocapture"])
        .env(FOLDER, folder)
        .env(SCENE, name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start a child");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let session = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.strip_prefix("ready ").map(|id| id.parse::<SessionId>().expect("an id"))
    });
    // SIGKILL: nothing of it runs on, and nothing of it says goodbye.
    child.kill().expect("kill the child");
    child.wait().expect("its end");
    session.expect("the child came to its scene")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_goes_on_where_it_was_with_the_same_prompts() {
    let (unknown, _) = ToolOutcome::OutcomeUnknown.told();
    let unknown = ToolOutcome::Failed { output: unknown };
    for (name, hang, effect) in SCENES {
        let prop = if name == "tool once" {
            Prop::with("look", effect, unknown.clone(), Probe::Unknown)
        } else {
            Prop::new("look", effect)
        };
        let control = control(&prop).await;
        let folder = tempfile::tempdir().expect("a folder");
        let session = killed_at(name, folder.path());
        let prop = Prop::new("look", effect);
        let mut kept = None;
        let stage = Stage::set_in(folder, &solo(hang, ""), |harness| {
            let mut harness = arrange(name, harness, &prop);
            harness.agents = edited(&harness.agents);
            kept = Some(Recorder::in_place(&mut harness));
            harness
        })
        .await;
        let recorder = kept.expect("arranged");
        if name == "approval" {
            let open = asked(&stage.runtime, 1).await;
            stage.runtime.decide(open[0], Answer::Once).await.expect("the answer");
        }
        let prompts = finish(&stage, &recorder, session).await;
        // What the child asked died with it; what is asked now is the control's end.
        assert!(control.ends_with(&prompts), "{name}: {prompts:#?} {control:#?}");
        let again = if name == "model" { 3 } else { 2 };
        assert_eq!(prompts.len(), again, "{name}");
        assert_eq!(prop.keys().len(), usize::from(name != "tool once"), "{name}");
        let again = stage.runtime.outcome(session, InputKey::from("k"), PATIENCE_MS).await;
        assert!(again.is_ok(), "{name}: {again:?}");
    }
}
