//! A deletion and a real kill: between its word in the house's log and the erasure, and between that and
//! the last word. Whatever is left of it is finished by who starts next, and no byte of it stays.

use futures_util::{FutureExt as _, future::BoxFuture};
use greenroom_actors::{domain::frame::LogKind, owned::Owned};

use super::*;
use crate::{
    killed::{self, numbered},
    stage::{Folder, file_in},
    waits::held::{self, Holding},
};

/// The first half of the play that is killed.
pub const FIRST_HALF: &str = "a tree is deleted";
/// Killed before anything is erased.
const BEFORE: &str = "before";
/// Killed when all is, and the house's log does not say so.
const BEHIND: &str = "behind";

const CANARY: &str = "canary-of-the-lead";

/// A tree of two and another session; then the tree is deleted, up to the moment of the kill.
pub fn first_half(folder: Folder, moment: String) -> BoxFuture<'static, Stage> {
    async move {
        let work = Prop::new("work", EffectClass::Once);
        let mut hold = None;
        let stage = Stage::on(
            folder,
            SCRIPT,
            numbered(|mut harness: Harness| {
                hold = Some(held::hold(&mut harness.deps));
                house(&work)(harness)
            }),
        )
        .await;
        let hold = hold.expect("in place");
        let lead = say(&stage.runtime, "lead", "k", CANARY).await;
        assert_eq!(lead, killed::FIRST, "it is the first");
        ended(&stage.runtime, lead, "k").await;
        let other = say(&stage.runtime, "talker", "k", "hello").await;
        ended(&stage.runtime, other, "k").await;
        hold.on(Holding::Erasures);
        let runtime = stage.runtime.clone();
        let deleting = Owned::spawn(async move { drop(runtime.delete(lead).await) });
        seen("it is about to be erased", || hold.held() == 1).await;
        if moment == BEHIND {
            hold.on(Holding::Appends(LogKind::House));
            seen("its last word is under way", || hold.held() == 2).await;
        }
        // It is killed with the rest.
        std::mem::forget(deleting);
        stage
    }
    .boxed()
}

/// Whether a file of the store holds this.
fn is_in(folder: &Folder, what: &str) -> bool {
    let file = file_in(folder.path());
    ["", "-wal"].iter().any(|end| {
        let bytes = std::fs::read(format!("{}{end}", file.display())).unwrap_or_default();
        bytes.windows(what.len()).any(|part| part == what.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_a_kill_cut_off_is_finished_and_leaves_no_byte() {
    let work = Prop::new("work", EffectClass::Once);
    for moment in [BEFORE, BEHIND] {
        let folder = killed::after(FIRST_HALF, moment);
        assert!(moment == BEHIND || is_in(&folder, CANARY), "it was not yet erased");
        let stage = Stage::on(folder, SCRIPT, house(&work)).await;
        let (runtime, lead) = (&stage.runtime, killed::FIRST);
        assert_eq!(words_of(runtime, lead).await, ["deleting", "deleted"], "{moment}");
        assert!(events(runtime, lead).await.is_empty());
        let all = SessionFilter { archived: true, ..SessionFilter::default() };
        let left = runtime.reading().sessions(all).await.expect("lines");
        assert_eq!(left.len(), 1, "another's is there: {left:?}");
        let other = ended(runtime, left[0].session, "k").await;
        assert_eq!(other.word(), "completed", "and whole: {other:?}");
        assert!(is_gone(&runtime.submit(lead, "l".into(), UserInput::text("hello?")).await));
        let spent = runtime.totals(TotalsOf::Tenant("test".into())).await.expect("totals");
        assert_eq!(spent.calls, 6, "spent is spent, once: {spent:?}");
        let folder = stage.leaves();
        assert!(!is_in(&folder, CANARY), "{moment}: a byte is left");
        assert!(is_in(&folder, "hello"), "and another's are there");
        let stage = Stage::on(folder, SCRIPT, house(&work)).await;
        assert_eq!(words_of(&stage.runtime, lead).await, ["deleting", "deleted"], "once");
    }
}
