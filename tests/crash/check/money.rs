//! Money: what is booked is what the vendor counted, and no budget is ever overrun.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    budget::{Account, Amount, Budget, Dimension},
    event::{Event, FailureKind},
    grant::GrantEvent,
    ids::{CallId, ModelName, SessionId},
    usage::{NanoUsd, Settlement, Usage},
};

use super::Found;
use crate::{facts::Facts, model::ModelRecord};

/// Bookings of a call, in order, each with its model.
type Bookings = BTreeMap<CallId, Vec<(ModelName, Settlement)>>;

fn bookings(facts: &Facts) -> (BTreeSet<CallId>, Bookings) {
    let (mut started, mut booked) = (BTreeSet::new(), Bookings::new());
    for (session, _, event) in facts.events() {
        match event {
            Event::ModelCallStarted { call, .. } => {
                started.insert(CallId::model(session, *call));
            }
            Event::UsageSettled { call, model, settlement } => {
                let call = CallId::model(session, *call);
                booked.entry(call).or_default().push((model.clone(), *settlement));
            }
            _ => {}
        }
    }
    (started, booked)
}

/// Calls whose answer may have been lost on the way: by a crash, an abort or a deadline.
fn cut_calls(facts: &Facts) -> BTreeSet<CallId> {
    let cut =
        |kind| matches!(kind, FailureKind::Lost | FailureKind::Aborted | FailureKind::TimedOut);
    facts
        .events()
        .filter_map(|(session, _, event)| match event {
            Event::ModelCallFailed { call, failure } if cut(failure.kind) => {
                Some(CallId::model(session, *call))
            }
            _ => None,
        })
        .collect()
}

/// I5: exact where the vendor delivered, never below what it counted where it did not.
pub(super) fn settled(facts: &Facts) -> Found {
    let mut found = Found::default();
    let (started, booked) = bookings(facts);
    let cut = cut_calls(facts);
    let mut arrived: BTreeMap<CallId, u64> = BTreeMap::new();
    let mut ends: BTreeMap<CallId, &ModelRecord> = BTreeMap::new();
    for record in &facts.model {
        if let ModelRecord::Arrived { call, .. } = record {
            *arrived.entry(*call).or_default() += 1;
        } else {
            let first = ends.insert(record.call(), record).is_none();
            found.must(first, || format!("{}: two ends at the vendor", record.call()));
        }
    }
    for (call, count) in &arrived {
        found.must(*count == 1, || format!("{call} was made {count} times"));
        found.must(started.contains(call), || format!("{call} was made without a record"));
    }
    for call in &started {
        let rows = booked.get(call).map_or(&[][..], Vec::as_slice);
        // A later word replaces an earlier one, and only a bound may be replaced.
        let replaced = rows.iter().rev().skip(1);
        let bounds = replaced
            .filter(|(_, booking)| !matches!(booking, Settlement::Unsettled { .. }))
            .count();
        found.must(bounds == 0 && rows.len() <= 2, || format!("{call} was booked as {rows:?}"));
        match (rows.last(), ends.get(call)) {
            (None, _) => {
                found.must(!facts.healed, || format!("{call} was never booked"));
            }
            (Some((_, booking)), end) => {
                let told = matches!(end, Some(ModelRecord::Delivered { usage: Some(_), .. }));
                let bound = matches!(booking, Settlement::Unsettled { .. });
                // A bound is for what nobody knows; what the vendor said and nothing took is known.
                let lazy = told && bound && !cut.contains(call);
                let right = agree(booking, end.copied()) && !lazy;
                found.must(right || !facts.healed, || {
                    format!("{call}: booked as {booking:?}, the vendor says {end:?}")
                });
            }
        }
    }
    sums(facts, &booked, &ends, &mut found);
    read_model(facts, &booked, &mut found);
    found
}

/// Whether a booking is true of how the call ended at the vendor; a call that never got there
/// costs nothing, and may be booked as anything but exact.
fn agree(booking: &Settlement, end: Option<&ModelRecord>) -> bool {
    let spent = match end {
        None => Usage::default(),
        Some(ModelRecord::Delivered { usage, .. }) => usage.unwrap_or_default(),
        Some(ModelRecord::Failed { usage, .. } | ModelRecord::Broken { usage, .. }) => *usage,
        Some(ModelRecord::Arrived { .. }) => return false,
    };
    match booking {
        Settlement::Exact { usage, .. } => {
            matches!(end, Some(ModelRecord::Delivered { usage: Some(told), .. }) if told == usage)
        }
        Settlement::Unsettled { tokens_max, .. } => *tokens_max >= spent.tokens(),
        Settlement::Free => spent == Usage::default(),
    }
}

/// Exact tokens per model and kind equal what the vendor delivered for them.
fn sums(
    facts: &Facts,
    booked: &Bookings,
    ends: &BTreeMap<CallId, &ModelRecord>,
    found: &mut Found,
) {
    let (mut ours, mut theirs): (BTreeMap<&ModelName, Usage>, BTreeMap<&ModelName, Usage>) =
        Default::default();
    for (call, rows) in booked {
        let Some((model, Settlement::Exact { usage, .. })) = rows.last() else { continue };
        *ours.entry(model).or_default() += *usage;
        if let Some(ModelRecord::Delivered { usage: Some(told), .. }) = ends.get(call) {
            *theirs.entry(model).or_default() += *told;
        }
    }
    found.must(!facts.healed || ours == theirs, || format!("sums: {ours:?} and {theirs:?}"));
}

