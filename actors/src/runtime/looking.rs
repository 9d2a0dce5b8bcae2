//! What a running runtime can say of itself: what its store holds, and beside it what no store knows,
//! who is in memory, how full what is shared is, what waits at a gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;

use crate::{
    domain::{
        agent::Rendered,
        catalog::{
            ApprovalRow, AwakeFigures, CheckpointRow, SessionFilter, SessionRow, Totals, TotalsOf,
        },
        conversation::BlobRef,
        event::{Event, FailureKind, ModelFailure},
        frame::LogId,
        house::HouseEvent,
        ids::{
            CredentialName, ModelName, PoolKind, Position, ProviderName, SessionId, TenantId,
            Timestamp,
        },
    },
    limits, log,
    policy::{gate::Bars, recovery::Held, turn::State},
    protocol::{lease::Figures, ledger::LedgerFigures},
    session::state_at,
};

use super::{AppendFigures, CallError, Runtime, TreeNode};

/// How full what is shared is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseFigures {
    /// Slots of each tool pool.
    pub pools: BTreeMap<PoolKind, Figures>,
    /// Calls at each credential's gate.
    pub gates: BTreeMap<CredentialName, Figures>,
    /// What holds calls up at each of them; moments are the wall's.
    pub bars: BTreeMap<CredentialName, Bars>,
    /// How long frames took to be durable.
    pub appends: AppendFigures,
    /// While many died together: since when restarts are held up, and how many wait.
    pub held: Option<Held>,
}

impl Runtime {
    /// Reads a session's log after a frame, decoded and verified from its start.
    ///
    /// # Errors
    /// When it cannot be read or does not verify.
    pub async fn read(
        &self,
        session: SessionId,
        after: Position,
    ) -> Result<Vec<log::Decoded<Event>>, CallError> {
        self.reading().read(session, after).await
    }

