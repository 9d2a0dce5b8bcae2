//! The rule that an answer for more than one call leaves behind. It is never wider than calls like
//! the one that was answered: what cannot be generalised safely is remembered word for word.

use crate::{
    domain::permission::{Decision, Request, Rule, RulePattern},
    limits,
};

use super::{facts::Facts, glob, shell, tools::Kind, url};

/// The rule that answering `request` with `decision` for always, for a session or for never leaves.
#[must_use]
pub fn remember(request: &Request, decision: Decision) -> Rule {
    let facts = Facts::of(request);
    let spec = match facts.row().map(|row| row.kind) {
        None => None,
        Some(Kind::Shell) => Some(command(&facts)),
        Some(Kind::Path) => Some(path(&facts, request.cwd.as_deref())),
        Some(Kind::Url) => Some(host(&facts)),
    };
    let tool = request.tool.as_str();
    let pattern = match spec {
        None => tool.to_owned(),
        Some(spec) => format!("{tool}({})", spec.unwrap_or_else(|| word_for_word(&facts))),
    };
    Rule { decision, pattern: RulePattern(pattern) }
}

/// `git *` for a plain command. A program that runs other programs would open everything, so its
/// command is kept whole.
fn command(facts: &Facts<'_>) -> Option<String> {
    let command = facts.command()?;
    let Some((program, whole)) = command.plain() else {
        return facts.main().map(|text| exact(&single_blanks(text)));
    };
    Some(if shell::wraps(program) { exact(whole) } else { format!("{program} *") })
}

fn path(facts: &Facts<'_>, cwd: Option<&str>) -> Option<String> {
    let path = facts.main()?;
    let whole = if path.starts_with('/') {
        format!("/{path}")
    } else {
        match cwd {
            Some(cwd) => format!("/{}/{path}", cwd.trim_end_matches('/')),
            None => format!("./{path}"),
        }
    };
    Some(exact(&whole))
}

fn host(facts: &Facts<'_>) -> Option<String> {
    let host = url::host(facts.main()?)?;
    Some(format!("domain:{host}"))
}

fn word_for_word(facts: &Facts<'_>) -> String {
    exact(facts.canonical())
}

fn single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
