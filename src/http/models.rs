//! Which models are served, as each provider said it last. A vendor is asked once for all who look within
//! a minute, whoever they are and however many at a time; one that fails has failed alone, and is asked
//! again soon.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, extract::State as Of};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use greenroom_actors::{
    domain::{
        event::FailureKind,
        ids::{ModelName, ProviderName, Timestamp},
    },
    limits,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::Answer,
    routes::Route,
    take::{Asked, Who},
    wire::Page,
};

/// For how long a list is told again: models come and go by the month.
const LISTED_MS: u64 = 60_000;
/// The same of a failure: who has mended a key looks at once.
const FAILED_MS: u64 = 5_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/models", "Models that are served, by provider", models)
            .asks::<Wishes>()
            .gives::<Page<Served>>(),
    ]
}

/// What a provider said: its models, or how it failed.
type Listed = Result<Arc<[ModelName]>, &'static str>;
/// The answer, for all who wait for it.
type Answering = Shared<BoxFuture<'static, Listed>>;

/// What each provider said last, and when it was asked. There are as many as there are providers.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<ProviderName, (Timestamp, Answering)>>);

impl Lists {
    /// What a provider said a moment ago or is about to say; where it has not been asked, it is.
    fn of(
        &self,
        provider: &ProviderName,
        now: Timestamp,
        ask: impl FnOnce() -> BoxFuture<'static, Listed>,
    ) -> Answering {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, answer)) = all.get(provider) {
            let good_ms = match answer.peek() {
                Some(Ok(_)) => LISTED_MS,
                Some(Err(_)) => FAILED_MS,
                // Those who waited may all have left before it came.
                None => limits::CALL_MS,
            };
            if now.since_ms(*since) < good_ms {
                return answer.clone();
            }
        }
        // One that panics would take all along who wait for it, and those who ask until it is too old.
        let ended = AssertUnwindSafe(ask()).catch_unwind();
        let answer = ended.map(|said| said.unwrap_or(Err(FailureKind::Aborted.word())));
        let answer = answer.boxed().shared();
        all.insert(provider.clone(), (now, answer.clone()));
        answer
    }
}

/// Which models.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// What their names begin with.
    prefix: Option<String>,
}

/// The models of a provider.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Served {
    provider: String,
    models: Vec<String>,
    /// Why there is no list, as a kind of failure.
    failure: Option<&'static str>,
}

async fn models(
    Of(ctx): Of<Ctx>,
    Who(_caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<Served>>> {
    let prefix = wishes.prefix.unwrap_or_default();
    let (mut providers, mut answers) = (Vec::new(), Vec::new());
    for provider in ctx.runtime.providers() {
        let (runtime, name) = (ctx.runtime.clone(), provider.clone());
        let ask = async move {
            let listed = runtime.models_of(&name).await;
            // What a vendor said is not passed on.
            listed.map(Into::into).map_err(|failure| failure.kind.word())
        };
        answers.push(ctx.lists.of(&provider, ctx.clock.running(), || ask.boxed()));
        providers.push(provider);
    }
    let listed = join_all(answers).await;
    let served = |(provider, listed): (ProviderName, Listed)| {
        let (models, failure) = match listed {
            Ok(models) => (models, None),
            Err(failure) => (Arc::default(), Some(failure)),
        };
        let models = models.iter().map(ModelName::as_str);
        let models = models.filter(|model| model.starts_with(&prefix)).map(str::to_owned);
        Served { provider: provider.to_string(), models: models.collect(), failure }
    };
    let items = providers.into_iter().zip(listed).map(served).collect();
    Ok(Json(Page { items, next: None }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;

    /// Asks at a moment; a vendor that is really asked says this, and is counted.
    fn ask(lists: &Lists, at: i64, asked: &Arc<AtomicUsize>, says: Listed) -> Answering {
        let asked = Arc::clone(asked);
        lists.of(&"vendor".into(), Timestamp(at), || {
            asked.fetch_add(1, Ordering::Relaxed);
            async move { says }.boxed()
        })
    }

    #[tokio::test]
    async fn a_list_is_told_again_for_a_minute_and_a_failure_for_a_moment() {
        let (lists, asked) = (Lists::default(), Arc::default());
        let models = |name: &str| -> Listed { Ok([ModelName::from(name)].into()) };
        for (at, says, told, times) in [
            (0, Err("overloaded"), Err("overloaded"), 1),
            (4_999, models("a"), Err("overloaded"), 1),
            (5_000, models("a"), models("a"), 2),
            (64_999, models("b"), models("a"), 2),
            (65_000, models("b"), models("b"), 3),
        ] {
            assert_eq!(ask(&lists, at, &asked, says).await, told, "at {at}");
            assert_eq!(asked.load(Ordering::Relaxed), times, "at {at}");
        }
    }

    #[tokio::test]
    async fn one_that_panics_has_failed_alone_and_is_asked_again_soon() {
        let (lists, asked) = (Lists::default(), Arc::default());
        let panics = || async { panic!("a defect of a vendor's adapter") }.boxed();
        let first = lists.of(&"vendor".into(), Timestamp(0), panics);
        let other = ask(&lists, 1, &asked, Ok(Arc::default()));
        assert_eq!((first.await, other.await), (Err("aborted"), Err("aborted")));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert_eq!(ask(&lists, 5_000, &asked, Ok(Arc::default())).await, Ok(Arc::default()));
    }

    #[tokio::test]
    async fn who_was_heard_first_may_leave_amid_the_question() {
        let (lists, asked) = (Lists::default(), Arc::default());
        let (say, said) = oneshot::channel::<()>();
        let slow = async move { said.await.map(|()| Arc::default()).map_err(|_gone| "lost") };
        let mut first = lists.of(&"vendor".into(), Timestamp(0), || slow.boxed());
        let mut other = ask(&lists, 1, &asked, Err("asked"));
        // Both wait, and whoever began it goes.
        assert!(poll!(&mut first).is_pending() && poll!(&mut other).is_pending());
        drop(first);
        say.send(()).unwrap();
        assert_eq!(other.await, Ok(Arc::default()));
        assert_eq!(ask(&lists, 2, &asked, Err("asked")).await, Ok(Arc::default()));
    }

    #[tokio::test]
    async fn all_who_ask_at_once_are_one_question() {
        let (lists, asked) = (Lists::default(), Arc::new(AtomicUsize::new(0)));
        let (say, said) = oneshot::channel::<()>();
        let slow = async move { said.await.map(|()| Arc::default()).map_err(|_gone| "lost") };
        let first = lists.of(&"vendor".into(), Timestamp(0), || slow.boxed());
        let others: Vec<_> = (1..100).map(|at| ask(&lists, at, &asked, Err("asked"))).collect();
        // Who asked first may leave: the others have it all the same.
        drop(first);
        say.send(()).unwrap();
        assert!(join_all(others).await.into_iter().all(|told| told == Ok(Arc::default())));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }
}
