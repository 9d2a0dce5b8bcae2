//! How the store finds what is asked for at every look at the house: by an index, and in its order, so
//! that what an answer costs is what it tells. Counts walk an index and nothing else.

use greenroom_actors::domain::{
    catalog::ApprovalFilter,
    ids::{ApprovalId, ApprovalNo, Timestamp},
    job::{JobFilter, JobId, JobOrder},
};
use rusqlite::{ToSql, params_from_iter};

use super::{folder, session};
use crate::store::{catalog, open::writer};

/// How SQLite means to answer, step by step.
fn plan(sql: &str, values: Vec<Box<dyn ToSql>>) -> String {
    let (_folder, path) = folder();
    let (_lock, conn) = writer(&path).unwrap();
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
    steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

#[test]
fn a_page_of_questions_is_read_in_the_order_of_an_index() {
    let after = Some((Timestamp(7), ApprovalId { session: session(1), no: ApprovalNo(2) }));
    for (tenant, by) in [(None, "approval_place"), (Some("t".into()), "approval_tenant")] {
        for after in [None, after] {
            let filter = ApprovalFilter { tenant: tenant.clone(), after, rows: 3, ..all() };
            let (sql, values) = catalog::wanted_approvals(&filter);
            let plan = plan(&sql, values);
            assert!(plan.contains(by), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            let is_found = plan.contains("SEARCH a");
            assert_eq!(is_found, after.is_some() || filter.tenant.is_some(), "{plan}");
        }
    }
}

#[test]
fn one_question_is_found_by_its_id() {
    let only = Some(ApprovalId { session: session(1), no: ApprovalNo(2) });
    let (sql, values) = catalog::wanted_approvals(&ApprovalFilter { only, ..all() });
    let plan = plan(&sql, values);
    assert!(plan.contains("SEARCH a USING PRIMARY KEY (session=? AND no=?)"), "{plan}");
}

#[test]
fn questions_and_open_jobs_are_counted_on_an_index_alone() {
    for (no, sql) in catalog::COUNTS.into_iter().flatten().enumerate() {
        let values: Vec<Box<dyn ToSql>> =
            if sql.contains('?') { vec![Box::new("t")] } else { Vec::new() };
        let plan = plan(sql, values);
        assert!(plan.contains("USING COVERING INDEX"), "{no}: {plan}");
        assert_eq!(plan.contains("(tenant=?)"), sql.contains('?'), "{no}: {plan}");
    }
}

#[test]
fn figures_of_the_house_are_read_where_they_are_kept_and_from_no_line() {
    let [booked, spent] = catalog::KEPT.map(|kept| format!("{kept}?1 IS NULL OR tenant = ?1"));
    for (sql, table) in [(catalog::CENSUS, "census"), (&booked, "booked"), (&spent, "spent")] {
        let plan = plan(sql, vec![Box::new("t")]);
        let scans: Vec<_> = plan.split("; ").filter(|step| !step.contains("B-TREE")).collect();
        assert_eq!(scans, [format!("SCAN {table}")], "{sql}");
    }
}

#[test]
fn open_jobs_are_not_sorted_out_of_all_of_them() {
    for tenant in [None, Some("t".into())] {
        for order in [JobOrder::Changed, JobOrder::Oldest, JobOrder::Newest] {
            let filter = JobFilter {
                tenant: tenant.clone(),
                open: true,
                order,
                rows: 20,
                ..JobFilter::default()
            };
            let (sql, values) = catalog::wanted_jobs(&filter);
            let plan = plan(&sql, values);
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

#[test]
fn a_page_of_jobs_is_read_in_the_order_of_an_index() {
    let after = Some((Timestamp(7), JobId(session(1).0)));
    for tenant in [None, Some("t".into())] {
        for order in [JobOrder::Oldest, JobOrder::Newest] {
            for queue in [None, Some("q".into())] {
                let filter = JobFilter {
                    tenant: tenant.clone(),
                    queue,
                    order,
                    after,
                    rows: 3,
                    ..JobFilter::default()
                };
                let (sql, values) = catalog::wanted_jobs(&filter);
                let plan = plan(&sql, values);
                assert!(!plan.contains("TEMP B-TREE") && plan.contains("SEARCH job"), "{plan}");
                assert!(plan.contains("(created_at,id)"), "{plan}");
            }
        }
    }
}

fn all() -> ApprovalFilter {
    ApprovalFilter::default()
}
