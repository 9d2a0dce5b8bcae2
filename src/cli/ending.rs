//! How a command ends that runs something: by a signal, or because the runtime gave up.

use greenroom_actors::runtime::Ended;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What somebody wants who sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Ctrl-C.
    Interrupt,
    /// A polite kill.
    End,
}

/// The signals that ask for an end. Listening begins once, so that none is lost in between.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Option<Signal>,
    end: Option<Signal>,
}

impl Signals {
    /// Listens from now on. Without a handler a signal ends the process by itself.
    pub(super) fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Self { interrupt: listen(SignalKind::interrupt()), end: listen(SignalKind::terminate()) }
    }

    /// The next wish.
    pub(super) async fn next(&mut self) -> Wish {
        async fn heard(signal: &mut Option<Signal>) {
            if let Some(signal) = signal
                && signal.recv().await.is_some()
            {
                return;
            }
            std::future::pending().await
        }
        tokio::select! {
            () = heard(&mut self.interrupt) => Wish::Interrupt,
            () = heard(&mut self.end) => Wish::End,
        }
    }
}

/// This program, as it was called: under `cargo run` it is on no path.
pub(super) fn me() -> String {
    std::env::args().next().unwrap_or_else(|| "greenroom".to_owned())
}

/// Why a runtime ended, in words.
pub(super) fn stopped(why: &Ended) -> String {
    match why {
        Ended::Asked => "somebody asked it to".to_owned(),
        Ended::Poisoned { why } => format!("its store cannot be trusted any more: {why}"),
        Ended::Broken { why } => why.clone(),
    }
}
