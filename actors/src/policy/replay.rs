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
    Closed {
        /// The last figure.
        actual: Amount,
        /// Whether no other can follow.
        last: bool,
    },
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

/// Whether a model call's booking is for good: only a bound is ever replaced.
#[must_use]
pub const fn is_last(settlement: &Settlement) -> bool {
    match settlement {
        Settlement::Exact { .. } | Settlement::Free => true,
        Settlement::Unsettled { .. } => false,
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
            let (actual, last) = (model_amount(settlement), is_last(settlement));
            charge = Charge::Closed { actual, last };
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
                let actual = Amount { tool_calls, ..Amount::default() };
                charge = Charge::Closed { actual, last: true };
            }
            Event::ChildFinished { child, assignment, .. }
                if assigned == Some((*child, *assignment)) =>
            {
                let tool_calls = u64::from(started);
                let actual = Amount { tool_calls, ..Amount::default() };
                charge = Charge::Closed { actual, last: true };
            }
            _ => {}
        }
    }
    charge
}
