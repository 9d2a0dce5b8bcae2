//! A session dies at every point of its work, by its own panic and with the whole process, while
//! its agent is edited. What it asks its model in all, before its death and after it, is to the
//! byte what a session asks that never died.
//!
//! `play` is one process's half of a piece, `scene` the piece with its death and what must come of
//! it, `death` how it dies. The scenes stand with their tests, by what the session is about when
//! it dies: `models`, `tools`, `agents`, `asleep`, `quarantine`.

mod agents;
mod asleep;
mod death;
mod models;
mod play;
mod quarantine;
mod scene;
mod tools;

pub use death::{PART, play};
