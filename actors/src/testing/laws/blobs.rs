//! Blobs: kept once, found by their hash, never something else.

use std::sync::Arc;

use crate::{
    domain::conversation::BlobRef,
    ports::{Blobs, JournalError, Pieces},
};

/// Bytes that come as few at a time as they please, or end too early.
struct Crumbs {
    bytes: Vec<u8>,
    said: u64,
}

/// So many are said of what cannot be read at all.
const GONE: u64 = 12;

impl Pieces for Crumbs {
    fn bytes(&self) -> u64 {
        self.said
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, String> {
        if self.said == GONE {
            return Err("it is gone".to_owned());
        }
        let rest = self.bytes.iter().skip(at as usize).take(7_001);
        Ok(into.iter_mut().zip(rest).map(|(place, byte)| *place = *byte).count())
    }
}

pub(super) async fn pieces_are_the_blob_that_their_bytes_are<B: Blobs>(blobs: &B) {
    for count in [0_usize, 1, 7_001, 300_000, 3_000_000] {
        let bytes: Vec<u8> = (0..count).map(|no| (no % 251) as u8).collect();
        let pieces = || Arc::new(Crumbs { bytes: bytes.clone(), said: count as u64 });
        let blob = blobs.put_pieces(pieces()).await.expect("put pieces");
        assert_eq!(blobs.get(blob.clone()).await, Ok(Some(bytes.clone())), "{count} bytes");
        assert_eq!(blobs.put(bytes.clone()).await, Ok(blob.clone()), "the name is the same");
        assert_eq!(blobs.put_pieces(pieces()).await, Ok(blob), "twice is once");
    }
}

pub(super) async fn pieces_that_cannot_be_read_are_not_kept_and_harm_nobody<B: Blobs>(blobs: &B) {
    for said in [11, GONE] {
        let pieces = Crumbs { bytes: b"ten bytes!".to_vec(), said };
        let refused = blobs.put_pieces(Arc::new(pieces)).await;
        assert!(matches!(refused, Err(JournalError::Unavailable { .. })), "{refused:?}");
    }
    let blob = blobs.put(b"after".to_vec()).await.expect("put");
    assert_eq!(blobs.get(blob).await, Ok(Some(b"after".to_vec())));
}

pub(super) async fn bytes_come_back_by_their_hash<B: Blobs>(blobs: &B) {
    let large = vec![0xA5; 3 * 1024 * 1024];
    for bytes in [b"abc".to_vec(), Vec::new(), vec![0, 255, 0], large] {
        let blob = blobs.put(bytes.clone()).await.expect("put");
        assert_eq!(blob.bytes, bytes.len() as u64);
        assert_eq!(blobs.get(blob).await, Ok(Some(bytes)));
    }
    let blob = blobs.put(b"abc".to_vec()).await.expect("put");
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(blob.sha256, known, "the name is the SHA-256 in lower-case hex");
}

pub(super) async fn the_same_bytes_are_the_same_blob<B: Blobs>(blobs: &B) {
    let first = blobs.put(b"twice".to_vec()).await.expect("put");
    let second = blobs.put(b"twice".to_vec()).await.expect("put again");
    assert_eq!(first, second);
    assert_eq!(blobs.get(first).await, Ok(Some(b"twice".to_vec())));
}

pub(super) async fn what_was_not_kept_is_not_there<B: Blobs>(blobs: &B) {
    let kept = blobs.put(b"kept".to_vec()).await.expect("put");
    let other = BlobRef { sha256: "0".repeat(64), bytes: 4 };
    assert_eq!(blobs.get(other).await, Ok(None));
    let shorter = BlobRef { bytes: 3, ..kept };
    assert_eq!(blobs.get(shorter).await, Ok(None), "a name with another length is another name");
}
