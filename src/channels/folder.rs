//! Questions and answers as files: `ID.question.json` appears, somebody puts `ID.answer.json` beside
//! it, and both are gone once the question is closed.
//!
//! Who may write in the folder may allow anything, so it must belong to this user, and nobody else
//! may write there; that is looked at through the folder's descriptor at the start and again before
//! each look for an answer. Names are opened relative to that descriptor and no link is followed. A
//! question is whole or not there. An answer may be written in place: what cannot be read as one is
//! looked at again until the question is closed. A file that others may write, or that is no plain
//! file, is none.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{catalog::ApprovalRow, ids::ApprovalId, permission::Answer},
    limits,
    ports::Clock,
};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, mkdir, open, openat, renameat, unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use super::{Asked, Channel, NoAnswer, wire};

const QUESTION: &str = ".question.json";
const ANSWER: &str = ".answer.json";
/// An answer that could not be taken; its owner finds it under this name.
const REFUSED: &str = ".refused.json";
/// A question that is not whole yet.
const DRAFT: &str = ".greenroom-new";

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be opened.
    #[error("open the folder of questions {path}", path = path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may write there, and so allow anything.
    #[error("use the folder of questions {path}: {why}", path = path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

/// A folder of questions.
#[derive(Debug)]
pub struct Folder {
    inner: Arc<Inner>,
}

struct Inner {
    folder: OwnedFd,
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Folder {
    /// Opens the folder, or makes it for this user alone.
    ///
    /// # Errors
    /// When it cannot be opened, or others may write there.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, FolderError> {
        let failed =
            |errno: Errno| FolderError::Open { path: path.to_owned(), source: errno.into() };
        match mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(failed)?;
        let inner = Inner { folder, path: path.to_owned(), clock };
        match inner.is_own() {
            Ok(()) => Ok(Self { inner: Arc::new(inner) }),
            Err(why) => Err(FolderError::Unsafe { path: path.to_owned(), why }),
        }
    }
}

impl Folder {
    /// Whether it lies outside a folder in which agents write: within, one could answer itself.
    ///
    /// # Errors
    /// When it does not, or nobody can say.
    pub fn is_outside(&self, workspace: &Path) -> Result<(), FolderError> {
        let path = self.inner.path.clone();
        let found =
            self.inner.path.canonicalize().and_then(|own| Ok((own, workspace.canonicalize()?)));
        let (own, workspace) =
            found.map_err(|source| FolderError::Open { path: path.clone(), source })?;
        if own.starts_with(workspace) {
            let why =
                "agents write there, and could answer themselves; name one outside the workspace";
            return Err(FolderError::Unsafe { path, why });
        }
        Ok(())
    }
}

/// A question's name without its ending: an id holds no `/` but the one that is left out.
fn stem(id: ApprovalId) -> String {
    format!("{}-a{}", id.session, id.no)
}

impl Inner {
    fn is_own(&self) -> Result<(), &'static str> {
        let Ok(stat) = fstat(&self.folder) else { return Err("it cannot be looked at") };
        owned(stat.st_uid, stat.st_mode, false)
    }

    /// Puts the question there, whole.
    fn put(&self, row: &ApprovalRow) -> io::Result<()> {
        let name = format!("{}{QUESTION}", stem(row.id));
        let draft = format!(".{name}{DRAFT}");
        // Left by a process that was killed amid writing.
        gone(unlinkat(&self.folder, &draft, AtFlags::empty()))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, &draft, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(&wire::question(row))?;
        fsync(&file)?;
        renameat(&self.folder, &draft, &self.folder, &name)?;
        Ok(fsync(&self.folder)?)
    }

    /// The answer, if one is there; the words say what is wrong with what is there.
    fn look(&self, row: &ApprovalRow) -> Result<Option<Answer>, String> {
        self.is_own().map_err(str::to_owned)?;
        let name = format!("{}{ANSWER}", stem(row.id));
        // A pipe in its place must not hold up who opens it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, &name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err("it is a link".to_owned()),
            Err(errno) => return Err(io::Error::from(errno).to_string()),
        };
        let stat = fstat(&file).map_err(|errno| io::Error::from(errno).to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("it is no plain file".to_owned());
        }
        owned(stat.st_uid, stat.st_mode, true).map_err(str::to_owned)?;
        let (mut bytes, most) = (Vec::new(), limits::ANSWER_BYTES as u64);
        file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > most {
            return Err(format!("it is larger than {most} bytes"));
        }
        wire::answer(row, &bytes).map(Some).map_err(|none| none.why)
    }

    async fn wait(&self, row: &ApprovalRow) -> Result<Answer, NoAnswer> {
        if let Err(error) = self.put(row) {
            return Err(NoAnswer::because(format!("write into {}: {error}", self.path.display())));
        }
        let mut said = None;
        loop {
            match self.look(row) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(why) if said.as_ref() == Some(&why) => {}
                Err(why) => {
                    tracing::warn!(approval = %row.id, %why, "a file is not taken as an answer");
                    said = Some(why);
                }
            }
            self.clock.after(limits::ANSWER_LOOK_MS).await;
        }
    }

    fn remove(&self, stem: &str) {
        for ending in [ANSWER, QUESTION] {
            let name = format!("{stem}{ending}");
            if let Err(error) = gone(unlinkat(&self.folder, &name, AtFlags::empty())) {
                tracing::warn!(%name, %error, "a closed question stays in its folder");
            }
        }
    }

    /// Questions that are in the folder, by their names without endings.
    fn there(&self) -> io::Result<BTreeSet<String>> {
        let mut stems = BTreeSet::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            stems.extend(name.strip_suffix(QUESTION).map(str::to_owned));
        }
        Ok(stems)
    }
}

/// Whether a file or folder is this user's and nobody else may write it. An answer may be root's,
/// who may do anything anyway.
fn owned(uid: u32, mode: u32, or_roots: bool) -> Result<(), &'static str> {
    if uid != geteuid().as_raw() && !(or_roots && uid == 0) {
        return Err("it belongs to somebody else");
    }
    if mode & 0o022 != 0 {
        return Err("others may write there; chmod go-w it");
    }
    Ok(())
}

/// What is not there is gone as well.
fn gone(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Channel for Folder {
    fn name(&self) -> &str {
        "file"
    }

    fn ask(&self, question: Arc<ApprovalRow>) -> Asked {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.wait(&question).await })
    }

    fn refused(&self, question: &ApprovalRow, _why: &str) {
        let stem = stem(question.id);
        let (from, to) = (format!("{stem}{ANSWER}"), format!("{stem}{REFUSED}"));
        let folder = &self.inner.folder;
        if let Err(errno) = renameat(folder, &from, folder, &to) {
            tracing::warn!(name = %from, error = %io::Error::from(errno), "an answer stays");
        }
    }

    fn closed(&self, question: Arc<ApprovalRow>, _how: String) -> BoxFuture<'static, ()> {
        self.inner.remove(&stem(question.id));
        Box::pin(std::future::ready(()))
    }

    fn settle(&self, open: &BTreeSet<ApprovalId>) {
        let open: BTreeSet<String> = open.iter().map(|id| stem(*id)).collect();
        match self.inner.there() {
            Ok(there) => there.difference(&open).for_each(|stem| self.inner.remove(stem)),
            Err(error) => tracing::warn!(%error, "the folder of questions cannot be read"),
        }
    }
}
