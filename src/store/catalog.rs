//! The read model in SQL: what a frame does to it. `queries` is what can be asked of it.

mod jobs;
mod kept;
mod open;
mod queries;

use greenroom_actors::{
    domain::{
        catalog::{Change, SessionRow, Wait},
        frame::{LogId, LogKind},
        ids::{Position, SessionId},
        job::JobId,
        usage::{NanoUsd, Settlement, Usage},
    },
    limits,
};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) use jobs::{job, jobs, replace_job, stale_jobs};
pub(super) use open::{approvals, open};
#[cfg(test)]
pub(super) use {
    jobs::wanted as wanted_jobs,
    kept::{CENSUS, KEPT},
    open::wanted as wanted_approvals,
};

/// What is counted, for a test of how.
#[cfg(test)]
pub(super) const COUNTS: [[&str; 2]; 2] = [open::COUNTS, jobs::COUNTS];
pub(super) use kept::{census, count_anew, totals};
pub(super) use queries::{
    accounts, branches, checkpoints, in_trees, input, session, sessions, stale,
};

use super::{
    columns::{Json, Whole},
    trouble::{Class, Trouble, class},
};

/// Applies a frame's changes, all of them or none. `false` says that the read model could not follow;
/// an error, that the transaction itself is in trouble.
pub(super) fn follow(conn: &Connection, log: LogId, changes: &[Change]) -> Result<bool, Trouble> {
    // One change is one statement that writes, which is whole by itself.
    let apart = changes.len() > 1;
    let run = |sql: &str| conn.prepare_cached(sql)?.execute([]);
    if apart {
        run("SAVEPOINT catalog")?;
    }
    let applied = changes.iter().try_for_each(|change| apply(conn, log, change));
    let failed = match applied {
        Ok(()) => None,
        // A full or failing disk is no matter of the read model.
        Err(Trouble::Sqlite(error)) if class(&error) != Class::Other => return Err(error.into()),
        Err(trouble) => Some(trouble),
    };
    if let Some(trouble) = &failed {
        tracing::warn!(%log, ?trouble, "catalog fell behind");
    }
    if apart {
        if failed.is_some() {
            run("ROLLBACK TO catalog")?;
        }
        run("RELEASE catalog")?;
    }
    Ok(failed.is_none())
}

/// Everything the read model says about a session, replaced.
pub(super) fn replace(
    conn: &Connection,
    session: SessionId,
    changes: &[Change],
) -> Result<(), Trouble> {
    forget(conn, session)?;
    changes.iter().try_for_each(|change| apply(conn, LogId::session(session), change))
}

/// Takes out everything that the read model says about a session.
pub(super) fn forget(conn: &Connection, session: SessionId) -> Result<(), Trouble> {
    let id = session.to_string();
    for sql in [
        "DELETE FROM session WHERE id = ?1",
        "DELETE FROM approval WHERE session = ?1",
        "DELETE FROM usage WHERE session = ?1",
        "DELETE FROM checkpoint WHERE session = ?1",
        "DELETE FROM input WHERE session = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([&id])?;
    }
    Ok(())
}

fn apply(conn: &Connection, log: LogId, change: &Change) -> Result<(), Trouble> {
    let session = || match log.kind {
        LogKind::Session => Ok(SessionId(log.id).to_string()),
        LogKind::Ledger | LogKind::House | LogKind::Job => {
            Err(Trouble::Refused(format!("{log} is no session, but a change speaks for one")))
        }
    };
    match change {
        Change::Session(row) => upsert_session(conn, row)?,
        Change::ApprovalOpened { no, asked_at, ask } => {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO approval(session, no, expires_at, ask, asked_at, tenant) \
                 VALUES (?1, ?2, ?3, ?4, ?5, \
                 coalesce((SELECT tenant FROM session WHERE id = ?1), ''))",
            )?
            .execute(params![
                session()?,
                no.0,
                ask.expires_at.0,
                Json(ask),
                asked_at.0
            ])?;
        }
        Change::ApprovalClosed { no } => {
            conn.prepare_cached("DELETE FROM approval WHERE session = ?1 AND no = ?2")?
                .execute(params![session()?, no.0])?;
        }
        Change::Usage { call, model, agent, settlement } => {
            let of = (model.as_str(), agent.as_str());
            book(conn, (session()?, call.0), of, &Booked::of(settlement))?;
        }
        Change::Checkpoint { name, at, value } => {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO checkpoint(session, name, at, value) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![session()?, name.as_str(), Whole(at.0), value])?;
        }
        Change::Input { key, at } => {
            conn.prepare_cached(
                "INSERT OR IGNORE INTO input(session, key, position) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![session()?, key.0, Whole(at.0)])?;
        }
        Change::Job(row) => jobs::upsert(conn, row)?,
    }
    Ok(())
}

