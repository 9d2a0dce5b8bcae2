//! Loops and the variables that they give values to: what such a name stands for is known only where
//! nothing else sets it, in this text or in one that it holds.

use tree_sitter::Node;

use crate::limits;

use super::{
    Word,
    files::Folders,
    statements::{Ends, Walk, children},
    words::raw,
};

impl Walk<'_> {
    pub(super) fn bound(&self, name: &str) -> Option<&Word> {
        let known = self.bound.iter().rev().find(|(bound, _)| bound == name);
        known.map(|(_, word)| word).filter(|_| !self.is_assigned(name))
    }

    /// A loop's variable was read as what the loop gives it.
    pub(super) fn used(&mut self, name: &str) {
        if !self.used.iter().any(|used| used == name) {
            self.used.push(name.to_owned());
        }
    }

    /// A name is given a value. In a text within the text that may come after the name was read as
    /// another, so it is said then.
    pub(super) fn sets(&mut self, name: &str) {
        if self.used.iter().any(|used| used == name) {
            self.script.unread(format!("the loop's variable {name} is set elsewhere as well"));
        }
        if !self.is_assigned(name) {
            self.assigned.push(name.to_owned());
        }
    }

    /// Another shell, which has none of the variables that this one keeps to itself.
    pub(super) fn elsewhere(&mut self, inner: impl FnOnce(&mut Self)) {
        let bound = std::mem::take(&mut self.bound);
        self.aside(inner);
        self.bound = bound;
    }

    pub(super) fn is_assigned(&self, name: &str) -> bool {
        self.assigned.iter().any(|assigned| assigned == name)
    }

    /// `while`, `until`, `for`. A folder that changes with each round is not followed.
    pub(super) fn repeated(&mut self, src: &str, node: Node<'_>) -> Ends {
        let before = self.folders.clone();
        self.round(src, node);
        if self.folders != before {
            self.folders = Folders::lost();
            self.round(src, node);
            self.folders = Folders::lost();
        }
        Ends::both(&self.folders)
    }

    fn round(&mut self, src: &str, node: Node<'_>) {
        let mut values = Vec::new();
        let mut name = None;
        let known = self.bound.len();
        for (at, part) in children(node).into_iter().enumerate() {
            let kind = part.kind();
            let is_value =
                u32::try_from(at).is_ok_and(|at| node.field_name_for_child(at) == Some("value"));
            match kind {
                "select" => self.script.unread("select is not understood"),
                "while" | "until" | "for" | "in" | ";" | "\n" | "&" | ";;" | "comment" => {}
                "variable_name" => name = Some(raw(src, part).to_owned()),
                _ if is_value => {
                    let word = self.word(src, part);
                    values.push(word);
                }
                "do_group" => self.rounds((src, part), name.take(), &values),
                _ => {
                    let ends = self.statement(src, part);
                    self.folders = ends.joined();
                }
            }
        }
        for (name, _) in self.bound.drain(known..) {
            self.used.retain(|used| *used != name);
        }
    }

    /// The body of a loop: once for each word that its variable is given, where all of them are written
    /// out and not too many; else once, with what one shape can say of them.
    fn rounds(&mut self, (src, body): (&str, Node<'_>), name: Option<String>, values: &[Word]) {
        let bound = self.bindings(name, values);
        let known = self.bound.len();
        let turns = self.turns;
        self.turns = turns.saturating_mul(bound.len().max(1));
        let commands = self.script.commands;
        for each in bound {
            // A person reads the body once.
            self.script.commands = commands;
            self.bound.truncate(known);
            self.bound.extend(each);
            let ends = self.statement(src, body);
            self.folders = ends.joined();
        }
        self.turns = turns;
    }

    /// What stands for a loop's variable: each value by itself, or one shape for all, or nothing.
    fn bindings(&mut self, name: Option<String>, values: &[Word]) -> Vec<Option<(String, Word)>> {
        let Some(name) = name else { return vec![None] };
        self.judge_loop(&name);
        if self.bound(&name).is_some() {
            // A loop within a loop of the same name.
            self.sets(&name);
        }
        // A name that begins otherwise may be one that the shell sets itself.
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return vec![None];
        }
        let few = self.turns.saturating_mul(values.len()) <= limits::LOOP_TURNS;
        match values {
            [one] if one.is_files() => vec![Some((name, one.clone()))],
            _ if values.iter().all(|value| value.text().is_some_and(is_number)) => {
                vec![Some((name, Word::unknown()))]
            }
            _ if few && values.iter().all(Word::is_files) => {
                values.iter().map(|value| Some((name.clone(), value.clone()))).collect()
            }
            _ => vec![None],
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}
