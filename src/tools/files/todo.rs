//! `todo`: the list of what an agent has yet to do. The call is the list: its arguments stand in the
//! session's log and in the conversation, so it is there after a crash and in a fork, and no other
//! place has to be kept in step. Rejected: a service that holds lists, which would be a second truth.

use greenroom_actors::{domain::tool::EffectClass, limits};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::{ToolError, TypedTool};

use super::{POOL, text};

/// The whole list as it is to be from now on.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Everything to do, in order, with what is done already.
    #[schemars(length(max = 100))]
    items: Vec<Item>,
}

/// One thing to do.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    /// What, in one line.
    #[schemars(length(min = 1, max = 400))]
    text: String,
    /// How far it is.
    state: State,
}

#[derive(Clone, Copy, JsonSchema, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Doing,
    Done,
}

pub(super) fn tool() -> TypedTool<Args> {
    let description = "Notes what is to be done in a longer task, for yourself and for whoever \
                       watches. Give the whole list each time; at most one item is `doing`.";
    TypedTool::new("todo", description, |_ctx, args: Args| async move { note(&args) })
        .effect(EffectClass::Pure)
        .pool(POOL)
}

fn note(args: &Args) -> Result<String, ToolError> {
    let Args { items } = args;
    let count = |state| items.iter().filter(|item| item.state == state).count();
    if items.len() > limits::THINGS {
        return Err(format!("{} items; at most {} are kept", items.len(), limits::THINGS).into());
    }
    if count(State::Doing) > 1 {
        return Err(format!("{} items are `doing`; at most one is", count(State::Doing)).into());
    }
    let mut list = format!("{} of {} done", count(State::Done), items.len());
    for (no, Item { text, state }) in items.iter().enumerate() {
        if text.trim().is_empty() || text.chars().count() > limits::THING_CHARS {
            let most = limits::THING_CHARS;
            return Err(format!("item {}: a text of 1 to {most} characters", no + 1).into());
        }
        let mark = match state {
            State::Open => " ",
            State::Doing => ">",
            State::Done => "x",
        };
        list.push_str(&format!("\n[{mark}] {}", text::plain(text)));
    }
    Ok(list)
}
