//! What is open: questions to people, page by page, and how much of anything there is. None of it reads
//! more than it tells: a house with ten thousand questions is looked at every second.

use greenroom_actors::domain::{
    catalog::{ApprovalFilter, ApprovalRow, Open},
    ids::{ApprovalId, ApprovalNo, TenantId, Timestamp},
};
use rusqlite::{Connection, Row, ToSql, params_from_iter};

use crate::store::{
    columns::{Json, Parsed, Whole},
    trouble::Trouble,
};

use super::jobs;

/// Open approvals, oldest expiry first. One whose session has no line yet has no tenant and is shown to
/// whoever asks for all of them: an approval must not hide.
pub(in crate::store) fn approvals(
    conn: &Connection,
    filter: &ApprovalFilter,
) -> Result<Vec<ApprovalRow>, Trouble> {
    let (sql, values) = wanted(filter);
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| {
        Ok(ApprovalRow {
            id: ApprovalId { session: row.get::<_, Parsed<_>>(0)?.0, no: ApprovalNo(row.get(1)?) },
            tenant: row.get::<_, String>(2)?.into(),
            agent: row.get::<_, String>(3)?.into(),
            ask: row.get::<_, Json<_>>(4)?.0,
            asked_at: Timestamp(row.get(5)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The question to the store with its values.
pub(in crate::store) fn wanted(filter: &ApprovalFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let (mut parts, mut values) = (vec!["TRUE"], Vec::<Box<dyn ToSql>>::new());
    if let Some(tenant) = &filter.tenant {
        parts.push("a.tenant = ?");
        values.push(Box::new(tenant.as_str().to_owned()));
    }
    if let Some(session) = filter.session {
        parts.push("a.session = ?");
        values.push(Box::new(session.to_string()));
    }
    if let Some(only) = filter.only {
        parts.push("a.session = ? AND a.no = ?");
        values.push(Box::new(only.session.to_string()));
        values.push(Box::new(only.no.0));
    }
    if let Some((expires_at, id)) = filter.after {
        parts.push("(a.expires_at, a.session, a.no) > (?, ?, ?)");
        values.push(Box::new(expires_at.0));
        values.push(Box::new(id.session.to_string()));
        values.push(Box::new(id.no.0));
    }
    // A negative number is none at all.
    let rows = if filter.rows == 0 { -1 } else { i64::try_from(filter.rows).unwrap_or(i64::MAX) };
    values.push(Box::new(rows));
    let wanted = parts.join(" AND ");
    let sql = format!(
        "SELECT a.session, a.no, a.tenant, coalesce(s.agent, ''), a.ask, a.asked_at \
         FROM approval a LEFT JOIN session s ON s.id = a.session \
         WHERE {wanted} ORDER BY a.expires_at, a.session, a.no LIMIT ?"
    );
    (sql, values)
}

/// How many approvals there are, of everybody and of one tenant.
pub(in crate::store) const COUNTS: [&str; 2] =
    ["SELECT count(*) FROM approval", "SELECT count(*) FROM approval WHERE tenant = ?"];

/// How much is open.
pub(in crate::store) fn open(
    conn: &Connection,
    tenant: Option<&TenantId>,
) -> Result<Open, Trouble> {
    let [of_all, of_one] = COUNTS;
    let sql = if tenant.is_some() { of_one } else { of_all };
    let count = |row: &Row<'_>| Ok(row.get::<_, Whole>(0)?.0);
    let values = params_from_iter(tenant.map(TenantId::as_str));
    let approvals = conn.prepare_cached(sql)?.query_row(values, count)?;
    Ok(Open { approvals, jobs: jobs::open_by_state(conn, tenant)? })
}
