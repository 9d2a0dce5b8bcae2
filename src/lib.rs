//! Greenroom: adapters that implement the runtime's ports on this machine, faces that use its
//! handle, and `app`, the only file that knows both. The runtime itself is `greenroom_actors`.
//!
//! A program that embeds it begins like this; more is in `examples/` and on the page of each type.
//!
//! ```
//! use greenroom::{AgentSpec, Runtime, TypedTool};
//!
//! #[derive(schemars::JsonSchema, serde::Deserialize)]
//! struct Add { a: i64, b: i64 }
//!
//! # const SCRIPT: &str =
//! #     "agent *\n  call add {\"a\": 2, \"b\": 3}\n then\n  say It is {last}.";
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("greenroom.db");
//! let add = TypedTool::new("add", "Adds.", |_ctx, args: Add| async move { Ok(args.a + args.b) });
//! let runtime = Runtime::builder().store(path).script(SCRIPT).tool(add).start().await?;
//! let session = runtime.spawn(&AgentSpec::new("clerk", "scripted").allowed_tool("add")).await?;
//! let mut turn = session.send("What is 2 and 3?").await?;
//! while let Some(event) = turn.next().await { println!("{event:?}"); }
//! let outcome = turn.outcome().await?;
//! println!("{}", outcome.text());
//! runtime.shutdown().await;
//! # assert_eq!(outcome.text(), "It is 5.");
//! # Ok(())
//! # }
//! ```

pub mod agents_file;
pub mod app;
pub mod calendar;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod config;
mod document;
mod embed;
mod http;
mod net;
pub mod providers;
pub mod registry;
pub mod store;
pub mod telemetry;
pub mod tools;
mod typed;

pub use channels::{Asked, Channel, NoAnswer};
pub use embed::{
    AnswerError, Approval, Builder, Inbox, Input, Job, Jobs, Runtime, Session, Tenant, TurnEvent,
    TurnStream, schema_of,
};
pub use http::{BadToken, Face, FaceOptions, Grant, Scope, ServeError, Served, Token, Tokens};
pub use typed::{Stopped, ToolError, TypedTool};

// What a program that embeds the runtime meets, so that it needs no other crate of ours.
pub use greenroom_actors::{
    ModelProvider, Probe, ServiceError, Services, Tool, ToolCtx,
    domain::{
        agent::{
            AgentSpec, InputPolicy, Limits, ModelChoice, Reliability, RestartPolicy, Role, Sampling,
        },
        budget::{Amount, Budget, Dimension, Shortage},
        catalog::{
            ApprovalRow, CheckpointRow, SessionFilter, SessionRow, Status, Totals, TotalsOf,
        },
        conversation::{BlobRef, Block},
        event::{CancelTarget, Event, FailureKind, Goal, ModelFailure, TurnOverrides, UserInput},
        ids::{
            AgentName, ApprovalId, CallId, CheckpointName, CredentialName, HookName, InputKey,
            ModelName, PoolKind, Position, PrincipalId, ProviderName, QueueName, SessionId,
            TenantId, Timestamp, ToolName, TurnId,
        },
        job::{
            Delivery, HistoryEntry, JobEnd, JobFilter, JobId, JobOrder, JobRow, JobSpec, JobState,
            JobStep, JobText, JobView, OnLost, Retry, Taken, When, Work,
        },
        model::{ModelEvent, ModelRequest},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        permission::{Answer, Ask, Decision, Mode, RulePattern, RuleSet, Subject},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
        usage::{DatedPrice, NanoUsd, Price, PriceBook, Settlement, Usage},
    },
    runtime::{
        CallError, Decoded, Desk, Ended, Frame, Heard, JobError, JobHeard, JobListener, JobRefused,
        Layers, Listener, Note, RenderError, TreeNode,
    },
    scripted::{NoopModel, ScriptedModel},
};
