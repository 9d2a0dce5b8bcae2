//! What is known after a run: the store's file, read here and not by the runtime, and the journals
//! of the vendor, the sink and the client. Nothing in it is the runtime's own word.

use std::{collections::BTreeMap, path::Path};

use greenroom_actors::domain::{
    catalog::Status,
    event::Event,
    frame::{Chain, Envelope, LogId, LogKind, StoredFrame, Verifier},
    grant::GrantEvent,
    ids::{Position, SessionId, Timestamp, Token},
};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{
    control::Promise,
    model::{self, ModelRecord},
    sink::{self, SinkRecord},
    wire,
};

/// Why facts could not be had.
pub(crate) type Trouble = Box<dyn std::error::Error>;

/// A frame with its records.
#[derive(Clone, Debug)]
pub(crate) struct Frame<E> {
    pub(crate) envelope: Envelope,
    pub(crate) body: String,
    pub(crate) events: Vec<E>,
}

/// A session's line in the read model.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) status: String,
    pub(crate) waiting_on: Option<String>,
    pub(crate) wake_at: Option<i64>,
    pub(crate) position: i64,
}

/// A booked call in the read model.
#[derive(Clone, Debug)]
pub(crate) struct Booked {
    pub(crate) kind: String,
    pub(crate) model: String,
    /// Input, cache read, cache write, output, reasoning.
    pub(crate) tokens: [i64; 5],
    pub(crate) tokens_max: i64,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Whether the run has healed: nothing is in hand any more.
    pub(crate) healed: bool,
    /// All frames as stored, in the order of their logs.
    pub(crate) stored: BTreeMap<LogId, Vec<StoredFrame>>,
    /// The order of all commits: log, position, token.
    pub(crate) commits: Vec<(LogId, Position, Token)>,
    /// The rows of the logs: tail, token, chain.
    pub(crate) logs: BTreeMap<LogId, (Position, Token, Chain)>,
    pub(crate) sessions: BTreeMap<SessionId, Vec<Frame<Event>>>,
    pub(crate) ledgers: BTreeMap<SessionId, Vec<Frame<GrantEvent>>>,
    /// What could not be decoded.
    pub(crate) undecoded: Vec<String>,
    pub(crate) lines: BTreeMap<SessionId, Line>,
    pub(crate) booked: BTreeMap<(SessionId, u32), Booked>,
    /// What the inbox lists.
    pub(crate) inbox: Vec<(SessionId, u32)>,
    pub(crate) integrity: Vec<String>,
    pub(crate) foreign_keys: u64,
    pub(crate) wal_bytes: u64,
    pub(crate) model: Vec<ModelRecord>,
    pub(crate) sink: Vec<SinkRecord>,
    pub(crate) client: Vec<Promise>,
}

/// Reads everything in a folder. The runtime must be dead, or the folder a copy.
pub(crate) fn collect(folder: &Path, healed: bool) -> Result<Facts, Trouble> {
    let path = |name: &str| folder.join(name);
    let wal = std::fs::metadata(path("greenroom.db-wal"));
    let conn = Connection::open(path("greenroom.db"))?;
    let mut facts = Facts {
        healed,
        stored: BTreeMap::new(),
        commits: Vec::new(),
        logs: BTreeMap::new(),
        sessions: BTreeMap::new(),
        ledgers: BTreeMap::new(),
        undecoded: Vec::new(),
        lines: BTreeMap::new(),
        booked: BTreeMap::new(),
        inbox: Vec::new(),
        integrity: rows(&conn, "PRAGMA integrity_check", |row| row.get(0))?,
        foreign_keys: rows(&conn, "PRAGMA foreign_key_check", |_row| Ok(()))?.len() as u64,
        wal_bytes: wal.map_or(0, |file| file.len()),
        model: model::read_journal(&path("model.jsonl"))?,
        sink: sink::read_journal(&path("sink.jsonl"))?,
        client: wire::read_journal(&path("client.jsonl"))?,
    };
    logs(&conn, &mut facts)?;
    read_model(&conn, &mut facts)?;
    for (log, frames) in &facts.stored {
        match log.kind {
            LogKind::Session => {
                let decoded = decode(*log, frames, &mut facts.undecoded);
                facts.sessions.insert(SessionId(log.id), decoded);
            }
            LogKind::Ledger => {
                let decoded = decode(*log, frames, &mut facts.undecoded);
                facts.ledgers.insert(SessionId(log.id), decoded);
            }
            LogKind::House | LogKind::Job => {}
        }
    }
    Ok(facts)
}

fn rows<T>(
    conn: &Connection,
    sql: &str,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare(sql)?.query_map([], row)?.collect()
}

