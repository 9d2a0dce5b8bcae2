//! One line of a step: what it does, or what it lacks. It does not know its line number nor its
//! neighbours; `parse` does.

use crate::domain::{
    conversation::Stop,
    event::{FailureKind, ModelFailure},
};

use super::script::{Ending, Move, Occasion, UsageLine};

const DIRECTIVES: &str = "a directive: agent, then, else, again, say, think, |, stream, wait, call, \
     call-raw, usage, stop, served-by, fail, hang, panic, end, first, until";
const KINDS: &str = "a kind of failure: auth, quota, bad_request, rate_limited, overloaded, transport, \
     ended_early, timed_out or malformed";
const DURATION: &str = "a duration such as 20ms, 2s or 1m";

/// What would have been right in the place of what was found.
pub(super) type Lacks = String;

/// Reads a directive by its first word and the rest of its line.
pub(super) fn directive(word: &str, rest: &str) -> Result<Move, Lacks> {
    match word {
        "say" => Ok(Move::Say(template(rest)?)),
        "think" => Ok(Move::Think(template(rest)?)),
        "stream" => pace(rest),
        "wait" => Ok(Move::Wait { ms: duration(rest)? }),
        "call" => call(rest, true),
        "call-raw" => call(rest, false),
        "usage" => usage(rest).map(Move::Usage),
        "stop" => stop(rest).map(Move::Stop),
        "served-by" if !rest.is_empty() => Ok(Move::ServedBy(rest.into())),
        "served-by" => Err("the name of a model".into()),
        "first" => {
            let (number, rest) = split_word(rest);
            let number = count(number, "first N, then fail, hang, panic or end")?;
            ending_line(Occasion::First(number), rest)
        }
        "until" => {
            let ("call", rest) = split_word(rest) else {
                return Err("until call N, then fail, hang, panic or end".into());
            };
            let (number, rest) = split_word(rest);
            let number = count(number, "until call N, then fail, hang, panic or end")?;
            ending_line(Occasion::UntilCall(number), rest)
        }
        "fail" | "hang" | "panic" | "end" => {
            Ok(Move::Ending { on: Occasion::Always, ending: ending(word, rest)? })
        }
        _ => Err(DIRECTIVES.to_owned()),
    }
}

fn ending_line(on: Occasion, rest: &str) -> Result<Move, Lacks> {
    let (word, rest) = split_word(rest);
    Ok(Move::Ending { on, ending: ending(word, rest)? })
}

fn ending(word: &str, rest: &str) -> Result<Ending, Lacks> {
    match (word, rest) {
        ("fail", _) => failure(rest).map(Ending::Fail),
        ("panic", "") => Ok(Ending::Panic("the script asked for a panic".to_owned())),
        ("panic", text) => Ok(Ending::Panic(text.to_owned())),
        ("hang", "") => Ok(Ending::Hang),
        ("end", "") => Ok(Ending::End),
        ("hang" | "end", _) => Err("nothing more on this line".into()),
        _ => Err("fail, hang, panic or end".into()),
    }
}

/// `KIND [retryable|final] [after DURATION] [unbilled] [: MESSAGE]`
fn failure(rest: &str) -> Result<ModelFailure, Lacks> {
    let (options, message) = rest.split_once(':').unwrap_or((rest, ""));
    let mut words = options.split_whitespace();
    let kind = kind(words.next().unwrap_or_default())?;
    let message = match message.trim() {
        "" => "the script asked for a failure",
        text => text,
    };
    let mut failure = ModelFailure::new(kind, message.to_owned(), passes_by_itself(kind));
    while let Some(word) = words.next() {
        match word {
            "retryable" => failure.retryable = true,
            "final" => failure.retryable = false,
            "unbilled" => failure.unbilled = true,
            "after" => {
                failure.retry_after_ms = Some(duration(words.next().unwrap_or_default())?);
            }
            _ => return Err("retryable, final, after DURATION, unbilled or : MESSAGE".into()),
        }
    }
    Ok(failure)
}

fn kind(word: &str) -> Result<FailureKind, Lacks> {
    match word {
        "auth" => Ok(FailureKind::Auth),
        "quota" => Ok(FailureKind::Quota),
        "bad_request" => Ok(FailureKind::BadRequest),
        "rate_limited" => Ok(FailureKind::RateLimited),
        "overloaded" => Ok(FailureKind::Overloaded),
        "transport" => Ok(FailureKind::Transport),
        "ended_early" => Ok(FailureKind::EndedEarly),
        "timed_out" => Ok(FailureKind::TimedOut),
        "malformed" => Ok(FailureKind::Malformed),
        // `aborted` and `lost` are our own words on a call; no vendor says them.
        _ => Err(KINDS.to_owned()),
    }
}