/// The read model has one row per booked call, and it is the last word.
fn read_model(facts: &Facts, booked: &Bookings, found: &mut Found) {
    let rows = facts.booked.len();
    found.must(rows == booked.len(), || format!("{rows} rows for {} calls", booked.len()));
    for (call, bookings) in booked {
        let greenroom_actors::domain::ids::CallNo::Model(no) = call.no else { continue };
        let (row, last) = (facts.booked.get(&(call.session, no.0)), bookings.last());
        let same = row.zip(last).is_some_and(|(row, (model, booking))| {
            let figures = [0, 1, 2, 3, 4].map(|at| u64::try_from(row.tokens[at]).unwrap_or(0));
            let told = match booking {
                Settlement::Exact { usage: u, .. } => {
                    [u.input, u.cache_read, u.cache_write, u.output, u.reasoning]
                }
                Settlement::Unsettled { .. } | Settlement::Free => [0; 5],
            };
            let bound = match booking {
                Settlement::Unsettled { tokens_max, .. } => *tokens_max,
                Settlement::Exact { .. } | Settlement::Free => 0,
            };
            let kind = match booking {
                Settlement::Exact { .. } => "exact",
                Settlement::Unsettled { .. } => "unsettled",
                Settlement::Free => "free",
            };
            row.model == model.as_str()
                && row.kind == kind
                && figures == told
                && u64::try_from(row.tokens_max) == Ok(bound)
        });
        found.must(same, || format!("{call}: the read model says {row:?}, the log {last:?}"));
    }
}

/// A call in the ledger, as its log tells it.
struct Entry {
    accounts: Vec<Account>,
    bound: Amount,
    spent: Amount,
    open: bool,
}

/// I6: in every account, at every frame of the ledger's log, spent and reserved fit the budget;
/// in the end they are what the sessions' logs say.
pub(super) fn within(facts: &Facts) -> Found {
    let mut found = Found::default();
    let (_, booked) = bookings(facts);
    for (root, frames) in &facts.ledgers {
        let mut calls: BTreeMap<CallId, Entry> = BTreeMap::new();
        for frame in frames {
            for event in &frame.events {
                take(&mut calls, event);
            }
            for (account, budget, sum) in weights(&calls) {
                for dimension in Dimension::ALL {
                    let Some(limit) = dimension.limit(&budget) else { continue };
                    let stands = dimension.of(&sum);
                    found.must(stands <= limit, || {
                        let at = frame.envelope.position;
                        format!("{account} of {root} at {at}: {stands} of {limit} {dimension:?}")
                    });
                }
            }
        }
        if facts.healed {
            let open: Vec<String> = calls
                .iter()
                .filter(|(_, entry)| entry.open)
                .map(|(call, _)| call.to_string())
                .collect();
            found.must(open.is_empty(), || format!("{root}: room held for {open:?}"));
            agrees_with_sessions(facts, &calls, &booked, &mut found);
        }
    }
    found
}

fn take(calls: &mut BTreeMap<CallId, Entry>, event: &GrantEvent) {
    match event {
        GrantEvent::Granted { call, accounts, bound } => {
            let spent = calls.get(call).map_or(Amount::default(), |entry| entry.spent);
            let entry = Entry { accounts: accounts.clone(), bound: *bound, spent, open: true };
            calls.insert(*call, entry);
        }
        GrantEvent::Settled { call, actual, .. } => {
            if let Some(entry) = calls.get_mut(call) {
                entry.spent = Amount { agents: 0, ..*actual };
                entry.open = false;
            }
        }
    }
}

/// What stands against each account: a closed call's figure, an open one's bound or figure,
/// whichever is more.
fn weights(calls: &BTreeMap<CallId, Entry>) -> Vec<(SessionId, Budget, Amount)> {
    let mut sums: BTreeMap<SessionId, (Budget, Amount)> = BTreeMap::new();
    for entry in calls.values() {
        for account in &entry.accounts {
            let sum = sums.entry(account.session).or_insert((account.budget, Amount::default()));
            let more = if entry.open { entry.bound.minus(entry.spent) } else { Amount::default() };
            sum.1 = sum.1.plus(entry.spent).plus(more);
        }
    }
    sums.into_iter().map(|(account, (budget, sum))| (account, budget, sum)).collect()
}

/// Every booked model call below a budget stands in the ledger with its last figure.
fn agrees_with_sessions(
    facts: &Facts,
    calls: &BTreeMap<CallId, Entry>,
    booked: &Bookings,
    found: &mut Found,
) {
    let limited: BTreeSet<SessionId> = calls
        .values()
        .flat_map(|entry| &entry.accounts)
        .filter(|account| account.budget.tokens.is_some() || account.budget.nano_usd.is_some())
        .map(|account| account.session)
        .collect();
    for (call, rows) in booked {
        let Some((_, last)) = rows.last() else { continue };
        let below = facts.of(call.session).any(|event| match event {
            Event::SessionOpened { lineage, .. } => {
                limited.contains(&call.session)
                    || lineage.accounts.iter().any(|account| limited.contains(&account.session))
            }
            _ => false,
        });
        if !below {
            continue;
        }
        let stands = calls.get(call).map_or(Amount::default(), |entry| entry.spent);
        let (tokens, money) = (last.tokens(), last.cost());
        found.must(stands.tokens == tokens && stands.nano_usd == NanoUsd(money.0), || {
            format!("{call}: the ledger says {stands:?}, its session {last:?}")
        });
    }
}
