//! The host: one small process beside the runtime, forked from it at start, that is the parent of
//! every tool. It starts inits when the runtime's socket brings an order, buries them, and ends when
//! that socket closes; then every init dies with it.
//!
//! Why a process and not a thread of the runtime: a fork copies the page tables of whoever forks,
//! and the runtime of ten thousand sessions is large while this copy stays as small as it was at
//! start; the signal of a parent's death is sent when the parent's *thread* ends, and this process
//! has but one; and orphans need a parent that is not the runtime. Why no program of our own is
//! executed for it: the running program may be anybody's.
//!
//! It dies with the thread that forked it (see `office`), and by the closed socket should somebody
//! have kept that thread alive. Should it be killed, the runtime forks another.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use greenroom_actors::limits;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    io::{Errno, fcntl_dupfd_cloexec},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
        sockopt::{Timeout, set_socket_timeout},
    },
    pipe::{PipeFlags, pipe_with},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, chdir, getpid, getppid, pidfd_open,
        pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, setsid, wait,
        waitpid,
    },
    thread::set_name,
};

use super::{
    cgroup::Door,
    init::{self, Given, say},
    inits::Inits,
    make::Bounds,
    orphans,
    processors::{self, Load, Places},
    record::{Record, Step},
    sys,
};

/// Descriptors of one order.
const GIVEN: usize = 7;
/// Bytes beside them: the block's size, the namespaces, and which of the last three there are.
const WORDS: usize = 24;

/// The runtime's side of it.
#[derive(Debug)]
pub(super) struct Host {
    socket: OwnedFd,
    pub(super) pid: Pid,
    /// Means it and nobody who has its number later.
    handle: OwnedFd,
}

/// An order on its way.
pub(super) struct Parcel {
    pub(super) order: OwnedFd,
    pub(super) bytes: u64,
    pub(super) namespaces: u64,
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
    pub(super) socket: OwnedFd,
    pub(super) rules: Option<OwnedFd>,
    pub(super) door: Option<Door>,
}

