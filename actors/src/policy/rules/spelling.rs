//! The other way in which a path may be read. A file tool here opens the name as it is written, but what
//! a request names is judged before anybody knows who opens it: another program decodes percent signs,
//! takes a backslash for a slash, expands a variable, or drops what cannot be seen. So a rule that forbids
//! holds for what such a reading comes to as well; none that allows does.

use crate::domain::unseen;

/// The path with everything decoded, expanded and dropped that some program does; `None` where that is
/// the path as it is written.
pub(super) fn otherwise(path: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    if path
        .split('/')
        .all(|part| !part.ends_with('.') && part.replace('.', "").chars().all(is_plain))
    {
        return None;
    }
    let text = expanded(&decoded(path));
    let text: String = text.chars().filter_map(seen).collect();
    let text = text.strip_prefix("file:").unwrap_or(&text);
    let parts: Vec<&str> = without_drive(text).split('/').map(name).collect();
    let read = parts.join("/");
    (!read.is_empty() && read != path).then_some(read)
}

/// Percent signs undone, also those that come of it.
fn decoded(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..3 {
        if !text.contains('%') {
            break;
        }
        text = String::from_utf8_lossy(&unescaped(text.as_bytes())).into_owned();
    }
    text
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let code = match (first, behind) {
            (b'%', [high, low, ..]) => digit(high).zip(digit(low)),
            (_, _) => None,
        };
        match (code, behind.get(2..)) {
            (Some((high, low)), Some(after)) => {
                out.push(high * 16 + low);
                rest = after;
            }
            (_, _) => out.push(*first),
        }
    }
    out
}

/// Variables at its beginning that name a folder.
fn expanded(path: &str) -> String {
    let homes = ["$HOME", "${HOME}", "%USERPROFILE%", "%HOME%"];
    let folders = homes.iter().map(|home| (*home, "~")).chain([("$PWD", "."), ("${PWD}", ".")]);
    for (variable, folder) in folders {
        if let Some(rest) =
            path.strip_prefix(variable).filter(|r| r.is_empty() || r.starts_with('/'))
        {
            return format!("{folder}{rest}");
        }
    }
    path.to_owned()
}

/// A character as it is after folding; what has no shape is dropped.
fn seen(c: char) -> Option<char> {
    match c {
        '\\' => Some('/'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        c if c.is_control() || unseen::has_no_shape(c) => None,
        c => Some(c),
    }
}

fn without_drive(path: &str) -> &str {
    let mut chars = path.chars();
    let letter = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    let rest = chars.as_str().strip_prefix(':').filter(|rest| rest.starts_with('/'));
    rest.filter(|_| letter).unwrap_or(path)
}

/// A name without the stream behind its colon, and without the dots and blanks that it may end in.
fn name(part: &str) -> &str {
    let part = part.split(':').next().unwrap_or(part);
    let bare = part.trim().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if bare.is_empty() { part.trim() } else { bare }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_otherwise_only_where_a_program_may() {
        let check = |path: &str, want: Option<&str>| {
            assert_eq!(otherwise(path).as_deref(), want, "{path:?}");
        };
        for same in ["src/lib.rs", "../x", ".env", "./a", "/", "a/./b", "näme", "...", "a b"] {
            check(same, None);
        }
        check("%2e%2e/x", Some("../x"));
        check("%252e%252e%2fx", Some("../x"));
        check("100%", None);
        check("file:///etc/x", Some("///etc/x"));
        check("..\\x", Some("../x"));
        check("C:\\x", Some("/x"));
        check("$HOME/.x", Some("~/.x"));
        check("${PWD}/.x", Some("./.x"));
        check("$HOMER/.x", None);
        check(".env.", Some(".env"));
        check(".env ", Some(".env"));
        check(".env::$DATA", Some(".env"));
        check(".e\u{200b}nv", Some(".env"));
        check("\u{ff0e}env", Some(".env"));
    }
}
