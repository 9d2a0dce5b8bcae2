//! The binary: it hands over to the library.

fn main() {}
