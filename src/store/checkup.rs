//! A look at a store's health from outside: what SQLite says of the file, who holds it, and how
//! much is not copied back yet. It writes nothing, also beside a running runtime.

use std::path::Path;

use greenroom_actors::ports::JournalError;
use rusqlite::Connection;

use super::{
    Store,
    lock::{self, Holder},
    trouble::Trouble,
};

/// What was found. Empty lists are good news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// What SQLite finds broken in the file.
    pub broken: Vec<String>,
    /// Rows that name others which are not there.
    pub dangling: usize,
    /// The file's size.
    pub bytes: u64,
    /// What is committed and not copied back.
    pub wal_bytes: u64,
    /// Who has it open for work.
    pub holder: Holder,
}

/// How many findings of one kind are listed.
const FINDINGS: usize = 20;

impl Store {
    /// Who has a store open for work.
    #[must_use]
    pub fn holder(path: &Path) -> Holder {
        lock::worker(path)
    }

    /// Checks the file whole: every page, index and reference.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub async fn checkup(&self, path: &Path) -> Result<Checkup, JournalError> {
        let found = self.door.clone().read(examine).await?;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let (bytes, wal_bytes) = (size(path), size(Path::new(&wal)));
        Ok(Checkup { bytes, wal_bytes, holder: lock::worker(path), ..found })
    }
}

fn examine(conn: &Connection) -> Result<Checkup, Trouble> {
    match look_at(conn) {
        // A file can be too broken for the check that lists what is broken.
        Err(rusqlite::Error::SqliteFailure(code, why))
            if code.code == rusqlite::ErrorCode::DatabaseCorrupt =>
        {
            let broken = vec![why.unwrap_or_else(|| code.to_string())];
            Ok(Checkup { broken, ..Checkup::default() })
        }
        looked => Ok(looked?),
    }
}

fn look_at(conn: &Connection) -> rusqlite::Result<Checkup> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({FINDINGS})"))?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    let broken = said.filter(|line| !matches!(line, Ok(fine) if fine == "ok"));
    let broken = broken.collect::<Result<Vec<_>, _>>()?;
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    let dangling = statement.query_map([], |_row| Ok(()))?.count();
    Ok(Checkup { broken, dangling, ..Checkup::default() })
}
