//! Values too large for a log, kept by the hash of their content.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::conversation::BlobRef;

use super::JournalError;

/// Large values by the hash of their content.
pub trait Blobs: Send + Sync + 'static {
    /// Keeps the bytes; durable when it returns. The same bytes twice are kept once.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>>;

    /// The same of bytes that are not in memory, and need not be: piece by piece.
    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>>;

    /// The bytes, checked against their hash; `None` when they are not kept.
    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>>;
}

/// Bytes that lie somewhere else than in memory. They do not change while they are read, and may be
/// read again.
pub trait Pieces: Send + Sync + 'static {
    /// How many there are.
    fn bytes(&self) -> u64;

    /// Some of them from `at` on, into a place for them; how many. None only behind the last one.
    /// It may block.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, String>;
}
