//! The store as a whole against a real disk that fails and a process that dies.

mod child;
mod faults;
mod holder;
mod kill;
mod readonly;

pub use child::{PART, play};
