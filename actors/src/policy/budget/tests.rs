//! Stories of one tree, and the law that no prefix of a log overruns a budget.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::ids::{ModelCallNo, ToolCallNo};

fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn call(n: u32) -> CallId {
    CallId::model(session(9), ModelCallNo(n))
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::default() }
}

fn account(n: u128, limit: u64) -> Account {
    Account { session: session(n), budget: Budget { tokens: Some(limit), ..Budget::default() } }
}

fn reservation(n: u32, accounts: &[Account], bound: Amount) -> Reservation {
    Reservation {
        call: call(n),
        root: session(1),
        accounts: accounts.to_vec(),
        bound,
        priced: true,
    }
}

/// Reserves and applies what was granted.
fn granted(tree: &mut Tree, reservation: &Reservation) -> Vec<Warning> {
    match reserve(tree, reservation) {
        Ruling::Granted(event) => tree.apply(&event),
        other => panic!("expected a grant, found {other:?}"),
    }
}

/// Settles and applies.
fn settled(tree: &mut Tree, n: u32, actual: Amount) -> Vec<Warning> {
    settle(tree, call(n), actual).map_or_else(Vec::new, |event| tree.apply(&event))
}

fn stands(tree: &Tree, n: u128) -> (u64, u64) {
    let balance = tree.balance(&session(n)).unwrap();
    (balance.spent.tokens, balance.reserved.tokens)
}

#[test]
fn a_reservation_must_fit_every_account_of_its_path() {
    let path = [account(1, 100), account(2, 40)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(30)));
    assert_eq!((stands(&tree, 1), stands(&tree, 2)), ((0, 30), (0, 30)));
    let wait = Ruling::Wait { account: session(2) };
    assert_eq!(reserve(&tree, &reservation(2, &path, tokens(11))), wait);
    granted(&mut tree, &reservation(3, &path[..1], tokens(70)));
    assert_eq!(
        reserve(&tree, &reservation(4, &path, tokens(1))),
        Ruling::Wait { account: session(1) }
    );
}

#[test]
fn a_call_that_cannot_fit_is_refused_and_one_that_could_waits() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    let refused = |spent, bound| {
        Ruling::Refused(Shortage::Exhausted {
            account: session(1),
            dimension: Dimension::Tokens,
            limit: 100,
            spent,
            bound,
        })
    };
    assert_eq!(reserve(&tree, &reservation(1, &path, tokens(101))), refused(0, 101));
    granted(&mut tree, &reservation(1, &path, tokens(100)));
    let wait = Ruling::Wait { account: session(1) };
    assert_eq!(reserve(&tree, &reservation(2, &path, tokens(60))), wait);
    settled(&mut tree, 1, tokens(50));
    assert_eq!(reserve(&tree, &reservation(2, &path, tokens(60))), refused(50, 60));
    granted(&mut tree, &reservation(2, &path, tokens(50)));
}

#[test]
fn a_money_budget_refuses_a_call_without_a_price() {
    let money = Account {
        session: session(2),
        budget: Budget { nano_usd: Some(NanoUsd(5)), ..Budget::default() },
    };
    let tree = Tree::default();
    let mut ask = reservation(1, &[account(1, 10), money], tokens(1));
    ask.priced = false;
    let unknown = Shortage::UnknownPrice { account: session(2) };
    assert_eq!(reserve(&tree, &ask), Ruling::Refused(unknown));
    ask.accounts.pop();
    assert!(matches!(reserve(&tree, &ask), Ruling::Granted(_)));
}

#[test]
fn settling_assigns_and_is_idempotent() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    settled(&mut tree, 1, tokens(20));
    assert_eq!(stands(&tree, 1), (20, 0));
    assert_eq!(settle(&tree, call(1), tokens(20)), None);
    settled(&mut tree, 1, tokens(25));
    assert_eq!(stands(&tree, 1), (25, 0));
    settled(&mut tree, 1, tokens(5));
    assert_eq!(stands(&tree, 1), (5, 0));
}

#[test]
fn applying_the_same_event_twice_is_applying_it_once() {
    let path = [account(1, 100)];
    let events = [
        GrantEvent::Granted { call: call(1), accounts: path.to_vec(), bound: tokens(60) },
        GrantEvent::Settled { call: call(1), actual: tokens(30) },
    ];
    let (mut once, mut twice) = (Tree::default(), Tree::default());
    for event in &events {
        once.apply(event);
        twice.apply(event);
        twice.apply(event);
        assert_eq!(once, twice);
    }
}

