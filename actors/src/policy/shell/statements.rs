//! The walk over statements: which of them run, in which folder, with which words. Every statement is
//! entered, whether it would be reached or not. The closed set of nodes is the one `match` here; what
//! is not in it is a doubt, and is searched for commands all the same.

use tree_sitter::Node;

use crate::limits;

use super::{
    Script, Word,
    files::Folders,
    scripts,
    simple::Simple,
    tree,
    words::{self, raw},
};

/// A walk over one command text.
#[derive(Debug)]
pub(super) struct Walk<'s> {
    pub(super) script: &'s mut Script,
    /// Where the next statement may be.
    pub(super) folders: Folders,
    /// Variables of loops whose values are known.
    bound: Vec<(String, Word)>,
    /// Names that are given a value anywhere.
    assigned: Vec<String>,
    /// Names of loops whose value was taken for known.
    used: Vec<String>,
    /// How deep this is in texts within texts and statements within statements.
    depth: usize,
}

/// Where a statement leaves the shell when it works, and when it does not.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) well: Folders,
    pub(super) badly: Folders,
}

impl Ends {
    pub(super) fn both(folders: &Folders) -> Self {
        Self { well: folders.clone(), badly: folders.clone() }
    }

    fn joined(self) -> Folders {
        self.well.or(self.badly)
    }
}

/// All children of a node, tokens included.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

impl<'s> Walk<'s> {
    pub(super) fn new(script: &'s mut Script, cwd: Option<&str>) -> Self {
        let folders = Folders::at(cwd);
        Self {
            script,
            folders,
            bound: Vec::new(),
            assigned: Vec::new(),
            used: Vec::new(),
            depth: 0,
        }
    }

    /// A whole text, `deeper` than the one it stands in.
    pub(super) fn script(&mut self, text: &str, deeper: usize) {
        let Some(_) = self.descend(deeper) else { return };
        let (text, cut) = cut(text);
        if cut {
            self.script.unread("the command is longer than what is analysed");
        }
        if text.contains(tree::is_unseen) {
            self.script.unread("the command has characters that are not seen");
        }
        if let Some(tree) = tree::parse(text) {
            let root = tree.root_node();
            if let Some(why) = tree::mistake(root, text) {
                self.script.unread(why);
            }
            scripts::assigned(root, text, &mut self.assigned);
            let ends = self.sequence(text, &children(root));
            self.folders = ends.joined();
        } else {
            self.script.unread("the command takes too long to read");
        }
        self.depth -= deeper.max(1);
    }

    /// One level down, unless there are too many.
    fn descend(&mut self, levels: usize) -> Option<()> {
        if self.depth + levels.max(1) > limits::SCRIPT_DEPTH || self.script.is_full() {
            self.script.unread("the command is nested deeper, or has more parts, than is analysed");
            return None;
        }
        self.depth += levels.max(1);
        Some(())
    }

    /// Something within a command, as one level more.
    pub(super) fn deeper(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.descend(1).is_some() {
            inner(self);
            self.depth -= 1;
        }
    }

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

