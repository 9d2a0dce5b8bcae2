//! What is made of a pipe's bytes on their way: text without secrets, of which head and tail are kept
//! in memory and, where there is a folder for it, the whole in a file without a name. Secrets are taken
//! out first, so that neither a border between two reads nor the cut between head and tail hides one.
//!
//! Bounds: memory is the capture's, whatever is written; the file ends at `TOOL_KEPT_BYTES`, and what
//! came behind that is counted and said. A file that cannot be written costs the whole text and nothing
//! else: head and tail are still there, and why is said.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{limits, ports::Pieces};

use crate::telemetry::redact::{Secrets, Stream};

use super::output::{Capture, plain};

/// How output is heard.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// What is taken out of it.
    pub secrets: Secrets,
    /// Where a long one is put down; nowhere unless said.
    pub folder: Option<PathBuf>,
}

/// Who listens to one pipe.
#[derive(Debug)]
pub(super) struct Ear {
    /// The beginning of a character whose end has not come.
    rest: Vec<u8>,
    masks: Stream,
    heard: Heard,
}

/// What came out of a pipe.
#[derive(Debug)]
pub struct Heard {
    capture: Capture,
    spool: Spool,
}

/// Where the whole of it is.
#[derive(Debug)]
enum Spool {
    /// It is not wanted.
    Unwanted,
    /// In memory: it is short so far.
    Memory(PathBuf),
    /// In a file.
    Written(Written),
    /// Lost, for this reason.
    Failed(String),
}

/// A file that has no name, so that nothing is left of it whatever happens.
#[derive(Debug)]
struct Written {
    file: Arc<File>,
    bytes: u64,
    /// How much of what the capture took it holds.
    taken: u64,
    /// A carriage return that may be half of an end of line.
    held: bool,
    is_full: bool,
}

impl Ear {
    pub(super) fn new(hearing: &Hearing) -> Self {
        let spool = hearing.folder.clone().map_or(Spool::Unwanted, Spool::Memory);
        let heard = Heard { capture: Capture::default(), spool };
        Self { rest: Vec::new(), masks: hearing.secrets.stream(), heard }
    }

    /// Hears the next bytes.
    pub(super) async fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - unfinished(&self.rest);
        let text = String::from_utf8_lossy(self.rest.get(..whole).unwrap_or_default());
        let text = self.masks.push(&text);
        self.rest.drain(..whole);
        self.heard.take(&text).await;
    }

    /// Nothing more comes.
    pub(super) async fn end(mut self) -> Heard {
        let mut text = self.masks.push(&String::from_utf8_lossy(&self.rest));
        text += &self.masks.finish();
        self.heard.take(&text).await;
        if let Spool::Written(written) = &mut self.heard.spool
            && std::mem::take(&mut written.held)
            && let Err(error) = written.write(plain("\r")).await
        {
            self.heard.spool = Spool::Failed(error.to_string());
        }
        self.heard
    }
}

/// How many bytes at the end are the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).position(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let Some(back) = last else { return 0 };
    let first = bytes.get(bytes.len() - 1 - back).copied().unwrap_or_default();
    let needs = match first {
        0b1100_0000..=0b1101_1111 => 2,
        0b1110_0000..=0b1110_1111 => 3,
        0b1111_0000..=0b1111_0111 => 4,
        _ => 1,
    };
    if needs > back + 1 { back + 1 } else { 0 }
}

impl Heard {
    async fn take(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        // What leaves the capture from now on goes to a file, with all that is there so far.
        if let Spool::Memory(folder) = &self.spool
            && self.capture.room() < text.len()
        {
            let folder = folder.clone();
            self.spool = match Written::begin(folder, self.capture.so_far()).await {
                Ok(written) => Spool::Written(written),
                Err(error) => Spool::Failed(error.to_string()),
            };
        }
        self.capture.take(text.as_bytes());
        if let Spool::Written(written) = &mut self.spool
            && let Err(error) = written.take(text).await
        {
            self.spool = Spool::Failed(error.to_string());
        }
    }

