//! Stories of one tree; the laws of all trees are beside them.

use uuid::Uuid;

use super::*;
use crate::domain::ids::{ModelCallNo, ToolCallNo};

mod laws;

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
    settle(tree, call(n), actual, false).map_or_else(Vec::new, |event| tree.apply(&event))
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
    assert_eq!(settle(&tree, call(1), tokens(20), false), None);
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
        GrantEvent::Settled { call: call(1), actual: tokens(30), last: false },
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
    assert_eq!(settle(&tree, call(1), tokens(10), false), None);
    for event in book(&tree, call(1), &path, (tokens(10), false)) {
        tree.apply(&event);
    }
    assert_eq!((stands(&tree, 1), stands(&tree, 2)), ((10, 0), (10, 0)));
    assert!(book(&tree, call(1), &path, (tokens(10), false)).is_empty());
    assert_eq!(book(&tree, call(1), &path, (tokens(12), false)).len(), 1);
    assert!(book(&tree, call(2), &[], (tokens(10), false)).is_empty());
    assert!(book(&tree, call(2), &path, (Amount::default(), false)).is_empty());
}

#[test]
fn a_settlement_of_an_unknown_call_changes_nothing() {
    let mut tree = Tree::default();
    tree.apply(&GrantEvent::Settled { call: call(1), actual: tokens(10), last: true });
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

fn closed(tree: &mut Tree, n: u32, actual: Amount, last: bool) -> bool {
    let event = settle(tree, call(n), actual, last);
    event.inspect(|event| drop(tree.apply(event))).is_some()
}

#[test]
fn a_call_closed_for_good_is_a_number_in_a_span_and_every_further_word_on_it_is_an_old_one() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    assert!(closed(&mut tree, 1, tokens(20), true));
    assert_eq!((stands(&tree, 1), tree.unsettled(), tree.spans()), ((20, 0), 0, 1));
    let before = tree.clone();
    assert!(!closed(&mut tree, 1, tokens(20), true), "told again on recovery");
    assert!(!closed(&mut tree, 1, tokens(60), false), "the bound that the figure has replaced");
    assert!(book(&tree, call(1), &path, (tokens(20), true)).is_empty());
    let again = reserve(&tree, &reservation(1, &path, tokens(60)));
    assert_eq!(again, Ruling::Standing { bound: Amount::default() }, "it holds nothing any more");
    let (call, accounts) = (call(1), path.to_vec());
    tree.apply(&GrantEvent::Granted { call, accounts, bound: tokens(60) });
    tree.apply(&GrantEvent::Settled { call, actual: tokens(60), last: true });
    assert_eq!(tree, before);
}

#[test]
fn a_bound_booked_for_a_broken_call_is_kept_until_the_figure_replaces_it() {
    let path = [account(1, 100_000)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    assert!(closed(&mut tree, 1, tokens(60), false));
    for n in 2..1_000 {
        granted(&mut tree, &reservation(n, &path, tokens(60)));
        assert!(closed(&mut tree, n, tokens(1), true));
    }
    assert_eq!((stands(&tree, 1), tree.unsettled()), ((1_058, 0), 1));
    assert!(closed(&mut tree, 1, tokens(7), true), "however late");
    assert!(!closed(&mut tree, 1, tokens(7), true), "once");
    assert_eq!((stands(&tree, 1), tree.unsettled(), tree.spans()), ((1_005, 0), 0, 1));
}

#[test]
fn a_figure_that_turns_out_to_be_the_bound_closes_its_call_for_good() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    assert!(closed(&mut tree, 1, tokens(60), false));
    assert!(closed(&mut tree, 1, tokens(60), true));
    assert_eq!((stands(&tree, 1), tree.unsettled()), ((60, 0), 0));
}

#[test]
fn room_given_back_leaves_nothing_behind_and_may_be_asked_for_again() {
    let path = [account(1, 100)];
    let mut tree = Tree::default();
    granted(&mut tree, &reservation(1, &path, tokens(60)));
    assert!(closed(&mut tree, 1, Amount::default(), false));
    assert_eq!((tree.unsettled(), tree.spans()), (0, 0));
    granted(&mut tree, &reservation(1, &path, tokens(80)));
    assert!(closed(&mut tree, 1, tokens(30), true));
    assert_eq!(stands(&tree, 1), (30, 0));
}

#[test]
fn what_a_tree_remembers_grows_with_its_sessions_and_not_with_their_calls() {
    let path = [account(1, u64::MAX)];
    let mut tree = Tree::default();
    for no in 1..=2_000 {
        for who in 0..10 {
            let call = CallId::model(session(100 + who), ModelCallNo(no));
            let ask = Reservation { call, ..reservation(1, &path, tokens(9)) };
            granted(&mut tree, &ask);
            let event = settle(&tree, call, tokens(3), true).unwrap();
            tree.apply(&event);
        }
    }
    assert_eq!((tree.unsettled(), tree.spans(), tree.open_grants().count()), (0, 10, 0));
    assert_eq!(stands(&tree, 1), (60_000, 0));
}
