//! The stage of these tests: a runtime on a real store with a scripted model, served on the loopback, and
//! clients with every kind of token.

use std::path::Path;

use greenroom::{
    AgentSpec, Face, FaceOptions, Runtime, Scope, Served, Timestamp, Token, TypedTool,
};
use greenroom_actors::testing::harness::{bounded, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Client, Reply};

/// What the models of these tests say.
pub const SCRIPT: &str = r#"
agent lead
    call spawn_agent {"agent": "hand", "task": "do it"}
  then
    call await_agents {}
  then
    say Done: {results}

agent clerk
    call pay {"cents": 900}
  then
    say {last}

agent *
    stream 4 every 1ms
    say You said {input}.
"#;

pub struct Theatre {
    pub folder: TempDir,
    pub runtime: Runtime,
    pub face: Face,
    pub served: Served,
    /// May do everything.
    pub admin: Client,
    /// May do everything for one tenant.
    pub tenant: Client,
    /// May do one thing each.
    pub only: Vec<(Scope, Client)>,
    pub expired: Client,
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Pay {
    cents: u64,
}

impl Theatre {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime(folder.path()).await;
        Self::with(folder, runtime, FaceOptions::default()).await
    }

    /// One where nobody is asked to slow down.
    pub async fn unhurried() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime(folder.path()).await;
        Self::with(folder, runtime, unhurried()).await
    }

    pub async fn with(folder: TempDir, runtime: Runtime, options: FaceOptions) -> Self {
        let fresh = || Token::fresh().unwrap();
        let (admin, tenant, expired) = (fresh(), fresh(), fresh());
        let mut options = options
            .token(admin.admin("admin"))
            .token(tenant.admin("theirs").tenant("theirs"))
            .token(expired.admin("late").until(Timestamp(1)));
        let only = Scope::ALL.map(|scope| (scope, fresh()));
        for (scope, token) in &only {
            options = options.token(token.grant(scope.word(), [*scope]));
        }
        let face = Face::new(&runtime, options);
        let served = face.serve("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let at = served.address();
        let client = |token: &Token| Client { at, token: token.reveal().to_owned() };
        let only = only.iter().map(|(scope, token)| (*scope, client(token))).collect();
        let (admin, tenant, expired) = (client(&admin), client(&tenant), client(&expired));
        Self { folder, runtime, face, served, admin, tenant, only, expired }
    }

    pub fn nobody(&self) -> Client {
        Client { token: String::new(), ..self.admin.clone() }
    }

    /// A fresh session of an agent.
    pub async fn session(&self, agent: &str) -> String {
        let opened = self.admin.post("/v1/sessions", &json!({ "agent": agent })).await.is(201);
        opened.json()["session"].as_str().unwrap().to_owned()
    }

    /// Says something and waits for the answer's end.
    pub async fn turn(&self, session: &str, text: &str) -> Value {
        let path = format!("/v1/sessions/{session}/messages");
        let said = self.admin.post(&path, &json!({ "text": text })).await.is(202).json();
        let key = said["key"].as_str().unwrap();
        assert!(!key.contains('/'), "a fresh key stands in a path as it is: {key}");
        let path = format!("/v1/sessions/{session}/turns/{key}?wait_ms=20000");
        self.admin.get(&path).await.is(200).json()
    }

    /// The first question of a session, once there is one.
    pub async fn question(&self, session: &str) -> Value {
        let path = format!("/v1/approvals?session={session}");
        eventually(&greenroom::app::clock(), "a question", || async {
            let open = self.admin.get(&path).await.is(200).json();
            open["items"].as_array().and_then(|open| open.first()).cloned()
        })
        .await
    }

    pub async fn close(self) {
        bounded("the end of the face", self.served.end()).await;
        drop(self.face);
        self.runtime.shutdown().await;
    }
}

/// For those who ask more often than anybody should.
pub fn unhurried() -> FaceOptions {
    FaceOptions { requests_per_second: 1_000_000, ..FaceOptions::default() }
}

pub async fn runtime(folder: &Path) -> Runtime {
    let pay = TypedTool::new("pay", "Pays.", |_ctx, args: Pay| async move {
        Ok(format!("paid {}", args.cents))
    });
    let agent = |name: &str| AgentSpec::new(name, "scripted");
    let lead = agent("lead").route("hand");
    Runtime::builder()
        .store(folder.join("green.db"))
        .script(SCRIPT)
        .tool(pay)
        .agent(agent("hand"))
        .agent(lead)
        .agent(agent("clerk").tool("pay"))
        .agent(agent("echo"))
        .start()
        .await
        .unwrap()
}

/// A session's id as a path has it.
pub fn at(session: &str, verb: &str) -> String {
    format!("/v1/sessions/{session}/{verb}")
}

/// What a list has.
pub fn items(reply: &Reply) -> Vec<Value> {
    reply.json()["items"].as_array().unwrap().clone()
}
