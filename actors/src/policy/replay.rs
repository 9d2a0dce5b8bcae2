//! Questions answered by folding a log: pure, so that a live actor, a recovery and an auditor
//! give the same answer.

use crate::domain::{
    budget::Amount,
    event::Event,
    ids::{CallNo, ModelCallNo, ToolCallNo},
    usage::Settlement,
};

/// What a session's log says about a call that the ledger granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The call was never begun.
    Never,
    /// It was begun and has not ended.
    Open,
    /// It ended and comes to this.
    Closed(Amount),
}

/// What a model call comes to once it is booked.
#[must_use]
pub fn model_amount(settlement: &Settlement) -> Amount {
    Amount {
        tokens: settlement.tokens(),
        nano_usd: settlement.cost(),
        model_calls: u64::from(*settlement != Settlement::Free),
        ..Amount::default()
    }
}

/// Finds out what became of a call, from the events of its session in order.
pub fn charge<'a>(events: impl IntoIterator<Item = &'a Event>, call: CallNo) -> Charge {
    match call {
        CallNo::Model(no) => model_charge(events, no),
        CallNo::Tool(no) => tool_charge(events, no),
    }
}

fn model_charge<'a>(events: impl IntoIterator<Item = &'a Event>, no: ModelCallNo) -> Charge {
    let mut charge = Charge::Never;
    for event in events {
        if let Event::ModelCallStarted { call, .. } = event
            && *call == no
        {
            charge = Charge::Open;
        }
        if let Event::UsageSettled { call, settlement, .. } = event
            && *call == no
        {
            charge = Charge::Closed(model_amount(settlement));
        }
    }
    charge
}

/// A tool call counts once it has started. A call that assigns work to a child holds the child's
/// place until the child has finished, and comes to nothing then.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an event that is not about this call cannot change what it comes to"
)]
fn tool_charge<'a>(events: impl IntoIterator<Item = &'a Event>, no: ToolCallNo) -> Charge {
    let mut charge = Charge::Never;
    let mut started = false;
    let mut assigned = None;
    for event in events {
        match event {
            Event::ToolStarted { call, .. } if *call == no => {
                started = true;
                charge = Charge::Open;
            }
            Event::ChildSpawned { child, assignment, call, .. } if *call == no => {
                assigned = Some((*child, *assignment));
                charge = Charge::Open;
            }
            Event::ToolFinished { call, .. } if *call == no && assigned.is_none() => {
                let tool_calls = u64::from(started);
                charge = Charge::Closed(Amount { tool_calls, ..Amount::default() });
            }
            Event::ChildFinished { child, assignment, .. }
                if assigned == Some((*child, *assignment)) =>
            {
                let tool_calls = u64::from(started);
                charge = Charge::Closed(Amount { tool_calls, ..Amount::default() });
            }
            _ => {}
        }
    }
    charge
}
