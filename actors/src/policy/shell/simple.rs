//! Simple commands: words, assignments before them and redirections around them.

use std::borrow::Cow;

use tree_sitter::Node;

use crate::limits;

use super::{
    Access, Command, Cover, Part, Piece, Word,
    files::Folders,
    statements::{Ends, Walk, children},
    words::raw,
};

/// A command as the shell sees it once its words are known.
#[derive(Clone, Debug)]
pub(super) struct Simple {
    /// Variables set for it alone; or for the shell, when there are no words.
    pub(super) assigns: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
}

impl Simple {
    pub(super) const fn of(words: Vec<Word>) -> Self {
        Self { assigns: Vec::new(), words }
    }
}

impl Walk<'_> {
    /// A `command` node.
    pub(super) fn command(&mut self, src: &str, node: Node<'_>) -> Ends {
        let simple = self.collect(src, node);
        self.simple(simple)
    }

    fn collect(&mut self, src: &str, node: Node<'_>) -> Simple {
        let mut simple = Simple::of(Vec::new());
        let mut end = None;
        for part in children(node) {
            let touching = end == Some(part.start_byte()) && !raw(src, part).is_empty();
            match part.kind() {
                "variable_assignment" => simple.assigns.extend(self.assignments(src, part)),
                "file_redirect" => simple.words.extend(self.redirected_words(src, part)),
                "herestring_redirect" => self.redirect(src, part),
                "subshell" | "comment" => {
                    self.script.unread("a bracket within a command is not understood");
                    self.anything(src, part);
                }
                _ => {
                    if touching {
                        self.script.unread("words of the command do not stand apart");
                    }
                    let word = self.word(src, part);
                    simple.words.push(word);
                }
            }
            end = Some(part.end_byte());
        }
        simple
    }

    /// A statement with redirections behind it.
    pub(super) fn redirected(&mut self, src: &str, node: Node<'_>) -> Ends {
        let parts = children(node);
        let body = parts.iter().find(|part| !part.kind().ends_with("_redirect")).copied();
        let mut ends = Ends::both(&self.folders);
        let is_command = body.is_none_or(|body| body.kind() == "command");
        if let Some(body) = body.filter(|_| !is_command) {
            // The grammar hangs the redirection of a list's last command on the whole list, so that it
            // may be opened before or after what changes the folder.
            let before = self.folders.clone();
            ends = self.statement(src, body);
            self.folders = before.or(ends.well.clone()).or(ends.badly.clone());
        }
        let mut more = Vec::new();
        for part in parts {
            match part.kind() {
                "file_redirect" => more.extend(self.redirected_words(src, part)),
                "herestring_redirect" | "heredoc_redirect" => self.redirect(src, part),
                _ => {}
            }
        }
        if !is_command {
            if !more.is_empty() {
                self.script.unread("words behind a redirection are not understood");
                drop(self.simple(Simple::of(more)));
            }
            return ends;
        }
        // The grammar hangs words that follow a redirection on it.
        let mut simple =
            body.map_or_else(|| Simple::of(Vec::new()), |body| self.collect(src, body));
        simple.words.extend(more);
        self.simple(simple)
    }

    /// A redirection to a file, and the words of the command that the grammar takes for more targets.
    fn redirected_words(&mut self, src: &str, node: Node<'_>) -> Vec<Word> {
        let mut operator = "";
        let mut targets = Vec::new();
        for part in children(node) {
            match part.kind() {
                "file_descriptor" => {
                    if raw(src, part).starts_with('{') {
                        self.script.unread("a descriptor is kept in a variable");
                    }
                }
                _ if operator.is_empty() && !part.is_named() => operator = raw(src, part),
                _ => {
                    let word = self.word(src, part);
                    targets.push(word);
                }
            }
        }
        if matches!(operator, ">&-" | "<&-") {
            return targets;
        }
        if targets.is_empty() {
            self.script.unread("a redirection has no target");
            return targets;
        }
        let target = targets.remove(0);
        self.target(operator, &target);
        targets
    }

    fn target(&mut self, operator: &str, target: &Word) {
        let known = target.text();
        let descriptor =
            known.is_some_and(|text| text == "-" || text.chars().all(|c| c.is_ascii_digit()));
        match operator {
            ">&" | "<&" if descriptor => {}
            // What nothing is read from is no file that a rule could mean.
            "<" if known == Some("/dev/null") => {}
            "<" => self.reads(target),
            ">" | ">>" | ">|" | "&>" | "&>>" | ">&" => {
                let harmless = ["/dev/null", "/dev/stdout", "/dev/stderr"];
                if !known.is_some_and(|text| harmless.contains(&text)) {
                    self.writes(target);
                }
            }
            _ => {
                self.script.unread("a redirection is not understood");
                self.writes(target);
            }
        }
    }

    /// A redirection that stands alone.
    pub(super) fn redirect(&mut self, src: &str, node: Node<'_>) {
        match node.kind() {
            "file_redirect" => {
                let words = self.redirected_words(src, node);
                if !words.is_empty() {
                    self.script.unread("words behind a redirection are not understood");
                    drop(self.simple(Simple::of(words)));
                }
            }
            "herestring_redirect" => {
                for part in children(node).into_iter().filter(Node::is_named) {
                    drop(self.word(src, part));
                }
            }
            _ => self.here_document(src, node),
        }
    }

    fn here_document(&mut self, src: &str, node: Node<'_>) {
        let (mut start, mut indented) = ("", false);
        let parts = children(node);
        let follows = parts.iter().any(|part| matches!(part.kind(), "&&" | "||"));
        for part in parts {
            match part.kind() {
                "<<" => {}
                // Tabs before a line are not part of it, nor of the one that ends it.
                "<<-" => indented = true,
                "heredoc_start" => start = raw(src, part),
                "heredoc_body" => self.here_body(src, part, (start, indented)),
                "heredoc_end" => {
                    // It is a line of its own, whole.
                    let own = src.get(part.byte_range()) == Some(ending(start).as_ref());
                    let before = src.get(..part.start_byte()).unwrap_or_default();
                    let before = if indented { before.trim_end_matches('\t') } else { before };
                    let begins = before.ends_with('\n');
                    let behind = src.get(part.end_byte()..).unwrap_or_default();
                    if !own || !begins || !(behind.is_empty() || behind.starts_with('\n')) {
                        self.script.unread("the end of a here-document is not its own");
                    }
                }
                "file_redirect" => self.redirect(src, part),
                // What follows in the same shell may not leave the folder: then it is not known where from.
                "&&" | "||" => {}
                "command" if follows => {
                    let before = self.folders.clone();
                    let after = self.statement(src, part).joined();
                    if after != before {
                        self.script.unread("what follows a here-document is not understood");
                    }
                }
                kind => {
                    if !matches!(kind, "pipeline") {
                        self.script.unread("what follows a here-document is not understood");
                    }
                    if part.is_named() {
                        self.aside(|walk| drop(walk.statement(src, part)));
                    }
                }
            }
        }
    }

    fn here_body(&mut self, src: &str, node: Node<'_>, (start, indented): (&str, bool)) {
        let text = src.get(node.byte_range()).unwrap_or_default();
        let end = ending(start);
        let bare = |line: &str| if indented { line.trim_start_matches('\t') } else { line } == end;
        let early = text.lines().any(bare);
        if early || end.contains(['\\', '$', '`', '\'', '"']) || end.is_empty() {
            self.script.unread("the end of a here-document is not certain");
        }
        if start == end {
            // Without quotes around its word the text is one that the shell expands.
            let mut at = node.start_byte();
            let mut rest = Vec::new();
            for part in children(node).into_iter().filter(|part| part.kind() != "heredoc_content") {
                self.quoted_line(src.get(at..part.start_byte()), &mut rest);
                if part.kind() == "command_substitution" {
                    self.substitution(src, part);
                } else {
                    drop(self.word(src, part));
                }
                at = part.end_byte();
            }
            self.quoted_line(src.get(at..node.end_byte()), &mut rest);
        }
    }

    /// Text of a here-document, in which a quote is a character.
    fn quoted_line(&mut self, text: Option<&str>, rest: &mut Vec<Piece>) {
        self.quoted(&text.unwrap_or_default().replace('"', " "), rest);
    }

    pub(super) fn reads(&mut self, path: &Word) {
        self.uses(Access::Read, path);
    }

    pub(super) fn writes(&mut self, path: &Word) {
        self.uses(Access::Write, path);
    }

    pub(super) fn uses(&mut self, access: Access, path: &Word) {
        self.script.file(access, path, &self.folders);
    }

    /// A command whose words are known; its wrappers, its program, its files.
    pub(super) fn simple(&mut self, simple: Simple) -> Ends {
        let here = Ends::both(&self.folders);
        let lasting = simple.words.is_empty();
        for (name, value) in &simple.assigns {
            self.judge_assignment(name, value, lasting);
        }
        let Some(program) = simple.words.first() else { return here };
        let Some(program) = program.text().map(str::to_owned) else {
            self.script.doubt("which program runs is known only when it runs");
            let why = "its program is not written out".to_owned();
            self.runs(simple.words, Cover::Against(why));
            return Ends::both(&Folders::lost());
        };
        if self.folders.is_lost() {
            self.script.doubt("the folder that it runs in is not known");
        }
        let ends = self.builtin(&program, &simple.words);
        ends.unwrap_or(here)
    }

    /// Notes a command.
    pub(super) fn runs(&mut self, words: Vec<Word>, cover: Cover) {
        if cover != Cover::Shadow {
            self.script.commands += 1;
            if self.script.commands == limits::SCRIPT_COMMANDS + 1 {
                self.script.doubt("it runs more commands than anybody reads");
            }
        }
        self.script.push(Part::Command(Command { words, cover }));
    }
}

/// The line that ends a here-document, by the word that begins it: quotes around all of it are undone, or
/// backslashes before plain characters; what else there is stays, and is doubted.
fn ending(start: &str) -> Cow<'_, str> {
    let bare = start.trim_matches(['\'', '"']);
    let plain = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric());
    if bare.len() < start.len() || !bare.contains('\\') || !bare.split('\\').skip(1).all(plain) {
        return bare.into();
    }
    bare.replace('\\', "").into()
}
