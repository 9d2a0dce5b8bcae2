//! Greenroom: adapters that implement the runtime's ports on this machine, faces that use its
//! handle, and `app`, the only file that knows both. The runtime itself is `greenroom_actors`.

pub mod agents_file;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
mod document;
mod embed;
pub mod store;
pub mod telemetry;

pub use embed::{
    Approval, Builder, Inbox, Runtime, Session, Tenant, ToolError, TurnEvent, TurnStream, TypedTool,
};

// What a program that embeds the runtime meets, so that it needs no other crate of ours.
pub use greenroom_actors::{
    ModelProvider, Probe, ServiceError, Services, Tool, ToolCtx,
    domain::{
        agent::{AgentSpec, InputPolicy, Limits, RestartPolicy, Role, Sampling},
        budget::{Amount, Budget, Dimension, Shortage},
        catalog::{
            ApprovalRow, CheckpointRow, SessionFilter, SessionRow, Status, Totals, TotalsOf,
        },
        conversation::{BlobRef, Block},
        event::{CancelTarget, Event, FailureKind, Goal, ModelFailure, TurnOverrides, UserInput},
        ids::{
            AgentName, ApprovalId, CallId, CheckpointName, CredentialName, InputKey, ModelName,
            PoolKind, Position, PrincipalId, ProviderName, SessionId, TenantId, Timestamp,
            ToolName, TurnId,
        },
        model::{ModelEvent, ModelRequest},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        permission::{Answer, Ask, Decision, Mode, RulePattern, RuleSet, Subject},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
        usage::{DatedPrice, NanoUsd, Price, PriceBook, Settlement, Usage},
    },
    runtime::{
        CallError, Decoded, Desk, Ended, Frame, Heard, Layers, Listener, Note, RenderError,
        TreeNode,
    },
    scripted::{NoopModel, ScriptedModel},
};
