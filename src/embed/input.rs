//! What a program says to a session: texts and images, in order.

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        conversation::Block,
        event::{TurnOverrides, UserInput},
    },
    runtime::CallError,
};

/// An input: a text is one, and more is put together here.
///
/// ```
/// use greenroom::{AgentSpec, Input, Runtime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// # let bytes = b"GIF89a......".to_vec();
/// let script = "agent *\n  say {input} {images}";
/// let runtime = Runtime::builder().store(path).script(script).start().await?;
/// let session = runtime.spawn(&AgentSpec::new("viewer", "scripted")).await?;
/// let seen = session.send(Input::text("A picture:").image(bytes)).await?.outcome().await?;
/// assert_eq!(seen.text(), "A picture: image/gif, 12 bytes");
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    parts: Vec<Part>,
    overrides: TurnOverrides,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Image(Vec<u8>),
}

impl Input {
    /// Begins with a text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())], overrides: TurnOverrides::default() }
    }

    /// More text.
    #[must_use]
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(text.into()));
        self
    }

    /// An image: PNG, JPEG, GIF or WebP, as its bytes say.
    #[must_use]
    pub fn image(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part::Image(bytes.into()));
        self
    }

    /// This turn's own model, sampling or mode.
    #[must_use]
    pub fn with(mut self, overrides: TurnOverrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The same for the log: what is large is put away first, so that nothing is ever named that is
    /// not kept.
    pub(super) async fn kept(self, runtime: &Handle) -> Result<UserInput, CallError> {
        let mut blocks = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            blocks.push(match part {
                Part::Text(text) => Block::Text { text },
                Part::Image(bytes) => runtime.keep_image(bytes).await?,
            });
        }
        Ok(UserInput { blocks, overrides: self.overrides, assignment: None })
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<&String> for Input {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}
