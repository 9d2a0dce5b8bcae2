//! A function of the embedding program: its silence, its panic and its delay are no answer; of two
//! answers one counts.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_panics_or_is_silent_is_no_yes_and_another_one_is_heard() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let asked_at = Arc::new(AtomicUsize::new(0));
    let (early, late) = (Arc::clone(&asked_at), Arc::clone(&asked_at));
    let runtime = house(folder.path(), &uses)
        .on_question(move |_| -> BoxFuture<'static, Option<Answer>> {
            early.fetch_add(1, SeqCst);
            panic!("before it has a future")
        })
        .on_question(move |_| {
            late.fetch_add(1, SeqCst);
            async { panic!("amid it") }
        })
        .on_question(|_| async { None })
        .on_question(|_| std::future::pending())
        .start()
        .await
        .unwrap();
    let (session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    seen("both have panicked", || asked_at.load(SeqCst) == 2).await;
    runtime.decide(row.id, Answer::Once).await.expect("it is open still");
    assert_eq!(said(turn).await, "paid 900");
    assert_eq!(answered_by(&runtime, &session).await, ["host"]);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_answers_by_several_ways_at_once_one_counts() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let mut house = house(folder.path(), &uses);
    for _ in 0..8 {
        house = house.on_question(|_| async { Some(Answer::Once) });
    }
    let runtime = house.start().await.unwrap();
    for round in 1..=5 {
        let (session, turn) = pays(&runtime).await;
        assert_eq!(said(turn).await, "paid 900");
        let events = events(&runtime, session.id()).await;
        assert_eq!(count(&events, "approval_decided"), 1);
        assert_eq!(count(&events, "tool_started"), 1);
        assert_eq!(uses.load(SeqCst), round);
    }
    runtime.shutdown().await;
}

/// Counts who was let go of.
struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A function that never answers, and counts when it is let go of.
fn hangs(
    gone: &Arc<AtomicUsize>,
) -> impl Fn(Arc<ApprovalRow>) -> BoxFuture<'static, Option<Answer>> + use<> {
    let gone = Arc::clone(gone);
    move |_| {
        let held = Gone(Arc::clone(&gone));
        async move {
            let _held = held;
            std::future::pending().await
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_hangs_is_asked_again_after_a_restart_and_let_go_of_at_the_end() {
    let (folder, uses, gone) = (Folder::new(), Arc::default(), Arc::new(AtomicUsize::new(0)));
    let first = Arc::new(AtomicUsize::new(0));
    let (asks, hung) = (Arc::clone(&first), hangs(&gone));
    let ask = move |row: Arc<ApprovalRow>| {
        asks.fetch_add(1, SeqCst);
        hung(row)
    };
    let runtime = house(folder.path(), &uses).on_question(ask).start().await.unwrap();
    let (session, turn) = pays(&runtime).await;
    let id = session.id();
    // That it is in the log is not yet that it was asked.
    seen("it is asked", || first.load(SeqCst) == 1).await;
    drop(turn);
    drop(session);
    runtime.shutdown().await;
    seen("the first is let go of", || gone.load(SeqCst) == 1).await;
    let again = Arc::new(AtomicUsize::new(0));
    let (asks, hung) = (Arc::clone(&again), hangs(&gone));
    let ask = move |row: Arc<ApprovalRow>| {
        asks.fetch_add(1, SeqCst);
        hung(row)
    };
    let runtime = house(folder.path(), &uses).on_question(ask).start().await.unwrap();
    seen("it is asked again", || again.load(SeqCst) == 1).await;
    let row = open(&runtime).await;
    runtime.decide(row.id, Answer::Once).await.expect("it is open");
    seen("the second is let go of", || gone.load(SeqCst) == 2).await;
    let session = runtime.session(id);
    goes_on(&runtime, &session).await;
    assert_eq!(uses.load(SeqCst), 1);
    assert_eq!(answered_by(&runtime, &session).await, ["host"]);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_too_long_is_let_go_of_and_the_question_expires_as_a_no() {
    let (folder, uses, gone) = (Folder::new(), Arc::default(), Arc::new(AtomicUsize::new(0)));
    let mut hasty = clerk();
    hasty.name = "hasty".into();
    hasty.limits.approval_ms = 3_000;
    let runtime = house(folder.path(), &uses)
        .script("agent *\n  call pay {\"cents\": 900}\n then\n  say {last}")
        .agent(hasty)
        .on_question(hangs(&gone))
        .start()
        .await
        .unwrap();
    let session = runtime.open("hasty").await.unwrap();
    let told = said(session.send("pay").await.unwrap()).await;
    assert!(told.contains("nobody answered in time"), "{told}");
    seen("it was let go of", || gone.load(SeqCst) == 1).await;
    assert_eq!(uses.load(SeqCst), 0);
    runtime.shutdown().await;
}
