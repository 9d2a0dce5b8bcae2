//! The house keeps itself tidy: sizes, names, layers, papers and reach, checked over the sources as
//! text.
//!
//! It owns no rule that only prose states: each rule is a pure function from a text to offences, run
//! over the whole tree here, and each has a self-test that plants a violation, so that no rule is one
//! that cannot fail.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/reach.rs"]
mod reach;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/waits.rs"]
mod waits;

/// Fails with every offence at once, so that one run shows all there is to do.
#[track_caller]
fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "{} offences:\n  {}", offences.len(), offences.join("\n  "));
}

/// A planted violation must be found, and the message must say `what`.
#[track_caller]
fn finds(offences: &[String], what: &str) {
    assert!(
        offences.iter().any(|offence| offence.contains(what)),
        "no offence says {what:?}: {offences:?}"
    );
}
