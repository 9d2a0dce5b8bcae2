//! A flood of inputs to one session: it is refused at that session's door, and nobody else notices.

use futures_util::future::join;

use super::*;

/// Inputs to one session, all at once.
const INPUTS: usize = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_inputs_to_one_session_change_nothing_in_the_others() {
    let control = Stage::set(WORK, workers(&Sink::default())).await;
    let undisturbed = bystanders(&control.runtime, 20, 3).await;
    drop(control);
    let stage = Stage::set(WORK, workers(&Sink::default())).await;
    let runtime = &stage.runtime;
    let flooded = runtime.open(&"worker".into(), "test".into()).await.expect("open");
    let one = |no: usize| async move {
        let key = InputKey(format!("f{no}"));
        let input = UserInput::text(format!("flood {no}"));
        runtime.submit(flooded, key.clone(), input).await.map(|()| key)
    };
    let flood = join_all((0..INPUTS).map(one));
    let (answers, beside) = bounded("both", join(flood, bystanders(runtime, 20, 3))).await;
    assert_eq!(beside.outcomes, undisturbed.outcomes);
    assert_eq!(beside.logs, undisturbed.logs);
    let (mut taken, mut busy) = (Vec::new(), 0);
    for answer in answers {
        match answer {
            Ok(key) => taken.push(key),
            Err(CallError::Rejected(Rejected::Busy)) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    println!("of {INPUTS} inputs {} were taken and {busy} refused", taken.len());
    assert!(busy > 0 && !taken.is_empty());
    // What was taken is done, each once.
    for key in &taken {
        let ended = runtime.outcome(flooded, key.clone(), PATIENCE_MS).await;
        assert!(matches!(ended, Ok((_, TurnOutcome::Completed { .. }))), "{ended:?}");
    }
    let log = events(runtime, flooded).await;
    assert_eq!(count(&log, "input_accepted"), taken.len());
    assert_eq!(count(&log, "turn_finished"), taken.len());
}
