//! Opening: every reason to refuse is found here, before anything is written, and named with its
//! way out. What a crash left in the write-ahead log is made durable before the store is served.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use greenroom_actors::{fault, limits};
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{
    catalog, erase, links,
    lock::{self, Lock, NotLocked},
};

/// The oldest SQLite without the write-ahead log's reset defect.
const SQLITE_MIN: i32 = 3_051_003;
/// "GRNR": marks a database as ours.
const APPLICATION: i32 = 0x4752_4e52;
/// Numbered changes of the form; the count is the form's number.
const MIGRATIONS: [&str; 7] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
    include_str!("migrations/6.sql"),
    include_str!("migrations/7.sql"),
];
/// The form since which frames note what they name.
const NOTES_LINKS: i64 = 4;
/// The form since which figures of sessions and calls are kept.
const KEEPS_FIGURES: i64 = 5;

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another runtime has it.
    #[error(
        "open store {path}: {} holds it; stop that runtime or choose another file",
        pid.map_or_else(|| "another runtime".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The file.
        path: PathBuf,
        /// Who holds it, where known.
        pid: Option<u32>,
    },
    /// Another program has it locked.
    #[error("open store {path}: {holder} holds a lock on it; close that program")]
    Busy {
        /// The file.
        path: PathBuf,
        /// Who, as far as the system says.
        holder: String,
    },
    /// It cannot be written. A reader needs that as well: it has a place of its own beside the file.
    #[error(
        "open store {path}: it or its folder cannot be read and written; check owner, mode and mount"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the system said, where it did.
        #[source]
        source: Option<io::Error>,
    },
    /// A folder stands in its place.
    #[error("open store {path}: it is a folder; name a file in it")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Its folder is not there.
    #[error("open store {path}: its folder does not exist; create it")]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// No space left.
    #[error("open store {path}: the disk is full; free some space")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Something else is in the file.
    #[error("open store {path}: it is not a Greenroom database; choose another file")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error(
        "open store {path}: it has form {found}, this program knows {known}; a newer greenroom wrote it: use that one"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// Ours.
        known: usize,
    },
    /// Nothing there to read.
    #[error("read store {path}: there is no such file; check the path, or name one with --store")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file without anything in it: nobody has worked on it, or whoever made it died at once.
    #[error("read store {path}: nothing is in it yet; a runtime that opens it makes it a store")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// What is in it makes no sense.
    #[error("open store {path}: the file is damaged; restore a backup, or choose another file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Not yet brought to the form of this program.
    #[error(
        "read store {path}: it has form {found}, this program reads {known}; a runtime that opens \
         it for work brings it there"
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// Ours.
        known: usize,
    },
    /// A SQLite that can lose data.
    #[error("open store: SQLite {found} is linked, 3.51.3 or later is needed; build it bundled")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// Anything else.
    #[error("open store {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The machine gave no thread.
    #[error("open store {path}: no thread could be started")]
    Thread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Refuses a SQLite older than the fix of the reset defect.
pub(super) fn check_version(number: i32, name: &str) -> Result<(), OpenError> {
    if number < SQLITE_MIN {
        return Err(OpenError::OldSqlite { found: name.to_owned() });
    }
    Ok(())
}

/// The file behind links: two names of one file must not have two locks.
pub(super) fn real(path: &Path) -> PathBuf {
    let of_new = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(of_new).unwrap_or_else(|| path.to_owned())
}

/// The lock and the one writing connection, migrated and clean.
pub(super) fn writer(path: &Path) -> Result<(Lock, Connection), OpenError> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(OpenError::NoFolder { path: path.to_owned() });
    }
    // Before the lock, whose file would be made beside the folder.
    if path.is_dir() {
        return Err(OpenError::Folder { path: path.to_owned() });
    }
    let lock = Lock::take(path).map_err(|refused| match refused {
        NotLocked::Held { pid } => OpenError::Held { path: path.to_owned(), pid },
        NotLocked::Io(source) => io_refusal(path, source),
    })?;
    let conn = prepare(path)?;
    Ok((lock, conn))
}

