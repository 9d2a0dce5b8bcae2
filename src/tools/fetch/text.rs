//! From the bytes of a page to text: what a person would read of it, without anything that a terminal
//! would obey.

use bytes::Bytes;

use crate::tools::output::plain;

/// How wide paragraphs and tables of a page are set.
const WIDTH: usize = 100;

/// How a content type is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// As a page.
    Html,
    /// As it is.
    Plain,
}

impl Reader {
    /// How this content type is read, if it is text. A server that says none is taken at its word:
    /// whatever it is, it is shown as text.
    pub(super) fn of(kind: &str) -> Option<Self> {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match kind {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "" | "application/json" | "application/xml" | "application/javascript" => {
                Some(Self::Plain)
            }
            other if other.starts_with("text/") => Some(Self::Plain),
            other if other.ends_with("+json") || other.ends_with("+xml") => Some(Self::Plain),
            _ => None,
        }
    }

    /// The text. Bytes that are no UTF-8 show as such.
    pub(super) async fn read(self, bytes: Bytes) -> String {
        let text = match self {
            Self::Plain => String::from_utf8_lossy(&bytes).into_owned(),
            // A large page takes a second, which no other session should wait for. It holds nothing
            // but these bytes, so that it may end on its own when nobody waits any more.
            Self::Html => {
                let rendered =
                    tokio::task::spawn_blocking(move || html2text::from_read(&bytes[..], WIDTH));
                match rendered.await {
                    Ok(Ok(text)) => text,
                    Ok(Err(_)) | Err(_) => "[the page cannot be read as HTML]".to_owned(),
                }
            }
        };
        plain(&text)
    }
}
