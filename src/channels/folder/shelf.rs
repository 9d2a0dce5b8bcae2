//! The files of a folder of questions. Each function waits for the disk.
//!
//! Names are opened relative to the folder's descriptor and no link is followed. A question is whole or
//! not there. An answer may be written in place: what cannot be read as one is looked at again until
//! the question is closed. A file that others may write, or that is no plain file, is none.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    sync::Weak,
};

use greenroom_actors::{
    domain::{catalog::ApprovalRow, ids::ApprovalId, permission::Answer},
    limits,
};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, mkdir, open, openat, renameat, unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use crate::channels::wire;

const QUESTION: &str = ".question.json";
const ANSWER: &str = ".answer.json";
/// An answer that could not be taken; its owner finds it under this name.
const REFUSED: &str = ".refused.json";
/// A question that is not whole yet.
const DRAFT: &str = ".greenroom-new";

/// An open folder.
#[derive(Debug)]
pub(super) struct Shelf(OwnedFd);

/// A question's name without its ending: an id holds no `/` but the one that is left out.
fn stem(id: ApprovalId) -> String {
    format!("{}-a{}", id.session, id.no)
}

pub(super) fn draft(id: ApprovalId) -> String {
    format!(".{}{QUESTION}{DRAFT}", stem(id))
}

/// The question that a file is, or is going to be; nothing for all other names.
fn asked_in(name: &str) -> Option<ApprovalId> {
    let whole = name.strip_suffix(DRAFT).map_or(Some(name), |draft| draft.strip_prefix('.'))?;
    let own = whole.strip_suffix(QUESTION)?;
    let (session, no) = own.rsplit_once("-a")?;
    let id: ApprovalId = format!("{session}/a{no}").parse().ok()?;
    // Another spelling of an id is a name that nobody here gave.
    (stem(id) == own).then_some(id)
}

impl Shelf {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    pub(super) fn is_own(&self) -> Result<(), &'static str> {
        let Ok(stat) = fstat(&self.0) else { return Err("it cannot be looked at") };
        owned(stat.st_uid, stat.st_mode, false)
    }

    /// Puts the question there, whole, unless nobody asks it any more: it would be there for ever.
    pub(super) fn put(&self, row: &ApprovalRow, asked: &Weak<()>) -> io::Result<()> {
        let (draft, name) = (draft(row.id), format!("{}{QUESTION}", stem(row.id)));
        // Left by a process that was killed amid writing, or by a try that failed.
        gone(unlinkat(&self.0, &draft, AtFlags::empty()))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.0, &draft, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(&wire::question(row))?;
        fsync(&file)?;
        if asked.strong_count() == 0 {
            return gone(unlinkat(&self.0, &draft, AtFlags::empty()));
        }
        renameat(&self.0, &draft, &self.0, &name)?;
        Ok(fsync(&self.0)?)
    }

    /// The answer, if one is there; the words say what is wrong with what is there.
    pub(super) fn look(&self, row: &ApprovalRow) -> Result<Option<Answer>, String> {
        self.is_own().map_err(str::to_owned)?;
        let name = format!("{}{ANSWER}", stem(row.id));
        // A pipe in its place must not hold up who opens it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.0, &name, flags, Mode::empty()) {
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

    /// Puts an answer aside that could not be taken.
    pub(super) fn put_aside(&self, id: ApprovalId) -> io::Result<()> {
        let stem = stem(id);
        let (from, to) = (format!("{stem}{ANSWER}"), format!("{stem}{REFUSED}"));
        Ok(renameat(&self.0, &from, &self.0, &to)?)
    }

    /// Removes a question and its answer.
    pub(super) fn remove(&self, id: ApprovalId) {
        let stem = stem(id);
        for name in [format!("{stem}{ANSWER}"), format!("{stem}{QUESTION}"), draft(id)] {
            if let Err(error) = gone(unlinkat(&self.0, &name, AtFlags::empty())) {
                tracing::warn!(%name, %error, "a closed question stays in its folder");
            }
        }
    }

    /// Questions that are in the folder, whole or not, whoever asked them.
    pub(super) fn left(&self) -> io::Result<BTreeSet<ApprovalId>> {
        let mut left = BTreeSet::new();
        for entry in Dir::read_from(&self.0)? {
            left.extend(asked_in(&entry?.file_name().to_string_lossy()));
        }
        Ok(left)
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
