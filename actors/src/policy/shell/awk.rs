//! Programs for `awk`, read as a row of tokens: one that runs nothing, writes nothing and reads nothing
//! but its input has no pipe, no redirection and none of a few words. It refuses to know the language:
//! where a slash or a `>` could mean two things the program is not harmless.

use super::Access;

/// Words that run, open or load something, or name the arguments that are opened.
const WORDS: &[&str] = &[
    "system",
    "getline",
    "close",
    "fflush",
    "ARGV",
    "ARGC",
    "ENVIRON",
    "PROCINFO",
    "function",
    "func",
    "BEGINFILE",
];

/// The files that a program names: none, or it is not harmless.
///
/// # Errors
/// Why it is not harmless, in words.
pub(super) fn read(program: &str) -> Result<Vec<(Access, String)>, String> {
    let chars: Vec<char> = program.chars().collect();
    let mut at = 0;
    let mut braces = 0_u32;
    // Whether a slash here divides: after a value it does, elsewhere it begins a pattern.
    let mut value = false;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        match c {
            ' ' | '\t' => {}
            '"' => {
                at = past(&chars, at, '"').ok_or("the awk program has an open string")?;
                value = true;
            }
            '/' if value => return Err("a slash of the awk program may mean two things".to_owned()),
            '/' => {
                at = past(&chars, at, '/').ok_or("the awk program has an open pattern")?;
                value = true;
            }
            '|' if chars.get(at) == Some(&'|') => {
                at += 1;
                value = false;
            }
            '|' => return Err("the awk program has a pipe".to_owned()),
            '>' if braces > 0 => return Err("the awk program may write a file".to_owned()),
            '<' if chars.get(at) != Some(&'=') && braces > 0 => {
                return Err("the awk program may read a file".to_owned());
            }
            '@' | '\\' | '`' => return Err(format!("{c:?} in the awk program is not understood")),
            '{' => {
                braces += 1;
                value = false;
            }
            '}' => {
                braces = braces.saturating_sub(1);
                value = false;
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let from = at - 1;
                while chars.get(at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    at += 1;
                }
                let word: String = chars.get(from..at).unwrap_or_default().iter().collect();
                if WORDS.contains(&word.as_str()) {
                    return Err(format!("the awk program has the word {word}"));
                }
                value =
                    !matches!(word.as_str(), "print" | "printf" | "return" | "in" | "else" | "do");
            }
            '+' | '-' if chars.get(at) == Some(&c) => {
                at += 1;
                // Behind a value it is done to that, before one to the next.
                let mut behind = chars.get(at..).unwrap_or_default().iter();
                if behind.find(|c| !matches!(c, ' ' | '\t')) == Some(&'/') {
                    return Err("a slash of the awk program may mean two things".to_owned());
                }
                value = false;
            }
            ')' | ']' => value = true,
            '$' | '(' | '[' | ',' | ';' | '\n' | '+' | '-' | '*' | '%' | '^' | '=' | '!' | '~'
            | '<' | '>' | '?' | ':' | '&' | '.' => value = false,
            other => return Err(format!("{other:?} in the awk program is not understood")),
        }
    }
    Ok(Vec::new())
}

/// Behind the closing quote; nowhere, where versions of the program disagree on which it is.
fn past(chars: &[char], mut at: usize, quote: char) -> Option<usize> {
    let mut in_class = false;
    loop {
        match chars.get(at)? {
            '\\' => at += 2,
            '\n' => return None,
            '[' if quote == '/' => {
                if matches!(chars.get(at + 1)?, ']' | '^') {
                    return None;
                }
                in_class = true;
                at += 1;
            }
            ']' if quote == '/' => {
                in_class = false;
                at += 1;
            }
            '/' if in_class => return None,
            c if *c == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}
