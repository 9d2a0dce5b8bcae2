//! Deleting a tree of sessions: its logs, all that the read model says of it, and the blobs that nobody
//! else names, in one transaction. What it spent stays, in sums.
//!
//! It refuses a tree that is at work, and one that a fork goes on from: a fork is a pointer into its base.
//! Both are asked on the writer's thread, behind every frame that was on its way, so nothing comes between.
//! `doomed` holds a mark from a deletion to the next start, which looks for what could not go with it.

use greenroom_actors::{
    domain::{
        catalog::{Erasure, Hindrance, Status},
        frame::LogId,
        ids::SessionId,
    },
    limits,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    catalog,
    columns::{Parsed, id, kind},
    links::{BASE, BLOB, Fresh},
    trouble::Trouble,
};

/// What keeps a tree from being deleted.
pub(super) fn hinders(conn: &Connection, erasure: &Erasure) -> Result<Option<Hindrance>, Trouble> {
    let tree = tree(conn, erasure.root)?;
    for (session, status) in &tree {
        let busy = [Status::Running, Status::Waiting].map(Status::word).contains(&status.as_str());
        if busy && !erasure.off_stage.contains(session) {
            return Ok(Some(Hindrance::AtWork { session: *session }));
        }
    }
    let sql = "SELECT l.id FROM link k JOIN log l ON l.num = k.log \
               WHERE k.kind = ?1 AND k.name = ?2 AND l.kind = 'session' LIMIT 1";
    let mut forks = conn.prepare_cached(sql)?;
    for (session, _) in &tree {
        let fork = forks
            .query_row(params![BASE, session.to_string()], |row| row.get::<_, Parsed<_>>(0))
            .optional()?;
        if let Some(Parsed(fork)) = fork {
            return Ok(Some(Hindrance::Forked { session: *session, fork }));
        }
    }
    Ok(None)
}

/// Erases a tree; how many sessions it had, or what kept them.
pub(super) fn erase(
    conn: &Connection,
    erasure: &Erasure,
    fresh: &Fresh,
) -> Result<Result<u64, Hindrance>, Trouble> {
    // What a line does not say yet may be at work, or one of the tree that nobody would find again.
    if !catalog::stale(conn)?.iter().all(|session| erasure.off_stage.contains(session)) {
        return Err(Trouble::Refused("the catalog is behind the logs; ask again".to_owned()));
    }
    if let Some(hindrance) = hinders(conn, erasure)? {
        return Ok(Err(hindrance));
    }
    // The next start looks for blobs that nobody came to name.
    conn.prepare_cached("INSERT OR IGNORE INTO doomed(sha256) VALUES ('')")?.execute([])?;
    let tree = tree(conn, erasure.root)?;
    spent(conn, erasure.root)?;
    for (session, _) in &tree {
        log(conn, LogId::session(*session), fresh)?;
        log(conn, LogId::ledger(*session), fresh)?;
        catalog::forget(conn, *session)?;
    }
    Ok(Ok(tree.len() as u64))
}

/// The sessions of a tree, with what each is doing.
fn tree(conn: &Connection, root: SessionId) -> Result<Vec<(SessionId, String)>, Trouble> {
    let mut statement = conn.prepare_cached("SELECT id, status FROM session WHERE root = ?1")?;
    let found = statement.query_map([root.to_string()], |row| {
        Ok((row.get::<_, Parsed<_>>(0)?.0, row.get::<_, String>(1)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A log with its frames, and the blobs that it alone names.
fn log(conn: &Connection, log: LogId, fresh: &Fresh) -> Result<(), Trouble> {
    let num: Option<i64> = conn
        .prepare_cached("SELECT num FROM log WHERE kind = ?1 AND id = ?2")?
        .query_row(params![kind(log), id(log)], |row| row.get(0))
        .optional()?;
    let Some(num) = num else { return Ok(()) };
    let sql = "SELECT name FROM link k WHERE kind = ?1 AND log = ?2 AND NOT EXISTS \
               (SELECT 1 FROM link o WHERE o.kind = k.kind AND o.name = k.name AND o.log <> k.log)";
    let mut named = conn.prepare_cached(sql)?;
    let alone = named.query_map(params![BLOB, num], |row| row.get::<_, String>(0))?;
    let alone: Vec<String> = alone.collect::<Result<_, _>>()?;
    for sha256 in alone {
        // One that somebody has just put again is theirs to name, or waits for the next start.
        if !fresh.has(&sha256) {
            conn.prepare_cached("DELETE FROM blob WHERE sha256 = ?1")?.execute([&sha256])?;
        }
    }
    for sql in [
        "DELETE FROM link WHERE log = ?1",
        "DELETE FROM frame WHERE log = ?1",
        "DELETE FROM log WHERE num = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([num])?;
    }
    Ok(())
}

/// Keeps what a tree spent.
fn spent(conn: &Connection, root: SessionId) -> Result<(), Trouble> {
    let sql = "INSERT INTO spent(tenant, model, agent, exact, input, cache_read, cache_write, \
               output, reasoning, cost, unpriced, unsettled, tokens_max, cost_max) \
               SELECT s.tenant, u.model, u.agent, sum(u.kind = 'exact'), sum(u.input), \
               sum(u.cache_read), sum(u.cache_write), sum(u.output), sum(u.reasoning), \
               coalesce(sum(u.cost), 0), sum(u.kind = 'exact' AND u.cost IS NULL), \
               sum(u.kind = 'unsettled'), sum(u.tokens_max), coalesce(sum(u.cost_max), 0) \
               FROM usage u JOIN session s ON s.id = u.session WHERE s.root = ?1 \
               GROUP BY s.tenant, u.model, u.agent \
               ON CONFLICT DO UPDATE SET exact = exact + excluded.exact, \
               input = input + excluded.input, cache_read = cache_read + excluded.cache_read, \
               cache_write = cache_write + excluded.cache_write, \
               output = output + excluded.output, reasoning = reasoning + excluded.reasoning, \
               cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced, \
               unsettled = unsettled + excluded.unsettled, \
               tokens_max = tokens_max + excluded.tokens_max, \
               cost_max = cost_max + excluded.cost_max";
    conn.prepare_cached(sql)?.execute([root.to_string()])?;
    Ok(())
}

/// Behind a deletion, as the store is opened: blobs that no frame names, since whoever put them, again or
/// for a frame that was never written, is gone. Names are compared on their indexes, so no blob is read.
pub(super) fn sweep(conn: &Connection) -> rusqlite::Result<()> {
    let is_due: bool =
        conn.query_row("SELECT EXISTS (SELECT 1 FROM doomed)", [], |row| row.get(0))?;
    if !is_due {
        return Ok(());
    }
    conn.execute_batch(
        "DELETE FROM blob WHERE sha256 IN \
         (SELECT sha256 FROM blob EXCEPT SELECT name FROM link WHERE kind = 'blob')",
    )?;
    // Before the mark goes: a death in the middle leaves it to the next start.
    rewrite(conn)?;
    conn.execute_batch("DELETE FROM doomed")
}

/// Writes all pages anew, so that nothing is left between their rows. It takes the store's size in memory
/// and time, so a large store is left as it is.
pub(super) fn rewrite(conn: &Connection) -> rusqlite::Result<()> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    if bytes > limits::STORE_REWRITE_BYTES {
        tracing::warn!(bytes, "the store is too large to be written anew behind a deletion");
        return Ok(());
    }
    conn.execute_batch("VACUUM")
}
