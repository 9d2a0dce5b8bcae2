//! How a command ends that runs something: by a signal, or because the runtime gave up.

use std::path::Path;

use greenroom_actors::{domain::ids::Timestamp, runtime::Ended};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::app::{self, App};

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

    /// Ends everything in its order; whoever asks once more does not wait for that.
    pub(super) async fn let_end(&mut self, app: App) {
        tokio::select! {
            order = app.shutdown() => tracing::debug!(?order, "ended"),
            _wish = self.next() => std::process::exit(130),
        }
    }
}

/// The disk under a store: full, or locked by somebody, it stops everybody without ending anything,
/// and a person who is not told sees nothing happen.
pub(super) struct Disk {
    hindrance: watch::Receiver<Option<String>>,
    /// Somebody knows that it stands still.
    is_told: bool,
    /// When it has been calm for long enough, by running time.
    calm_at: Option<Timestamp>,
}

/// Small records find room where those that wait do not, which ask again each second: it goes on
/// once nothing has been refused for longer than that.
const CALM_MS: u64 = 3_000;

impl Disk {
    /// Watches it from now on.
    pub(super) fn watch(hindrance: watch::Receiver<Option<String>>) -> Self {
        Self { hindrance, is_told: false, calm_at: None }
    }

    /// What to tell when nothing can be written, and when it can again. May be dropped and asked for
    /// again.
    pub(super) async fn next(&mut self) -> String {
        loop {
            let why = self.hindrance.borrow_and_update().clone();
            match why {
                Some(why) => {
                    self.calm_at = None;
                    if !std::mem::replace(&mut self.is_told, true) {
                        return format!(
                            "nothing can be written: {why}; what is at work waits until it can"
                        );
                    }
                }
                None if self.is_told => {
                    let clock = app::clock();
                    let now = clock.running();
                    let end = *self.calm_at.get_or_insert(now.plus_ms(CALM_MS));
                    tokio::select! {
                        biased;
                        Ok(()) = self.hindrance.changed() => continue,
                        () = clock.after(end.since_ms(now)) => {}
                    }
                    (self.is_told, self.calm_at) = (false, None);
                    return "it can be written again: what waited goes on".to_owned();
                }
                None => {}
            }
            if self.hindrance.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// This program, as it was called: under `cargo run` it is on no path.
pub(super) fn me() -> String {
    std::env::args().next().map_or_else(|| "greenroom".to_owned(), |me| shell(Path::new(&me)))
}

/// A path as a shell reads it.
pub(super) fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Why a runtime ended, in words.
pub(super) fn stopped(why: &Ended) -> String {
    match why {
        Ended::Asked => "somebody asked it to".to_owned(),
        Ended::Poisoned { why } => format!("its store cannot be trusted any more: {why}"),
        Ended::Broken { why } => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_printed_can_be_pasted() {
        let check = |path: &str, text: &str| assert_eq!(shell(Path::new(path)), text);
        check("/tmp/green-1.db", "/tmp/green-1.db");
        check("/tmp/the show/g.db", "'/tmp/the show/g.db'");
        check("it's", r"'it'\''s'");
        check("$HOME", "'$HOME'");
    }
}
