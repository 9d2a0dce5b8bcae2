//! The store in memory keeps the laws, and fails exactly as it is told.

use std::task::Poll;

use futures_util::poll;

use super::*;
use crate::{
    domain::ids::Timestamp,
    log::{self, ReadError, Writer},
    testing::laws,
};

#[tokio::test]
async fn it_keeps_every_law() {
    laws::journal(MemoryStore::new).await;
    laws::catalog(MemoryStore::new).await;
    laws::blobs(MemoryStore::new).await;
    laws::erasure(MemoryStore::new).await;
    let store = MemoryStore::new();
    laws::durable(|| store.clone()).await;
}

async fn claimed(store: &MemoryStore) -> Writer {
    let claim = store.claim(LogId::HOUSE).await.expect("claim");
    Writer::new(LogId::HOUSE, claim, "t".into(), "p".into())
}

fn next(writer: &Writer) -> Append {
    writer.frame(&["x"], Vec::new(), None, Timestamp(1)).expect("it fits")
}

#[tokio::test]
async fn an_unavailable_append_writes_nothing_and_the_next_one_works() {
    let store = MemoryStore::new();
    let writer = claimed(&store).await;
    let away = JournalError::Unavailable { why: "away".to_owned() };
    store.fail_appends(2, &away);
    for _ in 0..2 {
        assert_eq!(store.append(next(&writer)).await, Err(away.clone().into()));
    }
    assert_eq!(store.append(next(&writer)).await, Ok(Position(1)));
    assert_eq!((store.counts().failed, store.counts().appends), (2, 1));
}

#[tokio::test]
async fn a_poisoned_store_answers_nothing_until_it_is_opened_anew() {
    let store = MemoryStore::new();
    let writer = claimed(&store).await;
    let poisoned = JournalError::Poisoned { why: "sync".to_owned() };
    store.fail_appends(1, &poisoned);
    assert_eq!(store.append(next(&writer)).await, Err(poisoned.clone().into()));
    assert_eq!(store.append(next(&writer)).await, Err(poisoned.clone().into()));
    assert_eq!(store.claim(LogId::HOUSE).await, Err(poisoned.clone()));
    assert_eq!(store.tail(LogId::HOUSE).await, Err(poisoned));
    store.reopen();
    assert_eq!(store.append(next(&writer)).await, Ok(Position(1)));
}

#[tokio::test]
async fn a_held_append_hangs_until_it_is_released() {
    let store = MemoryStore::new();
    let writer = claimed(&store).await;
    store.hold_appends();
    let mut hung = store.append(next(&writer));
    assert_eq!(poll!(&mut hung), Poll::Pending);
    assert_eq!(store.tail(LogId::HOUSE).await, Ok((Position(0), Token(1))));
    store.release_appends();
    assert_eq!(hung.await, Ok(Position(1)));
}

#[tokio::test]
async fn damage_is_found_by_the_reader() {
    let store = MemoryStore::new();
    let mut writer = claimed(&store).await;
    for _ in 0..3 {
        writer.tail = store.append(next(&writer)).await.expect("append");
    }
    assert!(store.damage(LogId::HOUSE, Position(2)));
    assert!(!store.damage(LogId::HOUSE, Position(9)));
    let journal: Arc<dyn Journal> = Arc::new(store.clone());
    let read = log::read_all::<String>(&journal, LogId::HOUSE).await;
    assert!(matches!(read, Err(ReadError::Decode(_))));
    assert!(store.lose(LogId::HOUSE, Position(2)));
    let read = log::read_all::<String>(&journal, LogId::HOUSE).await;
    assert!(matches!(read, Err(ReadError::Decode(_))));
}