#[test]
fn the_same_reservation_again_stands_and_a_larger_one_takes_the_difference() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    let has = Ruling::Standing { bound: tokens(60) };
    assert_eq!(reserve(&tree, &reservation(1, &path, tokens(60))), has);
    assert_eq!(reserve(&tree, &reservation(1, &path, tokens(10))), has, "and hears what it has");
    granted(&mut tree, &reservation(1, &path, tokens(100)));
    assert_eq!(stands(&tree, 1), (0, 100));
    let mixed = Amount { model_calls: 1, ..tokens(5) };
    granted(&mut tree, &reservation(1, &path, mixed));
    let grant = tree.open_grants().next().unwrap().1;
    assert_eq!(grant.bound, Amount { model_calls: 1, ..tokens(100) });
}

#[test]
fn a_grant_after_the_settlement_opens_the_call_again_without_charging_it_twice() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    settled(&mut tree, 1, tokens(50));
    granted(&mut tree, &reservation(1, &path, tokens(80)));
    assert_eq!(stands(&tree, 1), (50, 30));
    assert_eq!(tree.open_grants().count(), 1);
    settled(&mut tree, 1, tokens(70));
    assert_eq!(stands(&tree, 1), (70, 0));
    assert_eq!(tree.open_grants().count(), 0);
}

#[test]
fn settling_an_open_call_with_an_unchanged_figure_still_closes_it() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    settled(&mut tree, 1, Amount::default());
    assert_eq!((stands(&tree, 1), tree.open_grants().count()), ((0, 0), 0));
}

#[test]
fn who_would_wait_for_a_call_that_an_agent_holds_is_refused_at_once() {
    let budget = Budget { tool_calls: Some(2), agents: Some(9), ..Budget::default() };
    let path = [Account { session: session(1), budget }];
    let one = Amount { tool_calls: 1, ..Amount::default() };
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, Amount { agents: 1, ..one }));
    granted(&mut tree, &reservation(2, &path, one));
    // The second comes free by itself.
    let wait = Ruling::Wait { account: session(1) };
    assert_eq!(reserve(&tree, &reservation(3, &path, one)), wait);
    settled(&mut tree, 2, one);
    // The first ends only after its agent, and that may be who asks.
    assert!(matches!(reserve(&tree, &reservation(3, &path, one)), Ruling::Refused(_)));
}

#[test]
fn agents_are_reserved_and_given_back_never_spent() {
    let limit = Budget { agents: Some(1), ..Budget::default() };
    let path = [Account { session: session(1), budget: limit }];
    let one = Amount { agents: 1, ..Amount::default() };
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, one));
    // Whoever holds the place may be waiting for this agent, so nobody waits for a place.
    let full = reserve(&tree, &reservation(2, &path, one));
    let told = Shortage::Exhausted {
        account: session(1),
        dimension: Dimension::Agents,
        limit: 1,
        spent: 1,
        bound: 1,
    };
    assert_eq!(full, Ruling::Refused(told));
    settled(&mut tree, 1, one);
    assert_eq!(tree.balance(&session(1)).unwrap().spent, Amount::default());
    granted(&mut tree, &reservation(2, &path, one));
    let two = Amount { agents: 2, ..Amount::default() };
    assert!(matches!(reserve(&tree, &reservation(3, &path, two)), Ruling::Refused(_)));
}

#[test]
fn a_late_figure_without_a_grant_counts_on_the_path_that_is_given() {
    let path = [account(1, 100), account(2, 50)];
    let mut tree = Tree::default();
    assert_eq!(settle(&tree, call(1), tokens(10)), None);
    for event in book(&tree, call(1), &path, tokens(10)) {
        tree.apply(&event);
    }
    assert_eq!((stands(&tree, 1), stands(&tree, 2)), ((10, 0), (10, 0)));
    assert!(book(&tree, call(1), &path, tokens(10)).is_empty());
    assert_eq!(book(&tree, call(1), &path, tokens(12)).len(), 1);
    assert!(book(&tree, call(2), &[], tokens(10)).is_empty());
    assert!(book(&tree, call(2), &path, Amount::default()).is_empty());
}

#[test]
fn a_settlement_of_an_unknown_call_changes_nothing() {
    let mut tree = Tree::default();
    tree.apply(&GrantEvent::Settled { call: call(1), actual: tokens(10) });
    assert_eq!(tree, Tree::default());
}

#[test]
fn without_accounts_there_is_nothing_to_hold() {
    let tree = Tree::default();
    let bound = tokens(u64::MAX);
    assert_eq!(reserve(&tree, &reservation(1, &[], bound)), Ruling::Standing { bound });
}

