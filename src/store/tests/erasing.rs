//! Deleting in the file: the bytes are gone from it and from its write-ahead log, a blob that somebody has
//! just put again waits for the next start, and a store of an older form knows what its frames name.

use greenroom_actors::{
    domain::{
        catalog::{Erasure, SessionFilter},
        conversation::BlobRef,
        event::Goal,
    },
    ports::Append,
    testing::harness::eventually,
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

/// Whoever put it died before a frame could name it, so no log says whose it was.
#[tokio::test]
async fn a_blob_that_nobody_came_to_name_goes_with_the_first_start_behind_a_deletion() {
    let (_folder, path) = folder();
    let store = open(&path);
    let lost = store.put(b"canary-nobody-names".to_vec()).await.unwrap();
    let named = store.put(b"somebody names".to_vec()).await.unwrap();
    naming(&store, 2, &named, vec![row(2, 1)]).await;
    naming(&store, 1, &named, vec![row(1, 1)]).await;
    store.close();
    let store = open(&path);
    assert_ne!(store.get(lost.clone()).await, Ok(None), "nothing was deleted yet");
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    store.close();
    let store = open(&path);
    assert_eq!(store.get(lost).await, Ok(None));
    assert_ne!(store.get(named).await, Ok(None), "another names it");
    assert!(!holds(&path, b"canary"));
}

/// What its lines do not say yet may be at work, or a child that would be left behind.
#[tokio::test]
async fn nothing_is_erased_while_the_lines_are_behind_the_logs() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writers = Vec::new();
    for n in [1, 2] {
        writers.push(claimed(&store, house(n)).await);
    }
    store.append(next(&writers[0], "one", vec![row(1, 1)])).await.unwrap();
    let Change::Session(mut below) = row(2, 1) else { unreachable!() };
    below.root = session(1);
    let changes = vec![Change::Session(below), free(1)];
    store.raw("ALTER TABLE usage RENAME TO hidden").await;
    store.append(next(&writers[1], "two", changes.clone())).await.unwrap();
    store.raw("ALTER TABLE hidden RENAME TO usage").await;
    let early = store.erase(whole(1)).await;
    assert!(matches!(early, Err(JournalError::Unavailable { .. })), "{early:?}");
    assert_ne!(store.session(session(1)).await, Ok(None));
    assert_eq!(store.replace(session(2), Position(1), changes).await, Ok(Position(1)));
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(2)));
}

/// Somebody who reads for long keeps the write-ahead log from being emptied.
#[tokio::test]
async fn a_long_read_holds_no_writer_up_and_what_it_kept_goes_once_it_has_ended() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writers = Vec::new();
    for n in [1, 2] {
        let mut writer = claimed(&store, house(n)).await;
        let canary = format!("canary{n}");
        writer.tail = store.append(next(&writer, &canary, vec![row(n, 1)])).await.unwrap();
        writers.push(writer);
    }
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let all: i64 = reader.query_row("SELECT count(*) FROM frame", [], |row| row.get(0)).unwrap();
    assert_eq!(all, 2);
    let clock: Arc<dyn greenroom_actors::ports::Clock> = Arc::new(crate::clock::SystemClock);
    let began = clock.running();
    assert_eq!(store.erase(whole(1)).await, Ok(Ok(1)));
    for at in 2..6 {
        let writer = &mut writers[1];
        writer.tail = store.append(next(writer, "more", vec![row(2, at)])).await.unwrap();
    }
    let waited = clock.running().since_ms(began);
    assert!(waited < limits::STORE_BUSY_MS, "a write waited for a reader: {waited} ms");
    assert!(holds(&path, b"canary1"), "somebody still reads it");
    reader.execute_batch("ROLLBACK").unwrap();
    // Nobody writes any more.
    eventually(&clock, "it is gone", || async { (!holds(&path, b"canary1")).then_some(()) }).await;
}

/// Frames and lines of many trees lie on the same pages, which are filled, split and merged again as
/// trees come and go: what a page held once must not be left between what it holds now.
#[tokio::test]
async fn of_trees_that_lay_among_others_no_byte_is_left_either() {
    let (_folder, path) = folder();
    let store = open(&path);
    let text = |n: u128, no: u64| {
        // Sizes that leave gaps of all kinds, the same in every run.
        let more = usize::try_from((n as u64 * 7_919 + no * 104_729) % 23).unwrap() * 60;
        format!("canary{n:04} {no} {}", "x".repeat(more))
    };
    let line = |n: u128, at: u64| {
        let Change::Session(mut row) = row(n, at) else { unreachable!() };
        let name = format!("canary{n:04}").repeat(usize::try_from(at % 9).unwrap() + 1);
        row.goal = Some(Goal { objective: name.clone(), token_budget: None });
        row.name = Some(name);
        Change::Session(row)
    };
    let mut writers = Vec::new();
    for n in 0..120 {
        writers.push(claimed(&store, house(n)).await);
    }
    let mut gone = Vec::new();
    for round in 0..12_u64 {
        for (n, writer) in (0_u128..).zip(&mut writers) {
            if gone.contains(&n) {
                continue;
            }
            let at = writer.tail.next().0;
            let mut changes = vec![line(n, at)];
            if at % 4 == 0 {
                let mut asked = question(at as u32, 9);
                if let Change::ApprovalOpened { ask, .. } = &mut asked {
                    ask.subject = Subject::Question { text: text(n, at) };
                }
                changes.push(asked);
            }
            writer.tail = store.append(next(writer, &text(n, at), changes)).await.unwrap();
        }
        for n in (u128::from(round)..120).step_by(12).filter(|n| n % 3 != 0) {
            assert_eq!(store.erase(whole(n)).await, Ok(Ok(1)));
            gone.push(n);
        }
    }
    assert!(gone.len() > 60, "{}", gone.len());
    let left = || {
        let bytes = std::fs::read(&path).unwrap();
        let all = bytes.windows(10).filter(|part| part.starts_with(b"canary"));
        let all = all.filter_map(|part| std::str::from_utf8(part).ok()?.get(6..)?.parse().ok());
        all.collect::<std::collections::BTreeSet<u128>>()
    };
    let clock: Arc<dyn greenroom_actors::ports::Clock> = Arc::new(crate::clock::SystemClock);
    eventually(&clock, "nothing is left of them", || async {
        let left = left();
        gone.iter().all(|n| !left.contains(n)).then_some(())
    })
    .await;
    let stay: Vec<u128> = (0..120).filter(|n| !gone.contains(n)).collect();
    assert_eq!(left().into_iter().collect::<Vec<_>>(), stay, "and all of the others");
}