    /// Lines of sessions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sessions(&self, filter: SessionFilter) -> Result<Vec<SessionRow>, CallError> {
        self.reading().sessions(filter).await
    }

    /// Open approvals, from any depth.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, tenant: Option<TenantId>) -> Result<Vec<ApprovalRow>, CallError> {
        self.reading().approvals(tenant).await
    }

    /// Sums of booked model calls.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn totals(&self, of: TotalsOf) -> Result<Totals, CallError> {
        self.reading().totals(of).await
    }

    /// A session's checkpoints.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn checkpoints(&self, session: SessionId) -> Result<Vec<CheckpointRow>, CallError> {
        self.reading().checkpoints(session).await
    }

    /// A large value by its reference.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn blob(&self, blob: BlobRef) -> Result<Option<Vec<u8>>, CallError> {
        self.reading().blob(blob).await
    }

    /// What the house itself recorded.
    ///
    /// # Errors
    /// When the log cannot be read or does not verify.
    pub async fn house(&self) -> Result<Vec<HouseEvent>, CallError> {
        self.reading().house().await
    }

    /// A session and everything below it, with who is awake.
    ///
    /// # Errors
    /// When it does not exist or the store cannot be read.
    pub async fn tree(&self, root: SessionId) -> Result<TreeNode, CallError> {
        let mut tree = self.reading().tree(root).await?;
        self.look(&mut tree);
        Ok(tree)
    }

    /// What a session is after its log, folded without waking it.
    ///
    /// # Errors
    /// When the log cannot be read or does not verify.
    pub async fn state(&self, session: SessionId) -> Result<State, CallError> {
        Ok(state_at(&self.inner.journal, session, None).await?)
    }

    /// How full the pools and the gates are, and whether restarts are held up.
    #[must_use]
    pub fn figures(&self) -> HouseFigures {
        let tables = Arc::clone(&self.inner.tables.borrow());
        let pools = tables.pools.iter().map(|(kind, pool)| (kind.clone(), pool.figures()));
        let gates = tables.gates.iter().map(|(name, gate)| (name.clone(), gate.figures()));
        // The house counts by running time; people read the wall.
        let clock = &self.inner.clock;
        let by_the_wall = |since: Timestamp| {
            let for_ms = clock.running().since_ms(since);
            Timestamp(clock.now().0.saturating_sub_unsigned(for_ms))
        };
        let held = self.inner.seats.restarts().held();
        let held = held.map(|held| Held { since: by_the_wall(held.since), ..held });
        let to_the_wall = |at: Timestamp| clock.now().plus_ms(at.since_ms(clock.running()));
        let bars = tables.gates.iter();
        let bars = bars.map(|(name, gate)| (name.clone(), gate.bars().told_as(to_the_wall)));
        let (pools, gates, bars) = (pools.collect(), gates.collect(), bars.collect());
        HouseFigures { pools, gates, bars, appends: self.inner.appends.figures(), held }
    }

    /// The accounts of a tree: spent and reserved. Nothing is begun for one that has no log yet: what
    /// was granted to anybody is in there.
    pub async fn accounts(&self, root: SessionId) -> Option<LedgerFigures> {
        let (tail, _) = self.inner.journal.tail(LogId::ledger(root)).await.ok()?;
        if tail == Position(0) {
            return Some(LedgerFigures::default());
        }
        self.inner.seats.ledger().figures(root).await
    }

    /// Whether a session is in memory, and how many messages wait in its mailbox.
    #[must_use]
    pub fn inbox(&self, session: SessionId) -> Option<usize> {
        self.inner.seats.board().depth(session)
    }

    /// What those in memory do, and how full their mailboxes are; reads no store.
    #[must_use]
    pub fn awake_figures(&self) -> AwakeFigures {
        self.inner.seats.board().figures()
    }

    /// Has a session that sleeps come into memory; one that is awake notices nothing. It leaves again
    /// when there is nothing to do.
    pub fn wake(&self, session: SessionId) {
        self.inner.seats.board().wake(session);
    }

    /// What a session waits for at a gate, where its call has not left yet: its log does not know.
    #[must_use]
    pub fn waits_at_gate(&self, session: SessionId) -> Option<String> {
        let tables = Arc::clone(&self.inner.tables.borrow());
        tables.gates.values().find_map(|gate| gate.waits_for(session))
    }

    /// Agents that can be opened by name, with the tools each pins.
    #[must_use]
    pub fn agents(&self) -> Vec<Rendered> {
        self.inner.tables.borrow().agents.values().cloned().collect()
    }

    /// Models that are served, by provider. A provider that cannot say is listed with why.
    pub async fn models(
        &self,
        prefix: &str,
    ) -> Vec<(ProviderName, Result<Vec<ModelName>, ModelFailure>)> {
        let asked = self.providers().into_iter().map(|name| async move {
            let listed = self.listed(&name, prefix).await;
            (name, listed)
        });
        join_all(asked).await
    }

    /// Who serves models.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderName> {
        self.inner.tables.borrow().providers.keys().cloned().collect()
    }

    /// All models that one provider serves.
    ///
    /// # Errors
    /// When it cannot say.
    pub async fn models_of(&self, name: &ProviderName) -> Result<Vec<ModelName>, ModelFailure> {
        self.listed(name, "").await
    }

    async fn listed(
        &self,
        name: &ProviderName,
        prefix: &str,
    ) -> Result<Vec<ModelName>, ModelFailure> {
        let asked = {
            let tables = self.inner.tables.borrow();
            tables.providers.get(name).map(|provider| provider.list_models(prefix.to_owned()))
        };
        let Some(asked) = asked else { return Ok(Vec::new()) };
        let late =
            |_late| ModelFailure::new(FailureKind::TimedOut, "it did not answer in time", true);
        let listed = self.within(limits::CALL_MS, asked).await;
        listed.map_err(late).and_then(|listed| listed)
    }

    /// Models that the house knows by name: those of its agents, and those it has prices for.
    #[must_use]
    pub fn known_models(&self) -> BTreeSet<ModelName> {
        let tables = self.inner.tables.borrow();
        let of_agents = tables.agents.values().flat_map(|rendered| rendered.agent.models());
        let priced = tables.prices.0.iter().map(|dated| &dated.model);
        of_agents.chain(priced).cloned().collect()
    }

    /// How many sessions are in memory.
    #[must_use]
    pub fn awake(&self) -> usize {
        self.inner.seats.board().len()
    }

    fn look(&self, node: &mut TreeNode) {
        let depth = self.inbox(node.row.session);
        (node.awake, node.inbox) = (depth.is_some(), depth.unwrap_or(0));
        // Its log says which model it calls; that the call has not left yet is known to the gate.
        if let Some(words) = self.waits_at_gate(node.row.session) {
            node.row.waiting_on = Some(words);
        }
        for child in &mut node.children {
            self.look(child);
        }
    }
}
