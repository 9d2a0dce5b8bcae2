//! The read model: it says what the frames said last, and nothing that no frame said.

use super::sample::{booked, change, claim, frame, job_row, line, opened, row, session, settled};
use crate::{
    domain::{
        catalog::{
            Account, ApprovalFilter, Branch, Census, Change, SessionFilter, SessionRow, Status,
            Totals, TotalsOf, Wait,
        },
        event::Goal,
        frame::LogId,
        ids::{Position, SessionId, TenantId, Timestamp},
        job::{JobFilter, JobOrder, JobRow, JobState},
        usage::{NanoUsd, Settlement, Usage},
    },
    limits,
    ports::{AppendError, Catalog, Journal},
};

/// Writes one frame of a session with these changes.
pub(super) async fn tell<S: Journal>(store: &S, n: u128, changes: Vec<Change>) {
    let mut writer = claim(store, LogId::session(session(n))).await;
    change(store, &mut writer, "told", changes).await;
}

async fn list<S: Catalog>(store: &S, filter: SessionFilter) -> Vec<SessionId> {
    let rows = store.sessions(filter).await.expect("sessions");
    rows.into_iter().map(|row| row.session).collect()
}

pub(super) async fn a_session_line_is_replaced_by_the_next<S: Journal + Catalog>(store: &S) {
    assert_eq!(store.session(session(1)).await, Ok(None));
    let mut told = row(1);
    tell(store, 1, vec![line(&told)]).await;
    assert_eq!(store.session(session(1)).await, Ok(Some(told.clone())));
    told.name = Some("the \"play\"".to_owned());
    told.status = Status::Waiting;
    told.waiting_on = Some("an answer".to_owned());
    told.wake_at = Some(Timestamp(77));
    told.goal = Some(Goal { objective: "end well".to_owned(), token_budget: Some(9) });
    told.parent = Some(session(3));
    told.restarts = 4;
    told.position = Position(2);
    tell(store, 1, vec![line(&told)]).await;
    assert_eq!(store.session(session(1)).await, Ok(Some(told.clone())));
    assert_eq!(store.sessions(SessionFilter::default()).await, Ok(vec![told]));
}

pub(super) async fn lines_are_filtered_and_come_in_pages<S: Journal + Catalog>(store: &S) {
    for n in [5, 3, 1, 4, 2] {
        let mut told = row(n);
        told.status = if n == 4 { Status::Archived } else { Status::Idle };
        if n == 5 {
            told.status = Status::Running;
            told.tenant = TenantId("other".to_owned());
            told.root = session(1);
        }
        tell(store, n, vec![line(&told)]).await;
    }
    let all = SessionFilter::default;
    let ids = |ns: &[u128]| ns.iter().map(|n| session(*n)).collect::<Vec<_>>();
    assert_eq!(list(store, all()).await, ids(&[1, 2, 3, 5]), "0 rows asked means the usual");
    assert_eq!(list(store, SessionFilter { archived: true, ..all() }).await, ids(&[1, 2, 3, 4, 5]));
    let status = vec![Status::Archived, Status::Running];
    assert_eq!(list(store, SessionFilter { status, ..all() }).await, ids(&[4, 5]));
    let tenant = Some(TenantId("other".to_owned()));
    assert_eq!(list(store, SessionFilter { tenant, ..all() }).await, ids(&[5]));
    let root = Some(session(1));
    assert_eq!(list(store, SessionFilter { root, ..all() }).await, ids(&[1, 5]));
    assert_eq!(list(store, SessionFilter { rows: 2, ..all() }).await, ids(&[1, 2]));
    let after = Some(session(2));
    assert_eq!(list(store, SessionFilter { rows: 2, after, ..all() }).await, ids(&[3, 5]));
}

pub(super) async fn sleepers_are_found_by_their_time<S: Journal + Catalog>(store: &S) {
    for (n, wake_at) in [(1, Some(100)), (2, None), (3, Some(50)), (4, Some(101))] {
        let told = SessionRow { wake_at: wake_at.map(Timestamp), ..row(n) };
        tell(store, n, vec![line(&told)]).await;
    }
    let by = |at| SessionFilter { wake_by: Some(Timestamp(at)), ..SessionFilter::default() };
    assert_eq!(list(store, by(49)).await, []);
    assert_eq!(list(store, by(100)).await, [session(1), session(3)]);
    tell(store, 3, vec![line(&row(3))]).await;
    assert_eq!(list(store, by(100)).await, [session(1)], "woken, it waits for nothing");
}

