//! Budgets as a fold over grants. Remaining room is derived, never stored: at every prefix of the
//! log, spent + reserved ≤ budget in every account.
//!
//! A minimal form of the decision that the ledger is written against.

use std::collections::BTreeMap;

use crate::domain::{
    budget::{Account, Amount, Dimension, Reservation, Shortage},
    grant::GrantEvent,
    ids::{CallId, SessionId},
};
use crate::limits;

/// All accounts of one session tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    open: BTreeMap<CallId, Grant>,
    balances: BTreeMap<SessionId, Balance>,
}

/// Room set aside for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The accounts on its path.
    pub accounts: Vec<Account>,
    /// What was set aside.
    pub bound: Amount,
}

/// One account's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What ended calls came to.
    pub spent: Amount,
    /// What running calls may come to.
    pub reserved: Amount,
}

/// A budget has passed its warning mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Whose budget.
    pub account: SessionId,
    /// In which dimension.
    pub dimension: Dimension,
    /// The share that is spent, in percent.
    pub percent: u64,
}

/// The answer to a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// There is room; this is to be recorded.
    Granted(GrantEvent),
    /// It was granted before and still is.
    Standing,
    /// There is none now, but others' reservations hold it.
    Wait {
        /// Whose room is short.
        account: SessionId,
    },
    /// There is none and none can come free.
    Refused(Shortage),
}

impl Tree {
    /// Folds one record in; the warnings it causes.
    pub fn apply(&mut self, event: &GrantEvent) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match event {
            GrantEvent::Granted { call, accounts, bound } => {
                let grant = Grant { accounts: accounts.clone(), bound: *bound };
                for account in accounts {
                    let balance = self.balances.entry(account.session).or_default();
                    balance.reserved = balance.reserved.plus(*bound);
                }
                self.open.insert(*call, grant);
            }
            GrantEvent::Settled { call, actual } => {
                let Some(grant) = self.open.remove(call) else { return warnings };
                for account in &grant.accounts {
                    let balance = self.balances.entry(account.session).or_default();
                    let before = *balance;
                    balance.reserved = balance.reserved.minus(grant.bound);
                    balance.spent = balance.spent.plus(*actual);
                    warnings.extend(passed(account, before, *balance));
                }
            }
        }
        warnings
    }

    /// The grants that have not been settled.
    pub fn open_grants(&self) -> impl Iterator<Item = (&CallId, &Grant)> {
        self.open.iter()
    }

    /// Every account's state.
    pub fn balances(&self) -> impl Iterator<Item = (&SessionId, &Balance)> {
        self.balances.iter()
    }

    fn balance(&self, account: SessionId) -> Balance {
        self.balances.get(&account).copied().unwrap_or_default()
    }
}

fn passed(account: &Account, before: Balance, after: Balance) -> Vec<Warning> {
    let share = |dimension: Dimension, amount: &Amount| {
        let limit = dimension.limit(&account.budget).filter(|limit| *limit > 0)?;
        Some(dimension.of(amount).saturating_mul(100) / limit)
    };
    Dimension::ALL
        .into_iter()
        .filter_map(|dimension| {
            let (old, new) = (share(dimension, &before.spent)?, share(dimension, &after.spent)?);
            let crossed = old < limits::WARN_PERCENT && new >= limits::WARN_PERCENT;
            crossed.then_some(Warning { account: account.session, dimension, percent: new })
        })
        .collect()
}

/// Rules on a reservation.
#[must_use]
pub fn reserve(tree: &Tree, reservation: &Reservation) -> Ruling {
    if tree.open.contains_key(&reservation.call) {
        return Ruling::Standing;
    }
    let mut wait = None;
    for Account { session: account, budget } in &reservation.accounts {
        if budget.nano_usd.is_some() && !reservation.priced {
            return Ruling::Refused(Shortage::UnknownPrice { account: *account });
        }
        let balance = tree.balance(*account);
        for dimension in Dimension::ALL {
            let Some(limit) = dimension.limit(budget) else { continue };
            let bound = dimension.of(&reservation.bound);
            let spent = dimension.of(&balance.spent);
            if bound == 0 {
                continue;
            }
            if spent.saturating_add(bound) > limit {
                let account = *account;
                let short = Shortage::Exhausted { account, dimension, limit, spent, bound };
                return Ruling::Refused(short);
            }
            let held = dimension.of(&balance.reserved);
            if spent.saturating_add(held).saturating_add(bound) > limit {
                wait = wait.or(Some(*account));
            }
        }
    }
    match wait {
        Some(account) => Ruling::Wait { account },
        None => Ruling::Granted(GrantEvent::Granted {
            call: reservation.call,
            accounts: reservation.accounts.clone(),
            bound: reservation.bound,
        }),
    }
}

/// What is to be recorded when a call has ended; nothing when it holds nothing.
#[must_use]
pub fn settle(tree: &Tree, call: CallId, actual: Amount) -> Option<GrantEvent> {
    tree.open.contains_key(&call).then_some(GrantEvent::Settled { call, actual })
}
