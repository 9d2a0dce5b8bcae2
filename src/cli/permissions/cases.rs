//! Cases of a file, one JSON object a line: `id`, `tool`, `cwd` and `input`, and
//! perhaps `want`, which a decision must meet.
//! A case of the tools for files and addresses names its requests in words; of several the weakest
//! decision is the case's, of several steps the strictest. What names no request is denied, as every input that cannot be read.

use std::path::Path;

use greenroom_actors::{
    domain::{
        permission::{Decision, Request},
        tool::Args,
    },
    runtime::Policy,
};
use serde::{Deserialize, Serialize};

use super::{CliError, Court, Done, JudgeError, Screen, judged, shell};

/// The folder that `W` stands for.
const WORKSPACE: &str = "/ws";

#[derive(Deserialize)]
struct Case {
    id: String,
    tool: String,
    cwd: String,
    input: String,
    /// What is expected at least; `ALLOW` is expected exactly.
    want: Option<Want>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Want {
    Allow,
    Ask,
    Deny,
}

impl Want {
    /// Whether a decision is strict enough, and no stricter than it may be.
    fn is_met(self, found: Decision) -> bool {
        match self {
            Self::Allow => found == Decision::Allow,
            Self::Ask => found >= Decision::Ask,
            Self::Deny => found == Decision::Deny,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    decision: &'static str,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<String>,
}

pub(super) fn run(court: &Court<'_>, path: &Path) -> Result<Done, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| JudgeError::Cases { path: path.to_owned(), source })?;
    let mut done = Done::Well;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line).map_err(|source| JudgeError::Case {
            path: path.to_owned(),
            line: at + 1,
            source,
        })?;
        let cwd = match case.cwd.strip_prefix('W') {
            Some(below) if below.is_empty() || below.starts_with('/') => {
                format!("{WORKSPACE}{below}")
            }
            Some(_) | None => case.cwd.clone(),
        };
        // A folder of the workspace is none of its own.
        let below = cwd.strip_prefix(WORKSPACE).is_some_and(|rest| rest.starts_with('/'));
        let policy = court.policy(if below { WORKSPACE } else { &cwd })?;
        let (found, line) = judge(&policy, &case, &cwd);
        Screen::print(&serde_json::to_string(&line)?)?;
        if let Some(want) = case.want.filter(|want| !want.is_met(found)) {
            Screen::remark(&format!("{}: {want:?} is wanted, found {found:?}", case.id));
            done = Done::Badly;
        }
    }
    Ok(done)
}

fn judge<'a>(policy: &Policy, case: &'a Case, cwd: &str) -> (Decision, Line<'a>) {
    let requests = requests(case, cwd);
    let verdicts = requests.iter().map(|request| judged(policy, request));
    // Steps are done together, so the strictest decides; of alternatives the weakest is the case's.
    let steps = case.input.contains("; ");
    let verdict = if steps {
        verdicts.max_by_key(|verdict| verdict.decision)
    } else {
        verdicts.min_by_key(|verdict| verdict.decision)
    };
    let (decision, reasons, proposal) = match verdict {
        Some(verdict) => (verdict.decision, verdict.reasons, verdict.proposal),
        None => {
            let why = "the case names no request that rules could judge, and what cannot be read is denied";
            (Decision::Deny, vec![why.to_owned()], None)
        }
    };
    let word = match decision {
        Decision::Allow => "ALLOW",
        Decision::Ask => "ASK",
        Decision::Deny => "DENY",
    };
    (decision, Line { id: &case.id, decision: word, reasons, proposal })
}

fn requests(case: &Case, cwd: &str) -> Vec<Request> {
    let request = |tool: &str, key: &str, value: &str| Request {
        tool: tool.into(),
        args: Args(serde_json::json!({ key: value }).to_string()),
        cwd: Some(cwd.to_owned()),
    };
    match case.tool.as_str() {
        "shell" => vec![shell(&case.input, cwd)],
        "file" => {
            let files = files(&case.input).unwrap_or_default();
            files.iter().map(|(tool, path)| request(tool, "path", path)).collect()
        }
        "http" => {
            let urls = case.input.split(", ").map(str::trim);
            urls.map(|url| request("fetch", "url", url)).collect()
        }
        "mcp" => serde_json::from_str(&case.input)
            .map(|args: serde_json::Value| Request {
                tool: case.id.as_str().into(),
                args: Args(args.to_string()),
                cwd: Some(cwd.to_owned()),
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// The files that a sentence such as `read a and b` names; `None` where it says more than that.
fn files(input: &str) -> Option<Vec<(&'static str, String)>> {
    let mut files = Vec::new();
    let mut tool = None;
    let said = input.split(" (").next()?;
    for word in said.split([' ', ',', ';']).filter(|word| !word.is_empty()) {
        match word {
            "read" => tool = Some("read_file"),
            "write" => tool = Some("write_file"),
            "mkdir" => tool = Some("write_file"),
            "and" | "/" | "normal" | "file" | "the" | "a" => {}
            path if path.contains(['/', '.']) || is_name(path) => {
                files.push((tool?, path.to_owned()))
            }
            _ => return None,
        }
    }
    Some(files)
}

/// Whether a word names a file although it has no dot: as `Makefile` does, and no word of a sentence.
fn is_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase()) && chars.all(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_about_files_names_its_requests_or_none() {
        let check = |input: &str, want: Option<&[(&str, &str)]>| {
            let want = want.map(|files| {
                files.iter().map(|(tool, path)| (*tool, (*path).to_owned())).collect::<Vec<_>>()
            });
            let found = files(input);
            assert_eq!(found.map(|f| f.into_iter().collect::<Vec<_>>()), want, "{input}");
        };
        check("read a.rs / b.rs", Some(&[("read_file", "a.rs"), ("read_file", "b.rs")]));
        check("read /ws_evil/x (root /ws)", Some(&[("read_file", "/ws_evil/x")]));
        check(
            "mkdir .git; write .git/x",
            Some(&[("write_file", ".git"), ("write_file", ".git/x")]),
        );
        check("write a/b where a is swapped", None);
        check("read normal file Makefile", Some(&[("read_file", "Makefile")]));
        check("a.rs", None);
    }
}
