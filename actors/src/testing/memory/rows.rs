//! The read model in memory, in the same order and with the same meaning as the durable one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    domain::{
        catalog::{
            Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Open,
            SessionFilter, SessionRow, Status, Totals, TotalsOf, UsageRow, Wait,
        },
        frame::{LogId, LogKind},
        ids::{
            AgentName, ApprovalId, CheckpointName, InputKey, ModelCallNo, Position, SessionId,
            TenantId, Timestamp,
        },
        job::{JobFilter, JobId, JobOrder, JobRow, JobState},
        permission::Ask,
    },
    limits,
};

/// What the catalog knows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sessions: BTreeMap<SessionId, SessionRow>,
    approvals: BTreeMap<ApprovalId, (Timestamp, Ask)>,
    usage: BTreeMap<(SessionId, ModelCallNo), UsageRow>,
    checkpoints: BTreeMap<(SessionId, CheckpointName), CheckpointRow>,
    inputs: BTreeMap<(SessionId, InputKey), Position>,
    jobs: BTreeMap<JobId, JobRow>,
    /// What deleted sessions booked.
    spent: Vec<(TenantId, UsageRow)>,
}

impl Rows {
    /// Applies a frame's changes.
    pub(super) fn follow(&mut self, log: LogId, changes: Vec<Change>) {
        for change in changes {
            match log.kind {
                LogKind::Session => self.apply(SessionId(log.id), change),
                LogKind::Job => {
                    if let Change::Job(row) = change {
                        self.jobs.insert(row.job, *row);
                    }
                }
                LogKind::Ledger | LogKind::House => {
                    // Such a log speaks for no session but may replace a session's line.
                    if let Change::Session(row) = change {
                        self.sessions.insert(row.session, *row);
                    }
                }
            }
        }
    }

