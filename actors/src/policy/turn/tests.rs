//! The machine's tests: tables of (what came before) + input → events + effects, laws that hold for
//! any inputs in any order, and a recorded log that must be understood for ever.

mod agents;
mod approvals;
mod audited;
mod dark;
mod endings;
mod halted;
mod hostile;
mod images;
mod laws;
mod life;
mod outside;
mod play;
mod recorded;
mod recovery;
mod reliability;
mod room;
mod told;
mod tools;
mod trouble;
mod turns;
mod window;
