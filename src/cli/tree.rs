//! A tree of sessions, for people and as JSON. How a session ended comes from its own log.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        catalog::{Status, Totals},
        house::HouseEvent,
        ids::{AgentName, SessionId, TenantId, Timestamp},
        outcome::TurnOutcome,
        permission::Raised,
        usage::NanoUsd,
    },
    runtime::{CallError, Reading, TreeNode},
};
use serde::Serialize;

use super::screen::{Cell, Column, Screen, Tone, counted, cut, grouped, moment, table, wrapped};

/// Columns that leave room for last words beside a whole id.
const WIDE: usize = 120;
/// A name that is longer is cut, so that one session does not push all columns off the screen.
const NAME: usize = 24;

/// A node as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    session: SessionId,
    agent: AgentName,
    tenant: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_on: Option<String>,
    /// How its last turn ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<TurnOutcome>,
    /// Why its log cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    restarts: u64,
    /// Tools that are asked about for a while because they failed again and again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    raised: Vec<Raised>,
    own: Totals,
    subtree: Totals,
    children: Vec<Shown>,
    /// What holds the processes of tools, at the root of a tree alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    custody: Option<String>,
}

/// Reads what a tree leaves out.
pub(super) fn shown<'a>(
    reading: &'a Reading,
    node: TreeNode,
    now: Timestamp,
) -> BoxFuture<'a, Result<Shown, CallError>> {
    Box::pin(async move {
        // What is wrong with one log must not hide all others.
        let (outcome, damage) = match reading.last_outcome(node.row.session).await {
            Ok(outcome) => (outcome, None),
            Err(error) => (None, Some(damage(error)?)),
        };
        let raised = if damage.is_some() || node.row.status == Status::Archived {
            Vec::new()
        } else {
            let raised = reading.raised(node.row.session, now).await;
            raised.or_else(|error| self::damage(error).map(|_why| Vec::new()))?
        };
        let mut children = Vec::new();
        for child in node.children {
            children.push(shown(reading, child, now).await?);
        }
        Ok(Shown {
            session: node.row.session,
            agent: node.row.agent,
            tenant: node.row.tenant,
            name: node.row.name,
            status: node.row.status,
            waiting_on: node.row.waiting_on,
            outcome,
            damage,
            restarts: node.row.restarts,
            raised,
            own: node.own,
            subtree: node.subtree,
            children,
            custody: None,
        })
    })
}

/// Says at each root what holds the processes of tools: what held them in the last runtime that
/// started any. One that only wrote an answer down starts none.
pub(super) async fn held(reading: &Reading, trees: &mut [Shown]) -> Result<(), CallError> {
    let mut custody = None;
    // A house log that cannot be read is the doctor's to tell.
    let events = reading.house().await.or_else(|error| damage(error).map(|_why| Vec::new()))?;
    for event in events {
        if let HouseEvent::Booted { custody: Some(held), .. } = event {
            custody = Some(held);
        }
    }
    trees.iter_mut().for_each(|tree| tree.custody.clone_from(&custody));
    Ok(())
}

/// Why one log cannot be read, in words; an error where it is not the log's fault.
pub(super) fn damage(error: CallError) -> Result<String, CallError> {
    error.damage().ok_or(error)
}

/// Whether any log of a tree cannot be read.
pub(super) fn is_damaged(node: &Shown) -> bool {
    node.damage.is_some() || node.children.iter().any(is_damaged)
}

/// One word for how a session is, and what it means. `ended` is how its last turn ended.
pub(super) fn state(status: Status, ended: Option<&TurnOutcome>) -> Cell {
    let (word, tone) = match (status, ended) {
        (Status::Idle, Some(ended)) => {
            let well = matches!(ended, TurnOutcome::Completed { .. });
            (ended.word(), if well { Tone::Good } else { Tone::Bad })
        }
        (Status::Idle | Status::Archived, _) => (status.word(), Tone::Faint),
        (Status::Running | Status::Waiting, _) => (status.word(), Tone::Busy),
        (Status::Quarantined, _) => (status.word(), Tone::Bad),
    };
    (word.to_owned(), tone)
}

/// The end of an id: unlike its beginning it differs among sessions opened at the same time.
pub(super) fn short(session: SessionId) -> String {
    let text = session.to_string();
    text.rsplit('-').next().unwrap_or_default().to_owned()
}

