//! Reading jobs: at the start all that are not done, later one at a time. The catalog knows which are
//! not done, as far as it has followed the logs; where it fell behind the log is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;

use crate::{
    domain::{
        frame::LogId,
        ids::{Position, PrincipalId, TenantId},
        job::{JobEvent, JobFilter, JobId, JobRow},
    },
    limits,
    log::{self, ReadError, Trouble, Writer},
    policy::jobs::{self, Phase, State},
    ports::{AppendError, Catalog, Journal},
    protocol::jobs::{House, Loaded},
};

/// A job as its log says it is, with its last frame; none where there is no such log.
pub(crate) async fn read(
    journal: &Arc<dyn Journal>,
    job: JobId,
    upto: Option<Position>,
) -> Result<Option<(State, Vec<JobEvent>, Position)>, ReadError> {
    let (mut state, mut last) = (None::<State>, Vec::new());
    let log = LogId::job(job);
    let verifier = log::read::<JobEvent>(journal, log, upto, |frame| {
        let (at, position) = (frame.envelope.at, frame.envelope.position);
        for event in &frame.events {
            let done = match &mut state {
                Some(state) => jobs::apply(state, event, at),
                None => jobs::opened(job, frame.envelope.tenant.clone(), event, at)
                    .map(|first| state = Some(first)),
            };
            done.map_err(|error| crate::domain::frame::DecodeError::Impossible {
                log,
                position,
                why: error.to_string(),
            })?;
        }
        last = frame.events;
        Ok(())
    });
    let position = verifier.await?.position();
    Ok(state.map(|state| (state, last, position)))
}

/// Claims a job's log and reads it; none where there is no such log.
pub(super) async fn claim(
    journal: Arc<dyn Journal>,
    job: JobId,
) -> Result<Option<Box<Loaded>>, Trouble> {
    let log = LogId::job(job);
    // A claim would bring it into being.
    if journal.tail(log).await?.0 == Position(0) {
        return Ok(None);
    }
    let claim = journal.claim(log).await?;
    let Some((state, last, _)) = read(&journal, job, Some(claim.tail)).await? else {
        return Ok(None);
    };
    let (tenant, principal): (TenantId, PrincipalId) = (state.tenant.clone(), state.by.clone());
    let writer = Writer::new(log, claim, tenant, principal);
    Ok(Some(Box::new(Loaded { state, writer, last })))
}

/// All jobs that are not done.
pub(super) async fn all(
    journal: Arc<dyn Journal>,
    catalog: Arc<dyn Catalog>,
) -> Result<House, Trouble> {
    let mut open: BTreeSet<JobId> = catch_up(&journal, &catalog).await?.into_iter().collect();
    let mut after = None;
    loop {
        let rows = limits::LIST_ROWS;
        let filter = JobFilter { open: true, after, rows, ..JobFilter::default() };
        let page = catalog.jobs(filter).await?;
        after = page.last().map(JobRow::place);
        open.extend(page.iter().map(|row| row.job));
        if page.len() < rows {
            break;
        }
    }
    let mut house = House::default();
    let open: Vec<JobId> = open.into_iter().collect();
    // Each claim is a commit, and those that come together are one.
    for group in open.chunks(limits::COMMIT_FRAMES) {
        let claims = group.iter().map(|job| claim(Arc::clone(&journal), *job));
        for (job, claimed) in group.iter().zip(join_all(claims).await) {
            match claimed {
                Ok(Some(loaded)) if loaded.state.is_open() => house.jobs.push(*loaded),
                Ok(_) => {}
                Err(Trouble::Damaged(why)) => house.damaged.push((*job, why)),
                Err(trouble) => return Err(trouble),
            }
        }
    }
    let known: BTreeSet<JobId> = house.jobs.iter().map(|loaded| loaded.state.job).collect();
    let named = house.jobs.iter().flat_map(|loaded| loaded.state.spec.after.iter().copied());
    let mut ends = BTreeMap::new();
    for job in named.filter(|job| !known.contains(job)).collect::<BTreeSet<_>>() {
        let end = match read(&journal, job, None).await {
            Ok(found) => found.and_then(|(state, ..)| end_of(&state)),
            Err(error) => match Trouble::from(error) {
                Trouble::Damaged(why) => Some(Err(why)),
                trouble @ (Trouble::Fenced | Trouble::Unavailable(_) | Trouble::Poisoned(_)) => {
                    return Err(trouble);
                }
            },
        };
        ends.insert(job, end.unwrap_or_else(|| Err("it is gone".to_owned())));
    }
    house.ends = ends.into_iter().collect();
    Ok(house)
}

/// Lines of jobs that have not followed their logs are written anew; those whose log cannot be read
/// are left as they are.
async fn catch_up(
    journal: &Arc<dyn Journal>,
    catalog: &Arc<dyn Catalog>,
) -> Result<Vec<JobId>, Trouble> {
    let stale = catalog.stale_jobs().await?;
    for job in &stale {
        let found = match read(journal, *job, None).await.map_err(Trouble::from) {
            Ok(found) => found,
            Err(Trouble::Damaged(_)) => continue,
            Err(trouble) => return Err(trouble),
        };
        let Some((state, _, position)) = found else { continue };
        let row = Box::new(jobs::row(&state, position));
        match catalog.replace_job(*job, position, row).await {
            Ok(_) => {}
            // It stays behind; what is decided here is decided by the logs.
            Err(error @ (AppendError::Fenced { .. } | AppendError::Journal(_))) => {
                tracing::warn!(%job, %error, "a job's line cannot follow its log");
            }
        }
    }
    Ok(stale)
}

/// How a job ended, as those who wait for it see it.
pub(crate) fn end_of(state: &State) -> Option<Result<(), String>> {
    let Phase::Ended { end, .. } = &state.phase else { return None };
    Some(end.trouble().map_or(Ok(()), |why| Err(why.clone())))
}
