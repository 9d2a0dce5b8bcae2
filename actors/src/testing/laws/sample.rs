//! Frames, rows and bookings for the laws: small, and different from one another.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    domain::{
        catalog::{Change, SessionRow, Status},
        frame::LogId,
        ids::{ApprovalNo, ModelCallNo, Position, SessionId, TenantId, Timestamp},
        job::{JobId, JobRow, JobState},
        permission::{Ask, RequestDigest, Subject},
        usage::{NanoUsd, Settlement, Usage},
    },
    log::Writer,
    ports::{Append, Journal},
};

/// The n-th session; ids rise with n.
pub(super) fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + n))
}

/// The writing end of a log, just claimed.
pub(super) async fn claim(journal: &(impl Journal + ?Sized), log: LogId) -> Writer {
    let claim = journal.claim(log).await.expect("claim");
    Writer::new(log, claim, "tenant".into(), "somebody".into())
}

/// The next frame of a log, with a text that tells it from others.
pub(super) fn frame(writer: &Writer, text: &str, changes: Vec<Change>) -> Append {
    let caused_by = Some(format!("cause of {text}"));
    let mut append =
        writer.frame(&[text], changes, caused_by, Timestamp(1_700_000_000_000)).expect("it fits");
    append.envelope.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    append
}

/// Writes the next frame.
pub(super) async fn write(journal: &(impl Journal + ?Sized), writer: &mut Writer, text: &str) {
    change(journal, writer, text, Vec::new()).await;
}

/// Writes the next frame with what it does to the catalog.
pub(super) async fn change(
    journal: &(impl Journal + ?Sized),
    writer: &mut Writer,
    text: &str,
    changes: Vec<Change>,
) {
    let append = frame(writer, text, changes);
    let position = journal.append(append).await.expect("append");
    assert_eq!(position, writer.tail.next(), "an append returns its own position");
    writer.tail = position;
}

/// The texts of a log's frames, verified.
pub(super) async fn texts(journal: &Arc<dyn Journal>, log: LogId) -> Vec<String> {
    let frames = crate::log::read_all::<String>(journal, log).await.expect("the log verifies");
    frames.into_iter().flat_map(|frame| frame.events).collect()
}

/// A root session's line.
pub(super) fn row(n: u128) -> SessionRow {
    SessionRow {
        session: session(n),
        tenant: TenantId("tenant".to_owned()),
        root: session(n),
        parent: None,
        agent: "writer".into(),
        name: None,
        status: Status::Idle,
        waiting_on: None,
        wake_at: None,
        goal: None,
        restarts: 0,
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
        position: Position(1),
    }
}

/// A job's line.
pub(super) fn job_row(n: u128, state: JobState) -> JobRow {
    JobRow {
        job: JobId(session(n).0),
        tenant: TenantId("tenant".to_owned()),
        queue: "default".into(),
        name: "the \"nightly\" one".to_owned(),
        kind: "prompt".to_owned(),
        agent: Some("writer".into()),
        state,
        progress: 7,
        detail: Some("on its way".to_owned()),
        attempt: 2,
        attempts_max: 3,
        due: Some(Timestamp(5)),
        session: Some(session(n)),
        after: vec![JobId(session(99).0)],
        error: None,
        series: None,
        open: !state.is_ended(),
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
        ended_at: None,
        position: Position(1),
    }
}

/// The change that sets a line.
pub(super) fn line(row: &SessionRow) -> Change {
    Change::Session(Box::new(row.clone()))
}

/// A question that opens an approval.
pub(super) fn opened(no: u32, expires_at: i64) -> Change {
    let ask = Ask {
        subject: Subject::Question { text: format!("question {no}?") },
        digest: RequestDigest(format!("{no:064}")),
        scripts: Vec::new(),
        reasons: vec!["because".to_owned()],
        proposal: None,
        expires_at: Timestamp(expires_at),
    };
    let asked_at = Timestamp(expires_at - i64::from(no));
    Change::ApprovalOpened { no: ApprovalNo(no), asked_at, ask: Box::new(ask) }
}

/// An exact booking of a call.
pub(super) fn booked(call: u32, model: &str, agent: &str, output: u64) -> Change {
    let usage = Usage { input: 10, cache_read: 3, cache_write: 2, output, reasoning: 1 };
    let settlement = Settlement::Exact { usage, cost: Some(NanoUsd(output * 5)) };
    settled(call, model, agent, settlement)
}

/// A booking of a call.
pub(super) fn settled(call: u32, model: &str, agent: &str, settlement: Settlement) -> Change {
    let (model, agent) = (model.into(), agent.into());
    Change::Usage { call: ModelCallNo(call), model, agent, settlement }
}
