//! Answers that are more than yes or no: other arguments, words for the model, and a yes for more
//! than one call.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_runs_the_edited_call_and_records_its_digest() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, caller(&prop)).await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    let open = asked(&stage.runtime, 1).await;
    let bad = Answer::Edit { args: Args("not json".to_owned()) };
    assert!(stage.runtime.decide(open[0], bad).await.is_err());
    let args = Args(r#"{"at": "the floor"}"#.to_owned());
    let done = answered(&stage, session, Answer::Edit { args: args.clone() }).await;
    assert_eq!(done.word(), "done");
    assert_eq!(prop.args(), std::slice::from_ref(&args.0));
    let digest = Request { tool: "look".into(), args, cwd: None }.digest();
    let events = events(&stage.runtime, session).await;
    let started = events.iter().find_map(|event| match event {
        Event::ToolStarted { digest, .. } => Some(digest.clone()),
        _ => None,
    });
    assert_eq!(started, Some(digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_cannot_make_a_call_that_rules_forbid() {
    let prop = Prop::new("Bash", EffectClass::Once);
    let script = "agent caller\n  call Bash {\"command\": \"ls\"}\n  then\n  say {last}";
    let stage = Stage::set(script, |mut harness| {
        harness.options.layers.user = rules(&[], &[], &["Bash(rm *)"]);
        harness.agent(agent("caller", &["Bash"], &[])).tool(prop.clone())
    })
    .await;
    let session = say(&stage.runtime, "caller", "k", "go").await;
    let args = Args(r#"{"command": "rm -rf /"}"#.to_owned());
    let outcome = answered(&stage, session, Answer::Edit { args }).await;
    assert!(refusal(&outcome).contains("rm"), "{outcome:?}");
    assert!(prop.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_with_words_reaches_the_model() {
    let words = "not at night".to_owned();
    let answers = [
        (Answer::Comment { text: words.clone() }, "not at night"),
        (Answer::Revise { feedback: words }, "wants it done differently: not at night"),
        (Answer::Reject, "Do not retry"),
    ];
    for (answer, told) in answers {
        let prop = Prop::new("look", EffectClass::Once);
        let stage = Stage::set(CALLER, caller(&prop)).await;
        let session = say(&stage.runtime, "caller", "k", "the sky").await;
        answered(&stage, session, answer.clone()).await;
        let said = ended(&stage.runtime, session, "k").await;
        assert!(said.text().contains(told), "{answer:?}: {said:?}");
        assert!(prop.keys().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_for_more_than_one_call_answers_the_other_open_questions_too() {
    let script = "
agent caller
    call look {\"n\": 1}
    call look {\"n\": 2}
    call look {\"n\": 3}
  then
    say {last}
";
    // The second turn of the session is asked again only where the answer was for the first.
    for (answer, second_turn) in
        [(Answer::Turn, 3), (Answer::Session, 0), (Answer::All, 0), (Answer::Always, 0)]
    {
        let prop = Prop::new("look", EffectClass::Once);
        let stage = Stage::set(script, caller(&prop)).await;
        let session = say(&stage.runtime, "caller", "k", "go").await;
        let open = asked(&stage.runtime, 3).await;
        stage.runtime.decide(open[1], answer.clone()).await.expect("the answer");
        ended(&stage.runtime, session, "k").await;
        assert_eq!(prop.keys().len(), 3, "{answer:?}");
        let again = UserInput::text("again");
        stage.runtime.submit(session, "again".into(), again).await.expect("submit");
        if second_turn == 0 {
            ended(&stage.runtime, session, "again").await;
        }
        asked(&stage.runtime, second_turn).await;
        assert_eq!(prop.keys().len(), if second_turn == 0 { 6 } else { 3 }, "{answer:?}");
    }
}