const fn passes_by_itself(kind: FailureKind) -> bool {
    match kind {
        FailureKind::RateLimited
        | FailureKind::Overloaded
        | FailureKind::Transport
        | FailureKind::EndedEarly
        | FailureKind::TimedOut => true,
        FailureKind::Auth
        | FailureKind::Quota
        | FailureKind::BadRequest
        | FailureKind::Malformed
        | FailureKind::Aborted
        | FailureKind::Lost => false,
    }
}

/// `N every DURATION`
fn pace(rest: &str) -> Result<Move, Lacks> {
    let (number, rest) = split_word(rest);
    let chars = count(number, "stream N every DURATION, N characters from 1")?;
    let every_ms = match split_word(rest) {
        ("every", span) => duration(span)?,
        _ => return Err("every DURATION after the number of characters".into()),
    };
    Ok(Move::Pace { chars: usize::try_from(chars).unwrap_or(usize::MAX), every_ms })
}

/// `TOOL [ARGS]`
fn call(rest: &str, json: bool) -> Result<Move, Lacks> {
    let (tool, args) = split_word(rest);
    if tool.is_empty() {
        return Err("the name of a tool, then its arguments".into());
    }
    let args = match (args, json) {
        ("", true) => "{}",
        (text, _) => text,
    };
    if json && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(args).is_err() {
        return Err("a JSON object on the same line (call-raw takes any text)".into());
    }
    Ok(Move::Call { tool: tool.into(), args: template(args)?, json })
}

/// `none` or `KIND=N …`
fn usage(rest: &str) -> Result<UsageLine, Lacks> {
    let lacks = || {
        "usage none, or some of input=N cache_read=N cache_write=N output=N reasoning=N".to_owned()
    };
    if rest == "none" {
        return Ok(UsageLine::Unreported);
    }
    let (mut input, mut output, mut reasoning) = (None, None, None);
    let (mut cache_read, mut cache_write) = (0, 0);
    if rest.is_empty() {
        return Err(lacks());
    }
    for pair in rest.split_whitespace() {
        let (name, number) = pair.split_once('=').ok_or_else(lacks)?;
        let number: u64 = number.parse().map_err(|_| lacks())?;
        match name {
            "input" => input = Some(number),
            "cache_read" => cache_read = number,
            "cache_write" => cache_write = number,
            "output" => output = Some(number),
            "reasoning" => reasoning = Some(number),
            _ => return Err(lacks()),
        }
    }
    if reasoning > output && output.is_some() {
        return Err("reasoning within output, of which it is a part".into());
    }
    Ok(UsageLine::Given { input, cache_read, cache_write, output, reasoning })
}

fn stop(rest: &str) -> Result<Stop, Lacks> {
    match rest {
        "end_turn" => Ok(Stop::EndTurn),
        "tool_use" => Ok(Stop::ToolUse),
        "max_tokens" => Ok(Stop::MaxTokens),
        "stop_sequence" => Ok(Stop::StopSequence),
        "refusal" => Ok(Stop::Refusal),
        "paused" => Ok(Stop::Paused),
        _ => Err("end_turn, tool_use, max_tokens, stop_sequence, refusal or paused".into()),
    }
}

fn duration(text: &str) -> Result<u64, Lacks> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        _ => return Err(DURATION.to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| DURATION.to_owned())?;
    number.checked_mul(unit).ok_or_else(|| DURATION.to_owned())
}

/// A number from 1.
pub(super) fn count(word: &str, expected: &str) -> Result<u32, Lacks> {
    word.parse().ok().filter(|number| *number > 0).ok_or_else(|| expected.to_owned())
}

/// Checks the placeholders that have a number; what is not a placeholder is plain text.
fn template(text: &str) -> Result<String, Lacks> {
    for part in text.split("{child:").skip(1) {
        let number = part.split_once('}').map(|(number, _)| number).unwrap_or_default();
        count(number, "{child:N} with N from 1")?;
    }
    Ok(text.to_owned())
}

/// The first word and the rest, both trimmed.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}
