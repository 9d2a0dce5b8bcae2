//! What every session shares: ports, tables, and the addresses of the house's other actors.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::{
    bus::Bus,
    directory::Switchboard,
    domain::{
        agent::{ModelChoice, Rendered},
        house::{Halt, Readmission},
        ids::{AgentName, CredentialName, PoolKind, ProviderName, SessionId, ToolName},
        tool::Args,
        usage::PriceBook,
    },
    policy::rules::Policy,
    ports::{Blobs, Catalog, Clock, Journal, ModelProvider, ProviderTable, Services, ToolTable},
    protocol::{
        address::ReplyTo, gate::GateHandle, ledger::LedgerHandle, permission::PermissionHandle,
        tool_pool::Slots, wing::Alarm,
    },
};

/// The shared part of all sessions.
pub(crate) struct House {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bus: Bus,
    pub(crate) board: Switchboard,
    pub(crate) ledger: LedgerHandle,
    pub(crate) permission: PermissionHandle,
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    pub(crate) tables: watch::Receiver<Arc<Tables>>,
    /// Sessions that were let back without the step that failed, by the house's log.
    pub(crate) readmitted: watch::Receiver<Arc<BTreeMap<SessionId, Readmission>>>,
    /// Why nothing may begin, where somebody stopped everything.
    pub(crate) halt: watch::Receiver<Option<Arc<Halt>>>,
    pub(crate) services: Services,
    pub(crate) alarm: ReplyTo<Alarm>,
    pub(crate) idle_ms: u64,
    /// Whether words are only written down.
    pub(crate) dark: bool,
}

/// What can be registered while the runtime runs.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) agents: BTreeMap<AgentName, Rendered>,
    pub(crate) prices: PriceBook,
    pub(crate) tools: ToolTable,
    pub(crate) providers: ProviderTable,
    /// Who serves models that name no provider.
    pub(crate) default_provider: Option<ProviderName>,
    pub(crate) gates: BTreeMap<CredentialName, GateHandle>,
    pub(crate) pools: BTreeMap<PoolKind, Slots>,
}

impl Tables {
    /// What a tool says of arguments. A check that panics is its tool's mistake, not the session's.
    pub(crate) fn check(&self, name: &ToolName, args: &Args) -> Result<(), String> {
        let Some(tool) = self.tools.get(name) else { return Ok(()) };
        let look = std::panic::AssertUnwindSafe(|| tool.check(args));
        std::panic::catch_unwind(look)
            .unwrap_or_else(|_panic| Err("the tool's own check of its arguments broke".to_owned()))
    }

    /// Who serves the model that a turn is on. Never another vendor by accident: what names a
    /// provider gets that one or none.
    pub(crate) fn provider(
        &self,
        ModelChoice { model, provider }: &ModelChoice,
    ) -> Result<Arc<dyn ModelProvider>, String> {
        let name = provider.as_ref().or(self.default_provider.as_ref());
        let Some(name) = name else {
            return Err(format!("no provider serves model {model}: none is configured"));
        };
        self.providers.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.providers.keys().map(ProviderName::as_str).collect();
            format!("provider {name} is not configured; there is: {}", known.join(", "))
        })
    }
}