fn log_id(kind: &str, id: &str) -> rusqlite::Result<LogId> {
    let wrong = || rusqlite::Error::InvalidQuery;
    let kind = match kind {
        "session" => LogKind::Session,
        "ledger" => LogKind::Ledger,
        "house" => LogKind::House,
        "job" => LogKind::Job,
        _ => return Err(wrong()),
    };
    Ok(LogId { kind, id: Uuid::parse_str(id).map_err(|_bad| wrong())? })
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(u64::MAX))
}

fn logs(conn: &Connection, facts: &mut Facts) -> rusqlite::Result<()> {
    let found = rows(conn, "SELECT kind, id, tail, token, chain FROM log", |row| {
        let log = log_id(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?;
        Ok((log, (Position(number(row, 2)?), Token(number(row, 3)?), Chain(row.get(4)?))))
    })?;
    facts.logs = found.into_iter().collect();
    let sql = "SELECT l.kind, l.id, f.position, f.token, f.version, f.tenant, f.principal, \
               f.caused_by, f.trace, f.at, f.body, f.chain FROM frame f JOIN log l ON f.log = l.num \
               ORDER BY f.gsn";
    for stored in rows(conn, sql, stored)? {
        let envelope = &stored.envelope;
        facts.commits.push((envelope.log, envelope.position, envelope.token));
        facts.stored.entry(envelope.log).or_default().push(stored);
    }
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredFrame> {
    let envelope = Envelope {
        log: log_id(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?,
        position: Position(number(row, 2)?),
        token: Token(number(row, 3)?),
        version: row.get(4)?,
        tenant: row.get::<_, String>(5)?.into(),
        principal: row.get::<_, String>(6)?.into(),
        caused_by: row.get(7)?,
        trace: row.get(8)?,
        at: Timestamp(row.get(9)?),
    };
    Ok(StoredFrame { envelope, body: row.get(10)?, chain: Chain(row.get(11)?) })
}

fn session(text: &str) -> rusqlite::Result<SessionId> {
    text.parse().map_err(|_bad| rusqlite::Error::InvalidQuery)
}

fn read_model(conn: &Connection, facts: &mut Facts) -> rusqlite::Result<()> {
    let sql = "SELECT id, status, waiting_on, wake_at, position FROM session";
    let lines = rows(conn, sql, |row| {
        let line = Line {
            status: row.get(1)?,
            waiting_on: row.get(2)?,
            wake_at: row.get(3)?,
            position: row.get(4)?,
        };
        Ok((session(&row.get::<_, String>(0)?)?, line))
    })?;
    facts.lines = lines.into_iter().collect();
    let sql = "SELECT session, call, kind, model, input, cache_read, cache_write, output, \
               reasoning, tokens_max FROM usage";
    let booked = rows(conn, sql, |row| {
        let booked = Booked {
            kind: row.get(2)?,
            model: row.get(3)?,
            tokens: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
            tokens_max: row.get(9)?,
        };
        Ok(((session(&row.get::<_, String>(0)?)?, row.get(1)?), booked))
    })?;
    facts.booked = booked.into_iter().collect();
    facts.inbox = rows(conn, "SELECT session, no FROM approval", |row| {
        Ok((session(&row.get::<_, String>(0)?)?, row.get(1)?))
    })?;
    Ok(())
}

fn decode<E: serde::de::DeserializeOwned>(
    log: LogId,
    frames: &[StoredFrame],
    undecoded: &mut Vec<String>,
) -> Vec<Frame<E>> {
    let mut verifier = Verifier::new(log);
    let mut decoded = Vec::new();
    for stored in frames {
        match verifier.decode(stored) {
            Ok(events) => {
                let (envelope, body) = (stored.envelope.clone(), stored.body.clone());
                decoded.push(Frame { envelope, body, events });
            }
            Err(error) => {
                undecoded.push(error.to_string());
                break;
            }
        }
    }
    decoded
}

/// The word of the read model for a status.
pub(crate) fn word(status: Status) -> &'static str {
    status.word()
}

impl Facts {
    /// All events of all sessions, with the frame's time.
    pub(crate) fn events(&self) -> impl Iterator<Item = (SessionId, Timestamp, &Event)> {
        self.sessions.iter().flat_map(|(session, frames)| {
            frames.iter().flat_map(|frame| {
                frame.events.iter().map(|event| (*session, frame.envelope.at, event))
            })
        })
    }

    /// The events of one session, in order.
    pub(crate) fn of(&self, session: SessionId) -> impl Iterator<Item = &Event> {
        self.sessions.get(&session).into_iter().flatten().flat_map(|frame| &frame.events)
    }
}
