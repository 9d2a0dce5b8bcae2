//! How lines make up a script: rules, steps and branches; what one line does is in `directive`.
//! Refuses what it does not understand, with the line and what was expected there; nothing is
//! guessed. The format is described in `docs/scripted.md`.

use crate::domain::ids::TurnId;

use super::{
    directive::{Lacks, count, directive, split_word},
    script::{Branch, Move, Occasion, Pattern, Rule, Script},
};

/// A line that is not part of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse script, line {line}: found {found:?}, expected {expected}")]
pub struct ScriptError {
    /// Which line, from 1.
    pub line: usize,
    /// What it holds.
    pub found: String,
    /// What would have been right.
    pub expected: String,
}

/// Reads a whole script.
pub(crate) fn script(text: &str) -> Result<Script, ScriptError> {
    let mut draft = Draft::default();
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let error = |expected| ScriptError { line, found: raw.trim().to_owned(), expected };
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        draft.take(trimmed).map_err(error)?;
    }
    draft.close_rule().map_err(|expected| ScriptError {
        line: text.lines().count().max(1),
        found: "the end of the script".to_owned(),
        expected,
    })?;
    Ok(Script { rules: draft.rules })
}

/// The script so far; the last rule, step and branch are open.
#[derive(Default)]
struct Draft {
    rules: Vec<Rule>,
    open: Option<Rule>,
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), Lacks> {
        let (word, rest) = split_word(line);
        match word {
            "agent" => {
                self.close_rule()?;
                self.open = Some(header(rest)?);
                Ok(())
            }
            "then" => {
                let branch = Branch { when: condition(rest)?, moves: Vec::new() };
                self.check_branch()?;
                self.rule().steps.push(vec![branch]);
                Ok(())
            }
            "else" => {
                let branch = Branch { when: condition(rest)?, moves: Vec::new() };
                self.check_branch()?;
                self.branches()?.push(branch);
                Ok(())
            }
            "again" => {
                self.check_branch()?;
                self.rule().again = true;
                Ok(())
            }
            _ if line.starts_with('|') => {
                // After the bar one space is decoration; what follows it is kept.
                let more = line.strip_prefix('|').unwrap_or_default();
                self.more_text(more.strip_prefix(' ').unwrap_or(more))
            }
            _ => {
                let next = directive(word, rest)?;
                let moves = &mut self.branch()?.moves;
                if let Some(Move::Ending { on: Occasion::Always, .. }) = moves.last() {
                    return Err("then, else or agent: nothing follows the end of a stream".into());
                }
                moves.push(next);
                Ok(())
            }
        }
    }

    /// The open rule; a script may begin without a header, which stands for `agent *`.
    fn rule(&mut self) -> &mut Rule {
        self.open.get_or_insert_with(|| new_rule(Pattern("*".into())))
    }

    fn branches(&mut self) -> Result<&mut Vec<Branch>, Lacks> {
        let rule = self.rule();
        if rule.again {
            return Err("agent: again is the last line of its rule".into());
        }
        rule.steps.last_mut().ok_or_else(|| "a step before this line".into())
    }

    fn branch(&mut self) -> Result<&mut Branch, Lacks> {
        self.branches()?.last_mut().ok_or_else(|| "a step before this line".into())
    }

    fn more_text(&mut self, more: &str) -> Result<(), Lacks> {
        match self.branch()?.moves.last_mut() {
            Some(Move::Say(text) | Move::Think(text)) => {
                text.push('\n');
                text.push_str(more);
                Ok(())
            }
            _ => Err("say or think on the line above a continuation".into()),
        }
    }

    fn check_branch(&mut self) -> Result<(), Lacks> {
        if self.branch()?.moves.is_empty() {
            return Err("a directive in the step above, such as say, call or fail".into());
        }
        Ok(())
    }

    fn close_rule(&mut self) -> Result<(), Lacks> {
        if self.open.is_none() {
            return Ok(());
        }
        if !self.rule().again {
            self.check_branch()?;
        }
        self.rules.extend(self.open.take());
        Ok(())
    }
}

fn new_rule(agent: Pattern) -> Rule {
    let first = Branch { when: None, moves: Vec::new() };
    Rule { agent, turn: None, when: None, steps: vec![vec![first]], again: false }
}

/// `NAME [turn N] [when PATTERN]`
fn header(rest: &str) -> Result<Rule, Lacks> {
    let (name, mut rest) = split_word(rest);
    if name.is_empty() {
        return Err("agent NAME [turn N] [when PATTERN], where NAME may hold *".into());
    }
    let mut rule = new_rule(Pattern(name.to_owned()));
    if let ("turn", after) = split_word(rest) {
        let (number, after) = split_word(after);
        rule.turn = Some(TurnId(count(number, "the number of a turn, from 1")?));
        rest = after;
    }
    rule.when = condition(rest)?;
    Ok(rule)
}

/// `[when PATTERN]`
fn condition(rest: &str) -> Result<Option<Pattern>, Lacks> {
    match split_word(rest) {
        ("", _) => Ok(None),
        ("when", pattern) if !pattern.is_empty() => Ok(Some(Pattern(pattern.to_owned()))),
        ("when", _) => Err("a pattern after when: a part of the text, or a whole with *".into()),
        _ => Err("when PATTERN, or nothing more on this line".into()),
    }
}
