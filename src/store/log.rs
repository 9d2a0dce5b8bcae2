//! The logs in SQL: claim, append, read, tail. Runs inside a transaction of the writer or on a
//! reading connection; knows nothing of threads.

use greenroom_actors::{
    domain::{
        frame::{Chain, Envelope, LogId, StoredFrame},
        ids::{Position, Timestamp, Token},
    },
    limits,
    ports::{Append, Claim},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use super::{
    catalog,
    columns::{Whole, id, kind},
    links,
    trouble::Trouble,
};

/// A log's own row.
struct LogRow {
    num: i64,
    token: Token,
    tail: Position,
    chain: Chain,
    applied: Position,
}

fn log_row(conn: &Connection, log: LogId) -> Result<Option<LogRow>, Trouble> {
    let sql = "SELECT num, token, tail, chain, applied FROM log WHERE kind = ?1 AND id = ?2";
    let row = conn
        .prepare_cached(sql)?
        .query_row(params![kind(log), id(log)], |row| {
            Ok(LogRow {
                num: row.get(0)?,
                token: Token(row.get::<_, Whole>(1)?.0),
                tail: Position(row.get::<_, Whole>(2)?.0),
                chain: Chain(row.get(3)?),
                applied: Position(row.get::<_, Whole>(4)?.0),
            })
        })
        .optional()?;
    Ok(row)
}

/// Raises the token. The log's row and its last frame must agree: an owner is never promised a
/// tail that is not there.
pub(super) fn claim(conn: &Connection, log: LogId) -> Result<Claim, Trouble> {
    let Some(row) = log_row(conn, log)? else {
        let LogRow { token, tail, chain, .. } = create(conn, log)?;
        return Ok(Claim { token, tail, chain });
    };
    ends_at(conn, log, row.num, row.tail, row.chain)?;
    let token = row.token.next();
    conn.prepare_cached("UPDATE log SET token = ?2 WHERE num = ?1")?
        .execute(params![row.num, Whole(token.0)])?;
    Ok(Claim { token, tail: row.tail, chain: row.chain })
}

/// A log's row where there is none, its first owner's.
fn create(conn: &Connection, log: LogId) -> Result<LogRow, Trouble> {
    if catalog::remembers(conn, log)? {
        let why = "it is gone, but the catalog knows frames of it".to_owned();
        return Err(Trouble::Damaged { log, why });
    }
    conn.prepare_cached(
        "INSERT INTO log(kind, id, token, tail, chain, applied) VALUES (?1, ?2, 1, 0, ?3, 0)",
    )?
    .execute(params![kind(log), id(log), Chain::START.0])?;
    let (num, token, tail, chain) = (conn.last_insert_rowid(), Token(1), Position(0), Chain::START);
    ends_at(conn, log, num, tail, chain)?;
    Ok(LogRow { num, token, tail, chain, applied: tail })
}

fn ends_at(
    conn: &Connection,
    log: LogId,
    num: i64,
    tail: Position,
    chain: Chain,
) -> Result<(), Trouble> {
    let sql = "SELECT position, chain FROM frame WHERE log = ?1 ORDER BY position DESC LIMIT 1";
    let last: Option<(Whole, [u8; 32])> = conn
        .prepare_cached(sql)?
        .query_row([num], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (position, last) = last.map_or((0, Chain::START.0), |(at, chain)| (at.0, chain));
    if position == tail.0 && last == chain.0 {
        return Ok(());
    }
    let why = format!("its row says it ends at {tail}, its last frame is {position} or differs");
    Err(Trouble::Damaged { log, why })
}

/// Writes one frame if its token is the owner's and its position the next, and lets the read model
/// follow. A read model that cannot follow is left behind, marked, and stops nothing.
pub(super) fn append(conn: &Connection, append: &Append) -> Result<Position, Trouble> {
    let Append { envelope, body, changes, begins } = append;
    let (log, expected) = (envelope.log, envelope.position);
    let fenced = |tail, token| Trouble::Fenced { expected, tail, token };
    let row = match (log_row(conn, log)?, begins) {
        (Some(row), false) => row,
        // Somebody came first, if only to claim it.
        (Some(row), true) => return Err(fenced(row.tail, row.token)),
        (None, true) => create(conn, log)?,
        (None, false) => return Err(fenced(Position(0), Token(0))),
    };
    if envelope.token != row.token || expected != row.tail.next() {
        return Err(fenced(row.tail, row.token));
    }
    if expected == Position(1) && !links::base_is_there(conn, body)? {
        return Err(Trouble::Refused(format!("{log} goes on from a session that was deleted")));
    }
    let digest = Sha256::digest(body.as_bytes()).into();
    let chain = row.chain.over(envelope, &digest);
    insert(conn, row.num, append, (digest, chain))?;
    links::note(conn, row.num, body)?;
    let followed = catalog::follow(conn, log, changes)?;
    let applied = if followed && row.applied == row.tail { expected } else { row.applied };
    conn.prepare_cached("UPDATE log SET tail = ?2, chain = ?3, applied = ?4 WHERE num = ?1")?
        .execute(params![row.num, Whole(expected.0), chain.0, Whole(applied.0)])?;
    Ok(expected)
}

fn insert(
    conn: &Connection,
    num: i64,
    Append { envelope, body, changes: _, begins: _ }: &Append,
    (digest, chain): ([u8; 32], Chain),
) -> Result<(), Trouble> {
    let sql = "INSERT INTO frame(log, position, token, version, tenant, principal, caused_by, \
               trace, at, body, digest, chain) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    conn.prepare_cached(sql)?.execute(params![
        num,
        Whole(envelope.position.0),
        Whole(envelope.token.0),
        envelope.version,
        envelope.tenant.as_str(),
        envelope.principal.as_str(),
        envelope.caused_by,
        envelope.trace,
        envelope.at.0,
        body,
        digest,
        chain.0,
    ])?;
    Ok(())
}

