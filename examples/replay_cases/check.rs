//! Whether what came of a recorded answer is what must come of it.

use greenroom::providers::Kind;
use greenroom_actors::domain::{
    conversation::{Block, Reply, ReplyBlock, Stop},
    event::{FailureKind, ModelFailure},
};
use serde_json::Value;

use super::{
    case::Case,
    oracle::{self, Wanted},
};

/// Everything that is wrong with it, in one line.
pub fn check(case: &Case, kind: Kind, came: &Result<Reply, ModelFailure>) -> Result<(), String> {
    if case.is_error() {
        return match came {
            Ok(reply) => Err(format!("an error was read as an answer: {reply:?}")),
            Err(failure) => class(case, failure),
        };
    }
    let body = case.body()?;
    let wanted = oracle::wanted(kind, case.expected.as_ref(), &body);
    let reply = match (came, &wanted) {
        (Err(_), Some(Wanted { unusable: true, .. })) => return Ok(()),
        (Ok(reply), Some(Wanted { unusable: true, .. })) => {
            return Err(format!("what the vendor calls no answer was read as one: {reply:?}"));
        }
        (Ok(reply), _) => reply,
        (Err(failure), _) => return Err(format!("an answer failed: {failure:?}")),
    };
    let Some(wanted) = wanted else { return Ok(()) };
    let wrong = compare(&wanted, reply);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The class of a failure: by its status, which every client of the vendor sees.
fn class(case: &Case, failure: &ModelFailure) -> Result<(), String> {
    let kind = format!("{:?}", failure.kind);
    if let Some(wanted) = case.tags["failure"].as_str() {
        let is_it = wanted == kind && !failure.message.is_empty();
        return if is_it { Ok(()) } else { Err(format!("expected {wanted}, came {failure:?}")) };
    }
    let fits: &[FailureKind] = match case.status {
        400 => &[FailureKind::BadRequest, FailureKind::Auth, FailureKind::Quota],
        401 => &[FailureKind::Auth],
        // Also what is not allowed to be asked, and an account that may not spend.
        403 => &[FailureKind::Auth, FailureKind::BadRequest, FailureKind::Quota],
        402 => &[FailureKind::Quota],
        404 | 413 | 422 => &[FailureKind::BadRequest],
        429 => &[FailureKind::RateLimited, FailureKind::Quota],
        500..=599 => &[FailureKind::Overloaded, FailureKind::TimedOut],
        _other => return Ok(()),
    };
    let told = !failure.message.is_empty();
    if fits.contains(&failure.kind) && told {
        return Ok(());
    }
    Err(format!("{} became {:?}: {}", case.status, failure.kind, failure.message))
}

fn compare(wanted: &Wanted, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differs = |what: &str, wanted: &dyn std::fmt::Debug, came: &dyn std::fmt::Debug| {
        wrong.push(format!("{what}: expected {wanted:?}, came {came:?}"));
    };
    let came = Came::of(reply);
    // The SDK keeps a refusal apart from the text; here it is the text of a reply that refuses.
    let silent =
        wanted.text.as_deref() == Some("") && wanted.tools.as_ref().is_none_or(Vec::is_empty);
    let refused = reply.stop == Stop::Refusal && silent;
    if let Some(text) = &wanted.text
        && *text != came.text
        && !refused
    {
        differs("text", text, &came.text);
    }
    if let Some(thinking) = &wanted.thinking
        && *thinking != came.thinking
    {
        differs("thinking", thinking, &came.thinking);
    }
    if let Some(tools) = &wanted.tools
        && *tools != came.tools
    {
        differs("tools", tools, &came.tools);
    }
    let stop = format!("{:?}", reply.stop);
    if let Some(stops) = wanted.stops
        && !stops.contains(&stop.as_str())
        && !(refused && stops.contains(&"EndTurn"))
    {
        differs("stop", &stops, &stop);
    }
    let usage = reply.usage.map(|usage| {
        [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning]
    });
    if wanted.usage.is_some() && wanted.usage != usage {
        differs("usage", &wanted.usage, &usage);
    }
    for part in &wanted.opaque {
        if !came.opaque.contains(&without_nulls(part)) {
            differs("a part only the vendor knows", part, &came.opaque);
        }
    }
    wrong
}

/// A reply, laid out as the oracle lays out what it wants.
#[derive(Default)]
struct Came {
    text: String,
    thinking: String,
    tools: Vec<(String, Value)>,
    opaque: Vec<Value>,
}

impl Came {
    fn of(reply: &Reply) -> Self {
        let mut came = Self::default();
        for block in &reply.blocks {
            match block {
                ReplyBlock::ToolUse { name, args } => {
                    let parsed = serde_json::from_str(&args.0);
                    let args = parsed.unwrap_or_else(|_broken| Value::String(args.0.clone()));
                    came.tools.push((name.0.clone(), args));
                }
                ReplyBlock::Said { block: Block::Text { text } } => came.text.push_str(text),
                ReplyBlock::Said { block: Block::Thinking { text, .. } } => {
                    came.thinking.push_str(text);
                }
                ReplyBlock::Said { block: Block::Opaque { json, .. } } => {
                    let part = serde_json::from_str::<Value>(json).ok();
                    came.opaque.extend(part.as_ref().map(without_nulls));
                }
                ReplyBlock::Said { .. } => {}
            }
        }
        came
    }
}

/// The same without what is null: the SDK leaves that out.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
