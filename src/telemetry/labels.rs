//! Labels of metrics, with a bound. A name that a user or a model chose may be a label only while
//! there are few of them: the first `VALUES` keep their names, all later ones are `other`. A
//! session's id is never a label.

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

    /// Those that have a name of their own.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
