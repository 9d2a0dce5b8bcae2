//! The file tools where there is no opener: on systems without `openat2` nothing holds a path to its
//! folder, so none is opened. Whoever asks for the tools is told that they need Linux. This is the one
//! place that says so; the crate builds without them.

#[path = "options.rs"]
mod options;

use std::sync::Arc;

use greenroom_actors::ports::Tool;

pub use options::{NAMES, OpenError, Options, POOL, Root};

/// There are none.
///
/// # Errors
/// Always.
pub fn tools(_options: &Options) -> Result<Vec<Arc<dyn Tool>>, OpenError> {
    Err(OpenError::Kernel)
}
