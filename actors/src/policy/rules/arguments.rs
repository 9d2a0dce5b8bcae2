//! What the arguments of a request say to rules: what it is about, in which words, from which folder.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::policy::shell::Start;

use super::{
    place::is_odd,
    shell,
    tools::{Kind, Row},
};

/// The argument that rules of a tool read; why it cannot be read otherwise.
pub(super) fn main(row: &Row, args: Option<&Map<String, Value>>) -> Result<String, &'static str> {
    let args = args.ok_or("the arguments are not a JSON object")?;
    if row.kind == Kind::Argv {
        let words = words(args).ok_or("the command's words are not a list of texts")?;
        return Ok(shell::line_of(&words));
    }
    let mut found = row.args.iter().filter_map(|name| args.get(*name));
    let text = match found.next() {
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("the argument that the rule reads is not a text"),
        None => return Err("the argument that the rule reads is missing"),
    };
    if found.next().is_some() {
        return Err("the argument that the rule reads is given twice");
    }
    match (row.kind, args.get("args")) {
        (Kind::Shell, Some(Value::Array(words))) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            let words = words.ok_or("the command's words are not texts")?;
            Ok(format!("{text} {}", words.join(" ")))
        }
        (Kind::Shell, Some(_)) => Err("the command's words are not a list"),
        (Kind::Shell | Kind::Argv | Kind::Path | Kind::Url, _) => Ok(text),
    }
}

/// The words of a command that is run without a shell; there is at least one.
pub(super) fn words(args: &Map<String, Value>) -> Option<Vec<&str>> {
    let Some(Value::Array(words)) = args.get("argv") else { return None };
    let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
    words.filter(|words| !words.is_empty())
}

/// Where a command starts: in the call's folder, or in the one that its arguments name from there;
/// what they say in a way that may lead anywhere is lost.
pub(super) fn start<'a>(args: Option<&Map<String, Value>>, cwd: Option<&'a str>) -> Start<'a> {
    let named = match args.and_then(|args| args.get("cwd")) {
        None | Some(Value::Null) => return Start::At(cwd.map(Cow::Borrowed)),
        Some(Value::String(named)) => named,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Start::Lost;
        }
    };
    // A link may stand before `..`, which then leads elsewhere.
    if named.split('/').any(|part| part == "..") || is_odd(named) {
        return Start::Lost;
    }
    match cwd {
        _ if named.starts_with('/') => Start::At(Some(Cow::Owned(named.clone()))),
        Some(cwd) => Start::At(Some(Cow::Owned(format!("{cwd}/{named}")))),
        None => Start::Lost,
    }
}