#[test]
fn an_account_named_twice_is_charged_once() {
    let path = [account(1, 100), account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    assert_eq!(stands(&tree, 1), (0, 60));
}

#[test]
fn the_latest_reservation_names_the_limits() {
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &[account(1, 100)], tokens(60)));
    granted(&mut tree, &reservation(2, &[account(1, 200)], tokens(100)));
    assert_eq!(tree.balance(&session(1)).unwrap().limit.tokens, Some(200));
}

#[test]
fn calls_of_models_and_tools_with_the_same_number_are_two_calls() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(10)));
    let mut tool = reservation(1, &path, tokens(10));
    tool.call = CallId::tool(session(9), ToolCallNo(1));
    granted(&mut tree, &tool);
    assert_eq!(stands(&tree, 1), (0, 20));
}

#[test]
fn an_account_warns_once_at_its_share_of_spending() {
    let path = [account(1, 100), account(2, 1_000)];
    let mut tree = Tree::default();
    assert!(granted(&mut tree, &reservation(1, &path, tokens(90))).is_empty());
    assert!(settled(&mut tree, 1, tokens(79)).is_empty());
    let warning =
        Warning { account: session(1), dimension: Dimension::Tokens, spent: 80, limit: 100 };
    assert_eq!(settled(&mut tree, 1, tokens(80)), [warning]);
    assert_eq!(warning.percent(), 80);
    assert!(settled(&mut tree, 1, tokens(90)).is_empty());
}

#[test]
fn a_limit_of_zero_refuses_the_first_call_and_never_warns_of_nothing() {
    let path = [account(1, 0)];
    let mut tree = Tree::default();
    assert!(matches!(reserve(&tree, &reservation(1, &path, tokens(1))), Ruling::Refused(_)));
    assert!(granted(&mut tree, &reservation(1, &path, Amount::default())).is_empty());
}

#[test]
fn what_comes_to_more_than_its_bound_is_charged_whole_and_shown_once_as_an_overrun() {
    let path = [account(1, 100), account(2, 1_000)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    granted(&mut tree, &reservation(2, &path, tokens(40)));
    // It was bounded at 60, and another model served it.
    let told = settled(&mut tree, 1, tokens(101));
    let overrun =
        Warning { account: session(1), dimension: Dimension::Tokens, spent: 101, limit: 100 };
    assert_eq!((told, overrun.percent(), overrun.mark()), (vec![overrun], 101, Mark::Overrun));
    assert_eq!((stands(&tree, 1), stands(&tree, 2)), ((101, 40), (101, 40)), "nothing is capped");
    // Nobody is granted anything more there, and the other is not taken back.
    let next = reserve(&tree, &reservation(3, &path, tokens(1)));
    assert!(matches!(next, Ruling::Refused(Shortage::Exhausted { spent: 101, .. })), "{next:?}");
    assert!(settled(&mut tree, 2, tokens(40)).is_empty(), "said once");
    assert_eq!(stands(&tree, 1), (141, 0));
    // It comes down again below the mark: what was said stays said.
    settled(&mut tree, 1, tokens(45));
    assert_eq!(stands(&tree, 1), (85, 0));
    assert_eq!(tree.warned().collect::<Vec<_>>(), [&overrun]);
}

#[test]
fn a_share_above_a_hundred_is_an_overrun_and_no_other_is() {
    let table = [(79, 79, Mark::Most), (80, 80, Mark::Most), (100, 100, Mark::Most)];
    for (spent, percent, mark) in table {
        let warning = Warning {
            account: session(1),
            dimension: Dimension::Money,
            spent: spent * 1_000 + if spent == 100 { 0 } else { 999 },
            limit: 100_000,
        };
        assert_eq!((warning.percent(), warning.mark()), (percent, mark));
    }
    let over = Warning {
        account: session(1),
        dimension: Dimension::Money,
        spent: 100_001,
        limit: 100_000,
    };
    assert_eq!((over.percent(), over.mark()), (101, Mark::Overrun));
    let none = Warning { account: session(1), dimension: Dimension::Money, spent: 1, limit: 0 };
    assert_eq!(none.mark(), Mark::Overrun);
}

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
            GrantEvent::Settled { call, actual } => {
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
                actual.and_then(|actual| settle(&tree, call(n), actual))
            };
            let Some(event) = event else { continue };
            if let GrantEvent::Settled { call, actual } = &event {
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
                    actual.and_then(|actual| settle(&tree, call(n), actual))
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
            tree.apply(&GrantEvent::Settled { call, actual: Amount::default() });
        }
        for (_, balance) in tree.balances() {
            prop_assert_eq!(balance.reserved, Amount::default());
        }
    }
}
