//! Deleting: a tree goes whole or not at all, takes nothing of others along, and its money stays spent.

use super::sample::{booked, change, claim, frame, line, opened, row, session, texts};
use crate::{
    domain::{
        catalog::{
            ApprovalFilter, Change, Erasure, Hindrance, SessionFilter, SessionRow, Status, TotalsOf,
        },
        frame::{Envelope, LogId},
        ids::{Position, SessionId, Token},
    },
    ports::{AppendError, Blobs, Catalog, Journal},
};

fn whole(n: u128) -> Erasure {
    Erasure { root: session(n), off_stage: [].into() }
}

fn below(n: u128, root: u128) -> SessionRow {
    SessionRow { root: session(root), parent: Some(session(root)), ..row(n) }
}

/// Writes one frame with this body and these changes.
async fn tell<S: Journal>(store: &S, n: u128, body: String, changes: Vec<Change>) {
    let mut writer = claim(store, LogId::session(session(n))).await;
    let append = crate::ports::Append { body, ..frame(&writer, "told", changes) };
    writer.tail = store.append(append).await.expect("append");
}

fn names(sha256: &str) -> String {
    format!("[{{\"blob\":{{\"sha256\":\"{sha256}\",\"bytes\":4}}}}]")
}

pub(super) async fn a_tree_goes_whole_and_takes_nothing_of_others_along<S>(store: &S)
where
    S: Journal + Catalog + Blobs,
{
    let mine = store.put(b"mine".to_vec()).await.expect("put");
    let ours = store.put(b"ours".to_vec()).await.expect("put");
    let point = Change::Checkpoint { name: "c".into(), at: Position(1), value: "v".to_owned() };
    let spent = |output| booked(1, "m", "writer", output);
    tell(store, 1, names(&mine.sha256), vec![line(&row(1)), spent(3), point]).await;
    tell(store, 2, names(&mine.sha256), vec![line(&below(2, 1)), spent(4), opened(1, 9)]).await;
    tell(
        store,
        1,
        names(&ours.sha256),
        vec![line(&SessionRow { position: Position(2), ..row(1) })],
    )
    .await;
    tell(store, 3, names(&ours.sha256), vec![line(&row(3)), spent(5)]).await;
    let mut ledger = claim(store, LogId::ledger(session(1))).await;
    change(store, &mut ledger, "granted", Vec::new()).await;
    let before = store.totals(TotalsOf::Runtime).await.expect("totals");

    assert_eq!(store.hinders(whole(1)).await, Ok(None));
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(2)), "both sessions");
    for log in [LogId::session(session(1)), LogId::session(session(2)), LogId::ledger(session(1))] {
        assert_eq!(store.tail(log).await, Ok((Position(0), Token(0))), "{log}");
        assert_eq!(store.read(log, Position(0), 9).await, Ok(Vec::new()), "{log}");
    }
    assert_eq!(store.session(session(1)).await, Ok(None));
    let left = store.sessions(SessionFilter::default()).await.expect("lines");
    assert_eq!(left.iter().map(|row| row.session).collect::<Vec<_>>(), [session(3)]);
    assert_eq!(store.approvals(ApprovalFilter::default()).await, Ok(Vec::new()));
    assert_eq!(store.checkpoints(session(1)).await, Ok(Vec::new()));
    assert_eq!(store.get(mine).await, Ok(None), "two of the tree named it, and nobody else");
    assert_eq!(store.get(ours).await, Ok(Some(b"ours".to_vec())), "another names it too");

    assert_eq!(store.totals(TotalsOf::Runtime).await, Ok(before), "spent is spent");
    for (of, output) in [
        (TotalsOf::Tenant("tenant".into()), 12),
        (TotalsOf::Model("m".into()), 12),
        (TotalsOf::Agent("writer".into()), 12),
        (TotalsOf::Session(session(1)), 0),
        (TotalsOf::Subtree(session(1)), 0),
        (TotalsOf::Tenant("another".into()), 0),
    ] {
        let found = store.totals(of.clone()).await.expect("totals");
        assert_eq!(found.usage.output, output, "{of:?}");
    }
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(0)), "again there is nothing");
    // A second one of the same tenant adds up.
    assert_eq!(store.erase(whole(3)).await, Ok(Ok(1)));
    assert_eq!(store.totals(TotalsOf::Runtime).await, Ok(before));
}

