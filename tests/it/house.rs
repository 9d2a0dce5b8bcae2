//! The house's own log: each record once, whatever became of the answer to its writing, and the same
//! release again is the same release.

use greenroom_actors::{
    domain::{
        frame::LogId,
        house::HouseEvent,
        ids::{Position, Timestamp},
        usage::{DatedPrice, Price, PriceBook},
    },
    policy::turn::Rejected,
    runtime::CallError,
    testing::harness::{ended, events, say},
};

use crate::workshop::{Still, agent, until};

const SCRIPT: &str = "
agent echo
    say You said {input}.
agent shaky
    panic out of tune
";

async fn still() -> Still {
    Still::set(SCRIPT, |harness| {
        harness.agent(agent("echo", &[], &[])).agent(agent("shaky", &[], &[]))
    })
    .await
}

fn price() -> DatedPrice {
    DatedPrice {
        model: "m".into(),
        since: Timestamp::default(),
        price: Price::default(),
        long: None,
    }
}

fn many(words: &[HouseEvent], is: impl Fn(&HouseEvent) -> bool) -> usize {
    words.iter().filter(|word| is(word)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_whose_answer_was_lost_is_in_the_house_log_once() {
    let still = still().await;
    let echo = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, echo, "k").await;
    // The next record is written, and whoever wrote it is told that the store is away.
    still.store.lose_answers(1);
    still.runtime.set_prices(PriceBook::default());
    // The one behind it shows that the first is done with.
    still.runtime.set_prices(PriceBook(vec![price()]));
    let _running = still.runs(50);
    until("the second prices are recorded", || async {
        let words = still.runtime.house().await.ok()?;
        let prices = vec![price()];
        (words.last() == Some(&HouseEvent::PricesSet { prices })).then_some(())
    })
    .await;
    assert!(still.store.damage(LogId::session(echo), Position(1)));
    drop(_running);
    let still = still.crash().await;
    let _running = still.runs(50);
    let refused = still.runtime.set_goal(echo, None).await;
    assert!(
        matches!(refused, Err(CallError::Rejected(Rejected::Quarantined { .. }))),
        "{refused:?}"
    );
    let words = until("its quarantine is recorded", || async {
        let words = still.runtime.house().await.ok()?;
        words.iter().any(|word| word.session() == Some(echo)).then_some(words)
    })
    .await;
    assert_eq!(many(&words, |word| matches!(word, HouseEvent::PricesSet { .. })), 3, "{words:?}");
    assert_eq!(many(&words, |word| matches!(word, HouseEvent::Booted { .. })), 2, "{words:?}");
    assert_eq!(many(&words, |word| word.session() == Some(echo)), 1, "{words:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_release_again_is_the_same_release_and_another_one_is_refused() {
    let still = still().await;
    let _running = still.runs(50);
    let shaky = say(&still.runtime, "shaky", "k", "one").await;
    until("it is off the stage", || async {
        let log = events(&still.runtime, shaky).await;
        log.iter().any(|event| event.name() == "session_quarantined").then_some(())
    })
    .await;
    still.runtime.release(shaky, true).await.expect("a release");
    still.runtime.release(shaky, true).await.expect("the same again");
    let other = still.runtime.release(shaky, false).await;
    assert!(matches!(other, Err(CallError::Rejected(Rejected::NotQuarantined))), "{other:?}");
    let log = events(&still.runtime, shaky).await;
    assert_eq!(log.iter().filter(|event| event.name() == "session_released").count(), 1);
}

/// A log that cannot be read has no step that could be skipped, and whoever asks for that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_skips_is_refused_where_the_log_cannot_be_read() {
    let still = still().await;
    let echo = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, echo, "k").await;
    assert!(still.store.damage(LogId::session(echo), Position(1)));
    let still = still.crash().await;
    let _running = still.runs(50);
    let refused = still.runtime.set_goal(echo, None).await;
    assert!(
        matches!(refused, Err(CallError::Rejected(Rejected::Quarantined { .. }))),
        "{refused:?}"
    );
    let of_it = || async {
        let words = still.runtime.house().await.ok()?;
        let of_it: Vec<_> = words.into_iter().filter(|word| word.session() == Some(echo)).collect();
        (!of_it.is_empty()).then_some(of_it)
    };
    until("its quarantine is recorded", of_it).await;
    let skipped = still.runtime.release(echo, true).await;
    let Err(error @ CallError::CannotSkip { .. }) = skipped else { panic!("{skipped:?}") };
    assert!(error.to_string().contains("cannot be read"), "{error}");
    let words = until("its words", of_it).await;
    assert!(matches!(words[..], [HouseEvent::Quarantined { .. }]), "it stays off: {words:?}");
    still.runtime.release(echo, false).await.expect("a release that makes the step again");
}

/// A record that fits into no frame is dropped; those that wait behind it are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_does_not_fit_holds_up_none_behind_it() {
    let still = still().await;
    // They gather while the store is away.
    still.store.lose_answers(1);
    still.runtime.set_prices(PriceBook::default());
    still.runtime.set_prices(PriceBook(vec![price(); 10_000]));
    still.runtime.set_prices(PriceBook(vec![price()]));
    let _running = still.runs(50);
    until("the last prices are recorded", || async {
        let words = still.runtime.house().await.ok()?;
        let prices = vec![price()];
        (words.last() == Some(&HouseEvent::PricesSet { prices })).then_some(())
    })
    .await;
}