    /// Forgets everything a session's log did.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.approvals.retain(|id, _| id.session != session);
        self.usage.retain(|(of, _), _| *of != session);
        self.checkpoints.retain(|(of, _), _| *of != session);
        self.inputs.retain(|(of, _), _| *of != session);
    }

    /// The sessions of a tree.
    pub(super) fn tree(&self, root: SessionId) -> Vec<SessionRow> {
        self.sessions.values().filter(|row| row.root == root).cloned().collect()
    }

    /// Forgets a session for good, but for what it spent.
    pub(super) fn erase(&mut self, row: &SessionRow) {
        let booked = self.usage.values().filter(|usage| usage.session == row.session);
        self.spent.extend(booked.map(|usage| (row.tenant.clone(), usage.clone())));
        self.forget(row.session);
    }

    fn apply(&mut self, session: SessionId, change: Change) {
        match change {
            Change::Session(row) => {
                self.sessions.insert(row.session, *row);
            }
            Change::ApprovalOpened { no, asked_at, ask } => {
                self.approvals.insert(ApprovalId { session, no }, (asked_at, *ask));
            }
            Change::ApprovalClosed { no } => {
                self.approvals.remove(&ApprovalId { session, no });
            }
            Change::Usage { call, model, agent, settlement } => {
                let root = self.sessions.get(&session).map_or(session, |row| row.root);
                let row = UsageRow { session, root, call, model, agent, settlement };
                self.usage.insert((session, call), row);
            }
            Change::Checkpoint { name, at, value } => {
                let row = CheckpointRow { session, name: name.clone(), at, value };
                self.checkpoints.insert((session, name), row);
            }
            Change::Input { key, at } => {
                self.inputs.entry((session, key)).or_insert(at);
            }
            // A session speaks for no job.
            Change::Job(_) => {}
        }
    }

    pub(super) fn session(&self, session: SessionId) -> Option<SessionRow> {
        self.sessions.get(&session).cloned()
    }

    pub(super) fn sessions(&self, filter: &SessionFilter) -> Vec<SessionRow> {
        let rows = if filter.rows == 0 { limits::LIST_ROWS } else { filter.rows };
        let holds = |root: &SessionRow| {
            let mut tree = self.sessions.values().filter(|row| row.root == root.session);
            root.parent.is_none() && tree.any(|row| matches(filter, row))
        };
        let is_wanted = |row: &&SessionRow| {
            let is_wanted = if filter.roots { holds(row) } else { matches(filter, row) };
            let is_later = filter.after.is_none_or(|after| match self.sessions.get(&after) {
                Some(after) if filter.newest => age(row) < age(after),
                Some(_) | None => row.session > after,
            });
            is_wanted && is_later
        };
        let mut found: Vec<&SessionRow> = self.sessions.values().filter(is_wanted).collect();
        if filter.newest {
            found.sort_by_key(|row| Reverse(age(row)));
        }
        found.into_iter().take(rows).cloned().collect()
    }

    pub(super) fn accounts(&self, roots: &[SessionId], rows: usize) -> Vec<Account> {
        let theirs = self.sessions.values().filter(|row| roots.contains(&row.root)).take(rows);
        let account = |row: &SessionRow| Account {
            row: row.clone(),
            own: self.totals(&TotalsOf::Session(row.session)),
        };
        theirs.map(account).collect()
    }

    pub(super) fn census(&self, tenant: Option<&TenantId>) -> Vec<Census> {
        let mut counted: BTreeMap<(AgentName, &str, &str), Census> = BTreeMap::new();
        let rows = self.sessions.values();
        for row in rows.filter(|row| tenant.is_none_or(|tenant| row.tenant == *tenant)) {
            let (agent, status, waits) = (row.agent.clone(), row.status, row.waits());
            let place = (agent.clone(), status.word(), waits.map_or("", Wait::word));
            let census = counted.entry(place).or_insert_with(|| Census {
                agent,
                status,
                waits,
                sessions: 0,
                restarts: 0,
            });
            census.sessions += 1;
            census.restarts += row.restarts;
        }
        counted.into_values().collect()
    }

    pub(super) fn in_trees(&self, filter: SessionFilter) -> u64 {
        let rows = self.sessions.len().max(1);
        let found = self.sessions(&SessionFilter { roots: true, after: None, rows, ..filter });
        let roots: BTreeSet<SessionId> = found.iter().map(|row| row.session).collect();
        self.sessions.values().filter(|row| roots.contains(&row.root)).map(|_row| 1).sum()
    }

    pub(super) fn branches(&self, of: &[SessionId]) -> Vec<Branch> {
        let branch = |session: &SessionId| Branch {
            session: *session,
            own: self.totals(&TotalsOf::Session(*session)),
            subtree: self.totals(&TotalsOf::Subtree(*session)),
            children: self
                .sessions
                .values()
                .filter(|row| row.parent == Some(*session))
                .map(|_row| 1)
                .sum(),
        };
        of.iter().map(branch).collect()
    }

    pub(super) fn open(&self, tenant: Option<&TenantId>) -> Open {
        let filter = ApprovalFilter { tenant: tenant.cloned(), ..ApprovalFilter::default() };
        let mut jobs: BTreeMap<JobState, u64> = BTreeMap::new();
        let is_theirs = |row: &&JobRow| tenant.is_none_or(|tenant| row.tenant == *tenant);
        for row in self.jobs.values().filter(is_theirs).filter(|row| row.open) {
            *jobs.entry(row.state).or_default() += 1;
        }
        Open { approvals: self.approvals(&filter).len() as u64, jobs: jobs.into_iter().collect() }
    }

    pub(super) fn approvals(&self, filter: &ApprovalFilter) -> Vec<ApprovalRow> {
        let line = |(id, (asked_at, ask)): (&ApprovalId, &(Timestamp, Ask))| {
            let session = self.sessions.get(&id.session);
            ApprovalRow {
                id: *id,
                tenant: session.map_or_else(|| "".into(), |row| row.tenant.clone()),
                agent: session.map_or_else(|| "".into(), |row| row.agent.clone()),
                asked_at: *asked_at,
                ask: ask.clone(),
            }
        };
        let mut found: Vec<_> = self
            .approvals
            .iter()
            .map(line)
            .filter(|row| filter.tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant))
            .filter(|row| filter.session.is_none_or(|session| row.id.session == session))
            .filter(|row| filter.only.is_none_or(|only| row.id == only))
            .filter(|row| filter.after.is_none_or(|after| (row.ask.expires_at, row.id) > after))
            .collect();
        // A stable sort: equal expiries stay in the order of their ids.
        found.sort_by_key(|row| row.ask.expires_at);
        if filter.rows > 0 {
            found.truncate(filter.rows);
        }
        found
    }

    pub(super) fn totals(&self, of: &TotalsOf) -> Totals {
        let of_these = match of {
            TotalsOf::Subtree(session) => self.below(*session),
            TotalsOf::Tenant(tenant) => {
                let theirs = self.sessions.values().filter(|row| row.tenant == *tenant);
                theirs.map(|row| row.session).collect()
            }
            TotalsOf::Runtime | TotalsOf::Session(_) | TotalsOf::Model(_) | TotalsOf::Agent(_) => {
                BTreeSet::new()
            }
        };
        let wanted = |row: &&UsageRow| match of {
            TotalsOf::Runtime => true,
            TotalsOf::Session(session) => row.session == *session,
            TotalsOf::Subtree(_) | TotalsOf::Tenant(_) => of_these.contains(&row.session),
            TotalsOf::Model(model) => row.model == *model,
            TotalsOf::Agent(agent) => row.agent == *agent,
        };
        let mut totals = Totals::default();
        self.usage.values().filter(wanted).for_each(|row| totals.add(&row.settlement));
        for (tenant, row) in &self.spent {
            let wanted = match of {
                TotalsOf::Runtime => true,
                TotalsOf::Session(_) | TotalsOf::Subtree(_) => false,
                TotalsOf::Model(model) => row.model == *model,
                TotalsOf::Agent(agent) => row.agent == *agent,
                TotalsOf::Tenant(of) => tenant == of,
            };
            if wanted {
                totals.add(&row.settlement);
            }
        }
        totals
    }

    fn below(&self, session: SessionId) -> BTreeSet<SessionId> {
        let mut below = BTreeSet::from([session]);
        loop {
            let is_child = |row: &&SessionRow| row.parent.is_some_and(|up| below.contains(&up));
            let children = self.sessions.values().filter(is_child).map(|row| row.session);
            let more: Vec<_> = children.filter(|child| !below.contains(child)).collect();
            if more.is_empty() {
                return below;
            }
            below.extend(more);
        }
    }

    pub(super) fn input(&self, session: SessionId, key: &InputKey) -> Option<Position> {
        self.inputs.get(&(session, key.clone())).copied()
    }

    pub(super) fn job(&self, job: JobId) -> Option<JobRow> {
        self.jobs.get(&job).cloned()
    }

    pub(super) fn jobs(&self, filter: &JobFilter) -> Vec<JobRow> {
        let rows = if filter.rows == 0 { limits::LIST_ROWS } else { filter.rows };
        let wanted = |row: &&JobRow| {
            filter.tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant)
                && filter.queue.as_ref().is_none_or(|queue| row.queue == *queue)
                && (filter.states.is_empty() || filter.states.contains(&row.state))
                && (row.open || !filter.open)
                && filter.after.is_none_or(|after| match filter.order {
                    JobOrder::Oldest => row.place() > after,
                    JobOrder::Newest => row.place() < after,
                    JobOrder::Changed => true,
                })
        };
        let mut found: Vec<&JobRow> = self.jobs.values().filter(wanted).collect();
        match filter.order {
            JobOrder::Oldest => found.sort_by_key(|row| row.place()),
            JobOrder::Newest => found.sort_by_key(|row| Reverse(row.place())),
            JobOrder::Changed => found.sort_by_key(|row| Reverse((row.updated_at, row.job))),
        }
        found.into_iter().take(rows).cloned().collect()
    }

    pub(super) fn checkpoints(&self, session: SessionId) -> Vec<CheckpointRow> {
        let of_session = self.checkpoints.values().filter(|row| row.session == session);
        let mut found: Vec<_> = of_session.cloned().collect();
        found.sort_by_key(|row| row.at);
        found
    }
}

fn matches(filter: &SessionFilter, row: &SessionRow) -> bool {
    let status = if filter.status.is_empty() {
        filter.archived || row.status != Status::Archived
    } else {
        filter.status.contains(&row.status)
    };
    status
        && filter.tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant)
        && filter.root.is_none_or(|root| row.root == root)
        && filter.wake_by.is_none_or(|by| row.wake_at.is_some_and(|at| at <= by))
        && filter.among.as_ref().is_none_or(|among| among.contains(&row.session))
        && filter.agent.as_ref().is_none_or(|agent| row.agent == *agent)
        && filter.text.as_ref().is_none_or(|text| has(row, &text.to_ascii_lowercase()))
}

const fn age(row: &SessionRow) -> (Timestamp, SessionId) {
    (row.created_at, row.session)
}

fn has(row: &SessionRow, text: &str) -> bool {
    let has = |words: &str| words.to_ascii_lowercase().contains(text);
    has(row.agent.as_str())
        || row.name.as_deref().is_some_and(has)
        || row.waiting_on.as_deref().is_some_and(has)
        || row.session.to_string().starts_with(text)
        || row.session.to_string().ends_with(text)
}
