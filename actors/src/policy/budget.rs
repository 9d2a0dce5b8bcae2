//! The ledger of one session tree, as a pure fold over its grant events: what each account has
//! spent, what is set aside, and whether one more call fits.
//!
//! Invariants, at every prefix of a log made by [`reserve`] and [`settle`] with figures within their
//! bounds:
//!
//! - spent + reserved ≤ limit, in every account and every limited dimension;
//! - a call counts once in each account of its path: an open one with the larger of its bound and
//!   what it has already come to, a closed one with its last figure, assigned and never added;
//! - live agents are only ever reserved.
//!
//! A figure that comes after the call was closed, and is higher, is charged all the same: it is true.
//!
//! Of a call that is closed for good only its number is remembered, and that as part of a span: any
//! further word on it is one that was heard before. The figure of a call that broke off may still be
//! replaced, so it is kept; so many of those are kept as `limits::LEDGER_UNSETTLED` says.
//!
//! An open call's part of `spent` is what an earlier settlement of the same call said; the rest of
//! its bound is `reserved`. So a call that is opened again is not charged twice.

use std::collections::{BTreeMap, BTreeSet};

use spans::Numbers;

use crate::{
    domain::{
        budget::{Account, Amount, Budget, Dimension, Mark, Reservation, Shortage},
        grant::GrantEvent,
        ids::{CallId, SessionId},
        usage::NanoUsd,
    },
    limits,
};

mod spans;

#[cfg(test)]
mod tests;

/// The accounts and calls of one tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    accounts: BTreeMap<SessionId, Balance>,
    /// Marks that were passed, with the figures of that moment, so that whoever tells of one again
    /// says the same.
    warned: BTreeMap<(SessionId, Dimension, Mark), Warning>,
    open: BTreeMap<CallId, Grant>,
    /// Closed with a figure that a later one may replace.
    closed: BTreeMap<CallId, Grant>,
    /// Closed for good.
    done: BTreeMap<SessionId, Numbers>,
}

/// What an account stands at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What calls have come to.
    pub spent: Amount,
    /// What is set aside for open calls beyond that.
    pub reserved: Amount,
    /// Its limits, as the latest grant named them.
    pub limit: Budget,
}

/// Room set aside for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The accounts of its path, root first, each once.
    pub accounts: Vec<Account>,
    /// The bound.
    pub bound: Amount,
    /// What an earlier settlement of the same call said.
    pub spent: Amount,
}

/// An account has spent most of a limit, or more than it. Once per account, dimension and mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Whose budget.
    pub account: SessionId,
    /// In which dimension.
    pub dimension: Dimension,
    /// Spent so far.
    pub spent: u64,
    /// Its limit.
    pub limit: u64,
}

/// What the ledger says to a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It fits: this is made durable, applied, and then answered.
    Granted(GrantEvent),
    /// There is nothing to record: the call already has at least what it asks for, or no account is
    /// on its path.
    Standing {
        /// What it has.
        bound: Amount,
    },
    /// It would fit if others gave back what they hold.
    Wait {
        /// The first account without room, root first.
        account: SessionId,
    },
    /// It cannot fit.
    Refused(Shortage),
}

impl Warning {
    /// The share spent, in percent: rounded down, but up where it is too much, so that a share above
    /// 100 is an overrun and no other is.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let (share, limit) = (u128::from(self.spent) * 100, u128::from(self.limit.max(1)));
        let percent =
            if self.spent > self.limit { share.div_ceil(limit).max(101) } else { share / limit };
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// Which mark was passed.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark::of(self.percent())
    }
}

impl Grant {
    /// What the call may still come to beyond what is already spent.
    const fn reserved(&self) -> Amount {
        self.bound.minus(self.spent)
    }
}

impl Tree {
    /// Folds one event in, and says which accounts have now spent most of a limit.
    pub fn apply(&mut self, event: &GrantEvent) -> Vec<Warning> {
        match event {
            // Its room was given back for good; sessions do not use a number twice.
            GrantEvent::Granted { call, .. } if self.is_done(call) => Vec::new(),
            GrantEvent::Granted { call, accounts, bound } => {
                let spent = self.take(call).map_or(Amount::default(), |before| before.spent);
                let grant = Grant { accounts: each_once(accounts), bound: *bound, spent };
                for account in &grant.accounts {
                    self.accounts.entry(account.session).or_default().limit = account.budget;
                }
                self.weigh(&grant, true);
                let warnings = self.warnings(&grant.accounts);
                self.open.insert(*call, grant);
                warnings
            }
            GrantEvent::Settled { call, actual, last } => {
                // Without a grant there is no path to charge; `book` records one first.
                let Some(before) = self.take(call) else { return Vec::new() };
                let grant = Grant { spent: spendable(*actual), bound: Amount::default(), ..before };
                self.weigh(&grant, false);
                let warnings = self.warnings(&grant.accounts);
                if *last {
                    self.done.entry(call.session).or_default().insert(call.no);
                } else if grant.spent != Amount::default() {
                    self.closed.insert(*call, grant);
                }
                warnings
            }
        }
    }

