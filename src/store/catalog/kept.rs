//! Figures that are kept beside the lines: how many sessions do what, and what all calls came to. Triggers
//! of the form move them in the transaction that moves a line (`migrations/5.sql`), so a look costs what it
//! tells, however many sessions there are. What one session spent is summed over its own lines.

use greenroom_actors::domain::{
    catalog::{Census, Status, Totals, TotalsOf, Wait},
    ids::{SessionId, TenantId},
    usage::{NanoUsd, Usage},
};
use rusqlite::{
    Connection, Row, params,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

use super::queries::Word;
use crate::store::{columns::Whole, trouble::Trouble};

/// For what somebody waits; an empty word is for nothing.
struct Waits(Option<Wait>);

impl FromSql for Waits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        let known = Wait::ALL.into_iter().find(|wait| wait.word() == word);
        if known.is_none() && !word.is_empty() {
            return Err(FromSqlError::InvalidType);
        }
        Ok(Self(known))
    }
}

/// What is kept of sessions.
pub(in crate::store) const CENSUS: &str = "SELECT agent, status, waits, sum(sessions), sum(restarts) FROM census \
     WHERE sessions > 0 AND (?1 IS NULL OR tenant = ?1) \
     GROUP BY agent, status, waits ORDER BY agent, status, waits";
/// How many sessions of each agent are in which state, and for what they wait.
pub(in crate::store) fn census(
    conn: &Connection,
    tenant: Option<&TenantId>,
) -> Result<Vec<Census>, Trouble> {
    let mut statement = conn.prepare_cached(CENSUS)?;
    let found = statement.query_map([tenant.map(TenantId::as_str)], |row| {
        Ok(Census {
            agent: row.get::<_, String>(0)?.into(),
            status: row.get::<_, Word>(1)?.0,
            waits: row.get::<_, Waits>(2)?.0,
            sessions: row.get::<_, Whole>(3)?.0,
            restarts: row.get::<_, Whole>(4)?.0,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sums over lines of calls.
pub(super) const TOTALS: &str = "SELECT coalesce(sum(kind = 'exact'), 0), \
    coalesce(sum(input), 0), coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0), \
    coalesce(sum(output), 0), coalesce(sum(reasoning), 0), coalesce(sum(cost), 0), \
    coalesce(sum(kind = 'exact' AND cost IS NULL), 0), coalesce(sum(kind = 'unsettled'), 0), \
    coalesce(sum(tokens_max), 0), coalesce(sum(cost_max), 0) FROM usage WHERE ";

/// What calls came to: of sessions that are there, and of those that were deleted. Money that was spent is
/// not unspent when what it was spent on goes.
pub(in crate::store) const KEPT: [&str; 2] = [
    "SELECT exact, input, cache_read, cache_write, output, reasoning, cost, unpriced, unsettled, \
     tokens_max, cost_max FROM booked WHERE ",
    "SELECT exact, input, cache_read, cache_write, output, reasoning, cost, unpriced, unsettled, \
     tokens_max, cost_max FROM spent WHERE ",
];

/// Sums of what was booked.
pub(in crate::store) fn totals(conn: &Connection, of: &TotalsOf) -> Result<Totals, Trouble> {
    let of_lines = |wanted: &str, session: &SessionId| {
        let mut statement = conn.prepare_cached(&format!("{TOTALS}{wanted}"))?;
        Ok(statement.query_row([session.to_string()], sums)?)
    };
    let (wanted, value) = match of {
        TotalsOf::Session(session) => return of_lines("session = ?1", session),
        // UNION, not UNION ALL: a damaged parent link must not make it walk in circles.
        TotalsOf::Subtree(session) => {
            let below = "session IN (WITH RECURSIVE below(id) AS (SELECT ?1 UNION \
                         SELECT s.id FROM session s JOIN below b ON s.parent = b.id) \
                         SELECT id FROM below)";
            return of_lines(below, session);
        }
        TotalsOf::Runtime => ("?1 IS NULL", None),
        TotalsOf::Model(model) => ("model = ?1", Some(model.as_str())),
        TotalsOf::Agent(agent) => ("agent = ?1", Some(agent.as_str())),
        TotalsOf::Tenant(tenant) => ("tenant = ?1", Some(tenant.as_str())),
    };
    let mut totals = Totals::default();
    for kept in KEPT {
        let mut statement = conn.prepare_cached(&format!("{kept}{wanted}"))?;
        for some in statement.query_map([value], sums)? {
            totals += some?;
        }
    }
    Ok(totals)
}

/// Sums as they stand in a row.
pub(super) fn sums(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let figure = |column: usize| row.get::<_, Whole>(column).map(|figure| figure.0);
    Ok(Totals {
        calls: figure(0)?,
        usage: Usage {
            input: figure(1)?,
            cache_read: figure(2)?,
            cache_write: figure(3)?,
            output: figure(4)?,
            reasoning: figure(5)?,
        },
        cost: NanoUsd(figure(6)?),
        unpriced_calls: figure(7)?,
        unsettled_calls: figure(8)?,
        unsettled_tokens_max: figure(9)?,
        unsettled_cost_max: NanoUsd(figure(10)?),
    })
}

/// Counts all lines, for a store that has kept no figures.
pub(in crate::store) fn count_anew(conn: &Connection) -> rusqlite::Result<()> {
    let mut busy = conn.prepare("SELECT DISTINCT waiting_on FROM session WHERE status = ?1")?;
    for status in Status::ALL.into_iter().filter(|status| status.is_busy()) {
        let words = busy.query_map([status.word()], |row| row.get::<_, Option<String>>(0))?;
        for words in words.collect::<Result<Vec<_>, _>>()? {
            let waits = Wait::of(words.as_deref().unwrap_or_default()).word();
            conn.execute(
                "UPDATE session SET waits = ?1 WHERE status = ?2 AND waiting_on IS ?3",
                params![waits, status.word(), words],
            )?;
        }
    }
    conn.execute_batch(
        "DELETE FROM census; \
         INSERT INTO census SELECT tenant, agent, status, coalesce(waits, ''), count(*), \
           sum(restarts) FROM session GROUP BY 1, 2, 3, 4; \
         DELETE FROM booked; \
         INSERT INTO booked SELECT tenant, model, agent, sum(lines), sum(exact), sum(input), \
           sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(cost), \
           sum(unpriced), sum(unsettled), sum(tokens_max), sum(cost_max) \
           FROM booking GROUP BY 1, 2, 3;",
    )
}