pub(super) async fn a_branch_counts_all_children_however_many<S: Journal + Catalog>(store: &S) {
    // More than one list has.
    let many = limits::LIST_ROWS as u128 + 1;
    let below =
        |n: u128, parent| SessionRow { parent: Some(session(parent)), root: session(1), ..row(n) };
    let mut changes = vec![line(&row(1)), booked(1, "m", "a", 1)];
    changes.extend((0..many).map(|n| line(&below(10 + n, 1))));
    tell(store, 1, changes).await;
    tell(store, 2, vec![line(&below(2, 10)), booked(1, "m", "a", 7)]).await;
    let of = vec![session(2), session(1), session(10), session(9_999_999)];
    let branches = store.branches(of.clone()).await.expect("branches");
    assert_eq!(branches.iter().map(|branch| branch.session).collect::<Vec<_>>(), of);
    let told =
        |branch: &Branch| (branch.own.usage.output, branch.subtree.usage.output, branch.children);
    let found: Vec<_> = branches.iter().map(told).collect();
    assert_eq!(found, [(7, 7, 0), (1, 8, many as u64), (0, 7, 1), (0, 0, 0)]);
}

pub(super) async fn an_input_is_found_by_its_key<S: Journal + Catalog>(store: &S) {
    let input = |key: &str, at| Change::Input { key: key.into(), at: Position(at) };
    tell(store, 1, vec![line(&row(1)), input("first", 1), input("second", 3)]).await;
    tell(store, 2, vec![line(&row(2)), input("first", 7)]).await;
    tell(store, 1, vec![input("first", 9)]).await;
    for (n, key, at) in
        [(1, "first", Some(1)), (1, "second", Some(3)), (2, "first", Some(7)), (2, "second", None)]
    {
        let found = store.input(session(n), key.into()).await;
        assert_eq!(found, Ok(at.map(Position)), "{n} {key}: the first that accepted it");
    }
}

pub(super) async fn a_later_word_on_a_call_replaces_the_earlier<S: Journal + Catalog>(store: &S) {
    let cost_max = Some(NanoUsd(900));
    let lost = Settlement::Unsettled { tokens_max: 500, cost_max };
    tell(store, 1, vec![line(&row(1)), settled(1, "m", "a", lost)]).await;
    let totals = store.totals(TotalsOf::Runtime).await.expect("totals");
    let expected = Totals {
        unsettled_calls: 1,
        unsettled_tokens_max: 500,
        unsettled_cost_max: NanoUsd(900),
        ..Totals::default()
    };
    assert_eq!(totals, expected);
    tell(store, 1, vec![booked(1, "m", "a", 7)]).await;
    tell(store, 1, vec![booked(1, "m", "a", 7)]).await;
    let totals = store.totals(TotalsOf::Runtime).await.expect("totals");
    let usage = Usage { input: 10, cache_read: 3, cache_write: 2, output: 7, reasoning: 1 };
    assert_eq!(totals, Totals { calls: 1, usage, cost: NanoUsd(35), ..Totals::default() });
    tell(store, 1, vec![settled(1, "m", "a", Settlement::Free)]).await;
    assert_eq!(store.totals(TotalsOf::Runtime).await, Ok(Totals::default()));
}

pub(super) async fn totals_are_by_session_subtree_model_agent_and_all<S: Journal + Catalog>(
    store: &S,
) {
    // 1 ─ 2 ─ 3, and 4 apart; each books its number as output.
    for (n, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None)] {
        let told = SessionRow {
            parent: parent.map(session),
            root: session(if n == 4 { 4 } else { 1 }),
            ..row(n)
        };
        let model = if n % 2 == 0 { "even" } else { "odd" };
        let agent = if n == 1 { "lead" } else { "hand" };
        let output = u64::try_from(n).expect("it is small");
        tell(store, n, vec![line(&told), booked(1, model, agent, output)]).await;
    }
    let unpriced = Settlement::Exact { usage: Usage::default(), cost: None };
    tell(store, 4, vec![settled(2, "odd", "hand", unpriced)]).await;
    for (of, output, calls, unpriced) in [
        (TotalsOf::Runtime, 10, 5, 1),
        (TotalsOf::Session(session(2)), 2, 1, 0),
        (TotalsOf::Subtree(session(1)), 6, 3, 0),
        (TotalsOf::Subtree(session(2)), 5, 2, 0),
        (TotalsOf::Subtree(session(4)), 4, 2, 1),
        (TotalsOf::Model("odd".into()), 4, 3, 1),
        (TotalsOf::Agent("hand".into()), 9, 4, 1),
        (TotalsOf::Session(session(99)), 0, 0, 0),
    ] {
        let totals = store.totals(of.clone()).await.expect("totals");
        let found = (totals.usage.output, totals.calls, totals.unpriced_calls);
        assert_eq!(found, (output, calls, unpriced), "{of:?}");
        assert_eq!(totals.cost, NanoUsd(output * 5), "{of:?}");
    }
}

