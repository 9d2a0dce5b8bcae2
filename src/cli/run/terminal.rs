//! The terminal a person sits at. Lines are read by a thread of its own, because a read from a
//! terminal cannot be taken back; it reads only while a question is open, so that what is typed
//! before a question is shown never answers it.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _},
    os::fd::AsFd as _,
    sync::mpsc::{SyncSender, sync_channel},
};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc;

/// Somebody who can answer.
#[derive(Debug)]
pub(in crate::cli) struct Terminal {
    keyboard: File,
    wants: SyncSender<()>,
    lines: mpsc::Receiver<Option<String>>,
    is_reading: bool,
}

impl Terminal {
    /// The terminal, if there is one: where remarks are seen and answers can be typed. Stdin may be
    /// a prompt from elsewhere; then it is the terminal that controls this process.
    pub(in crate::cli) fn open() -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let keyboard = if io::stdin().is_terminal() {
            File::from(io::stdin().as_fd().try_clone_to_owned().ok()?)
        } else {
            File::open("/dev/tty").ok()?
        };
        Self::at(keyboard).ok()
    }

    fn at(keyboard: File) -> io::Result<Self> {
        let mut reader = BufReader::new(keyboard.try_clone()?);
        // One line is wanted at a time, and one line is on its way at most.
        let (wants, wanted) = sync_channel::<()>(1);
        let (typed, lines) = mpsc::channel(1);
        let read = move || {
            while wanted.recv().is_ok() {
                let mut line = String::new();
                let line = match reader.read_line(&mut line) {
                    Ok(0) | Err(_) => None,
                    Ok(_) => Some(line),
                };
                if typed.blocking_send(line).is_err() {
                    return;
                }
            }
        };
        // It ends with the process: nothing can wake a read of a terminal.
        let _detached = std::thread::Builder::new().name("keyboard".to_owned()).spawn(read)?;
        Ok(Self { keyboard, wants, lines, is_reading: false })
    }

    /// Forgets what has been typed so far.
    pub(super) fn forget(&mut self) {
        // A keyboard that cannot be emptied is one that nobody types on.
        let _emptied = tcflush(&self.keyboard, QueueSelector::IFlush);
        while self.lines.try_recv().is_ok() {
            self.is_reading = false;
        }
    }

    /// The next line; `None` when the person has left. May be dropped and asked for again.
    pub(in crate::cli) async fn line(&mut self) -> Option<String> {
        if !self.is_reading {
            self.is_reading = self.wants.try_send(()).is_ok();
        }
        let line = self.lines.recv().await.flatten();
        self.is_reading = false;
        line
    }
}