    /// Head and tail of it, as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        self.capture.shown()
    }

    /// How many bytes are in neither head nor tail.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.capture.missing()
    }

    /// Whether nothing came.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.capture.all() == 0
    }

    /// Whether the whole of it is somewhere else than in memory.
    #[must_use]
    pub fn is_long(&self) -> bool {
        matches!(self.spool, Spool::Written(_))
    }

    /// Why the whole of it is lost, if it was to be kept.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        match &self.spool {
            Spool::Failed(why) => Some(why),
            Spool::Unwanted | Spool::Memory(_) | Spool::Written(_) => None,
        }
    }

    /// Adds the whole of it; how many bytes were too many for that.
    pub(super) fn whole(&self, whole: &mut Whole) -> u64 {
        let Spool::Written(Written { file, bytes, taken, .. }) = &self.spool else {
            whole.text(self.shown());
            return self.missing();
        };
        whole.file(Arc::clone(file), *bytes);
        let rest = self.capture.all() - taken;
        let tail = self.capture.tail(rest);
        let over = rest - tail.len() as u64;
        if over > 0 {
            whole.text(format!("\n[… {over} bytes were too many to keep …]\n"));
        }
        whole.text(plain(&String::from_utf8_lossy(&tail)));
        over
    }
}

impl Written {
    /// A file in this folder, with what there is so far.
    async fn begin(folder: PathBuf, so_far: Vec<u8>) -> io::Result<Self> {
        let file = blocking(move || unnamed(&folder)).await?;
        let mut written =
            Self { file: Arc::new(file), bytes: 0, taken: 0, held: false, is_full: false };
        written.take(&String::from_utf8_lossy(&so_far)).await?;
        Ok(written)
    }

    async fn take(&mut self, text: &str) -> io::Result<()> {
        let (body, ends_open) = text.strip_suffix('\r').map_or((text, false), |body| (body, true));
        let shown = if self.held { plain(&format!("\r{body}")) } else { plain(body) };
        if self.is_full || self.bytes + shown.len() as u64 > limits::TOOL_KEPT_BYTES {
            self.is_full = true;
            return Ok(());
        }
        self.write(shown).await?;
        self.held = ends_open;
        self.taken += text.len() as u64;
        Ok(())
    }

    async fn write(&mut self, shown: String) -> io::Result<()> {
        let (file, at, many) = (Arc::clone(&self.file), self.bytes, shown.len() as u64);
        // Left in the middle it writes on, to a place that nobody counts.
        blocking(move || file.write_all_at(shown.as_bytes(), at)).await?;
        self.bytes += many;
        Ok(())
    }
}

fn unnamed(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder)
}

/// A disk may take its time; the executor's threads have none. It holds nothing but what it writes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A text in pieces, some of them in files.
#[derive(Debug, Default)]
pub(super) struct Whole(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    File { file: Arc<File>, bytes: u64 },
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }

    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(usize::try_from(self.bytes() - at).unwrap_or(usize::MAX));
        let into = into.get_mut(..room).unwrap_or_default();
        match self {
            Self::Text(text) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                into.copy_from_slice(text.as_bytes().get(from..from + room).unwrap_or_default());
                Ok(room)
            }
            Self::File { file, .. } => file.read_at(into, at),
        }
    }
}

impl Whole {
    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.0.push(Part::Text(text.into()));
    }

    fn file(&mut self, file: Arc<File>, bytes: u64) {
        self.0.push(Part::File { file, bytes });
    }
}

impl Pieces for Whole {
    fn bytes(&self) -> u64 {
        self.0.iter().map(Part::bytes).sum()
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, String> {
        let mut from = at;
        for part in &self.0 {
            if from < part.bytes() {
                return part.read(from, into).map_err(|error| error.to_string());
            }
            from -= part.bytes();
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
