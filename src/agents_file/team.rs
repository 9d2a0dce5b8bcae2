//! What holds for all agents of a file together: who leads, who may send whom to work, and that a
//! budget in money can be kept.

use std::collections::BTreeSet;

use greenroom_actors::domain::{agent::Role, ids::AgentName};

use crate::document::{Section, listed, near};

use super::{agents::Draft, models::Models};

/// Checks the team and says who leads it.
pub(super) fn check(all: &Section<'_, '_>, drafts: &[Draft], models: &Models) -> Option<AgentName> {
    if drafts.is_empty() && (!all.has("agents") || all.section("agents").is_some()) {
        let what = "a file without agents".to_owned();
        all.sheet.note(all.place("agents"), what, "at least one [agents.NAME]".to_owned());
    }
    coordinators(all, drafts);
    for draft in drafts {
        routes(all, draft, drafts);
        money(all, draft, drafts, models);
    }
    let lead = drafts.iter().find(|draft| draft.spec.role == Role::Coordinator);
    let only = if let [only] = drafts { Some(only) } else { None };
    lead.or(only).map(|draft| draft.spec.name.clone())
}

fn coordinators(all: &Section<'_, '_>, drafts: &[Draft]) {
    let mut found = drafts.iter().filter(|draft| draft.spec.role == Role::Coordinator);
    let Some(first) = found.next() else { return };
    for (draft, is_second) in std::iter::once((first, false)).chain(found.map(|more| (more, true)))
    {
        let name = draft.spec.name.as_str();
        if is_second {
            let what = format!(
                "agent {name:?} is a second coordinator, beside {:?}",
                first.spec.name.as_str()
            );
            all.sheet.note(draft.role.clone(), what, "one coordinator at most".to_owned());
        }
        if draft.routes.is_empty() {
            let what = format!("coordinator {name:?} has no `routes`");
            let expected = "the agents it may send to work".to_owned();
            all.sheet.note(draft.place.clone(), what, expected);
        }
    }
}

fn routes(all: &Section<'_, '_>, draft: &Draft, drafts: &[Draft]) {
    let name = draft.spec.name.as_str();
    let others =
        || drafts.iter().map(|other| other.spec.name.as_str()).filter(|other| *other != name);
    for route in &draft.routes {
        if route.value == name {
            let what = format!("agent {name:?} routes to itself");
            all.sheet.note(route.span.clone(), what, listed(others()));
        } else if !others().any(|other| other == route.value) {
            let what = format!(
                "agent {name:?} routes to {:?}, which is no agent of this file",
                route.value
            );
            let meant = near(&route.value, others());
            all.sheet.note_near(route.span.clone(), what, listed(others()), meant);
        }
    }
}

/// A budget in money refuses every call whose price is not known, so everybody who can draw on it
/// needs a model with a price.
fn money(all: &Section<'_, '_>, draft: &Draft, drafts: &[Draft], models: &Models) {
    if draft.spec.budget.nano_usd.is_none() {
        return;
    }
    let mut reached = BTreeSet::new();
    let mut ahead = vec![draft];
    while let Some(next) = ahead.pop() {
        if !reached.insert(next.spec.name.as_str()) {
            continue;
        }
        ahead.extend(drafts.iter().filter(|other| next.spec.routes.contains(&other.spec.name)));
        let used = next.model.iter().chain(&next.fallback);
        let mut found = used.filter_map(|name| models.find(name));
        if let Some(model) = found.find(|model| model.prices.is_empty()) {
            let what = format!(
                "agent {:?} has a budget in money, and model {:?} of agent {:?} has no price",
                draft.spec.name.as_str(),
                model.name,
                next.spec.name.as_str()
            );
            let expected = format!("[models.{}.price], or a budget in tokens", model.name);
            all.sheet.note(draft.budget.clone(), what, expected);
            return;
        }
    }
}
