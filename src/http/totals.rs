//! What was spent, and what may still be: sums by session, tree, agent or model, and the budgets of a
//! tree as the ledger holds them.

use axum::{Json, extract::State as Of};
use greenroom_actors::{
    domain::{
        budget::{Amount, Budget},
        catalog::TotalsOf,
        ids::SessionId,
    },
    runtime::{AccountFigures, LedgerFigures},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx, House,
    problem::{Answer, problem},
    routes::Route,
    take::{Asked, Id, Who},
    wire::Spent,
};

/// How often the ledger is asked for a tree, and how long it is left to read: a second altogether.
const ASKED: u32 = 20;
const PAUSE_MS: u64 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/totals", "What was spent", totals).asks::<Wishes>().gives::<Spent>(),
        Route::get("/v1/sessions/{session}/budget", "The accounts of its tree", budget)
            .gives::<Accounts>(),
    ]
}

/// Of what; of everything where nothing is named.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// Of this session and everybody below it.
    #[schemars(extend("format" = "uuid"))]
    session: Option<String>,
    /// Of this agent.
    agent: Option<String>,
    /// Of this model.
    model: Option<String>,
}

async fn totals(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Spent>> {
    let of = match (wishes.session, wishes.agent, wishes.model) {
        (None, None, None) => caller.tenant.map_or(TotalsOf::Runtime, TotalsOf::Tenant),
        (Some(session), None, None) => {
            let is_id = |_odd| problem("invalid", "`session` is no session's id");
            let session = session.parse().map_err(is_id)?;
            ctx.line(&caller, session).await?;
            TotalsOf::Subtree(session)
        }
        // These are not kept apart by tenant.
        (None, ..) if caller.tenant.is_some() => {
            return Err(problem("forbidden", "sums by agent or model are of all tenants"));
        }
        (None, Some(agent), None) => TotalsOf::Agent(agent.into()),
        (None, None, Some(model)) => TotalsOf::Model(model.into()),
        _ => {
            return Err(problem("unprocessable", "expected one of `session`, `agent` and `model`"));
        }
    };
    Ok(Json(ctx.reading.totals(of).await?.into()))
}

/// The accounts of a tree.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Accounts {
    /// The root of the tree.
    root: String,
    /// Every session in it that has a budget.
    accounts: Vec<AccountWire>,
}

/// One budget.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AccountWire {
    /// Whose.
    session: String,
    /// What ended calls came to.
    spent: AmountWire,
    /// What is held back for calls that run.
    reserved: AmountWire,
    /// The limits, as the agent declares them.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    limit: Budget,
}

/// An amount of everything that a budget can limit.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AmountWire {
    tokens: u64,
    nano_usd: u64,
    model_calls: u64,
    tool_calls: u64,
}

impl From<Amount> for AmountWire {
    fn from(amount: Amount) -> Self {
        let Amount { tokens, nano_usd, model_calls, tool_calls, .. } = amount;
        Self { tokens, nano_usd: nano_usd.0, model_calls, tool_calls }
    }
}

impl House {
    /// The ledger of a tree that rests is read because it was asked for, and then asked again.
    async fn figures_of(&self, root: SessionId) -> Option<LedgerFigures> {
        for _ in 0..ASKED {
            if let Some(figures) = self.runtime.accounts(root).await {
                return Some(figures);
            }
            self.clock.after(PAUSE_MS).await;
        }
        None
    }
}

async fn budget(Of(ctx): Of<Ctx>, Who(caller): Who, Id(session): Id) -> Answer<Json<Accounts>> {
    let row = ctx.line(&caller, session).await?;
    let figures = ctx.figures_of(row.root).await;
    let figures =
        figures.ok_or_else(|| problem("unavailable", "the ledger does not answer").again_in(1))?;
    let account = |account: AccountFigures| AccountWire {
        session: account.account.to_string(),
        spent: account.spent.into(),
        reserved: account.reserved.into(),
        limit: account.limit,
    };
    let accounts = figures.accounts.into_iter().map(account).collect();
    Ok(Json(Accounts { root: row.root.to_string(), accounts }))
}