/// Sets the line of a call, whatever it was, of a model and an agent.
fn book(
    conn: &Connection,
    (session, call): (String, u32),
    (model, agent): (&str, &str),
    booked: &Booked,
) -> Result<(), Trouble> {
    conn.prepare_cached(
        "INSERT INTO usage(session, call, model, agent, kind, input, cache_read, cache_write, \
         output, reasoning, cost, tokens_max, cost_max, tenant) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
         coalesce((SELECT tenant FROM session WHERE id = ?1), '')) \
         ON CONFLICT DO UPDATE SET model = excluded.model, agent = excluded.agent, \
         kind = excluded.kind, input = excluded.input, cache_read = excluded.cache_read, \
         cache_write = excluded.cache_write, output = excluded.output, \
         reasoning = excluded.reasoning, cost = excluded.cost, tokens_max = excluded.tokens_max, \
         cost_max = excluded.cost_max, tenant = excluded.tenant",
    )?
    .execute(params![
        session,
        call,
        model,
        agent,
        booked.kind,
        figure(booked.usage.input),
        figure(booked.usage.cache_read),
        figure(booked.usage.cache_write),
        figure(booked.usage.output),
        figure(booked.usage.reasoning),
        booked.cost.map(|cost| figure(cost.0)),
        figure(booked.tokens_max),
        booked.cost_max.map(|cost| figure(cost.0)),
    ])?;
    Ok(())
}

/// A figure as it is summed: absurd ones are held at a mark, so that a sum cannot overflow.
fn figure(figure: u64) -> Whole {
    Whole(figure.min(limits::STORE_BOOKED_MAX))
}

/// A settlement's columns.
#[derive(Default)]
struct Booked {
    kind: &'static str,
    usage: Usage,
    cost: Option<NanoUsd>,
    tokens_max: u64,
    cost_max: Option<NanoUsd>,
}

impl Booked {
    fn of(settlement: &Settlement) -> Self {
        match *settlement {
            Settlement::Exact { usage, cost } => {
                Self { kind: "exact", usage, cost, ..Self::default() }
            }
            Settlement::Unsettled { tokens_max, cost_max } => {
                Self { kind: "unsettled", tokens_max, cost_max, ..Self::default() }
            }
            Settlement::Free => Self { kind: "free", ..Self::default() },
        }
    }
}

/// How a session's line is written, from the cheapest way to the dearest: every index that is touched
/// is a page more in the write-ahead log. Most frames change neither status nor next wake, which
/// have indexes; root and parent have them too and change only where a line is not what it was. None
/// replaces a row: what is counted follows the lines by triggers, which hear of no row that was replaced.
const LINE: [&str; 3] = [
    "UPDATE session SET tenant = ?2, agent = ?5, name = ?6, waiting_on = ?8, goal = ?10, \
     restarts = ?11, created_at = ?12, updated_at = ?13, position = ?14, waits = ?15 \
     WHERE id = ?1 AND root = ?3 AND parent IS ?4 AND status = ?7 AND wake_at IS ?9",
    "UPDATE session SET tenant = ?2, agent = ?5, name = ?6, status = ?7, waiting_on = ?8, \
     wake_at = ?9, goal = ?10, restarts = ?11, created_at = ?12, updated_at = ?13, \
     position = ?14, waits = ?15 WHERE id = ?1 AND root = ?3 AND parent IS ?4",
    "INSERT INTO session(id, tenant, root, parent, agent, name, status, \
     waiting_on, wake_at, goal, restarts, created_at, updated_at, position, waits) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
     ON CONFLICT DO UPDATE SET tenant = ?2, root = ?3, parent = ?4, agent = ?5, name = ?6, \
     status = ?7, waiting_on = ?8, wake_at = ?9, goal = ?10, restarts = ?11, created_at = ?12, \
     updated_at = ?13, position = ?14, waits = ?15",
];

fn upsert_session(conn: &Connection, row: &SessionRow) -> Result<(), Trouble> {
    // Before its first frame a session has no line.
    let ways = if row.position <= Position(1) { LINE.get(2..) } else { LINE.get(..) };
    let (id, root) = (row.session.to_string(), row.root.to_string());
    let parent = row.parent.map(|parent| parent.to_string());
    let goal = row.goal.as_ref().map(Json);
    if row.position <= Position(1) {
        // Questions that came before the line that says whose they are.
        conn.prepare_cached("UPDATE approval SET tenant = ?2 WHERE session = ?1 AND tenant <> ?2")?
            .execute(params![id, row.tenant.as_str()])?;
    }
    for way in ways.into_iter().flatten() {
        let written = conn.prepare_cached(way)?.execute(params![
            id,
            row.tenant.as_str(),
            root,
            parent,
            row.agent.as_str(),
            row.name,
            row.status.word(),
            row.waiting_on,
            row.wake_at.map(|at| at.0),
            goal,
            Whole(row.restarts),
            row.created_at.0,
            row.updated_at.0,
            Whole(row.position.0),
            row.waits().map(Wait::word),
        ])?;
        if written > 0 {
            break;
        }
    }
    Ok(())
}

/// Whether the read model has seen frames of this log. A log that does not exist cannot have any:
/// its row was lost.
pub(super) fn remembers(conn: &Connection, log: LogId) -> Result<bool, Trouble> {
    match log.kind {
        LogKind::Session => {
            let sql = "SELECT position > 0 FROM session WHERE id = ?1";
            let id = SessionId(log.id).to_string();
            let seen = conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
            Ok(seen.unwrap_or(false))
        }
        LogKind::Job => {
            let sql = "SELECT position > 0 FROM job WHERE id = ?1";
            let id = JobId(log.id).to_string();
            let seen = conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
            Ok(seen.unwrap_or(false))
        }
        LogKind::Ledger | LogKind::House => Ok(false),
    }
}
