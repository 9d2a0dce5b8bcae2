//! What must be known of a whole text before it is walked.

use tree_sitter::Node;

use super::words::raw;

/// What gives values to the names that it is told.
const SETTERS: &[&str] = &[
    "read",
    "readonly",
    "readarray",
    "mapfile",
    "getopts",
    "printf",
    "declare",
    "typeset",
    "local",
    "export",
    "let",
    "unset",
];

/// Every name that is given a value somewhere, but for the variables of `for` loops: the value of such
/// a variable is not known anywhere in the text, whatever runs first.
pub(super) fn assigned(root: Node<'_>, src: &str, out: &mut Vec<String>) {
    let mut cursor = root.walk();
    loop {
        let node = cursor.node();
        match node.kind() {
            "variable_assignment" => {
                if let Some(name) = node.child_by_field_name("name") {
                    out.push(raw(src, name).to_owned());
                }
            }
            // `read x`, `printf -v x`, `declare x`: any plain word may be the name.
            "command" | "declaration_command" => {
                let text = raw(src, node);
                let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                if words.clone().any(|word| SETTERS.contains(&word)) {
                    out.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
                }
            }
            _ => {}
        }
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}
