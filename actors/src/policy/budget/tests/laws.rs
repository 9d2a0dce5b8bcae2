//! What holds for every tree: no prefix of a log overruns a budget but by what a vendor charged above
//! a bound, and what is forgotten is neither lost nor charged twice.

use proptest::prelude::*;

use super::*;

/// One thing that happens to a tree.
#[derive(Clone, Debug)]
enum Step {
    Reserve { call: u32, bound: Amount },
    Settle { call: u32, percent: u64 },
}

fn amounts() -> impl Strategy<Value = Amount> {
    (0_u64..60, 0_u64..60, 0_u64..3, 0_u64..3, 0_u64..3).prop_map(
        |(tokens, money, model_calls, tool_calls, agents)| Amount {
            tokens,
            nano_usd: NanoUsd(money),
            model_calls,
            tool_calls,
            agents,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reserve = (0_u32..12, amounts()).prop_map(|(call, bound)| Step::Reserve { call, bound });
    let settle =
        (0_u32..12, 0_u64..=100).prop_map(|(call, percent)| Step::Settle { call, percent });
    proptest::collection::vec(prop_oneof![reserve, settle], 0..80)
}

fn path() -> Vec<Account> {
    (1..4_u64)
        .map(|n| Account {
            session: session(u128::from(n)),
            budget: Budget {
                tokens: Some(400 / n),
                nano_usd: (n != 2).then_some(NanoUsd(300 / n)),
                model_calls: Some(12 / n),
                tool_calls: None,
                agents: Some(5 - n),
            },
        })
        .collect()
}

fn share(amount: Amount, percent: u64) -> Amount {
    Amount {
        tokens: amount.tokens * percent / 100,
        nano_usd: NanoUsd(amount.nano_usd.0 * percent / 100),
        model_calls: amount.model_calls * percent / 100,
        tool_calls: amount.tool_calls * percent / 100,
        agents: amount.agents,
    }
}

/// What calls came to beyond the bounds they were granted, on an account; this part of an overrun
/// nobody could know before.
fn excess(events: &[GrantEvent], account: SessionId) -> Amount {
    let (mut bounds, mut last) = (BTreeMap::new(), BTreeMap::new());
    for event in events {
        match event {
            GrantEvent::Granted { call, accounts, bound } => {
                if accounts.iter().any(|one| one.session == account) {
                    bounds.insert(*call, *bound);
                }
            }
            GrantEvent::Settled { call, actual, .. } => {
                last.insert(*call, *actual);
            }
        }
    }
    let over = last.iter().filter_map(|(call, actual)| Some(actual.minus(*bounds.get(call)?)));
    over.fold(Amount::default(), Amount::plus)
}

proptest! {
    /// A vendor may charge three times the bound. Nothing of that is capped or lost, an account
    /// that is full grants nothing, and what stands above a limit is never more than that excess.
    #[test]
    fn what_vendors_charge_above_the_bound_is_the_only_overrun(
        steps in prop::collection::vec((0_u32..12, any::<bool>(), amounts(), 0_u64..=300), 0..80),
    ) {
        let path = path();
        let (mut tree, mut events) = (Tree::default(), Vec::new());
        let mut due: BTreeMap<CallId, Amount> = BTreeMap::new();
        for (n, reserves, bound, percent) in steps {
            // A number is used once, as sessions do.
            let depth = 1 + n as usize % 3;
            let fresh = !due.contains_key(&call(n));
            let event = if reserves && fresh {
                match reserve(&tree, &reservation(n, &path[..depth], bound)) {
                    Ruling::Granted(event) => {
                        for account in &path[..depth] {
                            let stood = tree.balance(&account.session).copied().unwrap_or_default();
                            let all = stood.spent.plus(stood.reserved);
                            for dimension in Dimension::ALL {
                                let Some(limit) = dimension.limit(&account.budget) else { continue };
                                let held = tree.open_grants().find(|(id, _)| **id == call(n));
                                prop_assert!(held.is_some() || dimension.of(&all) <= limit);
                            }
                        }
                        Some(event)
                    }
                    Ruling::Standing { .. } | Ruling::Wait { .. } | Ruling::Refused(_) => None,
                }
            } else {
                let held = tree.open_grants().find(|(id, _)| **id == call(n));
                let actual = held.map(|(_, grant)| share(grant.bound, percent));
                actual.and_then(|actual| settle(&tree, call(n), actual, false))
            };
            let Some(event) = event else { continue };
            if let GrantEvent::Settled { call, actual, .. } = &event {
                due.insert(*call, Amount { agents: 0, ..*actual });
            }
            tree.apply(&event);
            events.push(event);
            for (account, balance) in tree.balances() {
                let over = excess(&events, *account);
                let both = balance.spent.plus(balance.reserved);
                for dimension in Dimension::ALL {
                    if let Some(limit) = dimension.limit(&balance.limit) {
                        prop_assert!(dimension.of(&both) <= limit + dimension.of(&over));
                    }
                }
            }
            // The root is on every path, so it has spent all of it.
            let spent = due.values().fold(Amount::default(), |sum, actual| sum.plus(*actual));
            let stood = tree.balance(&session(1)).copied().unwrap_or_default();
            prop_assert_eq!(stood.spent, spent);
        }
    }

    #[test]
    fn no_prefix_of_a_log_overruns_a_budget(steps in steps()) {
        let path = path();
        let mut tree = Tree::default();
        let mut events = Vec::new();
        for step in steps {
            let event = match step {
                Step::Reserve { call: n, bound } => {
                    // A call keeps its path: the session that makes it does not move.
                    let depth = 1 + n as usize % 3;
                    match reserve(&tree, &reservation(n, &path[..depth], bound)) {
                        Ruling::Granted(event) => Some(event),
                        Ruling::Standing { .. } | Ruling::Wait { .. } | Ruling::Refused(_) => None,
                    }
                }
                Step::Settle { call: n, percent } => {
                    let held = tree.open_grants().find(|(id, _)| **id == call(n));
                    let actual = held.map(|(_, grant)| share(grant.bound, percent));
                    actual.and_then(|actual| settle(&tree, call(n), actual, false))
                }
            };
            if let Some(event) = event {
                tree.apply(&event);
                events.push(event);
            }
            for (session, balance) in tree.balances() {
                let both = balance.spent.plus(balance.reserved);
                for dimension in Dimension::ALL {
                    if let Some(limit) = dimension.limit(&balance.limit) {
                        prop_assert!(dimension.of(&both) <= limit, "{session} {dimension:?}");
                    }
                }
                prop_assert_eq!(balance.spent.agents, 0);
            }
        }
        let mut again = Tree::default();
        for event in &events {
            again.apply(event);
        }
        prop_assert_eq!(&tree, &again);
        let open: Vec<CallId> = tree.open_grants().map(|(call, _)| *call).collect();
        for call in open {
            tree.apply(&GrantEvent::Settled { call, actual: Amount::default(), last: false });
        }
        for (_, balance) in tree.balances() {
            prop_assert_eq!(balance.reserved, Amount::default());
        }
    }
}

/// What a session says of a call: figures while it broke off, then perhaps the last one.
fn words() -> impl Strategy<Value = Vec<(u32, u64, bool)>> {
    prop::collection::vec((0_u32..10, 0_u64..50, any::<bool>()), 0..120)
}

proptest! {
    /// Beside a book that remembers every figure of every call for ever: the sums are the same,
    /// whatever is told late, twice, or out of order.
    #[test]
    fn what_is_forgotten_is_neither_lost_nor_charged_twice(words in words()) {
        let path = [account(1, u64::MAX)];
        let mut tree = Tree::default();
        let mut all: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
        for (n, figure, last) in words {
            // Sessions say nothing new of a call once they have said the last word; they repeat it.
            let (figure, last) = match all.get(&n) {
                Some((known, true)) => (*known, true),
                Some((_, false)) | None => (figure, last),
            };
            if n % 2 == 0 && !all.contains_key(&n) {
                granted(&mut tree, &reservation(n, &path, tokens(50)));
            }
            for event in book(&tree, call(n), &path, (tokens(figure), last)) {
                tree.apply(&event);
            }
            // What came to nothing under no grant was never heard of.
            if n % 2 == 0 || figure > 0 || all.contains_key(&n) {
                all.insert(n, (figure, last));
            }
            let spent: u64 = all.values().map(|(figure, _)| figure).sum();
            let stood = tree.balance(&session(1)).copied().unwrap_or_default();
            prop_assert_eq!((stood.spent.tokens, stood.reserved.tokens), (spent, 0));
            let kept = all.values().filter(|(figure, last)| *figure > 0 && !last).count();
            prop_assert_eq!(tree.unsettled(), kept);
        }
    }
}
