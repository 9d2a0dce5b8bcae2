//! Labels of metrics, with a bound. A name that an app declared may be a label while there are few of
//! them: the first `VALUES` keep their names, all later ones are `other`. A name that a message or a
//! model can make up, of a model or of a tool, must be one that the house knows as well, or it would take
//! a real one's place for good. A session's id is never a label.

use std::collections::BTreeSet;

/// Values of one label: a page of agents, models or tools that a person still reads. Two of them
/// multiply at most in tokens and money, and there a house in which every agent calls every model
/// is not what people build.
const VALUES: usize = 100;

/// What stands for every value above the bound.
const OTHER: &str = "other";

/// A set of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The values of one label so far.
#[derive(Debug, Default)]
pub(super) struct Bounded(BTreeSet<String>);

impl Bounded {
    /// The value to show for a name.
    pub(super) fn value(&mut self, name: &str) -> String {
        let known = self.0.contains(name);
        if !known && self.0.len() >= VALUES {
            return OTHER.to_owned();
        }
        if !known {
            self.0.insert(name.to_owned());
        }
        name.to_owned()
    }

    /// Those that have a name of their own, and what stands for the rest once there may be any.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        let other = (self.0.len() >= VALUES).then_some(OTHER);
        self.0.iter().map(String::as_str).chain(other)
    }
}

/// Names that the house knows, whoever uses them; the bound is for an app that declares without end.
const KNOWN: usize = 10_000;

/// The values of a label that names what the house knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: BTreeSet<String>,
    shown: Bounded,
}

impl Known {
    /// The house knows this name.
    pub(super) fn learn(&mut self, name: &str) {
        if self.names.len() < KNOWN && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    /// The value to show for a name.
    pub(super) fn value(&mut self, name: &str) -> String {
        if self.names.contains(name) { self.shown.value(name) } else { OTHER.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_made_up_takes_nobodys_place() {
        let mut known = Known::default();
        known.learn("real");
        for no in 0..10 * VALUES {
            assert_eq!(known.value(&format!("made-up-{no}")), OTHER);
        }
        assert_eq!(known.value("real"), "real");
    }

    #[test]
    fn names_above_the_bound_share_one_label() {
        let mut bounded = Bounded::default();
        let shown: BTreeSet<String> =
            (0..10 * VALUES).map(|no| bounded.value(&format!("agent-{no}"))).collect();
        assert_eq!(shown.len(), VALUES + 1);
        assert!(shown.contains(OTHER));
        assert_eq!(bounded.value("agent-0"), "agent-0", "who has a name keeps it");
    }
}
