//! How much a model may think and say. It depends on the model's version: until 4.6 a model thinks
//! only when it is given tokens for it; from 4.7 on it thinks as much as it finds right, and refuses a
//! number of tokens as well as a temperature; from 5 on it does so unasked. The version is read from
//! the model's name; a name without one is taken for an old model, as those of other vendors with this
//! format are.

use greenroom_actors::{domain::agent::Sampling, limits};

use super::body::Thinking;

/// The least that may be set aside for thinking.
const LEAST: u64 = 1_024;
/// From here on a model thinks as much as it finds right.
const ADAPTIVE_SINCE: (u32, u32) = (4, 7);

/// Models that think unasked, and how they are told not to. Those that cannot be told are not here.
const UNASKED: [(&str, (u32, u32), Thinking); 3] = [
    ("opus", (5, 0), Thinking::Disabled),
    ("sonnet", (5, 0), Thinking::Disabled),
    ("sonnet", (5, 5), Thinking::BetweenTools),
];

/// The limit on all output and what is set aside of it for thinking. The vendor's limit counts
/// thinking; ours does not, and what is reserved for a call is both together. Where it may not think
/// for what stands in the conversation, this one step is made without.
pub(super) fn output(
    model: &str,
    sampling: &Sampling,
    may_think: bool,
) -> Result<(u64, Option<Thinking>), String> {
    let answer = sampling.output_tokens_max.unwrap_or(limits::OUTPUT_TOKENS);
    let Some(wanted) = sampling.thinking_tokens else { return Ok((answer, not_asked(model))) };
    let all = answer.saturating_add(wanted);
    if is_adaptive(model) {
        return Ok((all, Some(Thinking::Adaptive { display: "summarized" })));
    }
    if !may_think {
        return Ok((answer, None));
    }
    let budget_tokens = wanted.max(LEAST);
    if budget_tokens >= all {
        return Err(format!(
            "thinking takes at least {LEAST} tokens and must leave some for the answer: {wanted} for \
             thinking and {answer} for the answer are too few"
        ));
    }
    Ok((all, Some(Thinking::Enabled { budget_tokens })))
}

/// Whether a model takes a temperature.
pub(super) fn takes_temperature(model: &str) -> bool {
    !is_adaptive(model)
}

fn is_adaptive(model: &str) -> bool {
    version(model).is_some_and(|version| version >= ADAPTIVE_SINCE)
}

fn not_asked(model: &str) -> Option<Thinking> {
    let version = version(model)?;
    let mut found =
        UNASKED.into_iter().filter(|(line, of, _)| model.contains(line) && *of == version);
    found.next().map(|(_, _, told)| told)
}

/// The first two numbers of the name that are no date.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("claude-")?;
    let mut numbers = name.split(['-', '.', '@']).filter_map(|word| word.parse::<u32>().ok());
    let mut number = || numbers.next().filter(|number| *number < 100);
    Some((number()?, number().unwrap_or(0)))
}
