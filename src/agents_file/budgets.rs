//! `[budgets.NAME]` and an agent's own `budget`: upper limits, each above zero. A budget of zero is
//! an agent that can do nothing, which nobody means.

use std::collections::BTreeMap;

use greenroom_actors::domain::{budget::Budget, usage::NanoUsd};

use crate::document::{Section, listed, near};

use super::agents::is_word;

/// Nano-dollars in a million dollars: more is a slip.
const MONEY_MAX: u64 = 1_000_000_000_000_000;

/// Budgets by name.
pub(super) type Budgets = BTreeMap<String, Budget>;

pub(super) fn named(all: &Section<'_, '_>) -> Budgets {
    let Some(section) = all.section("budgets") else { return Budgets::new() };
    let read = section.named().into_iter().map(|(name, budget)| {
        is_word(section.sheet, "a budget", &name);
        (name.value, limits(&budget))
    });
    read.collect()
}

/// An agent's budget: a table, or the name of one.
pub(super) fn of(agent: &Section<'_, '_>, budgets: &Budgets) -> Budget {
    let Some(agent) = agent.nearest(&["budget"]) else { return Budget::default() };
    if agent.is_table("budget") {
        return agent.section("budget").map(|budget| limits(&budget)).unwrap_or_default();
    }
    let Some(name) = agent.text("budget") else { return Budget::default() };
    if let Some(budget) = budgets.get(&name.value) {
        return *budget;
    }
    let known = || budgets.keys().map(String::as_str);
    let what = format!("budget {:?} does not exist", name.value);
    let expected = format!("{}; or a table of limits", listed(known()));
    agent.sheet.note_near(name.span, what, expected, near(&name.value, known()));
    Budget::default()
}

fn limits(budget: &Section<'_, '_>) -> Budget {
    budget.only(&["tokens", "usd", "model_calls", "tool_calls", "agents"]);
    let count = |key: &str| budget.number(key, 1..=u64::MAX);
    let usd = "dollars above 0, such as 0.50, with at most 9 decimals";
    Budget {
        tokens: count("tokens"),
        nano_usd: budget.decimal("usd", 9, 1..=MONEY_MAX, usd).map(NanoUsd),
        model_calls: count("model_calls"),
        tool_calls: count("tool_calls"),
        agents: count("agents"),
    }
}
