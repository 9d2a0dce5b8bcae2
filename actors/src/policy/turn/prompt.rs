//! What a model is asked, and at most how much that can cost. Both depend on the folded log and
//! on nothing else, so the same log gives the same bytes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        agent::Sampling,
        budget::{Account, Amount, Dimension, Reservation},
        ids::{Assignment, CallId, CallNo, InputKey, ModelCallNo, SessionId, Timestamp},
        model::ModelRequest,
        usage::{NanoUsd, PriceBook, Settlement},
    },
    limits,
    policy::gate::Claim,
};

use super::{builtin, input::Purpose, state::State};

/// The request of an open model call.
#[must_use]
pub fn request(state: &State, call: ModelCallNo, now: Timestamp) -> Option<ModelRequest> {
    let opened = state.opened.as_ref()?;
    let turn = state.turn.as_ref()?;
    let agent = &opened.rendered.agent;
    let deadline = now.plus_ms(agent.limits.model_ms).min(turn.deadline);
    Some(ModelRequest {
        call: CallId::model(state.session, call),
        agent: agent.name.clone(),
        turn: turn.id,
        deadline,
        model: turn.model.clone(),
        instructions: agent.instructions.clone(),
        tools: Arc::clone(&state.tools),
        messages: state.conversation.clone(),
        sampling: Sampling {
            output_tokens_max: Some(output_cap(&turn.sampling)),
            ..turn.sampling.clone()
        },
        images: BTreeMap::new(),
    })
}

fn output_cap(sampling: &Sampling) -> u64 {
    sampling.output_tokens_max.unwrap_or(limits::OUTPUT_TOKENS)
}

/// The most tokens the next model call can take: in, out.
#[must_use]
pub fn bound(state: &State) -> (u64, u64) {
    let instructions = state.agent().map_or(0, |agent| agent.instructions.len() as u64);
    let tools: u64 = state
        .tools
        .iter()
        .map(|tool| (tool.description.len() + tool.schema.len() + tool.name.0.len()) as u64)
        .sum();
    let wraps = (state.conversation.len() + state.tools.len() + 1) as u64 * limits::WRAP_TOKENS;
    let input = state.conversation_bytes + instructions + tools + wraps;
    let output = state.turn.as_ref().map_or(limits::OUTPUT_TOKENS, |turn| {
        output_cap(&turn.sampling).saturating_add(turn.sampling.thinking_tokens.unwrap_or(0))
    });
    (input, output)
}

/// What the next model call asks for at its gate. Its tokens are an estimate, not a bound: text of
/// all kinds has some four bytes to a token.
#[must_use]
pub fn claim(state: &State) -> Claim {
    let (input_bytes, output_tokens) = bound(state);
    Claim {
        session: state.session,
        behind: state.opened.as_ref().is_some_and(|opened| opened.lineage.depth > 0),
        attempt: state.turn.as_ref().map_or(0, |turn| turn.attempts + turn.patience),
        input_tokens: input_bytes / BYTES_PER_TOKEN,
        output_tokens,
    }
}

/// Bytes of text in a token, about.
const BYTES_PER_TOKEN: u64 = 4;

/// The booking of a call that broke off: its whole bound.
#[must_use]
pub const fn unsettled(bound: &Amount, priced: bool) -> Settlement {
    let cost_max = if priced { Some(bound.nano_usd) } else { None };
    Settlement::Unsettled { tokens_max: bound.tokens, cost_max }
}

/// Dimensions that a model call draws on.
pub const MODEL: [Dimension; 3] = [Dimension::Tokens, Dimension::Money, Dimension::ModelCalls];
/// Dimensions that a tool call draws on.
pub const TOOL: [Dimension; 1] = [Dimension::ToolCalls];
/// Dimensions that assigning work to an agent draws on.
pub const ASSIGN: [Dimension; 2] = [Dimension::Agents, Dimension::ToolCalls];

/// Accounts on the path that limit one of these dimensions.
#[must_use]
pub fn accounts(state: &State, limited: &[Dimension]) -> Vec<Account> {
    state
        .accounts()
        .into_iter()
        .filter(|account| limited.iter().any(|dim| dim.limit(&account.budget).is_some()))
        .collect()
}

/// At most what the next model call comes to, and whether its money is known.
#[must_use]
pub fn model_bound(state: &State, prices: &PriceBook, now: Timestamp) -> (Amount, bool) {
    let (input, output) = bound(state);
    let price = state.turn.as_ref().and_then(|turn| prices.price(&turn.model, now));
    let nano_usd = price.map_or(NanoUsd(0), |price| price.bound(input, output));
    let tokens = input.saturating_add(output);
    (Amount { tokens, nano_usd, model_calls: 1, ..Amount::default() }, price.is_some())
}

/// What a call must reserve before it is begun; nothing when no budget on the path counts it.
#[must_use]
pub fn reservation(
    state: &State,
    no: CallNo,
    prices: &PriceBook,
    now: Timestamp,
) -> Option<Reservation> {
    let one = Amount { tool_calls: 1, ..Amount::default() };
    let (accounts, bound, priced) = match no {
        CallNo::Model(_) => {
            let (bound, priced) = model_bound(state, prices, now);
            (accounts(state, &MODEL), bound, priced)
        }
        CallNo::Tool(call) => {
            let assigns = state.calls.get(&call).is_some_and(|call| builtin::assigns(&call.name));
            if assigns {
                (accounts(state, &ASSIGN), Amount { agents: 1, ..one }, true)
            } else {
                (accounts(state, &TOOL), one, true)
            }
        }
    };
    if accounts.is_empty() {
        return None;
    }
    let call = CallId { session: state.session, no };
    Some(Reservation { call, root: state.root(), accounts, bound, priced })
}

/// What a call that asks for room now is to be.
#[must_use]
pub fn purpose(state: &State, no: CallNo) -> Purpose {
    let (turn, stage) = match no {
        CallNo::Model(_) => (state.turn.as_ref().map(|turn| turn.id), None),
        CallNo::Tool(call) => (None, state.calls.get(&call).map(|call| call.stage.clone())),
    };
    Purpose { turn, stage, releases: state.releases }
}

/// The id under which a session's input from its parent is known.
#[must_use]
pub fn assignment_key(parent: SessionId, assignment: Assignment) -> InputKey {
    InputKey(format!("{parent}/assignment/{assignment}"))
}
