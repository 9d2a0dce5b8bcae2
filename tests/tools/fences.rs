//! Roots of an agent hold for its running session, for commands and by whatever name a file is called.

use std::fs;

use greenroom::{AgentSpec, Runtime, ToolOutcome};
use greenroom_actors::domain::permission::Bounds;

#[tokio::test]
async fn the_roots_of_an_agent_hold_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("work");
    for inner in ["src", "other"] {
        fs::create_dir_all(workspace.join(inner)).unwrap();
        fs::write(workspace.join(inner).join("a"), inner).unwrap();
    }
    let runtime = Runtime::builder().store(folder.path().join("green.db"));
    let runtime = runtime.workspace(&workspace).script("").start().await.unwrap();
    let mut agent = AgentSpec::new("smith", "scripted").allowed_tool("exec").allowed_tool("shell");
    agent.authority.bounds = Bounds { roots: vec!["src".to_owned()], readable: Vec::new() };
    let session = runtime.spawn(&agent).await.unwrap();
    let work = workspace.canonicalize().unwrap();
    let work = work.to_str().unwrap();
    for (path, cwd, may) in [
        ("src/a", None, true),
        ("a", Some("src"), true),
        (&*format!("{work}/src/a"), None, true),
        ("other/a", None, false),
        ("a", Some("other"), false),
        ("../other/a", Some("src"), false),
        (&*format!("{work}/other/a"), Some("src"), false),
        ("/etc/passwd", None, false),
    ] {
        let exec = serde_json::json!({ "argv": ["cat", path], "cwd": cwd });
        let shell = serde_json::json!({ "command": format!("cat {path}"), "cwd": cwd });
        for (tool, args) in [("exec", exec), ("shell", shell)] {
            let outcome = session.run_tool(tool, args).await.unwrap();
            let refused = matches!(&outcome, ToolOutcome::Refused { .. });
            assert_eq!(refused, !may, "{tool} {path} in {cwd:?}: {outcome:?}");
            if may {
                assert_eq!(outcome.told().0.shown(), "src", "{tool} {path} in {cwd:?}");
            }
        }
    }
    runtime.shutdown().await;
}
