//! How long the journal takes until a frame is durable, measured once for all who write: around the port,
//! so that whoever appends knows nothing of it. It counts, and tells whoever looks at the house.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::BoxFuture;

use crate::{
    domain::ids::Position,
    ports::{Append, AppendError, Around, Clock, Journal, Through},
};

use super::Deps;

/// Ends of what is told apart, in milliseconds: from memory that is a disk's to a disk that hangs, up to
/// the deadline of an append.
const UPTO_MS: [u64; 13] = [1, 2, 3, 5, 10, 20, 30, 50, 100, 300, 1_000, 3_000, 10_000];

/// How long frames took to be durable since the runtime began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendFigures {
    /// All of it together.
    pub sum_ms: u64,
    /// How many took at most so long, and longer than the one before; the last has no end.
    pub upto_ms: Vec<(Option<u64>, u64)>,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Appends {
    sum_ms: AtomicU64,
    counts: [AtomicU64; UPTO_MS.len() + 1],
}

impl Appends {
    fn took(&self, ms: u64) {
        let place = UPTO_MS.partition_point(|upto| *upto < ms);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> AppendFigures {
        let ends = UPTO_MS.into_iter().map(Some).chain([None]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let sum_ms = self.sum_ms.load(Ordering::Relaxed);
        AppendFigures { sum_ms, upto_ms: ends.zip(counts).collect() }
    }
}

/// The same ports, with a journal whose appends are measured.
pub(super) fn measured(deps: Deps) -> (Deps, Arc<Appends>) {
    let appends = Arc::<Appends>::default();
    let Deps { journal, clock, .. } = &deps;
    let watch = Arc::new(Watch { clock: Arc::clone(clock), appends: Arc::clone(&appends) });
    let journal = Arc::new(Through::new(Arc::clone(journal), &watch));
    (Deps { journal, ..deps }, appends)
}

/// What is looked at, and where it is noted.
struct Watch {
    clock: Arc<dyn Clock>,
    appends: Arc<Appends>,
}

impl Around for Watch {
    fn append(
        &self,
        journal: &dyn Journal,
        append: Append,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let (clock, appends) = (Arc::clone(&self.clock), Arc::clone(&self.appends));
        let begun = clock.running();
        let written = journal.append(append);
        Box::pin(async move {
            let written = written.await;
            // What was refused says nothing of how long a write takes.
            if written.is_ok() {
                appends.took(clock.running().since_ms(begun));
            }
            written
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_at_the_first_end_that_it_does_not_pass() {
        let appends = Appends::default();
        for ms in [0, 1, 2, 4, 5, 10_000, 10_001, 60_000] {
            appends.took(ms);
        }
        let AppendFigures { sum_ms, upto_ms } = appends.figures();
        assert_eq!(sum_ms, 80_013);
        let counted: Vec<_> = upto_ms.into_iter().filter(|(_, count)| *count > 0).collect();
        let expected = [(Some(1), 2), (Some(2), 1), (Some(5), 2), (Some(10_000), 1), (None, 2)];
        assert_eq!(counted, expected);
    }
}