    /// Statements one after another.
    fn sequence(&mut self, src: &str, nodes: &[Node<'_>]) -> Ends {
        let mut last = Ends::both(&self.folders);
        for (at, node) in nodes.iter().enumerate() {
            if !node.is_named() {
                match raw(src, *node) {
                    ";" | "\n" | "&" | "" | "{" | "}" | "(" | ")" | "do" | "done" | "then"
                    | "else" => {}
                    _ => self.script.unread("a separator of commands is not understood"),
                }
                continue;
            }
            if node.kind() == "comment" {
                continue;
            }
            let before = self.folders.clone();
            last = self.statement(src, *node);
            let background = nodes.get(at + 1).is_some_and(|next| raw(src, *next) == "&");
            if background {
                last = Ends::both(&before);
            }
            self.folders = last.clone().joined();
        }
        last
    }

    /// One statement, in the current folder.
    pub(super) fn statement(&mut self, src: &str, node: Node<'_>) -> Ends {
        if self.descend(1).is_none() {
            return Ends::both(&Folders::lost());
        }
        let ends = self.kind_of_statement(src, node);
        self.depth -= 1;
        ends
    }

    fn kind_of_statement(&mut self, src: &str, node: Node<'_>) -> Ends {
        let here = Ends::both(&self.folders);
        match node.kind() {
            "command" => self.command(src, node),
            "list" => self.list(src, node),
            "pipeline" => {
                for stage in children(node) {
                    match raw(src, stage) {
                        "|" | "|&" if !stage.is_named() => {}
                        _ => self.aside(|walk| drop(walk.statement(src, stage))),
                    }
                }
                here
            }
            "negated_command" => {
                let Ends { well, badly } = self.sequence_of(src, node, &["!"]);
                Ends { well: badly, badly: well }
            }
            "redirected_statement" => self.redirected(src, node),
            "compound_statement" if raw(src, node).starts_with("((") => {
                self.arithmetic(src, node);
                here
            }
            "compound_statement" | "do_group" | "else_clause" => {
                self.sequence_of(src, node, &["{", "}", "do", "done", "else"])
            }
            "subshell" => {
                self.aside(|walk| drop(walk.sequence_of(src, node, &["(", ")"])));
                here
            }
            "if_statement" | "elif_clause" => self.branches(src, node),
            "while_statement" | "for_statement" => self.repeated(src, node),
            "test_command" => {
                self.bracket(src, node);
                here
            }
            "variable_assignment" | "variable_assignments" => {
                let assigns = self.assignments(src, node);
                self.simple(Simple { assigns, words: Vec::new() })
            }
            "declaration_command" | "unset_command" => {
                self.declaration(src, node);
                here
            }
            "function_definition" => {
                // Its name may hide a program's, and where it will be called is not known.
                self.script.doubt("it defines a function");
                self.aside(|walk| walk.anything(src, node));
                here
            }
            kind => {
                self.script.unread(format!("{} is not understood", spoken(kind)));
                self.aside(|walk| walk.anything(src, node));
                Ends::both(&Folders::lost())
            }
        }
    }

    /// The statements within a node, between the tokens that it may have.
    fn sequence_of(&mut self, src: &str, node: Node<'_>, tokens: &[&str]) -> Ends {
        let inner: Vec<_> = children(node)
            .into_iter()
            .filter(|child| child.is_named() || !tokens.contains(&raw(src, *child)))
            .collect();
        self.sequence(src, &inner)
    }

    /// What changes the folder only for itself.
    pub(super) fn aside(&mut self, inner: impl FnOnce(&mut Self)) {
        let folders = self.folders.clone();
        inner(self);
        self.folders = folders;
    }

    fn list(&mut self, src: &str, node: Node<'_>) -> Ends {
        let parts = children(node);
        let [left, joint, right] = parts.as_slice() else {
            self.script.unread("a list of commands is not understood");
            self.anything(src, node);
            return Ends::both(&Folders::lost());
        };
        let first = self.statement(src, *left);
        match raw(src, *joint) {
            "&&" => {
                self.folders = first.well;
                let second = self.statement(src, *right);
                Ends { well: second.well, badly: first.badly.or(second.badly) }
            }
            "||" => {
                self.folders = first.badly;
                let second = self.statement(src, *right);
                Ends { well: first.well.or(second.well), badly: second.badly }
            }
            _ => {
                self.script.unread("a list of commands is not understood");
                self.folders = Folders::lost();
                self.statement(src, *right)
            }
        }
    }

    /// Conditions and branches: any of them may have run.
    fn branches(&mut self, src: &str, node: Node<'_>) -> Ends {
        let mut after = self.folders.clone();
        for part in children(node) {
            match part.kind() {
                "if" | "elif" | "then" | "fi" | ";" | "\n" | "&" | ";;" | "comment" => {}
                _ => {
                    let ends = self.statement(src, part);
                    self.folders = ends.joined();
                    after = after.or(self.folders.clone());
                }
            }
        }
        Ends::both(&after.or(self.folders.clone()))
    }

    /// `while`, `until`, `for`. A folder that changes with each round is not followed.
    fn repeated(&mut self, src: &str, node: Node<'_>) -> Ends {
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
                "do_group" => {
                    self.bind(name.take(), &values);
                    let ends = self.statement(src, part);
                    self.folders = ends.joined();
                }
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

    /// The value of a loop's variable, where one shape stands for all of them.
    fn bind(&mut self, name: Option<String>, values: &[Word]) {
        let Some(name) = name else { return };
        self.judge_loop(&name);
        if self.bound(&name).is_some() {
            // A loop within a loop of the same name.
            self.sets(&name);
        }
        // A name that begins otherwise may be one that the shell sets itself.
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return;
        }
        match values {
            [one] if one.is_files() => self.bound.push((name, one.clone())),
            _ if values.iter().all(|value| value.text().is_some_and(is_number)) => {
                self.bound.push((name, Word::unknown()));
            }
            _ => {}
        }
    }

    /// Searches a node that is not understood for what it runs.
    pub(super) fn anything(&mut self, src: &str, node: Node<'_>) {
        for part in children(node) {
            match part.kind() {
                "command"
                | "list"
                | "pipeline"
                | "negated_command"
                | "redirected_statement"
                | "compound_statement"
                | "subshell"
                | "if_statement"
                | "while_statement"
                | "for_statement"
                | "test_command"
                | "declaration_command"
                | "unset_command"
                | "function_definition"
                | "case_statement"
                | "c_style_for_statement" => {
                    let ends = self.statement(src, part);
                    self.folders = ends.joined();
                }
                "command_substitution" | "process_substitution" => self.substitution(src, part),
                "file_redirect" | "herestring_redirect" | "heredoc_redirect" => {
                    self.redirect(src, part);
                }
                "variable_assignment" => {
                    let assigns = self.assignments(src, part);
                    drop(self.simple(Simple { assigns, words: Vec::new() }));
                }
                _ if self.descend(1).is_some() => {
                    self.anything(src, part);
                    self.depth -= 1;
                }
                _ => {}
            }
        }
    }

    /// `$(…)`, `` `…` ``, `<(…)`, `>(…)`.
    pub(super) fn substitution(&mut self, src: &str, node: Node<'_>) {
        if raw(src, node).starts_with('`') && raw(src, node).contains('\\') {
            // Backslashes are undone once more within backquotes, which the tree does not know.
            self.script.unread("a backslash stands between backquotes");
        }
        self.aside(|walk| {
            for part in children(node) {
                match part.kind() {
                    "file_redirect" => walk.redirect(src, part),
                    _ if part.is_named() => {
                        let ends = walk.statement(src, part);
                        walk.folders = ends.joined();
                    }
                    _ => {}
                }
            }
        });
    }

    /// The assignments of a node that is one or has some.
    pub(super) fn assignments(&mut self, src: &str, node: Node<'_>) -> Vec<(String, Word)> {
        if node.kind() == "variable_assignments" {
            let parts = children(node);
            return parts.into_iter().flat_map(|part| self.assignments(src, part)).collect();
        }
        let name = node.child_by_field_name("name");
        let value = node.child_by_field_name("value");
        let plain = name.filter(|name| name.kind() == "variable_name");
        let written = plain.map_or_else(String::new, |name| raw(src, name).to_owned());
        if !words::is_name(&written) {
            self.script.unread("an element of a list is set, which may run what its index holds");
            self.anything(src, node);
        }
        let value = match value {
            None => Word::Text(String::new()),
            Some(list) if list.kind() == "array" => {
                self.anything(src, list);
                Word::unknown()
            }
            Some(value) => self.word(src, value),
        };
        vec![(written, value)]
    }
}

fn spoken(kind: &str) -> String {
    kind.replace('_', " ")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// The part of a text that is analysed, and whether there is more.
fn cut(text: &str) -> (&str, bool) {
    let mut end = limits::COMMAND_BYTES;
    if text.len() <= end {
        return (text, false);
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text.get(..end).unwrap_or_default(), true)
}
