//! Warnings: durable before they are told, and told until the session has them in its log.

use super::*;

fn passed(percent: u64, dimension: Option<Dimension>) -> Event {
    Event::BudgetWarned { account: root(), percent, dimension }
}

/// A tree whose budget of 100 has passed the mark, with a ledger that had no time to say so.
async fn passed_in_silence(spent: u64) -> House {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 90);
    house.granted(model_call(2, 1)).await;
    house.journal.set(Mood::Mute);
    house.settle(model_call(2, 1), spent);
    quiet().await;
    assert_eq!(house.log().len(), 2, "the settlement is durable");
    assert!(house.warnings.try_recv().is_err(), "and nobody was told");
    house.journal.set(Mood::Working);
    house.restart(1).await;
    house
}

#[tokio::test]
async fn a_warning_is_told_once_its_settlement_is_durable() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 90);
    house.granted(model_call(2, 1)).await;
    house.journal.set(Mood::Hanging);
    house.settle(model_call(2, 1), 85);
    quiet().await;
    assert!(house.warnings.try_recv().is_err());
    house.journal.set(Mood::Working);
    let warning = house.warnings.recv().await.unwrap();
    assert_eq!((warning.account, warning.percent()), (root(), 85));
}

#[tokio::test]
async fn killed_between_append_and_telling_it_tells_when_the_tree_is_read_again() {
    let mut house = passed_in_silence(85).await;
    house.figures().await;
    let told = in_time(house.warnings.recv()).await.unwrap();
    assert_eq!((told.account, told.dimension, told.percent()), (root(), Dimension::Tokens, 85));
    // Killed once more before the session had it in its log: the same words again.
    house.restart(1).await;
    house.figures().await;
    assert_eq!(in_time(house.warnings.recv()).await, Some(told));
}

#[tokio::test]
async fn a_warning_that_its_session_has_in_its_log_is_not_told_again() {
    // Logs of before there was a dimension count for every one.
    for dimension in [Some(Dimension::Tokens), None] {
        let mut house = passed_in_silence(85).await;
        write_session(&house.journal, 1, &[passed(85, dimension)]).await;
        house.figures().await;
        quiet().await;
        assert!(house.warnings.try_recv().is_err(), "{dimension:?}");
    }
}

#[tokio::test]
async fn another_mark_or_dimension_in_the_log_does_not_stand_for_this_one() {
    let mut house = passed_in_silence(120).await;
    let others = [passed(85, Some(Dimension::Tokens)), passed(120, Some(Dimension::Money))];
    write_session(&house.journal, 1, &others).await;
    house.figures().await;
    let told = in_time(house.warnings.recv()).await.unwrap();
    assert_eq!((told.dimension, told.percent()), (Dimension::Tokens, 120));
}

#[tokio::test]
async fn a_warning_that_finds_no_room_is_told_after_a_pause_until_it_does() {
    let mut house = House::new().await;
    house.ears.store(false, SeqCst);
    house.ask(model_call(2, 1), 100, 90);
    house.granted(model_call(2, 1)).await;
    house.settle(model_call(2, 1), 85);
    let pause = i64::try_from(limits::WARN_RETRY_MS).unwrap();
    for _ in 0..3 {
        in_time(house.warnings.recv()).await.unwrap();
        quiet().await;
        assert!(house.warnings.try_recv().is_err(), "not before the pause is over");
        house.clock.0.send_modify(|now| *now += pause);
    }
    house.ears.store(true, SeqCst);
    in_time(house.warnings.recv()).await.unwrap();
    quiet().await;
    house.clock.0.send_modify(|now| *now += pause);
    quiet().await;
    house.clock.0.send_modify(|now| *now += pause);
    quiet().await;
    // One was on its way when the inbox got room, so one more may have come; then it is over.
    while house.warnings.try_recv().is_ok() {}
    house.clock.0.send_modify(|now| *now += pause);
    quiet().await;
    assert!(house.warnings.try_recv().is_err(), "heard");
}

#[tokio::test]
async fn a_tree_with_an_untold_warning_stays_in_memory() {
    let mut house = House::new().await;
    house.ears.store(false, SeqCst);
    house.ask(model_call(2, 1), 100, 90);
    house.granted(model_call(2, 1)).await;
    house.settle(model_call(2, 1), 85);
    in_time(house.warnings.recv()).await.unwrap();
    quiet().await;
    house.clock.0.send_modify(|now| *now += i64::try_from(limits::IDLE_MS).unwrap());
    quiet().await;
    assert!(house.ledger.figures(root()).await.is_some());
    in_time(house.warnings.recv()).await.unwrap();
}

/// The session takes the word and never says that it has it: each telling is given up.
#[tokio::test]
async fn a_session_that_never_answers_a_warning_is_told_again() {
    let mut house = passed_in_silence(85).await;
    let (telling, mut tellings) = hook::<Warning>();
    house.hooks.0 = Arc::new(move |warning| {
        telling.send(warning);
        Box::pin(std::future::pending())
    });
    for _life in 0..2 {
        house.restart(1).await;
        house.figures().await;
        for _ in 0..2 {
            in_time(tellings.recv()).await.unwrap();
            for wait_ms in [limits::APPEND_MS, limits::WARN_RETRY_MS] {
                quiet().await;
                assert!(tellings.try_recv().is_err(), "not before the wait and the pause are over");
                house.clock.0.send_modify(|now| *now += i64::try_from(wait_ms).unwrap());
            }
        }
        in_time(tellings.recv()).await.unwrap();
    }
}
