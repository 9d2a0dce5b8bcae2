//! What is open: questions and jobs, listed, paged and counted as the frames said it last.

use super::catalog::{tell, tell_job};
use super::sample::{job_row, line, opened, row, session};
use crate::{
    domain::{
        catalog::{ApprovalFilter, Change, Open, SessionRow},
        ids::{ApprovalId, ApprovalNo, TenantId, Timestamp},
        job::{JobFilter, JobOrder, JobState},
    },
    ports::{Catalog, Journal},
};

pub(super) async fn an_approval_is_listed_until_it_closes<S: Journal + Catalog>(store: &S) {
    tell(store, 1, vec![line(&row(1)), opened(1, 10), opened(2, 10)]).await;
    let numbers = || async {
        let open = store.approvals(ApprovalFilter::default()).await.expect("approvals");
        open.into_iter().map(|row| row.id.no.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, [1, 2]);
    let Change::ApprovalOpened { ask, asked_at, .. } = opened(1, 10) else {
        unreachable!("just made")
    };
    let open = store.approvals(ApprovalFilter::default()).await.expect("approvals");
    let first = open.first().expect("one is open");
    assert_eq!((&first.ask, first.id.session), (&*ask, session(1)));
    assert_eq!(first.asked_at, asked_at);
    assert_eq!((first.tenant.as_str(), first.agent.as_str()), ("tenant", "writer"));
    tell(store, 1, vec![Change::ApprovalClosed { no: ApprovalNo(1) }]).await;
    assert_eq!(numbers().await, [2]);
    tell(store, 1, vec![Change::ApprovalClosed { no: ApprovalNo(1) }]).await;
    tell(store, 1, vec![opened(3, 9), Change::ApprovalClosed { no: ApprovalNo(3) }]).await;
    assert_eq!(numbers().await, [2], "closing twice is closing once");
}

pub(super) async fn approvals_come_by_expiry_and_by_tenant<S: Journal + Catalog>(store: &S) {
    for (n, tenant, expires_at) in [(1, "a", 30), (2, "b", 10), (3, "a", 20)] {
        let told = SessionRow { tenant: tenant.into(), ..row(n) };
        tell(store, n, vec![line(&told), opened(1, expires_at)]).await;
    }
    let asked = |tenant: Option<&str>| {
        let listed = store.approvals(ApprovalFilter {
            tenant: tenant.map(Into::into),
            ..ApprovalFilter::default()
        });
        async move {
            let rows = listed.await.expect("approvals");
            rows.into_iter().map(|row| row.id.session).collect::<Vec<_>>()
        }
    };
    assert_eq!(asked(None).await, [session(2), session(3), session(1)]);
    assert_eq!(asked(Some("a")).await, [session(3), session(1)]);
    assert_eq!(asked(Some("nobody")).await, []);
}

pub(super) async fn approvals_are_paged_counted_and_found_by_their_id<S: Journal + Catalog>(
    store: &S,
) {
    for (n, tenant, expires_at) in [(1, "a", 30), (2, "b", 10), (3, "a", 20)] {
        let told = SessionRow { tenant: tenant.into(), ..row(n) };
        tell(store, n, vec![line(&told), opened(2, expires_at), opened(1, expires_at)]).await;
    }
    // A question before the line that says whose it is.
    tell(store, 4, vec![opened(1, 5)]).await;
    let late = SessionRow { tenant: "b".into(), ..row(4) };
    tell(store, 4, vec![line(&late)]).await;
    let all = ApprovalFilter::default;
    let places = |filter: ApprovalFilter| {
        let listed = store.approvals(filter);
        async move {
            let rows = listed.await.expect("approvals");
            rows.into_iter().map(|row| (row.ask.expires_at, row.id)).collect::<Vec<_>>()
        }
    };
    for tenant in [None, Some(TenantId::from("a")), Some(TenantId::from("b"))] {
        let whole = places(ApprovalFilter { tenant: tenant.clone(), ..all() }).await;
        let (mut paged, mut after) = (Vec::<(Timestamp, ApprovalId)>::new(), None);
        loop {
            let filter = ApprovalFilter { tenant: tenant.clone(), after, rows: 2, ..all() };
            let page = places(filter).await;
            after = page.last().copied();
            paged.extend(&page);
            if page.len() < 2 {
                break;
            }
        }
        assert_eq!(paged, whole, "pages join");
        let open = store.open(tenant).await.expect("how much");
        assert_eq!(open, Open { approvals: whole.len() as u64, jobs: Vec::new() });
    }
    let of_one = ApprovalFilter { session: Some(session(3)), ..all() };
    let id = |no| ApprovalId { session: session(3), no: ApprovalNo(no) };
    assert_eq!(places(of_one).await, [(Timestamp(20), id(1)), (Timestamp(20), id(2))]);
    for (no, found) in [(2, 1), (3, 0)] {
        let only = ApprovalFilter { only: Some(id(no)), ..all() };
        assert_eq!(places(only).await.len(), found);
    }
}

pub(super) async fn open_jobs_are_counted_by_state_and_the_last_changed_come_first<
    S: Journal + Catalog,
>(
    store: &S,
) {
    use JobState::{Completed, Failed, Paused, Queued};
    for (n, state, tenant, at) in [
        (1, Queued, "a", 50),
        (2, Queued, "b", 20),
        (3, Paused, "a", 40),
        (4, Failed, "a", 30),
        (5, Completed, "a", 60),
    ] {
        let mut row = job_row(n, state);
        (row.tenant, row.updated_at) = (tenant.into(), Timestamp(at));
        // Somebody is still to be told of this end.
        row.open |= state == Failed;
        tell_job(store, &row).await;
    }
    for (tenant, counted, latest) in [
        (None, vec![(Queued, 2), (Paused, 1), (Failed, 1)], vec![1, 3, 4]),
        (Some("a"), vec![(Queued, 1), (Paused, 1), (Failed, 1)], vec![1, 3, 4]),
        (Some("b"), vec![(Queued, 1)], vec![2]),
    ] {
        let tenant: Option<TenantId> = tenant.map(Into::into);
        let open = store.open(tenant.clone()).await.expect("how much");
        assert_eq!(open, Open { approvals: 0, jobs: counted });
        let order = JobOrder::Changed;
        let filter = JobFilter { tenant, open: true, order, rows: 3, ..JobFilter::default() };
        let rows = store.jobs(filter).await.expect("jobs");
        let found: Vec<_> = rows.iter().map(|row| row.job.0.as_u128() & 0xf).collect();
        assert_eq!(found, latest);
    }
}
