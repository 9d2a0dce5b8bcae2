//! Blobs: kept once, found by their hash, never something else.

use crate::{domain::conversation::BlobRef, ports::Blobs};

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
