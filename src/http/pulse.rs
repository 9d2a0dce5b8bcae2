//! What goes on in the house, heard once for everybody who looks: the metrics, the figures over time for
//! the charts, and which sessions have changed. It hears frames alone, so who watches the house is nobody
//! to whom an answer was shown in part.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use greenroom_actors::{
    domain::{
        catalog::{SessionFilter, SessionRow, Status, TotalsOf},
        event::Event,
        ids::{ModelName, SessionId, TenantId},
    },
    runtime::{
        AppendFigures, Deletion, DeletionHeard, Frame, Heard, Listener, Note, OWN_TOOLS, Stage,
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::telemetry::metrics::{self, Breaker, Fill, Gate, Metrics, Spread};

use super::{Ctx, House, problem::Answer};

/// How often changes are told: four times a second is live to the eye.
const CHANGES_MS: u64 = 250;
/// Sessions that are told one by one; above it whoever looks should look at all anew.
pub(super) const CHANGED: usize = 200;
/// Changes that a slow reader may be behind.
const BEHIND: usize = 64;
/// How often the figures are kept, and how many of them: an hour.
pub(super) const SAMPLE_MS: u64 = 5_000;
const SAMPLES: usize = 720;

/// What is known of the house at large.
#[derive(Debug)]
pub(super) struct Pulse {
    heard: Mutex<Known>,
    changes: broadcast::Sender<Arc<Changes>>,
}

/// What was heard.
#[derive(Debug, Default)]
struct Known {
    metrics: Metrics,
    counts: Counts,
    samples: VecDeque<Point>,
    dirty: BTreeMap<SessionId, Dirty>,
    gone: Vec<Arc<Deletion>>,
    missed: bool,
}

#[derive(Clone, Debug)]
struct Dirty {
    tenant: TenantId,
    position: u64,
}

/// Sums since the server began.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    turns: u64,
    restarts: u64,
}

/// The figures of one moment: sums, of tokens and money since the store began, and levels.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Point {
    at: i64,
    input_tokens: u64,
    output_tokens: u64,
    cost_nano_usd: u64,
    /// Turns that ended since the server began.
    turns: u64,
    /// Restarts since the server began.
    restarts: u64,
    awake: usize,
    running: u64,
    waiting: u64,
}

/// A session that has changed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Changed {
    session: String,
    root: String,
    position: u64,
    #[serde(skip)]
    pub(super) tenant: Option<TenantId>,
}

/// What has changed since the last time.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    pub(super) sessions: Vec<Changed>,
    /// Trees that were deleted.
    pub(super) gone: Vec<Arc<Deletion>>,
    /// Whether there was more than is told one by one.
    pub(super) more: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { heard: Mutex::default(), changes: broadcast::channel(BEHIND).0 }
    }
}

impl Pulse {
    fn with<T>(&self, see: impl FnOnce(&mut Known) -> T) -> T {
        see(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hears of changes from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<Changes>> {
        self.changes.subscribe()
    }

    /// Figures over time, the oldest first.
    pub(super) fn points(&self) -> Vec<Point> {
        self.with(|known| known.samples.iter().copied().collect())
    }

    /// Turns that ended and restarts since the server began.
    pub(super) fn counted(&self) -> (u64, u64) {
        self.with(|known| (known.counts.turns, known.counts.restarts))
    }
}

/// Hears the house until it ends.
pub(super) async fn listen(ctx: Ctx, mut listener: Listener) {
    ctx.learn();
    let mut deletions = ctx.runtime.subscribe_to_deletions();
    let mut tell_at = ctx.clock.after(CHANGES_MS);
    loop {
        tokio::select! {
            heard = listener.next() => match heard {
                Some(Heard::Note(Note::Frame(frame))) => ctx.pulse.with(|known| known.hear(&frame)),
                Some(Heard::Note(_)) => {}
                Some(Heard::Lagged { missed }) => {
                    tracing::warn!(missed, "the metrics have not heard everything");
                    ctx.pulse.with(|known| {
                        known.metrics.missed(missed);
                        known.missed = true;
                    });
                }
                None => return,
            },
            heard = deletions.next() => match heard {
                Some(heard) => ctx.pulse.with(|known| known.lose(heard)),
                None => return,
            },
            () = &mut tell_at => {
                ctx.tell_changes().await;
                tell_at = ctx.clock.after(CHANGES_MS);
            }
        }
    }
}

/// Keeps the figures of each moment until the runtime ends. One at which the store cannot be read is left
/// out: nothing spent, and nobody at work, would be a lie.
pub(super) async fn sample(ctx: Ctx) {
    loop {
        if let Ok(point) = ctx.point().await {
            ctx.pulse.with(|known| {
                if known.samples.len() >= SAMPLES {
                    known.samples.pop_front();
                }
                known.samples.push_back(point);
            });
        }
        tokio::select! {
            () = ctx.clock.after(SAMPLE_MS) => {}
            _why = ctx.runtime.ended() => return,
        }
    }
}

/// How a gate's breaker stands; one without bars has never had anything to hold up.
pub(super) const fn breaker(stage: Option<Stage>) -> Breaker {
    match stage {
        None | Some(Stage::Closed) => Breaker::Closed,
        Some(Stage::Open { .. }) => Breaker::Open,
        Some(Stage::Probing { .. }) => Breaker::Probing,
    }
}

/// Lengths in seconds, as the metrics tell them.
fn spread(appends: &AppendFigures) -> Spread {
    let seconds = |ms: u64| ms as f64 / 1e3;
    let end = |upto: Option<u64>| upto.map_or(f64::INFINITY, seconds);
    let upto = appends.upto_ms.iter().map(|(upto, count)| (end(*upto), *count));
    Spread { sum: seconds(appends.sum_ms), upto: upto.collect() }
}

impl Known {
    fn hear(&mut self, frame: &Frame) {
        let of =
            metrics::Heard { session: frame.session, agent: frame.agent.as_str(), at: frame.at };
        for event in frame.events.iter() {
            self.metrics.hear(of, event);
            self.counts.hear(event);
        }
        let (tenant, position) = (frame.tenant.clone(), frame.position.0);
        self.dirty.insert(frame.session, Dirty { tenant, position });
    }

    fn lose(&mut self, heard: DeletionHeard) {
        match heard {
            DeletionHeard::Gone(gone) if self.gone.len() < CHANGED => self.gone.push(gone),
            DeletionHeard::Gone(_) | DeletionHeard::Lagged { .. } => self.missed = true,
        }
    }
}

impl Counts {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::TurnFinished { .. } => self.turns += 1,
            Event::SessionRestarted { .. } => self.restarts += 1,
            _ => {}
        }
    }
}