/// Frames after `after`, in order, as stored: as many as asked for, or as fit into a page.
pub(super) fn read(
    conn: &Connection,
    log: LogId,
    after: Position,
    rows: usize,
) -> Result<Vec<StoredFrame>, Trouble> {
    let sql = "SELECT f.position, f.token, f.version, f.tenant, f.principal, f.caused_by, \
               f.trace, f.at, f.body, f.chain FROM frame f JOIN log l ON f.log = l.num \
               WHERE l.kind = ?1 AND l.id = ?2 AND f.position > ?3 ORDER BY f.position LIMIT ?4";
    let mut statement = conn.prepare_cached(sql)?;
    let limit = Whole(rows as u64);
    let wanted = params![kind(log), id(log), Whole(after.0), limit];
    let (mut page, mut bytes) = (Vec::new(), 0_usize);
    for found in statement.query_map(wanted, |row| frame(log, row))? {
        let found = found?;
        bytes = bytes.saturating_add(found.body.len());
        if bytes > limits::READ_BYTES && !page.is_empty() {
            break;
        }
        page.push(found);
    }
    Ok(page)
}

fn frame(log: LogId, row: &Row<'_>) -> rusqlite::Result<StoredFrame> {
    let envelope = Envelope {
        log,
        position: Position(row.get::<_, Whole>(0)?.0),
        token: Token(row.get::<_, Whole>(1)?.0),
        version: row.get(2)?,
        tenant: row.get::<_, String>(3)?.into(),
        principal: row.get::<_, String>(4)?.into(),
        caused_by: row.get(5)?,
        trace: row.get(6)?,
        at: Timestamp(row.get(7)?),
    };
    Ok(StoredFrame { envelope, body: row.get(8)?, chain: Chain(row.get(9)?) })
}

/// Where the log ends and who owns it.
pub(super) fn tail(conn: &Connection, log: LogId) -> Result<(Position, Token), Trouble> {
    Ok(log_row(conn, log)?.map_or((Position(0), Token(0)), |row| (row.tail, row.token)))
}

/// Replaces what the read model says about a log, as of `upto`.
pub(super) fn followed_anew(
    conn: &Connection,
    log: LogId,
    upto: Position,
) -> Result<Position, Trouble> {
    let (tail, token) = tail(conn, log)?;
    if tail != upto {
        return Err(Trouble::Fenced { expected: upto, tail, token });
    }
    conn.prepare_cached("UPDATE log SET applied = tail WHERE kind = ?1 AND id = ?2")?
        .execute(params![kind(log), id(log)])?;
    Ok(tail)
}
