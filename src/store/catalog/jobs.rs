//! Lines of jobs in SQL. A line is kept whole, beside the few columns that lists are asked for by: it
//! is read for people and at the start, and written once a step of a job.

use greenroom_actors::{
    domain::{
        ids::TenantId,
        job::{JobFilter, JobId, JobOrder, JobRow, JobState},
    },
    limits,
};
use rusqlite::{Connection, OptionalExtension as _, ToSql, params, params_from_iter};

use crate::store::{
    columns::{Json, Parsed, Whole},
    trouble::Trouble,
};

/// Sets a job's line.
pub(super) fn upsert(conn: &Connection, row: &JobRow) -> Result<(), Trouble> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO job(id, tenant, queue, state, open, position, line, updated_at, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        row.job.to_string(),
        row.tenant.as_str(),
        row.queue.as_str(),
        row.state.word(),
        row.open,
        Whole(row.position.0),
        Json(row),
        row.updated_at.0,
        row.created_at.0,
    ])?;
    Ok(())
}

/// Sets a job's line whatever it was.
pub(in crate::store) fn replace_job(
    conn: &Connection,
    job: JobId,
    row: &JobRow,
) -> Result<(), Trouble> {
    if row.job != job {
        return Err(Trouble::Refused(format!("job {job} does not speak for job {}", row.job)));
    }
    upsert(conn, row)
}

/// One job's line.
pub(in crate::store) fn job(conn: &Connection, job: JobId) -> Result<Option<JobRow>, Trouble> {
    let sql = "SELECT line FROM job WHERE id = ?1";
    let found = conn.prepare_cached(sql)?.query_row([job.to_string()], |row| row.get(0));
    Ok(found.optional()?.map(|line: Json<JobRow>| line.0))
}

/// Lines of jobs.
pub(in crate::store) fn jobs(
    conn: &Connection,
    filter: &JobFilter,
) -> Result<Vec<JobRow>, Trouble> {
    let (sql, values) = wanted(filter);
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    found.map(|line| Ok(line.map(|line: Json<JobRow>| line.0)?)).collect()
}

/// The question to the store with its values.
pub(in crate::store) fn wanted(filter: &JobFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let (mut wanted, mut values) = (vec!["TRUE"], Vec::<Box<dyn ToSql>>::new());
    if let Some(tenant) = &filter.tenant {
        wanted.push("tenant = ?");
        values.push(Box::new(tenant.as_str().to_owned()));
    }
    if let Some(queue) = &filter.queue {
        wanted.push("queue = ?");
        values.push(Box::new(queue.as_str().to_owned()));
    }
    let marks = format!("state IN ({})", vec!["?"; filter.states.len()].join(", "));
    if !filter.states.is_empty() {
        wanted.push(&marks);
        values.extend(filter.states.iter().map(|state| Box::new(state.word()) as Box<dyn ToSql>));
    }
    if filter.open {
        wanted.push("open = 1");
    }
    let (order, behind) = match filter.order {
        JobOrder::Oldest => ("created_at, id", Some("(created_at, id) > (?, ?)")),
        JobOrder::Newest => ("created_at DESC, id DESC", Some("(created_at, id) < (?, ?)")),
        JobOrder::Changed => ("updated_at DESC, id DESC", None),
    };
    if let (Some(behind), Some((created_at, job))) = (behind, filter.after) {
        wanted.push(behind);
        values.push(Box::new(created_at.0));
        values.push(Box::new(job.to_string()));
    }
    let wanted = wanted.join(" AND ");
    let rows = if filter.rows == 0 { limits::LIST_ROWS } else { filter.rows };
    values.push(Box::new(Whole(rows as u64)));
    // Named because the planner would rather sort. All that ever changed is in no order of its own.
    let by = match (filter.order, filter.open, &filter.tenant) {
        (JobOrder::Changed, false, _) => "",
        (JobOrder::Changed, true, None) => "INDEXED BY job_latest",
        (JobOrder::Changed, true, Some(_)) => "INDEXED BY job_tenant_latest",
        (JobOrder::Oldest | JobOrder::Newest, true, None) => "INDEXED BY job_open",
        (JobOrder::Oldest | JobOrder::Newest, false, None) => "INDEXED BY job_place",
        (JobOrder::Oldest | JobOrder::Newest, _, Some(_)) => "INDEXED BY job_tenant_place",
    };
    (format!("SELECT line FROM job {by} WHERE {wanted} ORDER BY {order} LIMIT ?"), values)
}

/// How many open jobs are in which state, of everybody and of one tenant.
pub(in crate::store) const COUNTS: [&str; 2] = [
    "SELECT state, count(*) FROM job INDEXED BY job_state WHERE open = 1 GROUP BY state",
    "SELECT state, count(*) FROM job INDEXED BY job_state \
     WHERE open = 1 AND tenant = ? GROUP BY state",
];

/// How many open jobs are in which state.
pub(super) fn open_by_state(
    conn: &Connection,
    tenant: Option<&TenantId>,
) -> Result<Vec<(JobState, u64)>, Trouble> {
    let [of_all, of_one] = COUNTS;
    let mut statement = conn.prepare_cached(if tenant.is_some() { of_one } else { of_all })?;
    let counted = statement.query_map(params_from_iter(tenant.map(TenantId::as_str)), |row| {
        Ok((row.get::<_, Parsed<_>>(0)?.0, row.get::<_, Whole>(1)?.0))
    })?;
    let mut counted = counted.collect::<Result<Vec<_>, _>>()?;
    counted.sort_unstable();
    Ok(counted)
}

/// Jobs whose line has not followed their log.
pub(in crate::store) fn stale_jobs(conn: &Connection) -> Result<Vec<JobId>, Trouble> {
    let sql = "SELECT id FROM log INDEXED BY log_stale \
               WHERE applied < tail AND kind = 'job' ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([], |row| Ok(row.get::<_, Parsed<_>>(0)?.0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
