//! What a ledger finds when it reads a tree that somebody else left.

use super::*;

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
    assert!(house.ledger.settle(root(), model_call(2, 1), accounts, tokens(7)));
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
    assert!(house.ledger.settle(root(), model_call(2, 1), accounts, actual));
    let figures = house.figures().await;
    let [account] = figures.accounts.as_slice() else { panic!("one account: {figures:?}") };
    assert_eq!((account.spent, account.reserved), (actual, Amount::default()));
    quiet().await;
    let read = log::read_all::<GrantEvent>(&house.port(), LogId::ledger(root())).await.unwrap();
    assert_eq!(read.iter().map(|frame| frame.events.len()).sum::<usize>(), 2);
}
