//! Questions and answers as files: `ID.question.json` appears, somebody puts `ID.answer.json` beside
//! it, and both are gone once the question is closed. Others may keep theirs in the same folder, such
//! as a second runtime: what was not asked here is never touched.
//!
//! Who may write in the folder may allow anything, so it must belong to this user, and nobody else
//! may write there; that is looked at through the folder's descriptor at the start and again before
//! each look for an answer. It must lie outside of every folder in which agents write.
//!
//! A disk may be full or slow. A question that cannot be written is written later, as long as it is
//! open. All that waits for the disk is done on a thread of its own, one thing at a time, so that what
//! was begun for a question is over before the question is cleared away.

mod shelf;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{catalog::ApprovalRow, ids::ApprovalId, permission::Answer},
    limits,
    ports::Clock,
};
use tokio::sync::Semaphore;

use super::{Asked, Channel};

use shelf::Shelf;

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
    shelf: Arc<Shelf>,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Whose turn it is to use the disk.
    turn: Arc<Semaphore>,
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
        let path = path.to_owned();
        let shelf = match Shelf::open(&path) {
            Ok(shelf) => Arc::new(shelf),
            Err(source) => return Err(FolderError::Open { path, source }),
        };
        if let Err(why) = shelf.is_own() {
            return Err(FolderError::Unsafe { path, why });
        }
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { inner: Arc::new(Inner { shelf, path, clock, turn }) })
    }

    /// Whether it lies outside a folder in which agents write: within, one could answer itself. In a
    /// folder that is not there lies nothing.
    ///
    /// # Errors
    /// When it does not, or nobody can say.
    pub fn is_outside(&self, written: &Path) -> Result<(), FolderError> {
        let path = self.inner.path.clone();
        let own = match path.canonicalize() {
            Ok(own) => own,
            Err(source) => return Err(FolderError::Open { path, source }),
        };
        match written.canonicalize() {
            Ok(written) if own.starts_with(&written) => Err(FolderError::Unsafe {
                path,
                why: "agents write there, and could answer themselves; name one outside the \
                      workspace and all `roots`",
            }),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(FolderError::Open { path, source }),
        }
    }
}

impl Inner {
    /// Does something that waits for the disk, when its turn has come. Once begun it is done, also
    /// when nobody waits for it any more.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> T + Send + 'static,
    ) -> io::Result<T> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(io::Error::other)?;
        let shelf = Arc::clone(&self.shelf);
        let done = tokio::task::spawn_blocking(move || {
            let _until_done = turn;
            work(&shelf)
        });
        done.await.map_err(io::Error::other)
    }

    /// Puts the question there, however often that fails; then it is somebody else's turn for ever.
    async fn put(&self, row: &Arc<ApprovalRow>) -> Answer {
        let asked = Arc::new(());
        let mut pause_ms = limits::ANSWER_LOOK_MS;
        loop {
            let (row, weak) = (Arc::clone(row), Arc::downgrade(&asked));
            let id = row.id;
            let put = self.on_disk(move |shelf| shelf.put(&row, &weak)).await;
            let Err(error) = put.and_then(|put| put) else { return std::future::pending().await };
            let path = self.path.display();
            tracing::warn!(approval = %id, %path, %error, pause_ms, "a question is not written yet");
            self.clock.after(pause_ms).await;
            pause_ms = pause_ms.saturating_mul(2).min(limits::QUESTION_PAUSE_MAX_MS);
        }
    }

    /// The answer, once one is there.
    async fn look(&self, row: &Arc<ApprovalRow>) -> Answer {
        let mut said = None;
        loop {
            let own = Arc::clone(row);
            let found = self.on_disk(move |shelf| shelf.look(&own)).await;
            match found.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(Some(answer)) => return answer,
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

    async fn remove(&self, closed: Vec<ApprovalId>) {
        let gone = self.on_disk(move |shelf| closed.into_iter().for_each(|id| shelf.remove(id)));
        if let Err(error) = gone.await {
            tracing::warn!(%error, "closed questions stay in their folder");
        }
    }

    /// Questions that are in the folder.
    async fn left(&self) -> Vec<ApprovalId> {
        match self.on_disk(Shelf::left).await.and_then(|left| left) {
            Ok(left) => left.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "the folder of questions cannot be read");
                Vec::new()
            }
        }
    }
}

impl Channel for Folder {
    fn name(&self) -> &str {
        "file"
    }

    fn ask(&self, question: Arc<ApprovalRow>) -> Asked {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            // An answer may lie there already, and one counts that came before its question was written.
            Ok(tokio::select! {
                biased;
                answer = inner.put(&question) => answer,
                answer = inner.look(&question) => answer,
            })
        })
    }

    fn refused(&self, question: Arc<ApprovalRow>, _why: String) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let aside = inner.on_disk(move |shelf| shelf.put_aside(question.id)).await;
            if let Err(error) = aside.and_then(|aside| aside) {
                tracing::warn!(%error, "an answer that cannot be taken stays");
            }
        })
    }

    fn closed(&self, question: Arc<ApprovalRow>, _how: String) -> BoxFuture<'static, ()> {
        self.forget(vec![question.id])
    }

    fn left(&self) -> BoxFuture<'static, Vec<ApprovalId>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.left().await })
    }

    fn forget(&self, closed: Vec<ApprovalId>) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.remove(closed).await })
    }
}

#[cfg(test)]
mod tests;