pub(super) async fn a_tree_at_work_stays_unless_the_house_has_taken_who_works_off_the_stage<S>(
    store: &S,
) where
    S: Journal + Catalog + Blobs,
{
    for status in [Status::Running, Status::Waiting] {
        tell(store, 1, "[1]".to_owned(), vec![line(&row(1))]).await;
        let busy = SessionRow { status, ..below(2, 1) };
        tell(store, 2, "[2]".to_owned(), vec![line(&busy)]).await;
        let hindrance = Hindrance::AtWork { session: session(2) };
        assert_eq!(store.hinders(whole(1)).await, Ok(Some(hindrance)));
        assert_eq!(store.erase(whole(1)).await, Ok(Err(hindrance)));
        assert_ne!(store.session(session(1)).await, Ok(None), "nothing of it is gone");
        let off = Erasure { off_stage: [session(2)].into(), ..whole(1) };
        assert_eq!(store.erase(off).await, Ok(Ok(2)));
    }
    let away = [Status::Idle, Status::Archived, Status::Quarantined];
    for (n, status) in (5..).zip(away) {
        tell(store, n, "[5]".to_owned(), vec![line(&SessionRow { status, ..row(n) })]).await;
        assert_eq!(store.erase(whole(n)).await, Ok(Ok(1)), "{status:?}");
    }
}

pub(super) async fn what_a_fork_goes_on_from_stays_until_the_fork_is_gone<S>(store: &S)
where
    S: Journal + Catalog + Blobs,
{
    tell(store, 1, "[1]".to_owned(), vec![line(&row(1))]).await;
    let forked = |from: SessionId| {
        format!("[{{\"type\":\"session_forked\",\"from\":{{\"session\":\"{from}\",\"at\":1}}}}]")
    };
    tell(store, 2, forked(session(1)), vec![line(&row(2))]).await;
    // Words that look like it are none.
    let said = serde_json::to_string(&[forked(session(2))]).expect("a text");
    tell(store, 3, said, vec![line(&row(3))]).await;
    let hindrance = Hindrance::Forked { session: session(1), fork: session(2) };
    assert_eq!(store.hinders(whole(1)).await, Ok(Some(hindrance)));
    assert_eq!(store.erase(whole(1)).await, Ok(Err(hindrance)));
    assert_eq!(store.erase(whole(2)).await, Ok(Ok(1)));
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    // What was read to be gone on from may be gone when the first frame comes, claimed before or not.
    let writer = claim(store, LogId::session(session(4))).await;
    let frame = frame(&writer, "late", vec![line(&row(4))]);
    let late = crate::ports::Append { body: forked(session(1)), ..frame };
    for begins in [false, true] {
        let log = LogId::session(session(4 + u128::from(begins)));
        let envelope = Envelope { log, ..late.envelope.clone() };
        let append = crate::ports::Append { envelope, begins, ..late.clone() };
        let refused = store.append(append).await;
        assert!(matches!(refused, Err(AppendError::Journal(_))), "{begins}: {refused:?}");
        assert_eq!(store.read(log, Position(0), 9).await, Ok(Vec::new()));
    }
}

pub(super) async fn a_former_owner_writes_nothing_behind_a_deletion<S>(store: &std::sync::Arc<S>)
where
    S: Journal + Catalog + Blobs,
{
    let mut writer = claim(&**store, LogId::session(session(1))).await;
    change(&**store, &mut writer, "before", vec![line(&row(1))]).await;
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    let late = store.append(frame(&writer, "late", vec![line(&row(1))])).await;
    assert!(matches!(late, Err(AppendError::Fenced { .. })), "{late:?}");
    assert_eq!(store.session(session(1)).await, Ok(None));
    let journal: std::sync::Arc<dyn Journal> = std::sync::Arc::<S>::clone(store);
    assert!(texts(&journal, LogId::session(session(1))).await.is_empty());
}
