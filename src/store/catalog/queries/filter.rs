//! Which lines of sessions are wanted, as a condition with its values.

use greenroom_actors::{
    domain::{catalog::SessionFilter, ids::SessionId},
    limits,
};
use rusqlite::ToSql;

use crate::store::columns::{Json, Whole};

/// The condition and its values, the number of rows last.
pub(super) fn wanted(filter: &SessionFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let mut parts = Vec::new();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    of_a_session(filter, &mut parts, &mut values);
    if filter.roots {
        let holds = joined(&std::mem::take(&mut parts));
        parts.push("parent IS NULL".to_owned());
        // Without wishes every tree holds one.
        if holds != EVERY {
            parts.push(format!("id IN (SELECT root FROM session WHERE {holds})"));
        }
    }
    if let Some(after) = filter.after {
        let older = "(created_at, id) < (SELECT created_at, id FROM session WHERE id = ?)";
        parts.push(if filter.newest { older } else { "id > ?" }.to_owned());
        values.push(Box::new(after.to_string()));
    }
    let rows = if filter.rows == 0 { limits::LIST_ROWS } else { filter.rows };
    values.push(Box::new(Whole(rows as u64)));
    (joined(&parts), values)
}

const EVERY: &str = "TRUE";

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { EVERY.to_owned() } else { parts.join(" AND ") }
}

fn of_a_session(filter: &SessionFilter, parts: &mut Vec<String>, values: &mut Vec<Box<dyn ToSql>>) {
    let mut want = |part: &str, value: Box<dyn ToSql>| {
        parts.push(part.to_owned());
        values.push(value);
    };
    if let Some(tenant) = &filter.tenant {
        want("tenant = ?", Box::new(tenant.as_str().to_owned()));
    }
    if let Some(root) = filter.root {
        want("root = ?", Box::new(root.to_string()));
    }
    if let Some(among) = &filter.among {
        let among = among.iter().map(SessionId::to_string).collect::<Vec<_>>();
        want("id IN (SELECT value FROM json_each(?))", Box::new(Json(among)));
    }
    if let Some(agent) = &filter.agent {
        want("agent = ?", Box::new(agent.as_str().to_owned()));
    }
    if let Some(by) = filter.wake_by {
        want("wake_at <= ?", Box::new(by.0));
    }
    if let Some(text) = &filter.text {
        // Looked for as it stands: nothing in it is a wildcard.
        let text = text.to_ascii_lowercase();
        let has = "(instr(lower(agent), ?) > 0 OR instr(lower(coalesce(name, '')), ?) > 0 \
                   OR instr(lower(coalesce(waiting_on, '')), ?) > 0 OR instr(id, ?) = 1 \
                   OR substr(id, -length(?)) = ?)";
        parts.push(has.to_owned());
        values.extend((0..6).map(|_part| Box::new(text.clone()) as Box<dyn ToSql>));
    }
    if !filter.status.is_empty() {
        parts.push(format!("status IN ({})", vec!["?"; filter.status.len()].join(", ")));
        values.extend(filter.status.iter().map(|status| Box::new(status.word()) as Box<dyn ToSql>));
    } else if !filter.archived {
        parts.push("status <> 'archived'".to_owned());
    }
}