pub(super) async fn checkpoints_come_oldest_first<S: Journal + Catalog>(store: &S) {
    let point = |name: &str, at, value: &str| Change::Checkpoint {
        name: name.into(),
        at: Position(at),
        value: value.to_owned(),
    };
    tell(store, 1, vec![line(&row(1)), point("b", 7, "late"), point("a", 9, "later")]).await;
    tell(store, 1, vec![point("c", 2, "{\"early\":true}"), point("b", 5, "moved")]).await;
    tell(store, 2, vec![line(&row(2)), point("b", 1, "another's")]).await;
    let rows = store.checkpoints(session(1)).await.expect("checkpoints");
    let found: Vec<_> =
        rows.iter().map(|row| (row.name.as_str(), row.at.0, row.value.as_str())).collect();
    assert_eq!(found, [("c", 2, "{\"early\":true}"), ("b", 5, "moved"), ("a", 9, "later")]);
    assert_eq!(store.checkpoints(session(3)).await, Ok(Vec::new()));
}

/// Writes one frame of a job with its line.
pub(super) async fn tell_job<S: Journal>(store: &S, row: &JobRow) {
    let mut writer = claim(store, LogId::job(row.job)).await;
    change(store, &mut writer, "told", vec![Change::Job(Box::new(row.clone()))]).await;
}

pub(super) async fn a_job_line_is_replaced_by_the_next_and_lists_come_in_pages<
    S: Journal + Catalog,
>(
    store: &S,
) {
    let mut rows = Vec::new();
    for (n, state) in [(3, JobState::Queued), (1, JobState::Running), (2, JobState::Failed)] {
        rows.push(job_row(n, state));
    }
    rows[1].tenant = "other".into();
    rows[2].queue = "slow".into();
    for row in &rows {
        assert_eq!(store.job(row.job).await, Ok(None));
        tell_job(store, row).await;
        assert_eq!(store.job(row.job).await, Ok(Some(row.clone())));
    }
    let all = JobFilter::default;
    let list = |filter: JobFilter| async {
        let rows = store.jobs(filter).await.expect("jobs");
        rows.into_iter().map(|row| row.job.0.as_u128() & 0xf).collect::<Vec<_>>()
    };
    assert_eq!(list(all()).await, [1, 2, 3]);
    assert_eq!(list(JobFilter { tenant: Some("other".into()), ..all() }).await, [1]);
    assert_eq!(list(JobFilter { queue: Some("slow".into()), ..all() }).await, [2]);
    let states = vec![JobState::Failed, JobState::Queued];
    assert_eq!(list(JobFilter { states, ..all() }).await, [2, 3]);
    assert_eq!(list(JobFilter { open: true, ..all() }).await, [1, 3]);
    assert_eq!(list(JobFilter { rows: 2, ..all() }).await, [1, 2]);
    let after = Some(rows[2].place());
    assert_eq!(list(JobFilter { rows: 2, after, ..all() }).await, [3]);
    rows[0].state = JobState::Completed;
    rows[0].open = false;
    tell_job(store, &rows[0]).await;
    assert_eq!(store.job(rows[0].job).await, Ok(Some(rows[0].clone())));
    assert_eq!(list(JobFilter { open: true, ..all() }).await, [1]);
}

pub(super) async fn pages_of_jobs_join_from_either_end_whoever_comes_or_goes<
    S: Journal + Catalog,
