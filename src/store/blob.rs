//! Large values in SQL, by the hash of their bytes.

use greenroom_actors::{
    domain::{conversation::BlobRef, frame::hex},
    limits,
};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;

/// The name of these bytes.
pub(super) fn name(bytes: &[u8]) -> BlobRef {
    BlobRef { sha256: hex(&Sha256::digest(bytes)), bytes: bytes.len() as u64 }
}

/// Keeps the bytes once.
pub(super) fn put(conn: &Connection, blob: &BlobRef, bytes: &[u8]) -> Result<(), Trouble> {
    let max = limits::BLOB_BYTES;
    if bytes.len() > max {
        return Err(Trouble::Refused(format!(
            "keep a blob: it has {} bytes, at most {max} fit; cut it",
            bytes.len()
        )));
    }
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
