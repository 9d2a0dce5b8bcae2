//! Damage done behind the store's back is named and stays within its log.

use greenroom_actors::{domain::frame::DecodeError, log::ReadError};

use super::*;

/// A store with two logs of five frames, closed, damaged by `sql`, and opened again.
async fn damaged(sql: &str) -> (TempDir, Arc<Store>) {
    let (folder, path) = folder();
    let store = open(&path);
    for n in [1, 2] {
        let mut writer = claimed(&store, house(n)).await;
        for at in 1..=5 {
            write(&store, &mut writer, &format!("frame {at}")).await;
        }
    }
    drop(store);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    conn.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {sql}")).unwrap();
    drop(conn);
    let store = Arc::new(open(&path));
    assert_eq!(texts(&store, house(2)).await.unwrap().len(), 5, "the other log is served");
    let mut writer = claimed(&store, house(2)).await;
    write(&store, &mut writer, "goes on").await;
    (folder, store)
}

const FIRST: &str = "(SELECT num FROM log WHERE id LIKE '%1')";

#[tokio::test]
async fn a_changed_body_is_found_by_the_chain() {
    let sql = "UPDATE frame SET body = replace(body, 'frame', 'Frame') \
               WHERE position = 3 AND log = ";
    let (_folder, store) = damaged(&format!("{sql}{FIRST}")).await;
    let found = texts(&store, house(1)).await;
    let Err(ReadError::Decode(DecodeError::Chain { position, .. })) = found else {
        panic!("the chain tells: {found:?}");
    };
    assert_eq!(position, Position(3));
}

#[tokio::test]
async fn a_changed_envelope_is_found_by_the_chain() {
    for change in ["tenant = 'other'", "token = 7", "at = at + 1", "caused_by = 'x'"] {
        let sql = format!("UPDATE frame SET {change} WHERE position = 2 AND log = {FIRST}");
        let (_folder, store) = damaged(&sql).await;
        let found = texts(&store, house(1)).await;
        assert!(matches!(found, Err(ReadError::Decode(DecodeError::Chain { .. }))), "{found:?}");
    }
}

#[tokio::test]
async fn a_missing_row_in_the_middle_is_a_gap() {
    let sql = format!("DELETE FROM frame WHERE position = 3 AND log = {FIRST}");
    let (_folder, store) = damaged(&sql).await;
    let found = texts(&store, house(1)).await;
    assert!(matches!(found, Err(ReadError::Decode(DecodeError::Gap { .. }))), "{found:?}");
}

#[tokio::test]
async fn a_log_that_lost_its_end_cannot_be_claimed() {
    let sql = format!("DELETE FROM frame WHERE position = 5 AND log = {FIRST}");
    let (_folder, store) = damaged(&sql).await;
    let claim = store.claim(house(1)).await;
    assert!(
        matches!(claim, Err(JournalError::Damaged { log, .. }) if log == house(1)),
        "{claim:?}"
    );
}

#[tokio::test]
async fn a_log_whose_own_row_was_changed_cannot_be_claimed() {
    for change in ["tail = 4", "tail = 9", "chain = x'00'", "chain = zeroblob(32)", "tail = -1"] {
        let sql = format!("UPDATE log SET {change} WHERE num = {FIRST}");
        let (_folder, store) = damaged(&sql).await;
        let claim = store.claim(house(1)).await;
        assert!(matches!(claim, Err(JournalError::Damaged { .. })), "{change}: {claim:?}");
    }
}

#[tokio::test]
async fn a_log_that_lost_its_row_is_not_taken_for_a_new_one() {
    // The last log's number is given again, so its frames would come up under the new row.
    let sql = "DELETE FROM log WHERE id LIKE '%1'; UPDATE log SET num = num + 10 \
               WHERE id LIKE '%2'; UPDATE frame SET log = log + 10 WHERE log = 2; \
               DELETE FROM log WHERE num = 1; UPDATE frame SET log = 13 WHERE log = 1";
    let (_folder, store) = damaged(sql).await;
    let claim = store.claim(house(1)).await;
    assert!(matches!(claim, Err(JournalError::Damaged { .. })), "{claim:?}");
}

#[tokio::test]
async fn a_text_that_is_no_text_any_more_is_damage_and_not_a_panic() {
    let sql = format!(
        "UPDATE frame SET body = CAST(x'5b22ff225d' AS TEXT) WHERE position = 2 AND log = {FIRST}"
    );
    let (_folder, store) = damaged(&sql).await;
    let found = texts(&store, house(1)).await;
    let Err(ReadError::Journal(JournalError::Damaged { log, .. })) = found else {
        panic!("it is named: {found:?}");
    };
    assert_eq!(log, house(1));
}

#[tokio::test]
async fn a_damaged_blob_is_gone_rather_than_wrong() {
    let (_folder, path) = folder();
    let store = open(&path);
    let blob = store.put(b"the bytes".to_vec()).await.unwrap();
    store.raw("UPDATE blob SET bytes = x'00'").await;
    assert_eq!(store.get(blob.clone()).await, Ok(None));
    assert_eq!(store.put(b"the bytes".to_vec()).await, Ok(blob.clone()));
    assert_eq!(store.get(blob).await, Ok(Some(b"the bytes".to_vec())), "kept again, it is healed");
}