/// Draws trees, one under the other.
pub(super) fn draw(screen: &Screen, trees: &[Shown]) -> String {
    let is_wide = screen.width.is_none_or(|width| width >= WIDE);
    let mut columns = vec![
        Column { title: "AGENT", is_number: false },
        Column { title: "STATE", is_number: false },
        Column { title: "CALLS", is_number: true },
        Column { title: "TOKENS", is_number: true },
        Column { title: "MONEY", is_number: true },
        Column { title: "RESTARTS", is_number: true },
        Column { title: "SESSION", is_number: false },
    ];
    if is_wide {
        columns.push(Column { title: "LAST WORDS", is_number: false });
    }
    let mut rows = Vec::new();
    for tree in trees {
        line(tree, &mut rows, "", "", is_wide);
    }
    let mut text = table(screen, &columns, &rows);
    let mut all = Totals::default();
    trees.iter().for_each(|tree| all += tree.subtree);
    text += "\n";
    text += &sum(&all);
    if let Some(custody) = trees.first().and_then(|tree| tree.custody.as_ref()) {
        let says = format!("tools: held by {custody}");
        text += &format!("\n{}", wrapped(&says, screen.width, "       ".len()));
    }
    for says in trees.iter().flat_map(raised) {
        text += &format!("\n{}", wrapped(&says, screen.width, "       ".len()));
    }
    text
}

/// A line for each tool that is asked about for a while, over a whole tree.
fn raised(node: &Shown) -> Vec<String> {
    let who = node.name.as_deref().unwrap_or(node.agent.as_str());
    let line = |Raised { tool, failed, of, until }: &Raised| {
        let (tool, until, who) = (tool.as_str(), moment(*until), cut(who, NAME));
        let end = short(node.session);
        format!(
            "asked: {tool} of {who} ({end}), which failed {failed} of {of} times, until {until} UTC"
        )
    };
    node.raised.iter().map(line).chain(node.children.iter().flat_map(raised)).collect()
}

fn line(node: &Shown, rows: &mut Vec<Vec<Cell>>, own: &str, below: &str, is_wide: bool) {
    let plain = |text: String| (text, Tone::Plain);
    let restarts = if node.restarts > 0 { Tone::Busy } else { Tone::Faint };
    let mut row = vec![
        plain(format!("{own}{}", cut(node.name.as_deref().unwrap_or(node.agent.as_str()), NAME))),
        match &node.damage {
            Some(_why) => ("damaged".to_owned(), Tone::Bad),
            None => state(node.status, node.outcome.as_ref()),
        },
        plain((node.own.calls + node.own.unsettled_calls).to_string()),
        plain(grouped(node.own.usage.tokens())),
        plain(node.own.cost.to_string()),
        (node.restarts.to_string(), restarts),
        (if is_wide { node.session.to_string() } else { short(node.session) }, Tone::Faint),
    ];
    if is_wide {
        let words = match (&node.damage, node.status, &node.outcome, &node.waiting_on) {
            (Some(why), ..) => why.clone(),
            (None, Status::Idle | Status::Archived, Some(outcome), _) => outcome.text().to_owned(),
            (None, _, _, Some(what)) => format!("waits for {what}"),
            _ => String::new(),
        };
        row.push(plain(words));
    }
    rows.push(row);
    for (at, child) in node.children.iter().enumerate() {
        let is_last = at + 1 == node.children.len();
        let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        line(child, rows, &format!("{below}{branch}"), &format!("{below}{trunk}"), is_wide);
    }
}

/// What a subtree spent, in one line; what is only bounded is said apart.
pub(super) fn sum(totals: &Totals) -> String {
    let mut text = format!(
        "total: {}, {} ({} in, {} cached, {} out), {}",
        counted(totals.calls, "model call"),
        counted(totals.usage.tokens(), "token"),
        grouped(totals.usage.input),
        grouped(totals.usage.cache_read.saturating_add(totals.usage.cache_write)),
        grouped(totals.usage.output),
        totals.cost,
    );
    if totals.unsettled_calls > 0 {
        // A bound in money of nothing at all is one that nobody knows.
        let money = match totals.unsettled_cost_max {
            NanoUsd(0) => "of unknown price".to_owned(),
            known => known.to_string(),
        };
        text += &format!(
            "\n       {} broke off: at most {}, {money}",
            counted(totals.unsettled_calls, "call"),
            counted(totals.unsettled_tokens_max, "token"),
        );
    }
    if totals.unpriced_calls > 0 {
        text += &format!("\n       {} of unknown price", counted(totals.unpriced_calls, "call"));
    }
    text
}

/// The first session below the root of a tree, or the root where it is alone.
pub(super) fn first_below(root: &Shown) -> SessionId {
    root.children.first().unwrap_or(root).session
}

/// Restarts by agent, over a whole tree.
pub(super) fn restarts(node: &Shown) -> BTreeMap<AgentName, u64> {
    let mut all = BTreeMap::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.restarts > 0 {
            *all.entry(node.agent.clone()).or_default() += node.restarts;
        }
        open.extend(&node.children);
    }
    all
}
