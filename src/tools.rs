//! Built-in tools: what an agent may do to the world without a program that offers it more.

mod fetch;

pub(crate) use fetch::Fetch;
