//! What the frames of a log name that is not in them: blobs, and the session that a fork goes on from. It
//! is noted in the transaction of the frame. A name is looked for in the frame's text, as its own encoder
//! writes it: a quote within a text is escaped, so no content can pass for one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, params};

/// A blob by its hash.
pub(super) const BLOB: &str = "blob";
/// The session that a fork goes on from.
pub(super) const BASE: &str = "base";

/// Where a frame's text names them, and how long the name is.
const MARKS: [(&str, &str, usize); 2] = [
    (BLOB, "\"sha256\":\"", 64),
    (BASE, "\"type\":\"session_forked\",\"from\":{\"session\":\"", 36),
];

/// What a text names.
fn named(body: &str) -> impl Iterator<Item = (&'static str, &str)> {
    MARKS.into_iter().flat_map(move |(kind, mark, length)| {
        body.match_indices(mark).filter_map(move |(at, mark)| {
            let begin = at + mark.len();
            body.get(begin..begin + length).map(|name| (kind, name))
        })
    })
}

/// Blobs that were put and that no frame names yet. A tree that is deleted at this moment must not take
/// them along; whoever put them is about to name them.
#[derive(Debug, Default)]
pub(super) struct Fresh(Mutex<BTreeMap<String, u32>>);

impl Fresh {
    /// One more was put.
    pub(super) fn put(&self, sha256: &str) {
        *self.lock().entry(sha256.to_owned()).or_default() += 1;
    }

    /// A frame was written, and those that it names are named.
    pub(super) fn frame(&self, body: &str) {
        for (_, sha256) in named(body).filter(|(kind, _)| *kind == BLOB) {
            let mut fresh = self.lock();
            if let Some(puts) = fresh.get_mut(sha256) {
                *puts -= 1;
                if *puts == 0 {
                    fresh.remove(sha256);
                }
            }
        }
    }

    pub(super) fn has(&self, sha256: &str) -> bool {
        self.lock().contains_key(sha256)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the session that a fork goes on from is there; it may have been deleted a moment before.
pub(super) fn base_is_there(conn: &Connection, body: &str) -> rusqlite::Result<bool> {
    let mut there =
        conn.prepare_cached("SELECT count(*) FROM log WHERE kind = 'session' AND id = ?1")?;
    for (_, base) in named(body).filter(|(kind, _)| *kind == BASE) {
        if there.query_row([base], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes note of what a frame names.
pub(super) fn note(conn: &Connection, log: i64, body: &str) -> rusqlite::Result<()> {
    for (kind, name) in named(body) {
        conn.prepare_cached("INSERT OR IGNORE INTO link(kind, name, log) VALUES (?1, ?2, ?3)")?
            .execute(params![kind, name, log])?;
    }
    Ok(())
}

/// Takes note of what all frames name, of a store that did not.
pub(super) fn note_all(conn: &Connection) -> rusqlite::Result<()> {
    let mut frames = conn.prepare("SELECT log, body FROM frame")?;
    let mut rows = frames.query([])?;
    while let Some(row) = rows.next()? {
        let (log, body): (i64, String) = (row.get(0)?, row.get(1)?);
        note(conn, log, &body)?;
    }
    Ok(())
}
