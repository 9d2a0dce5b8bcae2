//! The rule that an answer for more than one call leaves behind. It is never wider than calls like
//! the one that was answered: what cannot be generalised safely is remembered word for word.

use crate::{
    domain::permission::{Decision, Request, Rule, RulePattern},
    limits,
};

use super::{facts::Facts, fence::Ground, glob, path, tools::Kind, url};

/// The rule that answering `request` with `decision` for always, for a session or for never leaves.
#[must_use]
pub fn remember(request: &Request, decision: Decision) -> Rule {
    let ground = Ground::default();
    let facts = Facts::of(request, &ground);
    let spec = match facts.row().map(|row| row.kind) {
        None => None,
        Some(Kind::Shell | Kind::Argv) => Some(command(&facts)),
        Some(Kind::Path) => Some(path(&facts, request, decision)),
        Some(Kind::Url) => Some(host(&facts)),
    };
    let tool = request.tool.as_str();
    let pattern = match spec {
        None => tool.to_owned(),
        Some(spec) => format!("{tool}({})", spec.unwrap_or_else(|| word_for_word(&facts))),
    };
    Rule { decision, pattern: RulePattern(pattern) }
}

/// `git log *` for one command whose words are known to be harmless; everything else is kept whole, and
/// its text as it is, for a blank or a new line may be what makes the difference.
fn command(facts: &Facts<'_>) -> Option<String> {
    match facts.like() {
        Some(rule) => Some(glob::escape_all_but_end(rule)),
        None => facts.main().map(|text| exact(text)),
    }
}

/// The very file. A path that cannot be placed allows nothing, and forbids every file of its name.
fn path(facts: &Facts<'_>, request: &Request, decision: Decision) -> Option<String> {
    let path = facts.main()?;
    if let Some(pattern) = path::pattern_of(path, request.cwd.as_deref()) {
        return Some(exact(&pattern));
    }
    let name = path.rsplit('/').find(|part| !matches!(*part, "" | "." | ".."))?;
    (decision == Decision::Deny).then(|| exact(name))
}

fn host(facts: &Facts<'_>) -> Option<String> {
    let host = url::host(facts.main()?)?;
    Some(format!("domain:{host}"))
}

/// The arguments as they are, without what a path pattern would take for folders.
fn word_for_word(facts: &Facts<'_>) -> String {
    let is_path = facts.row().is_some_and(|row| row.kind == Kind::Path);
    let text = facts.canonical();
    let text = if is_path { text.replace(['/', '!'], " ") } else { text.to_owned() };
    if text.trim().is_empty() { "{}".to_owned() } else { exact(&text) }
}

/// The text without wildcards, cut to what a rule may hold; a cut text matches nothing.
fn exact(text: &str) -> String {
    let escaped = glob::escape(text);
    let room = limits::RULE_BYTES - limits::RULE_SHOWN;
    let mut cut = String::new();
    for c in escaped.chars() {
        if cut.len() + c.len_utf8() > room {
            break;
        }
        cut.push(c);
    }
    cut
}
