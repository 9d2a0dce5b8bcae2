//! Layer 0: the values everything else speaks in. No clocks, no async, no I/O; every type that
//! reaches the log serialises, and its JSON form is part of the stored format.

pub mod ids;

pub mod agent;
pub mod budget;
pub mod catalog;
pub mod conversation;
pub mod event;
pub mod frame;
pub mod grant;
pub mod house;
pub mod image;
pub mod job;
pub mod model;
pub mod outcome;
pub mod permission;
pub mod secret;
pub mod span;
pub mod tool;
pub mod unseen;
pub mod usage;
