//! The actor tree: roots with everybody below them, each with what it does, waits for and spent, itself
//! and with its subtree. A page of roots is three questions to the store, however many there are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use axum::{Json, extract::State as Of};
use greenroom_actors::domain::{
    catalog::{Account, SessionFilter, SessionRow, Status, Totals, TotalsOf},
    event::Event,
    ids::{Position, SessionId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx, House,
    problem::{Answer, problem},
    routes::Route,
    take::{Asked, Id, Who},
    token::Caller,
    wire::{Line, Page, Spent, State, next, rows},
};

/// Sessions on one page of trees. A tree that is larger is cut, and says so.
const NODES: usize = 2_000;
/// Frames in which the end of a turn is looked for: behind it come a few of names, goals and marks.
const BACK: u64 = 16;
/// Ends that are remembered, so that a page that is read every second reads each log once.
const OUTCOMES: usize = 50_000;
/// The longest text that is looked for.
const TEXT_CHARS: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tree", "Trees of sessions, the newest first", forest)
            .asks::<Wishes>()
            .gives::<Forest>(),
        Route::get("/v1/tree/groups", "Sessions by agent", groups).gives::<Groups>(),
        Route::get("/v1/sessions/{session}/tree", "A session and everybody below it", one)
            .gives::<Node>(),
    ]
}

/// Which trees.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The `next` of the page before.
    #[schemars(extend("format" = "uuid"))]
    after: Option<String>,
    /// At most so many roots.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only trees with a session whose agent, name, id or wait has this text.
    #[schemars(length(max = 200))]
    q: Option<String>,
    /// Only trees with a session of this agent.
    agent: Option<String>,
    /// Only trees with a session in this state.
    state: Option<State>,
    /// Those put away, too.
    archived: Option<bool>,
}

/// A session with everybody below it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Node {
    #[serde(flatten)]
    line: Line,
    /// Its children, in the order in which they were opened.
    nodes: Vec<Node>,
    /// Whether some of them were left out, because there are too many for one page.
    cut: bool,
}

/// A page of trees.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forest {
    /// The roots.
    items: Vec<Node>,
    /// What to ask for the next page with.
    next: Option<String>,
    /// Sessions in the trees that fit, on all pages.
    matched: u64,
    /// Sessions in all.
    total: u64,
}

async fn forest(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Forest>> {
    let limit = rows(wishes.limit)?;
    let text = wishes.q.filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS) {
        return Err(problem("invalid", format!("q is longer than {TEXT_CHARS} characters")));
    }
    let filter = SessionFilter {
        tenant: caller.tenant.clone(),
        status: wishes.state.map(Status::from).into_iter().collect(),
        archived: wishes.archived.unwrap_or(false),
        agent: wishes.agent.map(Into::into),
        text,
        after: cursor(&ctx, &caller, wishes.after.as_deref()).await?,
        rows: limit,
        roots: true,
        newest: true,
        ..SessionFilter::default()
    };
    let matched = ctx.reading.in_trees(filter.clone()).await?;
    let roots = ctx.reading.sessions(filter).await?;
    let next = next(&roots, limit, |row| row.session.to_string());
    let ids: Vec<SessionId> = roots.iter().map(|row| row.session).collect();
    let accounts = ctx.reading.accounts(ids.clone(), NODES).await?;
    let is_cut = accounts.len() == NODES;
    let items = ctx.grown(roots, accounts, is_cut).await?;
    let census = ctx.reading.census(caller.tenant).await?;
    let total = census.iter().map(|one| one.sessions).sum();
    Ok(Json(Forest { items, next, matched, total }))
}

