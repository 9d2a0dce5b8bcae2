//! Text that comes in pieces, cleaned as if it came at once. Only an end that may be the beginning of a
//! secret is kept back, mostly a few letters, so that whoever reads along does not wait.

use super::{MASK, Secrets};

/// A reader of text that comes in pieces. What it gives back, put together with what `finish` gives,
/// is the text without secrets. It sees through colours too, unless they are many times the secret.
#[derive(Debug)]
pub struct Stream {
    secrets: Secrets,
    held: String,
    /// So much of `held` is part of a secret whose mask was given out already.
    covered: usize,
}

impl Stream {
    pub(super) const fn new(secrets: Secrets) -> Self {
        Self { secrets, held: String::new(), covered: 0 }
    }

    /// Takes a piece, and gives what is certain by now.
    #[must_use]
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let cut = self.secrets.finder().map_or(self.held.len(), |finder| finder.open(&self.held));
        self.give(cut)
    }

    /// The rest.
    #[must_use]
    pub fn finish(&mut self) -> String {
        self.give(self.held.len())
    }

    /// Takes everything there is before anything is given.
    pub(super) fn push_all(&mut self, text: &str) {
        self.held.push_str(text);
    }

    /// Gives what begins before `cut`.
    fn give(&mut self, cut: usize) -> String {
        let spans = self.secrets.finder().map(|finder| finder.spans(&self.held));
        let mut given = String::with_capacity(cut);
        let mut at = self.covered;
        for span in spans.unwrap_or_default() {
            if span.start >= cut && span.start >= at {
                break;
            }
            // One that overlaps what is covered goes on under its mask.
            if span.start >= at {
                given.push_str(self.held.get(at..span.start).unwrap_or_default());
                given.push_str(MASK);
            }
            at = at.max(span.end);
        }
        given.push_str(self.held.get(at..cut).unwrap_or_default());
        self.covered = at.saturating_sub(cut);
        self.held = self.held.get(cut..).unwrap_or_default().to_owned();
        given
    }
}
