//! What the agent that was spoken to says, on stdout as it comes. Pieces are ephemeral and some may
//! be missed or belong to a call that broke off; the whole text comes with the call's end, and what
//! is lacking is printed then, so that stdout has every answer in full.

use std::io::{self, IsTerminal as _, Write as _};

use greenroom_actors::domain::ids::CallId;

use crate::cli::screen::{Screen, Tone, escaped};

/// Where the cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// At the beginning of a line.
    Fresh,
    /// Behind words on stdout.
    Words,
    /// Behind a thought on stderr.
    Thought,
}

/// The voice of one agent.
#[derive(Debug)]
pub(super) struct Speech {
    screen: Screen,
    /// Words and remarks are seen in the same place.
    is_seen: bool,
    /// Thoughts are shown.
    has_thoughts: bool,
    cursor: Cursor,
    /// The call that speaks, and what it has said so far.
    call: Option<CallId>,
    said: String,
    /// The call whose pieces wait for its end, because a question stands where they would be seen.
    held: Option<CallId>,
    /// The last text that was printed whole.
    last: String,
}

impl Speech {
    pub(super) fn new(screen: Screen) -> Self {
        Self {
            screen,
            is_seen: io::stdout().is_terminal(),
            has_thoughts: io::stderr().is_terminal(),
            cursor: Cursor::Fresh,
            call: None,
            said: String::new(),
            held: None,
            last: String::new(),
        }
    }

    /// What this call still says is printed at its end.
    pub(super) fn hold(&mut self, call: CallId) {
        if self.is_seen {
            self.held = Some(call);
        }
    }

    /// A piece of text.
    pub(super) fn text(&mut self, call: CallId, delta: &str) -> io::Result<()> {
        if self.held == Some(call) {
            return Ok(());
        }
        if self.call != Some(call) {
            self.end_words()?;
            self.call = Some(call);
            self.said.clear();
        }
        self.said += delta;
        self.write(delta)
    }

    /// A piece of thinking.
    pub(super) fn thought(&mut self, delta: &str) -> io::Result<()> {
        if !self.has_thoughts {
            return Ok(());
        }
        if self.cursor == Cursor::Words {
            self.fresh_line()?;
        }
        Screen::prompt(&self.screen.paint_remark(Tone::Faint, &escaped(delta)));
        self.cursor = if delta.ends_with('\n') { Cursor::Fresh } else { Cursor::Thought };
        Ok(())
    }

    /// A call has ended with this text.
    pub(super) fn finished(&mut self, call: CallId, text: &str) -> io::Result<()> {
        let said =
            if self.call == Some(call) { std::mem::take(&mut self.said) } else { String::new() };
        self.call = None;
        if let Some(rest) = text.strip_prefix(said.as_str()) {
            if said.is_empty() {
                self.end_words()?;
            }
            self.write(rest)?;
        } else {
            self.broke("pieces of it were missed; the whole is")?;
            self.write(text)?;
        }
        if !text.is_empty() {
            text.clone_into(&mut self.last);
        }
        self.end_words()
    }

    /// A call broke off.
    pub(super) fn failed(&mut self, call: CallId) -> io::Result<()> {
        if self.call != Some(call) || self.said.is_empty() {
            return Ok(());
        }
        self.call = None;
        self.said.clear();
        self.broke("it broke off; what stands above is no answer")
    }

    /// The turn ended with this text, which is printed unless it has been.
    pub(super) fn concluded(&mut self, text: &str) -> io::Result<()> {
        if self.last == text {
            return Ok(());
        }
        self.end_words()?;
        self.write(text)?;
        self.end_words()
    }

    /// Makes room for a remark.
    pub(super) fn fresh_line(&mut self) -> io::Result<()> {
        match self.cursor {
            Cursor::Fresh => Ok(()),
            Cursor::Thought => {
                Screen::prompt("\n");
                self.cursor = Cursor::Fresh;
                Ok(())
            }
            // A remark that is seen elsewhere must not break a line of the answer.
            Cursor::Words if self.is_seen || self.call.is_none() => self.end_words(),
            Cursor::Words => Ok(()),
        }
    }

    fn broke(&mut self, why: &str) -> io::Result<()> {
        self.end_words()?;
        Screen::remark(&self.screen.paint_remark(Tone::Faint, &format!("({why})")));
        Ok(())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.cursor == Cursor::Thought {
            self.fresh_line()?;
        }
        let mut out = io::stdout().lock();
        // A terminal obeys what it is shown; a file keeps what was said.
        let shown = if self.is_seen { escaped(text) } else { text.to_owned() };
        out.write_all(shown.as_bytes())?;
        out.flush()?;
        self.cursor = if text.ends_with('\n') { Cursor::Fresh } else { Cursor::Words };
        Ok(())
    }

    fn end_words(&mut self) -> io::Result<()> {
        if self.cursor == Cursor::Words { self.write("\n") } else { Ok(()) }
    }
}