/// A cursor of a list of sessions is the id of the last one, which the caller was given.
pub(super) async fn cursor(
    ctx: &Ctx,
    caller: &Caller,
    text: Option<&str>,
) -> Answer<Option<SessionId>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || problem("invalid", "`after` is no cursor: expected the `next` of a page");
    let session = text.parse().map_err(|_odd| wrong())?;
    match ctx.line(caller, session).await {
        Ok(_given) => Ok(Some(session)),
        // It has the form of one, and nobody was given it.
        Err(none) if none.is("not_found") => {
            Err(problem("unprocessable", "`after` is no cursor that you were given"))
        }
        Err(other) => Err(other),
    }
}

async fn one(Of(ctx): Of<Ctx>, Who(caller): Who, Id(session): Id) -> Answer<Json<Node>> {
    let row = ctx.line(&caller, session).await?;
    let accounts = ctx.reading.accounts(vec![row.root], NODES).await?;
    let is_cut = accounts.len() == NODES;
    let mut nodes = ctx.grown(vec![row], accounts, is_cut).await?;
    nodes.pop().map(Json).ok_or_else(|| super::problem::no_session(session))
}

impl House {
    /// Trees on these roots, of the accounts of everybody in them.
    async fn grown(
        &self,
        roots: Vec<SessionRow>,
        accounts: Vec<Account>,
        is_cut: bool,
    ) -> Answer<Vec<Node>> {
        let mut own: HashMap<SessionId, Totals> = HashMap::new();
        let mut below: BTreeMap<SessionId, Vec<SessionRow>> = BTreeMap::new();
        for account in accounts {
            own.insert(account.row.session, account.own);
            if let Some(parent) = account.row.parent {
                below.entry(parent).or_default().push(account.row);
            }
        }
        for children in below.values_mut() {
            children.sort_by_key(|row| (row.created_at, row.session));
        }
        // Where not everybody is here, the sums are asked for.
        let of = if is_cut { roots.iter().map(|root| root.session).collect() } else { Vec::new() };
        let mut whole = self.reading.branches(of).await?.into_iter();
        let mut grown = Vec::new();
        for root in roots {
            let mut node = grow(root, &mut below, &own, is_cut);
            if let Some(branch) = whole.next() {
                node.line.subtree = branch.subtree.into();
                node.line.children = branch.children;
            }
            grown.push(node);
        }
        self.live(&mut grown).await;
        Ok(grown)
    }

    /// What no store knows of them, and how their last turns ended.
    async fn live(&self, nodes: &mut [Node]) {
        let mut open: Vec<&mut Node> = nodes.iter_mut().collect();
        while let Some(node) = open.pop() {
            self.alive(&mut node.line).await;
            open.extend(&mut node.nodes);
        }
    }

    /// The same of one line.
    pub(super) async fn alive(&self, line: &mut Line) {
        let Ok(session) = line.session.parse::<SessionId>() else { return };
        let depth = self.runtime.inbox(session);
        (line.awake, line.inbox) = (depth.is_some(), depth.unwrap_or(0));
        if let Some(words) = self.runtime.waits_at_gate(session) {
            line.waiting_on = Some(words);
        }
        line.outcome = self.outcomes.of(self, line, session).await;
    }

    /// The lines of these rows with everything about them: one question to the store for what they came
    /// to, however many they are.
    pub(super) async fn lines(&self, rows: Vec<SessionRow>) -> Answer<Vec<Line>> {
        let of = rows.iter().map(|row| row.session).collect();
        let branches = self.reading.branches(of).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for (row, branch) in rows.into_iter().zip(branches) {
            let mut line = Line::of(row);
            line.own = branch.own.into();
            line.subtree = branch.subtree.into();
            line.children = branch.children;
            self.alive(&mut line).await;
            lines.push(line);
        }
        Ok(lines)
    }

    /// The same of one.
    pub(super) async fn told(&self, row: SessionRow) -> Answer<Line> {
        let session = row.session;
        let line = self.lines(vec![row]).await?.pop();
        line.ok_or_else(|| super::problem::no_session(session))
    }
}

