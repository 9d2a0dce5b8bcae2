//! The files of a folder of traces: one for each session and level. A file is only ever added to; a
//! line that a crash cut off is cut away before the next one, and a file that is not a trace of that
//! session is left alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use greenroom_actors::domain::ids::{Position, SessionId};
use serde_json::Value;

use super::{Level, Link, SCHEMA};

/// How much is read at a time, from the end backwards, in search of the last line.
const STEP: u64 = 64 * 1024;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk.
    #[error("write the trace {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Somebody else's.
    #[error("write the trace {path}: the file's last line is not one of this session's trace")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
}

/// Where a trace ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its last frame; 0 where there is none.
    pub position: Position,
    /// Its last link; none before the header.
    pub link: Option<Link>,
}

/// A folder of traces of one level.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    level: Level,
}

impl Folder {
    /// This folder, made where there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path, level: Level) -> Result<Self, FileError> {
        fs::create_dir_all(path)
            .map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), level })
    }

    /// The level of its traces.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// A session's file.
    #[must_use]
    pub fn file(&self, session: SessionId) -> PathBuf {
        self.path.join(name(session, self.level))
    }

    /// Where a session's trace ends, once what a crash left of a line has been cut away.
    ///
    /// # Errors
    /// When the disk fails or the file is somebody else's.
    pub fn end(&self, session: SessionId) -> Result<End, FileError> {
        let path = self.file(session);
        let wrong = |source| FileError::Io { path: path.clone(), source };
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(End::default()),
            Err(error) => return Err(wrong(error)),
        };
        let (line, whole) = last_line(&mut file).map_err(wrong)?;
        let Some(line) = line else {
            // Not one line was written whole: it begins anew.
            file.set_len(0).map_err(wrong)?;
            return Ok(End::default());
        };
        let end = ended(&line, session).ok_or_else(|| FileError::NotOurs { path: path.clone() })?;
        file.set_len(whole).map_err(wrong)?;
        Ok(end)
    }

    /// Adds lines. What a failure left of them is cut away by the next `end`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn add(&self, session: SessionId, lines: &str) -> Result<(), FileError> {
        let path = self.file(session);
        let written = opened(&path).and_then(|mut file| file.write_all(lines.as_bytes()));
        written.map_err(|source| FileError::Io { path, source })
    }
}

/// The name of a session's file at a level.
pub(super) fn name(session: SessionId, level: Level) -> String {
    match level {
        Level::Redacted => format!("{session}.jsonl"),
        Level::Full => format!("{session}.full.jsonl"),
    }
}

/// For its owner alone: even the structure of a run is nobody else's business.
fn opened(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    how.open(path)
}

/// The last whole line, and how long the file is up to its end.
fn last_line(file: &mut File) -> io::Result<(Option<String>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut from = length;
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let start = from.saturating_sub(STEP);
        let mut piece = vec![0; usize::try_from(from - start).map_err(io::Error::other)?];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut piece)?;
        piece.append(&mut tail);
        (tail, from) = (piece, start);
        let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
            if from == 0 {
                return Ok((None, 0));
            }
            continue;
        };
        let before = tail.iter().take(end).rposition(|byte| *byte == b'\n');
        if before.is_none() && from > 0 {
            continue;
        }
        let line = tail.get(before.map_or(0, |at| at + 1)..end).unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        return Ok((Some(line), from + end as u64 + 1));
    }
}

/// Where a trace ends whose last line this is.
fn ended(line: &str, session: SessionId) -> Option<End> {
    let (_, link) = Link::open(line)?;
    let value: Value = serde_json::from_str(line).ok()?;
    let position = match value.get("position") {
        Some(position) => serde_json::from_value(position.clone()).ok()?,
        None => {
            let own = value.get("session")? == &Value::String(session.to_string());
            (own && value.get("schema")?.as_str()? == SCHEMA).then_some(Position(0))?
        }
    };
    Some(End { position, link: Some(link) })
}
