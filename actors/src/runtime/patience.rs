//! The ports as the house uses them: each answers in time or counts as unavailable. A store that
//! hangs thus looks like one that is away, which everybody knows how to live with.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    limits,
    ports::{Around, Asked, Clock, JournalError, Through},
};

use super::Deps;

/// Every answer is due by a deadline.
struct Patience(Arc<dyn Clock>);

/// The same ports, with deadlines.
pub(super) fn patient(deps: Deps) -> Deps {
    let Deps { journal, catalog, blobs, clock } = deps;
    let patience = Arc::new(Patience(Arc::clone(&clock)));
    Deps {
        journal: Arc::new(Through::new(journal, &patience)),
        catalog: Arc::new(Through::new(catalog, &patience)),
        blobs: Arc::new(Through::new(blobs, &patience)),
        clock,
    }
}

/// How long somebody waits for it: what is written may stand behind what others write.
const fn waits_ms(asked: Asked) -> u64 {
    match asked {
        Asked::Claim(_) | Asked::Append(_) | Asked::Rebuild | Asked::Erasure | Asked::Put => {
            limits::APPEND_MS
        }
        Asked::Read(_) | Asked::Catalog | Asked::Lines | Asked::Get => limits::CALL_MS,
    }
}

impl Around for Patience {
    fn around<T: Send + 'static, E: From<JournalError> + Send + 'static>(
        &self,
        asked: Asked,
        answer: BoxFuture<'static, Result<T, E>>,
    ) -> BoxFuture<'static, Result<T, E>> {
        let waited_ms = waits_ms(asked);
        let late = self.0.after(waited_ms);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => answer,
                () = late => {
                    let why = format!("the store has not answered within {waited_ms} ms");
                    Err(JournalError::Unavailable { why }.into())
                }
            }
        })
    }
}
