//! What a ledger finds when it reads a tree that somebody else left.

use super::*;
use crate::{
    domain::{event::UserInput, ids::Assignment, outcome::TurnOutcome},
    policy::budget::{self, Tree},
};

fn started(no: u32) -> Event {
    let (call, turn, model) = (ModelCallNo(no), TurnId(1), ModelName::from("m"));
    Event::ModelCallStarted { call, turn, model, bound: tokens(10), priced: true }
}

fn booked(no: u32, tokens_max: u64) -> Event {
    let settlement = Settlement::Unsettled { tokens_max, cost_max: None };
    Event::UsageSettled { call: ModelCallNo(no), model: ModelName::from("m"), settlement }
}

#[tokio::test]
async fn a_tree_is_reconciled_with_its_sessions_logs_when_it_is_loaded() {
    let mut house = House::new().await;
    for no in 1..=3 {
        house.ask(model_call(2, no), 1_000, 10);
        house.granted(model_call(2, no)).await;
    }
    // The first call ended and the ledger did not hear of it, the second runs, the third was never
    // begun.
    write_session(&house.journal, 2, &[started(1), booked(1, 4), started(2)]).await;
    house.restart(1).await;
    assert_eq!(house.balance().await, (4, 20), "this boot's own grant stays for its session");
    quiet().await;
    house.restart(2).await;
    assert_eq!(house.balance().await, (4, 10), "an earlier boot's unused grant is released");
    house.ask(model_call(2, 3), 1_000, 10);
    house.granted(model_call(2, 3)).await;
    assert_eq!(house.balance().await, (4, 20), "and granted anew when its session wants it");
    let frames = house.journal.frames(LogId::ledger(root()));
    assert_eq!(frames.last().unwrap().envelope.caused_by.as_deref(), Some("boot/2"));
    assert_eq!(frames.last().unwrap().envelope.version, SCHEMA_VERSION);
}

#[tokio::test]
async fn a_call_whose_grant_was_never_recorded_is_charged_all_the_same() {
    let house = House::new().await;
    let accounts = reservation(model_call(2, 1), 1_000, 0).accounts;
    assert!(house.ledger.settle(root(), model_call(2, 1), accounts, (tokens(7), true)));
    assert_eq!(house.balance().await, (7, 0));
    quiet().await;
    assert_eq!(house.log().len(), 1, "its path and its figure are one frame");
}

#[tokio::test]
async fn a_late_word_on_a_call_that_was_reconciled_changes_nothing() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 1_000, 10);
    house.granted(model_call(2, 1)).await;
    write_session(&house.journal, 2, &[started(1), booked(1, 4)]).await;
    house.restart(2).await;
    let accounts = reservation(model_call(2, 1), 1_000, 0).accounts;
    let actual = Amount { model_calls: 1, ..tokens(4) };
    assert!(house.ledger.settle(root(), model_call(2, 1), accounts, (actual, false)));
    let figures = house.figures().await;
    let [account] = figures.accounts.as_slice() else { panic!("one account: {figures:?}") };
    assert_eq!((account.spent, account.reserved), (actual, Amount::default()));
    quiet().await;
    let read = log::read_all::<GrantEvent>(&house.port(), LogId::ledger(root())).await.unwrap();
    assert_eq!(read.iter().map(|frame| frame.events.len()).sum::<usize>(), 2);
}

#[tokio::test]
async fn a_figure_that_comes_after_hundreds_of_calls_is_booked_once_also_after_deaths() {
    let mut house = House::new().await;
    let accounts = reservation(model_call(2, 1), 0, 0).accounts;
    let settle = |house: &House, no, actual, last| {
        let call = model_call(2, no);
        assert!(house.ledger.settle(root(), call, accounts.clone(), (tokens(actual), last)));
    };
    for no in 1..=300 {
        house.ask(model_call(2, no), 100_000, 40);
        house.granted(model_call(2, no)).await;
        // The first broke off and stands at its bound.
        settle(&house, no, if no == 1 { 40 } else { 1 }, no > 1);
    }
    assert_eq!(house.balance().await, (339, 0));
    house.restart(1).await;
    settle(&house, 1, 7, true);
    assert_eq!(house.balance().await, (306, 0), "the figure in place of the bound");
    // Both are told again: by a session that woke, and by a generation long gone.
    for _ in 0..2 {
        settle(&house, 1, 7, true);
        settle(&house, 1, 40, false);
        (2..=300).for_each(|no| settle(&house, no, 1, true));
        assert_eq!(house.balance().await, (306, 0));
        quiet().await;
        house.restart(2).await;
    }
    let settlements = house.log().into_iter().flatten();
    let settlements =
        settlements.filter(|event| matches!(event, GrantEvent::Settled { .. })).count();
    assert_eq!(settlements, 301);
}