    fn is_done(&self, call: &CallId) -> bool {
        self.done.get(&call.session).is_some_and(|numbers| numbers.contains(call.no))
    }

    /// How many closed calls may still come to another figure.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.closed.len()
    }

    /// How much is remembered of calls that are closed for good, in spans of numbers.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.done.values().map(Numbers::spans).sum()
    }

    /// Calls that hold room.
    pub fn open_grants(&self) -> impl Iterator<Item = (&CallId, &Grant)> {
        self.open.iter()
    }

    /// Every account that was ever named.
    pub fn balances(&self) -> impl Iterator<Item = (&SessionId, &Balance)> {
        self.accounts.iter()
    }

    /// One account.
    #[must_use]
    pub fn balance(&self, account: &SessionId) -> Option<&Balance> {
        self.accounts.get(account)
    }

    /// Removes a call and its weight from every account of its path.
    fn take(&mut self, call: &CallId) -> Option<Grant> {
        let (grant, open) = match self.open.remove(call) {
            Some(grant) => (grant, true),
            None => (self.closed.remove(call)?, false),
        };
        for account in &grant.accounts {
            if let Some(balance) = self.accounts.get_mut(&account.session) {
                balance.spent = balance.spent.minus(grant.spent);
                if open {
                    balance.reserved = balance.reserved.minus(grant.reserved());
                }
            }
        }
        Some(grant)
    }

    /// Adds a call's weight to every account of its path.
    fn weigh(&mut self, grant: &Grant, open: bool) {
        for account in &grant.accounts {
            let balance = self.accounts.entry(account.session).or_default();
            balance.spent = balance.spent.plus(grant.spent);
            if open {
                balance.reserved = balance.reserved.plus(grant.reserved());
            }
        }
    }

    fn warnings(&mut self, path: &[Account]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for account in path {
            let Some(balance) = self.accounts.get(&account.session) else { continue };
            for dimension in Dimension::ALL {
                let Some(limit) = dimension.limit(&balance.limit) else { continue };
                let spent = dimension.of(&balance.spent);
                let warning = Warning { account: account.session, dimension, spent, limit };
                if spent > 0
                    && warning.percent() >= limits::WARN_PERCENT
                    && !self.is_warned(&warning)
                {
                    self.warned.insert((account.session, dimension, warning.mark()), warning);
                    warnings.push(warning);
                }
            }
        }
        warnings
    }

    /// Whether this mark, or the one above it, was passed before.
    fn is_warned(&self, warning: &Warning) -> bool {
        let (account, dimension) = (warning.account, warning.dimension);
        let passed = |mark| self.warned.contains_key(&(account, dimension, mark));
        passed(warning.mark()) || passed(Mark::Overrun)
    }

    /// Every mark that was ever passed, as it was then.
    pub fn warned(&self) -> impl Iterator<Item = &Warning> {
        self.warned.values()
    }

    /// What everybody but `call` weighs on an account.
    fn others(&self, account: &SessionId, call: &CallId) -> (Amount, Amount) {
        let balance = self.accounts.get(account).copied().unwrap_or_default();
        let on_path = |grant: &&Grant| grant.accounts.iter().any(|other| other.session == *account);
        let open = self.open.get(call).filter(on_path);
        let closed = self.closed.get(call).filter(on_path);
        let spent = open.or(closed).map_or(Amount::default(), |grant| grant.spent);
        let reserved = open.map_or(Amount::default(), Grant::reserved);
        (balance.spent.minus(spent), balance.reserved.minus(reserved))
    }

    /// Tool calls that others hold and will not give back: one that assigned work is held until
    /// its agent has ended, and counts then.
    fn held_by_agents(&self, account: &SessionId, call: &CallId) -> u64 {
        let on_path = |grant: &Grant| grant.accounts.iter().any(|other| other.session == *account);
        let others = self.open.iter().filter(|(other, _)| *other != call);
        let assigned = others.filter(|(_, grant)| grant.bound.agents > 0 && on_path(grant));
        assigned.map(|(_, grant)| grant.reserved().tool_calls).sum()
    }
}

