//! Sets of call numbers as spans: a session numbers its calls in order and closes nearly all of them,
//! so a set of a million numbers is one span, and each number that is missing costs one span more.

use std::collections::BTreeMap;

use crate::domain::ids::CallNo;

/// Numbers of one session's calls, those to models apart from those to tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    models: Spans,
    tools: Spans,
}

impl Numbers {
    pub(super) fn insert(&mut self, call: CallNo) {
        match call {
            CallNo::Model(no) => self.models.insert(no.0),
            CallNo::Tool(no) => self.tools.insert(no.0),
        }
    }

    pub(super) fn contains(&self, call: CallNo) -> bool {
        match call {
            CallNo::Model(no) => self.models.contains(no.0),
            CallNo::Tool(no) => self.tools.contains(no.0),
        }
    }

    /// How much memory it takes, in spans.
    pub(super) fn spans(&self) -> usize {
        self.models.0.len() + self.tools.0.len()
    }
}

/// From the first number of each span to its last. No two spans touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spans(BTreeMap<u32, u32>);

impl Spans {
    fn contains(&self, no: u32) -> bool {
        self.0.range(..=no).next_back().is_some_and(|(_, last)| no <= *last)
    }

    fn insert(&mut self, no: u32) {
        if self.contains(no) {
            return;
        }
        let before = self.0.range(..no).next_back().map(|(first, last)| (*first, *last));
        let first = before
            .filter(|(_, last)| last.checked_add(1) == Some(no))
            .map_or(no, |(first, _)| first);
        let behind = no.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, behind.unwrap_or(no));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_hold_what_a_set_holds(numbers in prop::collection::vec(0_u32..60, 0..80)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for no in numbers {
                spans.insert(no);
                set.insert(no);
                for no in 0..61 {
                    prop_assert_eq!(spans.contains(no), set.contains(&no));
                }
                // As few as can be: one for each number whose successor is missing.
                let ends = set.iter().filter(|no| !set.contains(&(**no + 1))).count();
                prop_assert_eq!(spans.0.len(), ends);
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers_like_others() {
        let mut spans = Spans::default();
        for no in [u32::MAX, 0, u32::MAX - 1, 1] {
            assert!(!spans.contains(no));
            spans.insert(no);
            assert!(spans.contains(no));
        }
        assert_eq!(spans.0, BTreeMap::from([(0, 1), (u32::MAX - 1, u32::MAX)]));
    }
}