#[tokio::test]
async fn a_tree_with_too_many_broken_calls_grants_no_more_until_a_figure_comes() {
    let journal = Memory::new();
    let log = LogId::ledger(root());
    let claim = journal.claim(log).await.unwrap();
    let mut tree = Tree::default();
    let budget = Budget { tokens: Some(u64::MAX), ..Budget::default() };
    let accounts = vec![Account { session: root(), budget }];
    for no in 1..=u32::try_from(limits::LEDGER_UNSETTLED).unwrap() {
        for event in budget::book(&tree, model_call(2, no), &accounts, (tokens(1), false)) {
            tree.apply(&event);
        }
    }
    let writer = Writer::new(log, claim, TenantId::from("house"), PrincipalId::from("ledger"));
    let mut book = Book::new(writer, tree, Timestamp(1));
    let (reply, _decisions) = hook();
    let ask = || Box::new(reservation(model_call(3, 1), u64::MAX, 10));
    assert!(book.reserve(ask(), reply.clone(), Timestamp(1)).is_none());
    assert!(book.next_frame("boot/1", Timestamp(1)).unwrap().is_none(), "nothing was decided");
    let figure = book.settle(model_call(2, 9), &accounts, (tokens(1), true), Timestamp(1));
    assert!(figure.is_empty());
    assert!(book.reserve(ask(), reply, Timestamp(1)).is_none());
    let frame = book.next_frame("boot/1", Timestamp(1)).unwrap().unwrap();
    assert!(frame.body.contains("granted"), "{}", frame.body);
}

/// The calls of a session whose log is damaged come to their bounds, but for those of which the part
/// that verifies says more; a figure that comes late is booked all the same.
#[tokio::test]
async fn calls_behind_the_damage_of_a_log_come_to_their_bounds() {
    let mut house = House::new().await;
    for no in 1..=3 {
        house.ask(model_call(2, no), 1_000, 10);
        house.granted(model_call(2, no)).await;
    }
    write_session(&house.journal, 2, &[started(1), booked(1, 4), started(2)]).await;
    write_session(&house.journal, 2, &[booked(2, 3)]).await;
    house.journal.damage(LogId::session(session(2)), 1);
    house.restart(1).await;
    assert_eq!(house.balance().await, (24, 0));
    house.settle(model_call(2, 2), 3);
    assert_eq!(house.balance().await, (17, 0), "a late figure");
    quiet().await;
    house.restart(2).await;
    assert_eq!(house.balance().await, (17, 0), "nothing is settled twice");
}

/// An agent's place, held by a call of session 2.
fn place(no: u32) -> CallId {
    CallId::tool(session(2), ToolCallNo(no))
}

fn task() -> Event {
    let mut input = UserInput::text("work");
    input.assignment = Some(Assignment(1));
    Event::InputAccepted { key: "given".into(), input }
}

fn begun_turn() -> Event {
    Event::TurnStarted { turn: TurnId(1), key: "given".into(), deadline: Timestamp(9) }
}

fn over() -> Event {
    let outcome = TurnOutcome::Completed { text: "done".to_owned(), truncated: false };
    Event::TurnFinished { turn: TurnId(1), outcome }
}

/// The log of the session that gave out the places is damaged from its start: of five agents one has
/// ended, one works, one's log is damaged as well, one never came into being and one is off the stage.
#[tokio::test]
async fn places_given_out_by_a_damaged_session_come_free_as_its_agents_end() {
    let mut house = House::new().await;
    let budget = Budget { agents: Some(64), ..Budget::default() };
    for no in 1..=5 {
        let accounts = vec![Account { session: root(), budget }];
        let bound = Amount { agents: 1, tool_calls: 1, ..Amount::default() };
        let asked = Reservation { call: place(no), root: root(), accounts, bound, priced: true };
        assert!(house.ledger.reserve(asked, house.reply.clone()));
        house.granted(place(no)).await;
    }
    let agent = |no| SessionId::child_of(session(2), ToolCallNo(no)).0.as_u128();
    let off = Event::SessionQuarantined { reason: "bang".to_owned() };
    write_session(&house.journal, 2, &[started(1)]).await;
    write_session(&house.journal, agent(1), &[task(), begun_turn(), over()]).await;
    write_session(&house.journal, agent(2), &[task(), begun_turn()]).await;
    write_session(&house.journal, agent(3), &[task(), begun_turn()]).await;
    write_session(&house.journal, agent(5), &[task(), begun_turn(), off]).await;
    house.journal.damage(LogId::session(session(2)), 0);
    house.journal.damage(LogId::session(session(agent(3))), 0);
    let places = async |house: &House| {
        let figures = house.figures().await;
        (figures.accounts[0].reserved.agents, figures.accounts[0].spent.tool_calls)
    };
    house.restart(1).await;
    assert_eq!(places(&house).await, (2, 3), "in this boot the fourth may still come into being");
    quiet().await;
    house.restart(2).await;
    assert_eq!(places(&house).await, (1, 3));
    write_session(&house.journal, agent(2), &[over()]).await;
    quiet().await;
    house.restart(2).await;
    assert_eq!(places(&house).await, (0, 4), "the last one has ended");
}