/// Whether a reservation fits every account of its path.
#[must_use]
pub fn reserve(tree: &Tree, reservation: &Reservation) -> Ruling {
    let accounts = each_once(&reservation.accounts);
    if tree.is_done(&reservation.call) {
        // Asked before it was closed: whoever asked has no use for an answer.
        return Ruling::Standing { bound: Amount::default() };
    }
    let open = tree.open.get(&reservation.call);
    let bound = open.map_or(reservation.bound, |grant| larger(grant.bound, reservation.bound));
    if accounts.is_empty() || open.is_some_and(|grant| grant.bound == bound) {
        return Ruling::Standing { bound };
    }
    if !reservation.priced
        && let Some(account) = accounts.iter().find(|account| account.budget.nano_usd.is_some())
    {
        return Ruling::Refused(Shortage::UnknownPrice { account: account.session });
    }
    let spent = open
        .or_else(|| tree.closed.get(&reservation.call))
        .map_or(Amount::default(), |grant| grant.spent);
    // What the call weighs from now until it is settled.
    let weight = larger(bound, spent);
    let mut wait = None;
    for account in &accounts {
        let (others_spent, others_reserved) = tree.others(&account.session, &reservation.call);
        for dimension in Dimension::ALL {
            let Some(limit) = dimension.limit(&account.budget) else { continue };
            let sure = u128::from(dimension.of(&others_spent)) + u128::from(dimension.of(&weight));
            let all = sure + u128::from(dimension.of(&others_reserved));
            // What an agent holds comes free only when it ends, and it may be waiting for this
            // very room: so a full house is said at once.
            let full = all > u128::from(limit)
                && match dimension {
                    Dimension::Agents => true,
                    Dimension::ToolCalls => {
                        let held = tree.held_by_agents(&account.session, &reservation.call);
                        sure + u128::from(held) > u128::from(limit)
                    }
                    Dimension::Tokens | Dimension::Money | Dimension::ModelCalls => false,
                };
            if full || sure > u128::from(limit) {
                return Ruling::Refused(Shortage::Exhausted {
                    account: account.session,
                    dimension,
                    limit,
                    spent: match dimension {
                        Dimension::Agents => dimension.of(&others_reserved),
                        Dimension::Tokens
                        | Dimension::Money
                        | Dimension::ModelCalls
                        | Dimension::ToolCalls => dimension.of(&others_spent.plus(spent)),
                    },
                    bound: dimension.of(&bound),
                });
            }
            if all > u128::from(limit) {
                wait = wait.or(Some(account.session));
            }
        }
    }
    match wait {
        Some(account) => Ruling::Wait { account },
        None => Ruling::Granted(GrantEvent::Granted { call: reservation.call, accounts, bound }),
    }
}

/// Closes a call with what it came to, as the provider last said; `last` when no other figure can
/// follow. `None` when nothing changes: it is closed with that figure already, or for good, or it
/// never had a grant (see [`book`]).
#[must_use]
pub fn settle(tree: &Tree, call: CallId, actual: Amount, last: bool) -> Option<GrantEvent> {
    let changes = match (tree.open.get(&call), tree.closed.get(&call)) {
        (Some(_), _) => true,
        (None, Some(grant)) => last || grant.spent != spendable(actual),
        (None, None) => false,
    };
    changes.then_some(GrantEvent::Settled { call, actual, last })
}

/// As [`settle`], for a call whose grant may never have been recorded: its path is recorded first,
/// with nothing set aside, so that a late figure still counts. Both events belong in one frame.
#[must_use]
pub fn book(
    tree: &Tree,
    call: CallId,
    accounts: &[Account],
    (actual, last): (Amount, bool),
) -> Vec<GrantEvent> {
    let known = tree.open.contains_key(&call) || tree.closed.contains_key(&call);
    if known {
        return settle(tree, call, actual, last).into_iter().collect();
    }
    let accounts = each_once(accounts);
    if tree.is_done(&call) || accounts.is_empty() || spendable(actual) == Amount::default() {
        return Vec::new();
    }
    let granted = GrantEvent::Granted { call, accounts, bound: Amount::default() };
    vec![granted, GrantEvent::Settled { call, actual, last }]
}

/// An amount without its agents, which are given back and never spent.
const fn spendable(amount: Amount) -> Amount {
    Amount { agents: 0, ..amount }
}

/// The larger in each dimension.
pub(crate) fn larger(one: Amount, other: Amount) -> Amount {
    Amount {
        tokens: one.tokens.max(other.tokens),
        nano_usd: NanoUsd(one.nano_usd.0.max(other.nano_usd.0)),
        model_calls: one.model_calls.max(other.model_calls),
        tool_calls: one.tool_calls.max(other.tool_calls),
        agents: one.agents.max(other.agents),
    }
}

/// A path that names an account twice would charge it twice.
fn each_once(accounts: &[Account]) -> Vec<Account> {
    let mut seen = BTreeSet::new();
    accounts.iter().filter(|account| seen.insert(account.session)).copied().collect()
}