impl Host {
    /// Forks one that has so many orders at once. It dies when the calling thread ends.
    pub(super) fn start(bounds: &Bounds) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // A host that was stopped takes nothing; who waits for it could not end either.
        let patience = Duration::from_millis(limits::CALL_MS);
        set_socket_timeout(&ours, Timeout::Send, Some(patience))?;
        let (runtime, machine) = (getpid(), processors::of_the_machine());
        // Until the copy has forgotten them, the runtime's handlers must not run in it.
        sys::hold_signals(true);
        match sys::fork()? {
            None => {
                drop(ours);
                sys::regardless(serve(theirs, (runtime, machine), bounds));
                sys::leave(0)
            }
            Some(pid) => {
                let handle = pidfd_open(pid, PidfdFlags::empty())?;
                Ok(Self { socket: ours, pid, handle })
            }
        }
    }

    /// Ends it, also one that was stopped and would not see the socket close, and buries it.
    pub(super) fn end(self) {
        let Self { socket, pid, handle } = self;
        drop(socket);
        sys::regardless(pidfd_send_signal(&handle, Signal::KILL));
        // An app that has its children reaped for it has nothing left to wait for.
        sys::regardless(waitpid(Some(pid), WaitOptions::empty()));
    }

    /// Hands an order over.
    pub(super) fn send(&self, parcel: &Parcel) -> rustix::io::Result<()> {
        let Parcel { order, bytes, namespaces, out, err, socket, rules, door } = parcel;
        let file = door.as_ref().map(|door| &door.file);
        let folder = door.as_ref().and_then(|door| door.folder.as_ref());
        let extra = [rules.as_ref(), file, folder];
        let extras = extra.iter().rev().fold(0, |all, fd| all << 1 | u64::from(fd.is_some()));
        let mut words = [0_u8; WORDS];
        for (place, word) in words.chunks_exact_mut(8).zip([*bytes, *namespaces, extras]) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let mut fds = vec![order.as_fd(), out.as_fd(), err.as_fd(), socket.as_fd()];
        fds.extend(extra.into_iter().flatten().map(AsFd::as_fd));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIVEN))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Errno::INVAL);
        }
        sendmsg(&self.socket, &[IoSlice::new(&words)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// The host's life, in the copy: nothing is allocated from here on.
fn serve(socket: OwnedFd, (runtime, machine): (Pid, u32), bounds: &Bounds) -> Result<(), Errno> {
    sys::forget_handlers();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(runtime) {
        return Err(Errno::SRCH);
    }
    // Away from the terminal: what is typed there is the runtime's to hear of, and tools end in order.
    setsid()?;
    chdir(c"/")?;
    let (socket, alive, held) = settle(socket)?;
    let host = getpid();
    set_child_subreaper(Some(getpid()))?;
    sys::regardless(set_name(c"greenroom-host"));
    let mut places = Places::of_this_process(bounds.spared_processors, machine);
    let mut is_kept = false;
    let signals = sys::signals()?;
    let mut inits = Inits::new(bounds.at_once);
    loop {
        let mut fds = [PollFd::new(&socket, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let has_order = fds.first().is_some_and(|fd| !fd.revents().is_empty());
        let has_signal = fds.last().is_some_and(|fd| !fd.revents().is_empty());
        if has_signal {
            bury(&signals, &mut inits);
        }
        if has_order {
            let Some((given, bytes, namespaces)) = receive(socket.as_fd())? else { return Ok(()) };
            // One that has no place in the table could be taken for an orphan, and ended.
            if inits.are_full() {
                say(given.socket.as_fd(), failed(Step::Room, Errno::AGAIN));
                continue;
            }
            if is_kept {
                places.open();
            }
            // They may have become others meanwhile.
            places = Places::of_this_process(bounds.spared_processors, machine);
            let load = if inits.has_old() { places.load() } else { Load::Free };
            is_kept = load != Load::Free;
            if is_kept {
                places.keep_to_spared();
            }
            match sys::fork_into(namespaces) {
                Ok(None) => {
                    // Its copy of the pipe's end would make the host immortal for those who look.
                    drop((socket, signals, held));
                    sys::regardless(set_name(c"greenroom-init"));
                    let from = init::Origin { host, places, load };
                    init::live(given, bytes as usize, alive.as_fd(), from);
                }
                Ok(Some(pid)) => inits.add(pid),
                Err(errno) => say(given.socket.as_fd(), failed(Step::Fork, errno)),
            }
        }
    }
}

pub(super) fn failed(step: Step, errno: Errno) -> Record {
    Record::Failed { step, errno: errno.raw_os_error() }
}

/// Gives the socket and the pipe places of their own, nothing to the three that everybody knows, and
/// closes all else that the runtime had open. The pipe's second end is held as long as this lives.
fn settle(socket: OwnedFd) -> Result<(OwnedFd, OwnedFd, OwnedFd), Errno> {
    const SOCKET: i32 = 3;
    // Out of the way first: what stands at the place may be the socket itself.
    let far = fcntl_dupfd_cloexec(&socket, SOCKET + 1)?;
    std::mem::forget(socket);
    sys::place(far, SOCKET)?;
    sys::close_from(SOCKET as u32 + 1, false)?;
    for place in 0..SOCKET {
        let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        sys::place(null, place)?;
    }
    let (alive, held) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((sys::given(SOCKET), alive, held))
}

/// Takes one order; `None` when the runtime has hung up.
fn receive(socket: BorrowedFd<'_>) -> Result<Option<(Given, u64, u64)>, Errno> {
    let mut words = [0_u8; WORDS];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIVEN))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut words)];
    if recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes < WORDS {
        return Ok(None);
    }
    let mut fds: [Option<OwnedFd>; GIVEN] = [const { None }; GIVEN];
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            fds.iter_mut().zip(sent).for_each(|(place, fd)| *place = Some(fd));
        }
    }
    let word = |no: usize| {
        let bytes = words.get(no * 8..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    let [order, out, err, socket, extras @ ..] = fds;
    let mut extras = extras.into_iter().flatten();
    let mut given = |no: u32| if word(2) & 1 << no == 0 { None } else { extras.next() };
    let (rules, file, folder) = (given(0), given(1), given(2));
    let door = file.map(|file| Door { file, folder });
    let (Some(order), Some(out), Some(err), Some(socket)) = (order, out, err, socket) else {
        return Err(Errno::BADF);
    };
    Ok(Some((Given { order, out, err, socket, rules, door }, word(0), word(1))))
}

/// Reaps inits, and ends whom an init left behind that was killed before it could wipe.
fn bury(signals: &OwnedFd, inits: &mut Inits) {
    let mut info = [0_u8; 128];
    while let Ok(1..) = rustix::io::read(signals, &mut info) {}
    let mut buried = false;
    while let Ok(Some((pid, _how))) = wait(WaitOptions::NOHANG) {
        buried = true;
        inits.remove(pid);
    }
    if buried {
        orphans::children(getpid(), (orphans::First::Parents, 0), &|child| {
            if !inits.has(child) {
                init::end(child, Signal::KILL);
            }
        });
    }
}
