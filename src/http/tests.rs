//! The face over a real runtime.
