//! Reading a trace: line by line, each held against the link before. The first line that does not fit
//! ends it: behind it nothing is known.

use std::path::{Path, PathBuf};

use greenroom_actors::domain::{
    event::Event,
    ids::{Position, SessionId, Timestamp},
};

use super::{Header, Level, Line, Link, SCHEMA, VERSION, content, file};

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file.
    #[error("read the trace {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
    /// Something else.
    #[error("read the trace {path}: its first line is not the header of a {SCHEMA}")]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("read the trace {path}: it has form {found}, this program knows up to {VERSION}")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A line that was changed, or whose neighbour is missing.
    #[error("{what}: line {line} of {path} was changed, or a line before it is missing")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The frame it says it is.
        what: String,
    },
    /// A line that is none.
    #[error("line {line} of {path} is not a frame of known events")]
    NoFrame {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

/// A frame as a trace tells it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its place.
    pub position: Position,
    /// When.
    pub at: Timestamp,
    /// What happened; with words about each content in its place, where that was taken out.
    pub events: Vec<Event>,
}

/// A trace that was opened.
#[derive(Clone, Debug)]
pub struct Trace {
    path: PathBuf,
    /// Its first line.
    pub header: Header,
    lines: Vec<String>,
    link: Link,
    /// Whether it ends within a line: somebody is writing it, or a crash cut it off.
    pub torn: bool,
}

impl Trace {
    /// Opens a trace and reads its header.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| TraceError::Io { path: path.clone(), source })?;
        let torn = !text.ends_with('\n');
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        // What stands behind the last end of a line is nothing, or not whole.
        lines.pop();
        let first = if lines.is_empty() { None } else { Some(lines.remove(0)) };
        let none = || TraceError::NoHeader { path: path.clone() };
        let first = first.ok_or_else(none)?;
        let (body, link) = Link::open(&first).ok_or_else(none)?;
        let read: serde_json::Value =
            serde_json::from_str(&format!("{body}}}")).map_err(|_error| none())?;
        if read.get("schema").and_then(serde_json::Value::as_str) != Some(SCHEMA) {
            return Err(none());
        }
        let found = read.get("version").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if found > u64::from(VERSION) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(TraceError::TooNew { path, found });
        }
        let header: Header = serde_json::from_value(read).map_err(|_error| none())?;
        if Link::default().next(body) != link {
            let what = "the header".to_owned();
            return Err(TraceError::Changed { path, line: 1, what });
        }
        Ok(Self { path, header, lines, link, torn })
    }

    /// The trace beside this one of what it was forked from.
    #[must_use]
    pub fn beside(&self, session: SessionId) -> PathBuf {
        self.path.with_file_name(file::name(session, self.header.level))
    }

    /// Whether content was taken out.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        self.header.level == Level::Redacted
    }

    /// Its frames in order, up to the first that was changed.
    pub fn frames(&self) -> impl Iterator<Item = Result<Told, TraceError>> {
        let mut link = Some(self.link.clone());
        self.lines.iter().enumerate().map_while(move |(no, line)| {
            // Counted from 1, behind the header.
            let told = self.told(no + 2, line, &link.take()?);
            Some(told.map(|(next, told)| {
                link = Some(next);
                told
            }))
        })
    }

    fn told(&self, no: usize, text: &str, before: &Link) -> Result<(Link, Told), TraceError> {
        let path = || self.path.clone();
        let fits = Link::open(text).filter(|(body, link)| before.next(body) == *link);
        let Some((body, link)) = fits else {
            let position = serde_json::from_str::<serde_json::Value>(text).ok();
            let position = position.and_then(|line| line.get("position")?.as_u64());
            let what =
                position.map_or("a frame".to_owned(), |position| format!("frame {position}"));
            return Err(TraceError::Changed { path: path(), line: no, what });
        };
        let wrong = |source| TraceError::NoFrame { path: path(), line: no, source };
        let line: Line = serde_json::from_str(&format!("{body}}}")).map_err(wrong)?;
        let mut events = Vec::with_capacity(line.events.len());
        for event in line.events {
            let event = if self.is_redacted() { content::readable(event) } else { event };
            events.push(serde_json::from_value(event).map_err(wrong)?);
        }
        Ok((link, Told { position: line.position, at: line.at, events }))
    }
}