impl House {
    /// The figures of this moment.
    async fn point(&self) -> Answer<Point> {
        let census = self.reading.census(None).await?;
        let spent = self.reading.totals(TotalsOf::Runtime).await?;
        let many = |status: Status| {
            census.iter().filter(|one| one.status == status).map(|one| one.sessions).sum()
        };
        let (turns, restarts) = self.pulse.counted();
        Ok(Point {
            at: self.clock.now().0,
            input_tokens: spent.usage.input,
            output_tokens: spent.usage.output,
            cost_nano_usd: spent.cost.0,
            turns,
            restarts,
            awake: self.runtime.awake(),
            running: many(Status::Running),
            waiting: many(Status::Waiting),
        })
    }

    /// What has a name here: of what was declared before anybody heard, no event will come.
    fn learn(&self) {
        let (models, tools) = (self.runtime.known_models(), self.runtime.tool_specs());
        let models = models.iter().map(ModelName::as_str);
        let tools = tools.iter().map(|tool| tool.name.as_str());
        self.pulse.with(|known| {
            known.metrics.know(models, tools.chain(OWN_TOOLS));
            self.runtime.agents().iter().for_each(|agent| known.metrics.know_agent(agent));
        });
    }

    /// Tells who looks what has changed, if anything has.
    async fn tell_changes(&self) {
        if self.pulse.changes.receiver_count() == 0 {
            return self.pulse.with(|known| {
                known.dirty.clear();
                known.gone.clear();
            });
        }
        let (dirty, gone, missed) = self.pulse.with(|known| {
            let (dirty, gone) = (std::mem::take(&mut known.dirty), std::mem::take(&mut known.gone));
            (dirty, gone, std::mem::take(&mut known.missed))
        });
        if dirty.is_empty() && gone.is_empty() && !missed {
            return;
        }
        let among: Vec<SessionId> = dirty.keys().take(CHANGED).copied().collect();
        let filter = SessionFilter {
            among: Some(among),
            archived: true,
            rows: CHANGED,
            ..SessionFilter::default()
        };
        let rows = self.reading.sessions(filter).await.unwrap_or_default();
        let roots: BTreeMap<SessionId, SessionId> =
            rows.into_iter().map(|row: SessionRow| (row.session, row.root)).collect();
        let more = missed || dirty.len() > CHANGED;
        let changed = |(session, dirty): (SessionId, Dirty)| Changed {
            session: session.to_string(),
            root: roots.get(&session).unwrap_or(&session).to_string(),
            position: dirty.position,
            tenant: Some(dirty.tenant),
        };
        let sessions = dirty.into_iter().take(CHANGED).map(changed).collect();
        // The last of those who looked may have gone meanwhile.
        drop(self.pulse.changes.send(Arc::new(Changes { sessions, gone, more })));
    }

    /// The metrics of this moment.
    pub(super) async fn scraped(&self) -> Answer<String> {
        let figures = self.runtime.figures();
        let fill = |places, taken, waiting| Fill { places, taken, waiting };
        let gates = figures.gates.iter().map(|(name, gate)| {
            let bars = figures.bars.get(name);
            let breaker = breaker(bars.map(|bars| bars.breaker));
            let paused_until = bars.and_then(|bars| bars.paused_until);
            let fill = fill(gate.places, gate.taken, gate.waiting);
            (name.to_string(), Gate { fill, paused_until, breaker })
        });
        let pools = figures
            .pools
            .iter()
            .map(|(kind, pool)| (kind.to_string(), fill(pool.places, pool.taken, pool.waiting)));
        // A call that has not left yet is at one gate, and one session makes one at a time.
        let at_gates = figures.gates.values().map(|gate| gate.waiting as u64).sum();
        let house = metrics::House {
            census: self.reading.census(None).await?,
            awake: Some(self.runtime.awake_figures()),
            approvals: self.reading.open(None).await?.approvals,
            pools: pools.collect(),
            gates: gates.collect(),
            at_gates,
            held: figures.held.map_or(0, |held| held.waiting),
            appends: spread(&figures.appends),
        };
        let text = self.pulse.with(|known| {
            known.metrics.look(&house);
            known.metrics.text()
        });
        text.map_err(|_fmt| super::problem::problem("internal", "a figure does not become text"))
    }
}
