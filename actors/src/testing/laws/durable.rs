//! What outlives the process: everything acknowledged, and every token ever given out.

use std::sync::Arc;

use super::sample::{booked, change, claim, line, row, session, texts, write};
use crate::{
    domain::{
        catalog::TotalsOf,
        frame::LogId,
        ids::{Position, Token},
    },
    ports::{Blobs, Catalog, Journal},
};

/// The laws of a store that can be opened again. `open` opens the same one each time; the one
/// opened before has been dropped by then.
pub async fn durable<S: Journal + Catalog + Blobs>(open: impl Fn() -> S) {
    let log = LogId::session(session(1));
    let blob = {
        let store = open();
        let mut writer = claim(&store, log).await;
        write(&store, &mut writer, "one").await;
        change(&store, &mut writer, "two", vec![line(&row(1)), booked(1, "m", "a", 7)]).await;
        let token = claim(&store, log).await.token;
        assert_eq!(token, Token(2), "claimed and never used");
        store.put(b"kept".to_vec()).await.expect("put")
    };
    let store = Arc::new(open());
    let journal: Arc<dyn Journal> = Arc::<S>::clone(&store);
    assert_eq!(texts(&journal, log).await, ["one", "two"]);
    assert_eq!(journal.tail(log).await, Ok((Position(2), Token(2))));
    assert_eq!(store.session(session(1)).await, Ok(Some(row(1))));
    assert_eq!(store.totals(TotalsOf::Runtime).await.expect("totals").usage.output, 7);
    assert_eq!(store.get(blob).await, Ok(Some(b"kept".to_vec())));
    let mut writer = claim(&*journal, log).await;
    assert_eq!(
        (writer.token, writer.tail),
        (Token(3), Position(2)),
        "tokens are never given twice"
    );
    write(&*journal, &mut writer, "three").await;
    drop((journal, store));
    let journal: Arc<dyn Journal> = Arc::new(open());
    assert_eq!(texts(&journal, log).await, ["one", "two", "three"]);
}
