//! Large values in SQL, by the hash of their bytes. What comes in pieces is never whole in memory: it
//! is read once for its name and once more into its place.

use greenroom_actors::{
    domain::{conversation::BlobRef, frame::hex},
    limits,
    ports::Pieces,
};
use rusqlite::{Connection, MAIN_DB, OptionalExtension as _, blob::ZeroBlob, params};
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;

/// The name of these bytes.
pub(super) fn name(bytes: &[u8]) -> BlobRef {
    BlobRef { sha256: hex(&Sha256::digest(bytes)), bytes: bytes.len() as u64 }
}

/// What is read of pieces at once.
const PIECE: usize = 256 * 1024;

/// Goes through pieces from the first byte to the last.
fn each(
    pieces: &dyn Pieces,
    mut take: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let (mut place, mut at) = (vec![0; PIECE], 0);
    while at < pieces.bytes() {
        let unread = |why| Trouble::Refused(format!("keep a blob: read it: {why}"));
        let read = pieces.read(at, &mut place).map_err(unread)?;
        let piece = place.get(..read).filter(|piece| !piece.is_empty());
        take(piece.ok_or_else(|| unread(format!("it ends after {at} bytes")))?)?;
        at += read as u64;
    }
    Ok(())
}

/// The name of these pieces.
pub(super) fn name_pieces(pieces: &dyn Pieces) -> Result<BlobRef, Trouble> {
    fits(pieces.bytes())?;
    let mut hash = Sha256::new();
    each(pieces, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok(BlobRef { sha256: hex(&hash.finalize()), bytes: pieces.bytes() })
}

/// Keeps the pieces once. A copy that is there is written anew, which heals it where it is damaged.
pub(super) fn put_pieces(
    conn: &Connection,
    blob: &BlobRef,
    pieces: &dyn Pieces,
) -> Result<(), Trouble> {
    let room = ZeroBlob(blob.bytes);
    let row: i64 = conn
        .prepare_cached(
            "INSERT INTO blob(sha256, bytes) VALUES (?1, ?2) \
             ON CONFLICT(sha256) DO UPDATE SET bytes = excluded.bytes RETURNING rowid",
        )?
        .query_row(params![blob.sha256, room], |row| row.get(0))?;
    let mut place = conn.blob_open(MAIN_DB, c"blob", c"bytes", row, false)?;
    let mut at = 0;
    each(pieces, |piece| {
        place.write_at(piece, at)?;
        at += piece.len();
        Ok(())
    })?;
    Ok(place.close()?)
}

fn fits(bytes: u64) -> Result<(), Trouble> {
    let max = limits::BLOB_BYTES;
    if bytes > max as u64 {
        return Err(Trouble::Refused(format!(
            "keep a blob: it has {bytes} bytes, at most {max} fit; cut it"
        )));
    }
    Ok(())
}

/// Keeps the bytes once.
pub(super) fn put(conn: &Connection, blob: &BlobRef, bytes: &[u8]) -> Result<(), Trouble> {
    fits(bytes.len() as u64)?;
    // A damaged copy is replaced: whoever puts the bytes again heals it.
    conn.prepare_cached(
        "INSERT INTO blob(sha256, bytes) VALUES (?1, ?2) \
         ON CONFLICT(sha256) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes",
    )?
    .execute(params![blob.sha256, bytes])?;
    Ok(())
}

/// The bytes, if they are kept and still hash to their name.
pub(super) fn get(conn: &Connection, blob: &BlobRef) -> Result<Option<Vec<u8>>, Trouble> {
    let bytes: Option<Vec<u8>> = conn
        .prepare_cached("SELECT bytes FROM blob WHERE sha256 = ?1")?
        .query_row([&blob.sha256], |row| row.get(0))
        .optional()?;
    let Some(bytes) = bytes else { return Ok(None) };
    if name(&bytes) == *blob {
        return Ok(Some(bytes));
    }
    // Bytes with another hash are not the bytes asked for; those are lost.
    tracing::error!(blob = %blob.sha256, "blob is damaged");
    Ok(None)
}
