//! The walk over statements: which of them run, in which folder, with which words. Every statement is
//! entered, whether it would be reached or not. The closed set of nodes is the one `match` here; what
//! is not in it is a doubt, and is searched for commands all the same.

use tree_sitter::Node;

use crate::{domain::unseen, limits};

use super::{
    Script, Start, Word,
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
    pub(super) bound: Vec<(String, Word)>,
    /// Names that are given a value anywhere.
    pub(super) assigned: Vec<String>,
    /// Names of loops whose value was taken for known.
    pub(super) used: Vec<String>,
    /// How often the statement at hand is walked, by the loops that it stands in.
    pub(super) turns: usize,
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

    pub(super) fn joined(self) -> Folders {
        self.well.or(self.badly)
    }
}

/// All children of a node, tokens included.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

impl<'s> Walk<'s> {
    pub(super) fn new(script: &'s mut Script, start: &Start<'_>) -> Self {
        let folders = match start {
            Start::At(cwd) => Folders::at(cwd.as_deref()),
            Start::Lost => Folders::lost(),
        };
        Self {
            script,
            folders,
            bound: Vec::new(),
            assigned: Vec::new(),
            used: Vec::new(),
            turns: 1,
            depth: 0,
        }
    }

    /// A whole text, `deeper` than the one it stands in.
    pub(super) fn script(&mut self, text: &str, deeper: usize) {
        let Some(_) = self.descend(deeper) else { return };
        let (text, cut) = tree::beginning(text);
        if cut {
            self.script.unread("the command is longer than what is analysed");
        }
        if text.contains(unseen::is_unseen) {
            self.script.unread("the command has characters that are not seen");
        }
        if let Some(bare) = tree::bared(text) {
            self.aside(|walk| walk.script(&bare, 1));
        }
        if let Some(tree) = tree::parse(text) {
            let root = tree.root_node();
            if let Some(why) = tree::mistake(root, text) {
                self.script.unread(why);
                if let Some(ended) = tree::with_ends(root, text).filter(|_| why == tree::NEW_LINE) {
                    self.aside(|walk| walk.script(&ended, 1));
                }
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
                let mut folders = self.folders.clone();
                for stage in children(node) {
                    match raw(src, stage) {
                        "|" | "|&" if !stage.is_named() => {}
                        // No stage is a list: the grammar hangs what follows the pipe on its end.
                        _ if stage.kind() == "list" => {
                            let ends = self.statement(src, stage);
                            folders = folders.or(ends.joined());
                            self.folders = folders.clone();
                        }
                        _ => self.aside(|walk| drop(walk.statement(src, stage))),
                    }
                }
                Ends::both(&folders)
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
        if let Some(list) = name.filter(|name| name.kind() == "subscript") {
            let list = raw(src, list).split('[').next().unwrap_or_default().to_owned();
            self.judge_name(&list);
        }
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
