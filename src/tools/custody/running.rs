//! A process that was ordered, from the runtime's side: both pipes are read to their ends whatever
//! comes, the deadline and the cancel are carried down as wishes, and the report is made when
//! everybody of the order is dead. Dropped at any moment it closes the order's socket, upon which
//! the init ends everybody.

use std::io;

use futures_util::future::{self, Either};
use greenroom_actors::{
    limits,
    ports::{Cancel, Clock},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe::Receiver},
    },
};

use crate::tools::hearing::{Ear, Heard, Hearing};

use super::{
    StartError,
    cgroup::Group,
    failed,
    make::Ends,
    record::{KILL, RECORD, Record, TERM},
};

/// When an order is to end that has not ended by itself.
pub struct Wishes<'a> {
    /// What it is measured by.
    pub clock: &'a dyn Clock,
    /// After how long everybody is asked to end.
    pub after_ms: u64,
    /// When somebody does not want it any more.
    pub cancel: Cancel,
    /// How what it writes is heard.
    pub hearing: Hearing,
}

impl std::fmt::Debug for Wishes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wishes").field("after_ms", &self.after_ms).finish_non_exhaustive()
    }
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// Nobody knows: it was to be ended, and whoever ends it has not said so in time.
    Unknown,
}

/// What made it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Itself.
    Itself,
    /// Its deadline.
    Deadline,
    /// A cancel.
    Cancelled,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How the program ended.
    pub end: End,
    /// What made it.
    pub why: Why,
    /// What it wrote.
    pub out: Heard,
    /// What it complained.
    pub err: Heard,
    /// Whether somebody kept a pipe open beyond its end, who was not listened to any more.
    pub abandoned: bool,
}

/// An order's ends, as the executor takes them.
#[derive(Debug)]
pub(super) struct Running {
    out: Receiver,
    err: Receiver,
    socket: UnixStream,
    group: Option<Group>,
}

impl Running {
    pub(super) fn new(ends: Ends) -> io::Result<Self> {
        let Ends { out, err, socket, group } = ends;
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        let (out, err) = (Receiver::from_owned_fd(out)?, Receiver::from_owned_fd(err)?);
        Ok(Self { out, err, socket, group })
    }

    pub(super) async fn finish(self, wishes: Wishes<'_>) -> Result<Report, StartError> {
        let Self { out, err, socket, group: _group } = self;
        let pipe = |pipe| Pipe { pipe, ear: Ear::new(&wishes.hearing) };
        let (mut out, mut err) = (pipe(out), pipe(err));
        let clock = wishes.clock;
        let (ended, abandoned) = {
            let pumps = future::join(out.pump(), err.pump());
            let end = end(socket, wishes);
            tokio::pin!(pumps, end);
            match future::select(end, pumps).await {
                Either::Left((ended, pumps)) => {
                    // What was written is in the pipes; who still holds them is not waited for.
                    // Where the end itself did not come in time, neither do the pipes' ends.
                    let is_known = !matches!(ended, Ok((End::Unknown, _)));
                    let patience_ms = if is_known { limits::TOOL_PIPE_MS } else { 0 };
                    let rest = future::select(pumps, clock.after(patience_ms)).await;
                    (ended, matches!(rest, Either::Right(_)))
                }
                Either::Right((_, end)) => (end.await, false),
            }
        };
        let (end, why) = ended?;
        let (out, err) = (out.ear.end().await, err.ear.end().await);
        Ok(Report { end, why, out, err, abandoned })
    }
}

/// One pipe and what came out of it.
#[derive(Debug)]
struct Pipe {
    pipe: Receiver,
    ear: Ear,
}

/// What is read at once: a pipe holds 64 KiB.
const PIECE: usize = 64 * 1024;

impl Pipe {
    /// Reads to the end, so that no tool ever waits for its reader.
    async fn pump(&mut self) {
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            match self.pipe.read_buf(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.ear.take(&piece).await,
            }
        }
    }
}

/// Carries wishes down until it has ended.
async fn end(socket: UnixStream, mut wishes: Wishes<'_>) -> Result<(End, Why), StartError> {
    let (mut said, mut saying) = socket.into_split();
    let ended = told(&mut said);
    tokio::pin!(ended);
    let clock = wishes.clock;
    let why = tokio::select! {
        biased;
        end = &mut ended => return end.map(|end| (end, Why::Itself)),
        () = wishes.cancel.requested() => Why::Cancelled,
        () = clock.after(wishes.after_ms) => Why::Deadline,
    };
    for (wish, patience_ms) in [(TERM, limits::TOOL_GRACE_MS), (KILL, limits::TOOL_REAP_MS)] {
        wish_for(&mut saying, wish).await;
        let patience = clock.after(patience_ms);
        if let Either::Left((end, _)) = future::select(ended.as_mut(), patience).await {
            return end.map(|end| (end, why));
        }
    }
    Ok((End::Unknown, why))
}

/// A wish that nobody hears any more needs none: the end is on its way.
async fn wish_for(saying: &mut OwnedWriteHalf, wish: u8) {
    if saying.write_all(&[wish]).await.is_err() {
        tracing::debug!(wish, "an init ended before it heard a wish");
    }
}

/// What the init says last.
async fn told(said: &mut OwnedReadHalf) -> Result<End, StartError> {
    let mut bytes = [0; RECORD];
    if said.read_exact(&mut bytes).await.is_err() {
        return Err(StartError::Lost);
    }
    match Record::read(&bytes) {
        Some(Record::Ended { status }) if libc::WIFSIGNALED(status) => {
            Ok(End::Signalled(libc::WTERMSIG(status)))
        }
        Some(Record::Ended { status }) => Ok(End::Exited(libc::WEXITSTATUS(status))),
        Some(Record::Failed { step, errno }) => Err(failed(step, errno)),
        None => Err(StartError::Lost),
    }
}
