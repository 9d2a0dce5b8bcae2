//! A value that must never be printed. It has no `Debug`, `Display` or `Serialize`, so the compiler
//! refuses to log it; the one way in is `expose`, which is easy to search for.
//!
//! ```compile_fail
//! let key = greenroom_actors::domain::secret::Secret::new("k".to_owned());
//! println!("{key:?}");
//! ```
//!
//! ```compile_fail
//! let key = greenroom_actors::domain::secret::Secret::new("k".to_owned());
//! serde_json::to_string(&key);
//! ```

/// A secret text, such as an API key.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "a secret must have no printable form")]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
