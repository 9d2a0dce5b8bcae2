//! The end of the program's own log: every line is cleaned on its way out, whoever wrote it and into
//! whichever field.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::Secrets;

/// A writer of log lines that lets no secret through.
///
/// ```
/// use greenroom::telemetry::redact::{Masking, Secrets};
///
/// let secrets = Secrets::default();
/// let logs = tracing_subscriber::fmt().with_writer(Masking::new(secrets, std::io::stderr));
/// # let _logs = logs.with_ansi(false);
/// ```
#[derive(Clone, Debug)]
pub struct Masking<M> {
    secrets: Secrets,
    pub(super) to: M,
}

impl<M> Masking<M> {
    /// In front of this one.
    pub const fn new(secrets: Secrets, to: M) -> Self {
        Self { secrets, to }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Masking<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { secrets: self.secrets.clone(), to: self.to.make_writer() }
    }
}

/// One event on its way. The formatter hands it over as a whole, so nothing is kept back.
#[derive(Debug)]
pub struct Line<W> {
    secrets: Secrets,
    to: W,
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.to.write_all(self.secrets.clean_words(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