/// A node with everybody below it, taken out of `below`. A tree is never deep: its depth has a limit.
fn grow(
    row: SessionRow,
    below: &mut BTreeMap<SessionId, Vec<SessionRow>>,
    own: &HashMap<SessionId, Totals>,
    is_cut: bool,
) -> Node {
    let session = row.session;
    let children = below.remove(&session).unwrap_or_default();
    let nodes: Vec<Node> = children.into_iter().map(|row| grow(row, below, own, is_cut)).collect();
    let mut line = Line::of(row);
    line.own = own.get(&session).copied().unwrap_or_default().into();
    line.subtree = nodes.iter().fold(line.own, |sum, node| sum.and(&node.line.subtree));
    line.children = nodes.len() as u64;
    Node { line, nodes, cut: is_cut }
}

impl Spent {
    fn and(self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            cost_nano_usd: self.cost_nano_usd.saturating_add(other.cost_nano_usd),
            unpriced_calls: self.unpriced_calls.saturating_add(other.unpriced_calls),
            unsettled_calls: self.unsettled_calls.saturating_add(other.unsettled_calls),
            unsettled_tokens_max: self
                .unsettled_tokens_max
                .saturating_add(other.unsettled_tokens_max),
            unsettled_cost_nano_usd_max: self
                .unsettled_cost_nano_usd_max
                .saturating_add(other.unsettled_cost_nano_usd_max),
        }
    }
}

/// How last turns ended, by the frame up to which that was looked for.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<HashMap<SessionId, (u64, Option<&'static str>)>>);

impl Outcomes {
    async fn of(&self, house: &House, line: &Line, session: SessionId) -> Option<&'static str> {
        if line.state() != State::Idle {
            return None;
        }
        let upto = line.position();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&session).copied();
        if let Some((at, outcome)) = known
            && at == upto
        {
            return outcome;
        }
        let after = Position(upto.saturating_sub(BACK));
        // A log that cannot be read has no end to tell; whoever opens it is told why.
        let rows = usize::try_from(BACK).unwrap_or_default();
        let frames = house.reading.page(session, after, rows).await.ok()?;
        let mut ends = frames.iter().flat_map(|frame| &frame.events).filter_map(|event| {
            if let Event::TurnFinished { outcome, .. } = event {
                Some(outcome.word())
            } else {
                None
            }
        });
        let outcome = ends.next_back();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= OUTCOMES {
            all.clear();
        }
        all.insert(session, (upto, outcome));
        outcome
    }
}

/// The sessions of one agent.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Group {
    /// The agent.
    agent: String,
    /// How many there are.
    sessions: u64,
    idle: u64,
    running: u64,
    waiting: u64,
    quarantined: u64,
    archived: u64,
    /// How often they were started again with work in hand.
    restarts: u64,
    /// What they spent.
    own: Spent,
}

type Groups = Page<Group>;

async fn groups(Of(ctx): Of<Ctx>, Who(caller): Who) -> Answer<Json<Groups>> {
    let mut groups: Vec<Group> = Vec::new();
    for one in ctx.reading.census(caller.tenant.clone()).await? {
        if groups.last().is_none_or(|last| last.agent != one.agent.as_str()) {
            // What a tenant's agents spent is not kept apart from others' of the same name.
            let own = match &caller.tenant {
                None => ctx.reading.totals(TotalsOf::Agent(one.agent.clone())).await?.into(),
                Some(_) => Spent::default(),
            };
            groups.push(Group { agent: one.agent.to_string(), own, ..Group::default() });
        }
        let Some(group) = groups.last_mut() else { continue };
        group.sessions += one.sessions;
        group.restarts += one.restarts;
        match one.status {
            Status::Idle => group.idle += one.sessions,
            Status::Running => group.running += one.sessions,
            Status::Waiting => group.waiting += one.sessions,
            Status::Quarantined => group.quarantined += one.sessions,
            Status::Archived => group.archived += one.sessions,
        }
    }
    Ok(Json(Page { items: groups, next: None }))
}
