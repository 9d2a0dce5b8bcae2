//! Blobs in memory, which is where those that come in pieces go as well.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use super::MemoryStore;
use crate::{
    domain::{conversation::BlobRef, frame::hex},
    ports::{Blobs, JournalError, Pieces},
};

impl Blobs for MemoryStore {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.with(move |state| {
            let sha256 = hex(&Sha256::digest(&bytes));
            let blob = BlobRef { sha256: sha256.clone(), bytes: bytes.len() as u64 };
            state.blobs.insert(sha256, bytes);
            Ok(blob)
        })
    }

    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        match whole(&*pieces) {
            Ok(bytes) => self.put(bytes),
            Err(why) => Box::pin(std::future::ready(Err(JournalError::Unavailable { why }))),
        }
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        self.with(move |state| {
            let kept = state.blobs.get(&blob.sha256);
            Ok(kept.filter(|bytes| bytes.len() as u64 == blob.bytes).cloned())
        })
    }
}

/// Everything there is of pieces: here memory is where they go.
fn whole(pieces: &dyn Pieces) -> Result<Vec<u8>, String> {
    let (mut bytes, mut place) = (Vec::new(), vec![0; 64 * 1024]);
    while (bytes.len() as u64) < pieces.bytes() {
        let read = pieces.read(bytes.len() as u64, &mut place)?;
        match place.get(..read).filter(|piece| !piece.is_empty()) {
            Some(piece) => bytes.extend_from_slice(piece),
            None => return Err(format!("it ends after {} bytes", bytes.len())),
        }
    }
    Ok(bytes)
}
