//! Every refusal to open is quick, typed, and says who or what stands in the way.

#![expect(clippy::disallowed_methods, reason = "the time a refusal takes is what is measured")]

use std::time::{Duration, Instant};

use greenroom_actors::domain::{
    catalog::{ApprovalFilter, Open},
    event::{Event, UserInput},
    ids::InputKey,
    job::{JobFilter, JobId, JobOrder, JobRow, JobState},
};

use super::*;
use crate::store::open::{check_version, writer};

/// The refusal, and its text with those of its causes.
fn refusal(path: &Path) -> (OpenError, String) {
    let begun = Instant::now();
    let error = Store::open(path, StoreOptions::default()).expect_err("it must be refused");
    assert!(begun.elapsed() < Duration::from_secs(1), "it is refused within a second");
    let text = error.to_string();
    (error, text)
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_second_runtime_is_told_which_process_holds_the_store() {
    let (_folder, path) = folder();
    let first = open(&path);
    let (error, text) = refusal(&path);
    assert!(matches!(error, OpenError::Held { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(first);
    drop(open(&path));
}

#[test]
fn another_name_of_the_same_file_does_not_get_round_the_lock() {
    let (folder, path) = folder();
    let first = open(&path);
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let linked = folder.path().join("linked");
    std::os::unix::fs::symlink(folder.path(), &linked).unwrap();
    for name in [link, linked.join("green.db"), folder.path().join(".").join("green.db")] {
        assert!(matches!(refusal(&name).0, OpenError::Held { .. }), "{}", name.display());
    }
    drop(first);
}

#[test]
fn a_newer_form_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    drop(open(&path));
    sql(&path, "PRAGMA user_version = 99");
    let (error, text) = refusal(&path);
    assert!(matches!(error, OpenError::TooNew { found: 99, known: 7, .. }));
    assert!(text.contains("newer"), "{text}");
    sql(&path, "PRAGMA user_version = 7");
    drop(open(&path));
}

#[test]
fn what_is_no_database_or_not_ours_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    let letter = "Dear diary, this is not a database. ".repeat(100);
    std::fs::write(&path, &letter).unwrap();
    let (error, text) = refusal(&path);
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error:?}");
    assert!(text.contains("choose another file"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);

    let (_folder, path) = folder_of_another_program();
    assert!(matches!(refusal(&path).0, OpenError::NotOurs { .. }));
}

fn folder_of_another_program() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    sql(&path, "CREATE TABLE invoice(no INTEGER)");
    (folder, path)
}

#[test]
fn a_missing_folder_is_named() {
    let (folder, _path) = folder();
    let (error, text) = refusal(&folder.path().join("nowhere").join("green.db"));
    assert!(matches!(error, OpenError::NoFolder { .. }));
    assert!(text.contains("nowhere"), "{text}");
}

#[test]
fn a_folder_in_its_place_is_said_to_be_one_and_nothing_is_made_beside_it() {
    let (folder, _path) = folder();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    assert!(matches!(refusal(&inner).0, OpenError::Folder { .. }));
    assert!(matches!(Store::look(&inner), Err(OpenError::Folder { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no lock beside it");
}

#[test]
fn a_file_that_was_cut_off_is_damaged_and_no_riddle() {
    let (_folder, path) = folder();
    drop(open(&path));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, whole.get(..whole.len() / 3).unwrap()).unwrap();
    let (error, text) = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(text.contains("restore a backup"), "{text}");
    assert!(matches!(Store::look(&path), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    // Nobody, not even root, creates files there.
    let (error, text) = refusal(Path::new("/proc/green.db"));
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
    assert!(text.contains("cannot be read and written"), "{text}");
}

#[test]
fn a_lock_of_another_program_is_reported_in_time() {
    let (_folder, path) = folder();
    drop(open(&path));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let (error, text) = refusal(&path);
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    assert!(text.contains("close"), "{text}");
    drop(other);
    drop(open(&path));
}

#[test]
fn an_sqlite_with_the_reset_defect_is_refused() {
    assert!(check_version(3_051_003, "3.51.3").is_ok());
    let error = check_version(3_040_001, "3.40.1").expect_err("too old");
    assert!(error.to_string().contains("3.40.1"));
}

#[test]
fn the_settings_that_durability_rests_on_are_in_force() {
    let (_folder, path) = folder();
    let (_lock, conn) = writer(&path).unwrap();
    let number = |name: &str| -> i64 {
        conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
    };
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(number("synchronous"), 2, "FULL");
    assert_eq!(number("foreign_keys"), 1);
    assert_eq!(number("trusted_schema"), 0);
    assert_eq!(number("cell_size_check"), 1);
    assert_eq!(number("user_version"), 7);
    assert_eq!(number("busy_timeout"), limits::STORE_BUSY_MS as i64, "not that of opening");
}

#[tokio::test]
async fn an_onlooker_reads_beside_the_holder_and_writes_nothing() {
    let (folder, path) = folder();
    assert!(matches!(Store::look(&path), Err(OpenError::Missing { .. })));
    assert!(!path.exists());
    let holder = open(&path);
    let writer = claimed(&holder, house(1)).await;
    holder.append(next(&writer, "seen", vec![])).await.unwrap();
    let onlooker = Store::look(&path).unwrap();
    assert_eq!(onlooker.read(house(1), Position(0), 10).await.unwrap().len(), 1);
    assert!(onlooker.claim(house(1)).await.is_err(), "it may not own anything");
    holder.append(next(&writer, "fenced by nobody", vec![])).await.expect_err("same position");
    drop(onlooker);
    let empty = folder.path().join("empty.db");
    sql(&empty, "PRAGMA user_version = 0");
    assert!(matches!(Store::look(&empty), Err(OpenError::Empty { .. })));
    drop(holder);
}

#[tokio::test]
async fn a_store_of_the_first_form_opens_with_all_that_is_in_it() {
    let (_folder, path) = folder();
    let store = Arc::new(open(&path));
    let mut writer = claimed(&store, house(1)).await;
    writer.tail = store.append(next(&writer, "before", vec![row(1, 1)])).await.unwrap();
    store.close();
    drop(store);
    sql(&path, WITHOUT_PLACES);
    sql(&path, WITHOUT_ASKING);
    sql(&path, WITHOUT_FIGURES);
    sql(
        &path,
        "DROP TABLE job; DROP TABLE input; DROP TABLE link; DROP TABLE doomed; DROP TABLE spent; \
         PRAGMA user_version = 1",
    );
    sql(&path, WITHOUT_TENANTS);
    let looked = Store::look(&path);
    assert!(matches!(looked, Err(OpenError::TooOld { found: 1, known: 7, .. })), "{looked:?}");
    let store = Arc::new(open(&path));
    assert_eq!(texts(&store, house(1)).await.unwrap(), ["before"]);
    assert_eq!(store.session(session(1)).await.unwrap().unwrap().position, Position(1));
    assert_eq!(store.jobs(JobFilter::default()).await.unwrap(), []);
}

/// Takes from a store the figures that its fifth form keeps.
pub(super) const WITHOUT_FIGURES: &str = "DROP TRIGGER session_comes; DROP TRIGGER session_changes; DROP TRIGGER session_moves; \
     DROP TRIGGER session_goes; DROP TRIGGER usage_comes; DROP TRIGGER usage_changes; \
     DROP TRIGGER usage_goes; DROP TRIGGER booking_counts; DROP VIEW booking; \
     DROP TABLE booked; DROP TABLE census; ALTER TABLE usage DROP COLUMN tenant; \
     ALTER TABLE session DROP COLUMN waits;";

/// Takes from a store's jobs the order that its seventh form gave them.
pub(super) const WITHOUT_PLACES: &str = "DROP INDEX job_place; DROP INDEX job_tenant_place; DROP INDEX job_open; \
     ALTER TABLE job DROP COLUMN created_at; CREATE INDEX job_tenant ON job(tenant, queue); \
     CREATE INDEX job_open ON job(id) WHERE open = 1;";

/// Takes from a store's questions when they were asked, which its sixth form knows.
pub(super) const WITHOUT_ASKING: &str = "ALTER TABLE approval DROP COLUMN asked_at;";

/// Takes from a store's questions what its third form gave them.
const WITHOUT_TENANTS: &str = "DROP INDEX approval_place; DROP INDEX approval_tenant; \
                               ALTER TABLE approval DROP COLUMN tenant;";

#[tokio::test]
async fn a_store_of_the_fifth_form_finds_out_when_its_open_questions_were_asked() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writer = claimed(&store, house(1)).await;
    let ask = |no| {
        let Change::ApprovalOpened { no, ask, .. } = question(no, 90) else { unreachable!() };
        Event::ApprovalRequested { no, ask }
    };
    let goal = || Event::GoalSet { goal: None };
    for (at, events, changes) in [
        (5, vec![goal(), ask(1)], vec![row(1, 1), question(1, 90)]),
        (6, vec![ask(2), ask(3)], vec![question(2, 90), question(3, 90)]),
        (9, vec![goal()], Vec::new()),
    ] {
        let append = writer.frame(&events, changes, None, Timestamp(at)).unwrap();
        writer.tail = store.append(append).await.unwrap();
    }
    store.close();
    drop(store);
    sql(&path, WITHOUT_PLACES);
    sql(&path, WITHOUT_ASKING);
    sql(&path, "PRAGMA user_version = 5");
    let open = open(&path).approvals(ApprovalFilter::default()).await.unwrap();
    let asked: Vec<_> = open.iter().map(|row| (row.id.no.0, row.asked_at.0)).collect();
    assert_eq!(asked, [(1, 5), (2, 6), (3, 6)]);
}

#[tokio::test]
async fn a_store_of_the_second_form_learns_what_the_third_is_asked_for() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writer = claimed(&store, house(1)).await;
    let changes = vec![row(1, 1), question(1, 10)];
    writer.tail = store.append(next(&writer, "asks", changes)).await.unwrap();
    let (key, input) = (InputKey::from("k/1"), UserInput::text("\"type\":\"input_accepted\""));
    let accepted =
        [Event::GoalSet { goal: None }, Event::InputAccepted { key: key.clone(), input }];
    store.append(writer.frame(&accepted, Vec::new(), None, Timestamp(1)).unwrap()).await.unwrap();
    for (n, created_at, updated_at) in [(5, 2, 30), (6, 1, 40)] {
        let (created_at, updated_at) = (Timestamp(created_at), Timestamp(updated_at));
        let line = JobRow { created_at, updated_at, ..job_line(JobId(Uuid::from_u128(n))) };
        let writer = claimed(&store, LogId::job(line.job)).await;
        store.append(next(&writer, "job", vec![Change::Job(Box::new(line))])).await.unwrap();
    }
    store.close();
    drop(store);
    sql(&path, WITHOUT_PLACES);
    sql(&path, WITHOUT_ASKING);
    sql(&path, WITHOUT_FIGURES);
    sql(&path, WITHOUT_TENANTS);
    sql(
        &path,
        "DROP INDEX job_state; DROP INDEX job_latest; DROP INDEX job_tenant_latest; \
         ALTER TABLE job DROP COLUMN updated_at; DROP TABLE input; \
         DROP TABLE link; DROP TABLE doomed; DROP TABLE spent; PRAGMA user_version = 2",
    );
    let store = open(&path);
    assert_eq!(store.input(session(1), key).await, Ok(Some(Position(2))));
    let theirs = store.open(Some("t".into())).await.unwrap();
    assert_eq!(theirs, Open { approvals: 1, jobs: vec![(JobState::Queued, 2)] });
    assert_eq!(store.open(Some("u".into())).await.unwrap(), Open::default());
    let order = JobOrder::Changed;
    let latest = JobFilter { open: true, order, rows: 1, ..JobFilter::default() };
    let found = store.jobs(latest).await.unwrap();
    assert_eq!(found.iter().map(|job| job.updated_at.0).collect::<Vec<_>>(), [40]);
    let oldest = store.jobs(JobFilter { open: true, ..JobFilter::default() }).await.unwrap();
    assert_eq!(oldest.iter().map(|job| job.created_at.0).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_job_whose_line_could_not_follow_its_log_is_found_and_caught_up() {
    let (_folder, path) = folder();
    let store = open(&path);
    let job = JobId(Uuid::from_u128(5));
    let mut writer = claimed(&store, LogId::job(job)).await;
    store.raw("ALTER TABLE job RENAME TO hidden").await;
    let line = Box::new(job_line(job));
    let append = next(&writer, "unseen", vec![Change::Job(line.clone())]);
    writer.tail = store.append(append).await.unwrap();
    store.raw("ALTER TABLE hidden RENAME TO job").await;
    assert_eq!(store.stale_jobs().await.unwrap(), [job]);
    assert_eq!(store.stale().await.unwrap(), [], "no session is behind");
    assert_eq!(store.replace_job(job, writer.tail, line.clone()).await, Ok(Position(1)));
    assert_eq!(store.stale_jobs().await.unwrap(), []);
    assert_eq!(store.job(job).await.unwrap(), Some(*line));
}

fn job_line(job: JobId) -> JobRow {
    JobRow {
        job,
        tenant: "t".into(),
        queue: "default".into(),
        name: "n".to_owned(),
        kind: "host".to_owned(),
        agent: None,
        state: JobState::Queued,
        progress: 0,
        detail: None,
        attempt: 0,
        attempts_max: 1,
        due: None,
        session: None,
        after: Vec::new(),
        error: None,
        series: None,
        open: true,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        ended_at: None,
        position: Position(1),
    }
}
