//! What was approved is what runs: a yes holds for the files that a command runs as they were when it
//! was asked, and for the folder that it runs in.

use std::fs;

use greenroom::{AgentSpec, Approval, Runtime, Session, ToolOutcome};
use greenroom_actors::{domain::permission::Subject, testing::harness::bounded};
use tempfile::TempDir;

struct House {
    folder: TempDir,
    runtime: Runtime,
    session: Session,
}

/// An agent that has the tools and is asked about everything.
async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("green.db");
    let workspace = folder.path().join("work");
    fs::create_dir(&workspace).unwrap();
    let runtime = Runtime::builder().store(store).workspace(workspace).script("");
    let runtime = runtime.start().await.unwrap();
    let mut agent = AgentSpec::new("smith", "scripted");
    for tool in ["exec", "shell"] {
        agent.tools.insert(tool.into(), Default::default());
    }
    let session = runtime.spawn(&agent).await.unwrap();
    House { folder, runtime, session }
}

impl House {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("work").join(name), text).unwrap();
    }

    /// Runs a tool, and answers its questions with yes; `before` is called before each.
    async fn run(
        &self,
        (tool, args): (&str, serde_json::Value),
        mut before: impl FnMut(usize, &Approval),
    ) -> (ToolOutcome, usize) {
        let mut inbox = self.session.inbox();
        let run = self.session.run_tool(tool, args);
        tokio::pin!(run);
        let mut asked = 0;
        let all = async {
            loop {
                tokio::select! {
                    outcome = &mut run => return outcome.unwrap(),
                    question = inbox.next() => {
                        let question = question.unwrap();
                        before(asked, &question);
                        asked += 1;
                        question.approve().await.unwrap();
                    }
                }
            }
        };
        (bounded("the call", all).await, asked)
    }
}

fn printed(outcome: &ToolOutcome) -> String {
    outcome.told().0.shown().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_changes_between_the_yes_and_the_start_is_asked_about_again() {
    let house = house().await;
    let ways = [
        ("shell", serde_json::json!({ "command": "bash x.sh" })),
        ("shell", serde_json::json!({ "command": "cd . && nice bash ./x.sh" })),
        ("exec", serde_json::json!({ "argv": ["bash", "x.sh"] })),
        ("exec", serde_json::json!({ "argv": ["bash", "x.sh"], "cwd": "." })),
    ];
    for (tool, args) in ways {
        house.write("x.sh", "echo one\n");
        let (outcome, asked) = house
            .run((tool, args.clone()), |_, question| {
                let [seen] = question.row().ask.scripts.as_slice() else {
                    panic!("{args}: {:?}", question.row().ask)
                };
                assert!(seen.path.ends_with("/x.sh") && seen.sha256.is_some(), "{seen:?}");
            })
            .await;
        assert_eq!((printed(&outcome).as_str(), asked), ("one\n", 1), "{args}: as it was");

        let mut digests = Vec::new();
        let (outcome, asked) = house
            .run((tool, args.clone()), |no, question| {
                digests.push(question.row().ask.digest.clone());
                let said = question.row().ask.reasons.join("; ");
                assert_eq!(said.contains("has changed since it was approved"), no == 1, "{said}");
                if no == 0 {
                    house.write("x.sh", "echo two\n");
                }
            })
            .await;
        assert_eq!((printed(&outcome).as_str(), asked), ("two\n", 2), "{args}: changed once");
        assert_ne!(digests[0], digests[1], "{args}");
    }
    house.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_says_in_which_folder_it_would_run() {
    let house = house().await;
    let args = serde_json::json!({ "argv": ["touch", "a"] });
    let work = house.folder.path().join("work").canonicalize().unwrap();
    let (_, asked) = house
        .run(("exec", args), |_, question| {
            let Subject::ToolCall { request, .. } = &question.row().ask.subject else { panic!() };
            assert_eq!(request.cwd.as_deref(), work.to_str());
            assert!(question.row().ask.scripts.is_empty());
            assert_eq!(question.row().ask.proposal.as_deref(), Some("exec(touch a)"));
        })
        .await;
    assert_eq!(asked, 1);
    house.runtime.shutdown().await;
}
