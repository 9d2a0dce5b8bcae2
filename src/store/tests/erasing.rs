//! Deleting in the file: the bytes are gone from it and from its write-ahead log, a blob that somebody has
//! just put again waits for the next start, and a store of an older form knows what its frames name.

use greenroom_actors::{
    domain::{
        catalog::{Erasure, SessionFilter},
        conversation::BlobRef,
    },
    ports::Append,
};

use super::*;

fn whole(n: u128) -> Erasure {
    Erasure { root: session(n), off_stage: [].into() }
}

/// Whether any of the store's files holds this.
fn holds(path: &Path, what: &[u8]) -> bool {
    ["", "-wal"].iter().any(|end| {
        let file = format!("{}{end}", path.display());
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(what.len()).any(|window| window == what)
    })
}

async fn naming(store: &Store, n: u128, blob: &BlobRef, line: Vec<Change>) {
    let writer = claimed(store, house(n)).await;
    let body = format!("[\"{}\"]", "z".repeat(9_000));
    let body = body.replace("\"]", &format!("\",{{\"sha256\":\"{}\"}}]", blob.sha256));
    store.append(Append { body, ..next(&writer, "x", line) }).await.unwrap();
}

#[tokio::test]
async fn of_a_deleted_tree_no_byte_is_left_in_the_files_while_the_store_is_open() {
    let (_folder, path) = folder();
    let store = open(&path);
    let canary = b"canary-in-a-blob".repeat(1_000);
    let blob = store.put(canary).await.unwrap();
    let mut writer = claimed(&store, house(1)).await;
    for no in 0..50 {
        let text = format!("canary-in-a-frame {no} {}", "x".repeat(no * 200));
        let line = row(1, writer.tail.next().0);
        writer.tail = store.append(next(&writer, &text, vec![line])).await.unwrap();
    }
    drop(writer);
    naming(&store, 1, &blob, vec![row(1, 51)]).await;
    // Another's, all over the same pages.
    let mut other = claimed(&store, house(2)).await;
    for no in 0..50 {
        let append = next(&other, &format!("stays {no}"), vec![row(2, other.tail.next().0)]);
        other.tail = store.append(append).await.unwrap();
    }
    for what in [&b"canary-in-a-frame"[..], b"canary-in-a-blob"] {
        assert!(holds(&path, what), "it was there: {}", String::from_utf8_lossy(what));
    }
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    // The last copy back is behind the answer; what is read is behind it, too.
    store.raw("SELECT 1").await;
    for what in [&b"canary-in-a-frame"[..], b"canary-in-a-blob"] {
        assert!(!holds(&path, what), "it is left: {}", String::from_utf8_lossy(what));
    }
    let store = Arc::new(store);
    assert_eq!(texts(&store, house(2)).await.unwrap().len(), 50, "and verifies");
    assert_eq!(store.sessions(SessionFilter::default()).await.unwrap().len(), 1);
    store.close();
    assert!(!holds(&path, b"canary"));
}

#[tokio::test]
async fn a_blob_that_somebody_has_just_put_again_goes_with_the_next_start_unless_it_is_named() {
    for is_named in [false, true] {
        let (_folder, path) = folder();
        let store = open(&path);
        let blob = store.put(b"the same output".to_vec()).await.unwrap();
        naming(&store, 1, &blob, vec![row(1, 1)]).await;
        assert_eq!(store.put(b"the same output".to_vec()).await.unwrap(), blob);
        assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
        assert_ne!(store.get(blob.clone()).await, Ok(None), "somebody is about to name it");
        if is_named {
            naming(&store, 2, &blob, vec![row(2, 1)]).await;
        }
        store.close();
        let store = open(&path);
        let left = store.get(blob).await.unwrap();
        assert_eq!(left.is_some(), is_named, "{left:?}");
    }
}

#[tokio::test]
async fn a_store_of_an_older_form_learns_what_its_frames_name() {
    let (_folder, path) = folder();
    let store = open(&path);
    let blob = store.put(b"named before".to_vec()).await.unwrap();
    for n in [1, 2] {
        naming(&store, n, &blob, vec![row(n, 1)]).await;
    }
    store.close();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(opening::WITHOUT_PLACES).unwrap();
    conn.execute_batch(opening::WITHOUT_ASKING).unwrap();
    conn.execute_batch(opening::WITHOUT_FIGURES).unwrap();
    let back = "DROP TABLE link; DROP TABLE doomed; DROP TABLE spent; PRAGMA user_version = 3";
    conn.execute_batch(back).unwrap();
    drop(conn);
    let store = open(&path);
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    assert_ne!(store.get(blob.clone()).await, Ok(None), "the other names it");
    assert_eq!(store.erase(whole(2)).await, Ok(Ok(1)));
    assert_eq!(store.get(blob).await, Ok(None));
}
