//! Lines of jobs in SQL. A line is kept whole, beside the few columns that lists are asked for by: it
//! is read for people and at the start, and written once a step of a job.

use greenroom_actors::{
    domain::job::{JobFilter, JobId, JobRow},
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
        "INSERT OR REPLACE INTO job(id, tenant, queue, state, open, position, line) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.job.to_string(),
        row.tenant.as_str(),
        row.queue.as_str(),
        row.state.word(),
        row.open,
        Whole(row.position.0),
        Json(row),
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

/// Lines of jobs, in the order of their ids.
pub(in crate::store) fn jobs(
    conn: &Connection,
    filter: &JobFilter,
) -> Result<Vec<JobRow>, Trouble> {
    let (mut wanted, mut values) = (Vec::new(), Vec::<Box<dyn ToSql>>::new());
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
    if let Some(after) = filter.after {
        wanted.push("id > ?");
        values.push(Box::new(after.to_string()));
    }
    let wanted = if wanted.is_empty() { "TRUE".to_owned() } else { wanted.join(" AND ") };
    let rows = if filter.rows == 0 { limits::LIST_ROWS } else { filter.rows };
    values.push(Box::new(Whole(rows as u64)));
    let sql = format!("SELECT line FROM job WHERE {wanted} ORDER BY id LIMIT ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    found.map(|line| Ok(line.map(|line: Json<JobRow>| line.0)?)).collect()
}

/// Jobs whose line has not followed their log.
pub(in crate::store) fn stale_jobs(conn: &Connection) -> Result<Vec<JobId>, Trouble> {
    let sql = "SELECT id FROM log INDEXED BY log_stale \
               WHERE applied < tail AND kind = 'job' ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([], |row| Ok(row.get::<_, Parsed<_>>(0)?.0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