>(
    store: &S,
) {
    // Ids say nothing of when: that is what an id of a key is like.
    let row = |n: u128, at: i64, tenant: &str| JobRow {
        created_at: Timestamp(at),
        tenant: tenant.into(),
        ..job_row(n, JobState::Queued)
    };
    let rows =
        [row(4, 10, "a"), row(1, 20, "b"), row(6, 20, "a"), row(3, 30, "a"), row(2, 40, "a")];
    for row in &rows {
        tell_job(store, row).await;
    }
    let page = |order, tenant: Option<&str>, after| {
        let tenant = tenant.map(Into::into);
        let listed =
            store.jobs(JobFilter { tenant, order, after, rows: 2, ..JobFilter::default() });
        async move { listed.await.expect("jobs") }
    };
    let ids =
        |rows: &[JobRow]| rows.iter().map(|row| row.job.0.as_u128() & 0xf).collect::<Vec<_>>();
    for (order, tenant, wanted) in [
        (JobOrder::Oldest, None, vec![4, 1, 6, 3, 2]),
        (JobOrder::Newest, None, vec![2, 3, 6, 1, 4]),
        (JobOrder::Oldest, Some("a"), vec![4, 6, 3, 2]),
        (JobOrder::Newest, Some("a"), vec![2, 3, 6, 4]),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = page(order, tenant, after).await;
            found.extend(ids(&rows));
            after = rows.last().map(JobRow::place);
            if rows.len() < 2 {
                break;
            }
        }
        assert_eq!(found, wanted, "{order:?} {tenant:?}");
    }
    // One more at either end moves nobody to another page.
    let (old, new) =
        (page(JobOrder::Oldest, None, None).await, page(JobOrder::Newest, None, None).await);
    tell_job(store, &row(7, 5, "a")).await;
    tell_job(store, &row(8, 50, "a")).await;
    let behind = |rows: &[JobRow]| rows.last().map(JobRow::place);
    assert_eq!(ids(&page(JobOrder::Oldest, None, behind(&old)).await), [6, 3]);
    assert_eq!(ids(&page(JobOrder::Newest, None, behind(&new)).await), [6, 1]);
    // A place that nobody stands in, as after a deletion, is a place.
    let between = Some((Timestamp(25), rows[0].job));
    assert_eq!(ids(&page(JobOrder::Oldest, None, between).await), [3, 2]);
    assert_eq!(ids(&page(JobOrder::Newest, None, between).await), [6, 1]);
}

pub(super) async fn a_job_line_is_brought_up_to_its_log_and_no_further<S: Journal + Catalog>(
    store: &S,
) {
    let mut row = job_row(1, JobState::Queued);
    tell_job(store, &row).await;
    row.detail = Some("anew".to_owned());
    let (job, line) = (row.job, Box::new(row));
    let early = store.replace_job(job, Position(2), line.clone()).await;
    assert!(matches!(early, Err(AppendError::Fenced { tail: Position(1), .. })), "{early:?}");
    assert_eq!(store.replace_job(job, Position(1), line.clone()).await, Ok(Position(1)));
    assert_eq!(store.job(job).await, Ok(Some(*line)));
    assert_eq!(store.stale_jobs().await, Ok(Vec::new()));
}

pub(super) async fn a_fenced_frame_changes_nothing_in_the_catalog<S: Journal + Catalog>(store: &S) {
    let former = claim(store, LogId::session(session(1))).await;
    tell(store, 1, vec![line(&row(1))]).await;
    let stolen = SessionRow { name: Some("stolen".to_owned()), ..row(1) };
    let changes = vec![line(&stolen), booked(1, "m", "a", 1), opened(1, 1)];
    store.append(frame(&former, "late", changes)).await.expect_err("it is fenced");
    assert_eq!(store.session(session(1)).await, Ok(Some(row(1))));
    assert_eq!(store.totals(TotalsOf::Runtime).await, Ok(Totals::default()));
    assert_eq!(store.approvals(ApprovalFilter::default()).await, Ok(Vec::new()));
}

