//! What can be asked of the read model. Every answer is bounded by the caller's rows or by what is
//! open.

mod filter;

use greenroom_actors::domain::{
    catalog::{Account, Branch, CheckpointRow, SessionFilter, SessionRow, Status, TotalsOf},
    ids::{InputKey, Position, SessionId, Timestamp},
};
use rusqlite::{
    Connection, OptionalExtension as _, Row, params, params_from_iter,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

use super::kept::{TOTALS, sums, totals};
use crate::store::{
    columns::{Json, Parsed, Whole},
    trouble::Trouble,
};

const SESSION: &str = "SELECT id, tenant, root, parent, agent, name, status, waiting_on, wake_at, \
                       goal, restarts, created_at, updated_at, position FROM session";

pub(super) struct Word(pub(super) Status);

impl FromSql for Word {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        Status::ALL
            .into_iter()
            .find(|status| status.word() == word)
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        session: row.get::<_, Parsed<_>>(0)?.0,
        tenant: row.get::<_, String>(1)?.into(),
        root: row.get::<_, Parsed<_>>(2)?.0,
        parent: row.get::<_, Option<Parsed<_>>>(3)?.map(|parent| parent.0),
        agent: row.get::<_, String>(4)?.into(),
        name: row.get(5)?,
        status: row.get::<_, Word>(6)?.0,
        waiting_on: row.get(7)?,
        wake_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        goal: row.get::<_, Option<Json<_>>>(9)?.map(|goal| goal.0),
        restarts: row.get::<_, Whole>(10)?.0,
        created_at: Timestamp(row.get(11)?),
        updated_at: Timestamp(row.get(12)?),
        position: Position(row.get::<_, Whole>(13)?.0),
    })
}

/// One session's line.
pub(in crate::store) fn session(
    conn: &Connection,
    session: SessionId,
) -> Result<Option<SessionRow>, Trouble> {
    let sql = format!("{SESSION} WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([session.to_string()], session_row).optional()?)
}

/// Lines of sessions, in the order of their ids.
pub(in crate::store) fn sessions(
    conn: &Connection,
    filter: &SessionFilter,
) -> Result<Vec<SessionRow>, Trouble> {
    let (wanted, values) = filter::wanted(filter);
    let order = if filter.newest { "created_at DESC, id DESC" } else { "id" };
    let sql = format!("{SESSION} WHERE {wanted} ORDER BY {order} LIMIT ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), session_row)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sessions of some trees, each with what it spent itself.
pub(in crate::store) fn accounts(
    conn: &Connection,
    roots: &[SessionId],
    rows: usize,
) -> Result<Vec<Account>, Trouble> {
    // One list as one value: a statement for each number of roots would fill the cache.
    let roots = Json(roots.iter().map(SessionId::to_string).collect::<Vec<_>>());
    let sql =
        format!("{SESSION} WHERE root IN (SELECT value FROM json_each(?1)) ORDER BY id LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params![roots, Whole(rows as u64)], session_row)?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let mut spent = conn.prepare_cached(&format!("{TOTALS}session = ?1"))?;
    let mut account = |row: SessionRow| {
        let own = spent.query_row([row.session.to_string()], sums)?;
        Ok(Account { row, own })
    };
    found.into_iter().map(&mut account).collect()
}

/// What these sessions came to, each with everybody below it.
pub(in crate::store) fn branches(
    conn: &Connection,
    of: &[SessionId],
) -> Result<Vec<Branch>, Trouble> {
    let mut children = conn.prepare_cached(CHILDREN)?;
    let mut branch = |session: &SessionId| {
        let count = |row: &Row<'_>| Ok(row.get::<_, Whole>(0)?.0);
        Ok(Branch {
            session: *session,
            own: totals(conn, &TotalsOf::Session(*session))?,
            subtree: totals(conn, &TotalsOf::Subtree(*session))?,
            children: children.query_row([session.to_string()], count)?,
        })
    };
    of.iter().map(&mut branch).collect()
}

/// How many sessions were spawned by one.
const CHILDREN: &str = "SELECT count(*) FROM session WHERE parent = ?1";

/// How many sessions are in the trees of the roots that are wanted, whatever page of them.
pub(in crate::store) fn in_trees(
    conn: &Connection,
    filter: &SessionFilter,
) -> Result<u64, Trouble> {
    let every = SessionFilter { roots: true, after: None, ..filter.clone() };
    let (wanted, mut values) = filter::wanted(&every);
    // The last value is the number of rows, which is none of a count's.
    values.pop();
    let sql = format!(
        "SELECT count(*) FROM session WHERE root IN (SELECT id FROM session WHERE {wanted})"
    );
    let count = |row: &Row<'_>| Ok(row.get::<_, Whole>(0)?.0);
    Ok(conn.prepare_cached(&sql)?.query_row(params_from_iter(values), count)?)
}

/// The frame in which a session accepted an input.
pub(in crate::store) fn input(
    conn: &Connection,
    session: SessionId,
    key: &InputKey,
) -> Result<Option<Position>, Trouble> {
    let sql = "SELECT position FROM input WHERE session = ?1 AND key = ?2";
    let found = conn.prepare_cached(sql)?.query_row(params![session.to_string(), key.0], |row| {
        Ok(Position(row.get::<_, Whole>(0)?.0))
    });
    Ok(found.optional()?)
}

/// A session's checkpoints, oldest first.
pub(in crate::store) fn checkpoints(
    conn: &Connection,
    session: SessionId,
) -> Result<Vec<CheckpointRow>, Trouble> {
    let sql = "SELECT name, at, value FROM checkpoint WHERE session = ?1 ORDER BY at, name";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([session.to_string()], |row| {
        Ok(CheckpointRow {
            session,
            name: row.get::<_, String>(0)?.into(),
            at: Position(row.get::<_, Whole>(1)?.0),
            value: row.get(2)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sessions whose part of the read model has not followed their log.
pub(in crate::store) fn stale(conn: &Connection) -> Result<Vec<SessionId>, Trouble> {
    // The index is named because it is asked for at every look for sleepers, and the one by kind
    // and id, which the planner prefers, has a row for every session.
    let sql = "SELECT id FROM log INDEXED BY log_stale \
               WHERE applied < tail AND kind = 'session' ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([], |row| Ok(row.get::<_, Parsed<_>>(0)?.0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