#[tokio::test]
async fn flipped_bytes_anywhere_in_the_file_are_never_read_as_if_they_were_whole() {
    let (_folder, path) = folder();
    let store = open(&path);
    for n in 0..4 {
        let mut writer = claimed(&store, house(n)).await;
        for at in 0..20 {
            write(&store, &mut writer, &format!("log {n} frame {at} {}", "x".repeat(200))).await;
        }
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut seed = 42_u64;
    let (mut found, mut served) = (0, 0);
    for _ in 0..120 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(seed >> 33).unwrap() % whole.len();
        let mut bytes = whole.clone();
        *bytes.get_mut(at).unwrap() ^= 1 << (seed >> 29 & 7);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = Store::open(&path, StoreOptions { readers: 1 }) else {
            found += 1;
            continue;
        };
        let store = Arc::new(store);
        for n in 0..4 {
            // As a session wakes: claim, then read up to the promised tail.
            let journal: Arc<dyn Journal> = Arc::<Store>::clone(&store);
            let Ok(claim) = store.claim(house(n)).await else {
                found += 1;
                continue;
            };
            let mut texts = Vec::new();
            let read = log::read::<String>(&journal, house(n), Some(claim.tail), |frame| {
                texts.extend(frame.events);
                Ok(())
            });
            match read.await {
                Ok(_verifier) if claim.tail == Position(20) => {
                    served += 1;
                    let right = |at| format!("log {n} frame {at} {}", "x".repeat(200));
                    assert!(texts.into_iter().eq((0..20).map(right)), "byte {at}, log {n}");
                }
                // A flipped bit in the log's name or an index makes it look new; its owner sees
                // that from the catalog. It is empty then, never wrong.
                Ok(_verifier) => {
                    assert_eq!((claim.tail, texts.len()), (Position(0), 0), "byte {at}, log {n}");
                    found += 1;
                }
                Err(_named) => found += 1,
            }
        }
    }
    assert!(found > 10 && served > 100, "both happen: {found} found, {served} served");
}

#[tokio::test]
async fn a_session_that_lost_its_log_is_not_taken_for_a_new_one() {
    let (_folder, path) = folder();
    let store = open(&path);
    let writer = claimed(&store, house(1)).await;
    store.append(next(&writer, "one", vec![row(1, 1)])).await.unwrap();
    store.raw("PRAGMA foreign_keys = OFF").await;
    store.raw("DELETE FROM frame; DELETE FROM log").await;
    let claim = store.claim(house(1)).await;
    assert!(matches!(claim, Err(JournalError::Damaged { .. })), "{claim:?}");
}

/// Four logs of 20 frames in one write-ahead log that nobody copied back.
async fn crashed() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let store = open(&path);
    for n in 0..4 {
        let mut writer = claimed(&store, house(n)).await;
        for at in 0..20 {
            write(&store, &mut writer, &format!("log {n} frame {at}")).await;
        }
    }
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&path), name(&copy)).unwrap();
    }
    (folder, copy)
}

#[tokio::test]
async fn a_cut_write_ahead_log_leaves_a_whole_beginning_of_every_log() {
    let (_folder, path) = crashed().await;
    let wal_path = path.with_extension("db-wal");
    let (whole, wal) = (std::fs::read(&path).unwrap(), std::fs::read(&wal_path).unwrap());
    let mut found = Vec::new();
    for tenth in 0..=10 {
        std::fs::write(&path, &whole).unwrap();
        // Not at the border of a page, so that the last one is torn.
        let cut = (wal.len() * tenth / 10).saturating_sub(usize::from(tenth < 10) * 7);
        std::fs::write(&wal_path, wal.get(..cut).unwrap()).unwrap();
        let store = Arc::new(open(&path));
        let mut frames = 0;
        for n in 0..4 {
            let texts = texts(&store, house(n)).await.unwrap();
            let right = (0..texts.len()).map(|at| format!("log {n} frame {at}"));
            assert!(texts.iter().cloned().eq(right));
            assert_eq!(store.tail(house(n)).await.unwrap().0.0, texts.len() as u64);
            frames += texts.len();
        }
        found.push(frames);
    }
    assert!(found.is_sorted(), "more of the log is more of the frames: {found:?}");
    assert_eq!((found.first(), found.last()), (Some(&0), Some(&80)), "{found:?}");
}

#[tokio::test]
async fn zeroed_and_swapped_pages_are_never_read_as_if_they_were_whole() {
    let (_folder, path) = crashed().await;
    drop(open(&path));
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    let page = |no: usize| no * 4096..(no + 1) * 4096;
    for no in 0..pages {
        for swapped in [false, true] {
            let mut bytes = whole.clone();
            if swapped {
                let other = whole.get(page((no + 1) % pages)).unwrap();
                bytes.get_mut(page(no)).unwrap().copy_from_slice(other);
                let this = whole.get(page(no)).unwrap();
                bytes.get_mut(page((no + 1) % pages)).unwrap().copy_from_slice(this);
            } else {
                bytes.get_mut(page(no)).unwrap().fill(0);
            }
            std::fs::write(&path, &bytes).unwrap();
            let Ok(store) = Store::open(&path, StoreOptions { readers: 1 }) else { continue };
            let store = Arc::new(store);
            for n in 0..4 {
                let Ok(claim) = store.claim(house(n)).await else { continue };
                let Ok(texts) = texts(&store, house(n)).await else { continue };
                let right = (0..20).map(|at| format!("log {n} frame {at}"));
                let whole = texts.iter().cloned().eq(right);
                // A lost index can make a log look new, as in the test above.
                let new = claim.tail == Position(0) && texts.is_empty();
                assert!(whole || new, "page {no}, swapped {swapped}, log {n}: {texts:?}");
            }
        }
    }
}