pub(super) async fn roots_are_found_by_what_is_below_them<S: Journal + Catalog>(store: &S) {
    // Two trees, 1 with 4 and 5 below it, 2 alone; 3 was put away.
    for (n, agent, at) in [(1, "lead", 30), (2, "lead", 20), (3, "lead", 10), (4, "hand", 31)] {
        let mut told = SessionRow { agent: agent.into(), created_at: Timestamp(at), ..row(n) };
        if n == 3 {
            told.status = Status::Archived;
        }
        if n == 4 {
            (told.root, told.parent) = (session(1), Some(session(1)));
            told.name = Some("Props 100%".to_owned());
            told.status = Status::Running;
        }
        tell(store, n, vec![line(&told)]).await;
    }
    let roots = || SessionFilter { roots: true, ..SessionFilter::default() };
    let ids = |ns: &[u128]| ns.iter().map(|n| session(*n)).collect::<Vec<_>>();
    assert_eq!(list(store, roots()).await, ids(&[1, 2]));
    assert_eq!(list(store, SessionFilter { newest: true, ..roots() }).await, ids(&[1, 2]));
    let older = SessionFilter { newest: true, after: Some(session(1)), ..roots() };
    assert_eq!(list(store, older).await, ids(&[2]), "the next page of the newest is what is older");
    let all = SessionFilter { newest: true, archived: true, ..SessionFilter::default() };
    assert_eq!(list(store, all).await, ids(&[4, 1, 2, 3]));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(list(store, SessionFilter { text: text("PROPS 1"), ..roots() }).await, ids(&[1]));
    assert_eq!(list(store, SessionFilter { text: text("%"), ..roots() }).await, ids(&[1]));
    assert_eq!(list(store, SessionFilter { text: text("_"), ..roots() }).await, []);
    let end = session(1).to_string().split_off(24);
    assert_eq!(list(store, SessionFilter { text: Some(end), ..roots() }).await, ids(&[1]));
    let among = Some(vec![session(2), session(3), session(9)]);
    let these = SessionFilter { among, archived: true, ..SessionFilter::default() };
    assert_eq!(list(store, these).await, ids(&[2, 3]));
    let hands = SessionFilter { agent: Some("hand".into()), ..SessionFilter::default() };
    assert_eq!(list(store, hands.clone()).await, ids(&[4]));
    assert_eq!(list(store, SessionFilter { roots: true, ..hands }).await, ids(&[1]));
    let running = SessionFilter { status: vec![Status::Running], ..roots() };
    assert_eq!(list(store, running.clone()).await, ids(&[1]));
    let paged = SessionFilter { rows: 1, newest: true, after: Some(session(2)), ..roots() };
    for (wanted, sessions) in [
        (roots(), 3),
        (SessionFilter { roots: false, ..roots() }, 3),
        (paged, 3),
        (SessionFilter { archived: true, ..roots() }, 4),
        (running, 2),
        (SessionFilter { text: text("nobody"), ..roots() }, 0),
    ] {
        assert_eq!(store.in_trees(wanted.clone()).await, Ok(sessions), "{wanted:?}");
    }
}

pub(super) async fn trees_are_counted_and_told_with_what_each_spent<S: Journal + Catalog>(
    store: &S,
) {
    let other = TenantId("other".to_owned());
    for n in [1, 2, 3] {
        let mut told = SessionRow { restarts: u64::try_from(n).unwrap_or(0), ..row(n) };
        if n == 2 {
            (told.root, told.parent, told.agent) = (session(1), Some(session(1)), "hand".into());
        }
        if n == 3 {
            told.tenant = other.clone();
            (told.status, told.waiting_on) = (Status::Running, Some("model small".to_owned()));
        }
        let usage = Usage { input: 10 * told.restarts, ..Usage::default() };
        let booking = settled(1, "odd", "writer", Settlement::Exact { usage, cost: None });
        tell(store, n, vec![line(&told), booking]).await;
    }
    let told = |roots: Vec<SessionId>, rows| async move {
        let told = store.accounts(roots, rows).await.expect("accounts");
        let line = |account: &Account| (account.row.session, account.own.usage.input);
        told.iter().map(line).collect::<Vec<_>>()
    };
    let (one, two, three) = ((session(1), 10), (session(2), 20), (session(3), 30));
    assert_eq!(told(vec![session(1)], 9).await, [one, two]);
    assert_eq!(told(vec![session(3), session(1)], 9).await, [one, two, three]);
    assert_eq!(told(vec![session(1), session(3)], 2).await, [one, two], "no more than was asked");
    assert_eq!(told(vec![], 9).await, []);
    let census = |tenant| async move {
        let counted = store.census(tenant).await.expect("census");
        let line = |one: &Census| {
            (one.agent.to_string(), one.status, one.waits, one.sessions, one.restarts)
        };
        counted.iter().map(line).collect::<Vec<_>>()
    };
    let (hand, writer) = ("hand".to_owned(), "writer".to_owned());
    let busy = (writer.clone(), Status::Running, Some(Wait::Model), 1, 3);
    let all = [(hand, Status::Idle, None, 1, 2), (writer, Status::Idle, None, 1, 1), busy.clone()];
    assert_eq!(census(None).await, all);
    assert_eq!(census(Some(other.clone())).await, [busy]);
    let theirs = store.totals(TotalsOf::Tenant(other)).await.expect("totals");
    assert_eq!(theirs.usage.input, 30);
}