fn prepare(path: &Path) -> Result<Connection, OpenError> {
    let refused = |source| refusal(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(refused)?;
    if conn.is_readonly("main").map_err(refused)? {
        return Err(OpenError::ReadOnly { path: path.to_owned(), source: None });
    }
    guard(&conn, limits::STORE_OPEN_BUSY_MS).map_err(refused)?;
    ours(&conn, path)?;
    // Commits are synced, each of them: an acknowledged frame survives the loss of power. The copy
    // back of the write-ahead log is the writer's own, because SQLite's automatic one hides a
    // failed sync, and a retried sync would report as safe what the kernel has already dropped.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;",
    )
    .map_err(refused)?;
    // What a savepoint would give back is some ten pages; it need not go through a temporary file.
    conn.execute_batch("PRAGMA temp_store = MEMORY;").map_err(refused)?;
    conn.pragma_update(None, "cache_size", -limits::STORE_CACHE_KIB).map_err(refused)?;
    // What is deleted is overwritten, and not only given up.
    conn.execute_batch("PRAGMA secure_delete = ON;").map_err(refused)?;
    migrate(&conn, path)?;
    erase::sweep(&conn).map_err(refused)?;
    // After a crash or a failed sync the log's last pages may be in the kernel's cache alone. They
    // are rewritten and synced before anything is built on them.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).map_err(refused)?;
    conn.busy_timeout(Duration::from_millis(limits::STORE_BUSY_MS)).map_err(refused)?;
    Ok(conn)
}

/// Settings of every connection.
fn guard(conn: &Connection, busy_ms: u64) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_millis(busy_ms))?;
    conn.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
         PRAGMA mmap_size = 0;",
    )?;
    // Closing must not copy back by itself: after a failed sync nothing may be written any more.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A plan must not depend on a value: with no statistics there is nothing to gain, and a statement
    // would be prepared anew for every value that is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A reading connection.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let refused = |source| refusal(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(refused)?;
    guard(&conn, limits::STORE_BUSY_MS).map_err(refused)?;
    conn.execute_batch("PRAGMA query_only = ON;").map_err(refused)?;
    Ok(conn)
}

/// A connection that only reads, beside whoever holds the store. It sees what is committed, takes
/// no lock, creates and migrates nothing.
pub(super) fn onlooker(path: &Path) -> Result<Connection, OpenError> {
    match path.metadata() {
        Ok(found) if found.is_dir() => return Err(OpenError::Folder { path: path.to_owned() }),
        Ok(_file) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(io_refusal(path, error)),
    }
    let conn = reader(path)?;
    let found = ours(&conn, path)?;
    let known = MIGRATIONS.len();
    if found == 0 {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
    if found < known as i64 {
        return Err(OpenError::TooOld { path: path.to_owned(), found, known });
    }
    Ok(conn)
}

/// Refuses what is not ours or too new; returns its form.
fn ours(conn: &Connection, path: &Path) -> Result<i64, OpenError> {
    let refused = |source| refusal(path, source);
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(refused);
    let application = number("PRAGMA application_id")?;
    let form = number("PRAGMA user_version")?;
    let empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != i64::from(APPLICATION) && !(application == 0 && form == 0 && empty) {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    if form > MIGRATIONS.len() as i64 {
        let known = MIGRATIONS.len();
        return Err(OpenError::TooNew { path: path.to_owned(), found: form, known });
    }
    Ok(form)
}

fn migrate(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let refused = |source| refusal(path, source);
    let form: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(refused)?;
    let pending = (1_i64..).zip(MIGRATIONS).skip_while(|(number, _sql)| *number <= form);
    for (number, migration) in pending {
        let step = || -> rusqlite::Result<()> {
            let transaction = conn.unchecked_transaction()?;
            transaction.execute_batch(migration)?;
            if number == NOTES_LINKS {
                links::note_all(&transaction)?;
            }
            if number == KEEPS_FIGURES {
                catalog::count_anew(&transaction)?;
            }
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", number)?;
            fault::point("store.migrating");
            transaction.commit()
        };
        step().map_err(refused)?;
    }
    Ok(())
}

fn io_refusal(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull => OpenError::Full { path },
        _ => OpenError::ReadOnly { path, source: Some(source) },
    }
}

fn refusal(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs { path },
        Some(ErrorCode::DiskFull) => OpenError::Full { path },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::ReadOnly { path, source: None }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let holder = lock::holder(&path);
            OpenError::Busy { path, holder }
        }
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, source },
        _ => OpenError::Sqlite { path, source },
    }
}
