//! Sessions that die with agents below them: while they await them, and when an agent's own panic
//! came before.

use futures_util::FutureExt as _;
use greenroom_actors::{
    domain::{
        catalog::TotalsOf,
        event::{Event, RestartCause},
        ids::SessionId,
    },
    testing::harness::Harness,
};

use super::{
    death::{Death, causes},
    models::{ENCORE, once},
    play::{HERO, Piece, Play},
    scene::Scene,
};
use crate::props::{agent, children, count, is_whole, logged};

pub fn scenes() -> Vec<Scene> {
    vec![awaits_its_agents(), out_of_tune()]
}

fn pair(hang: &str) -> Piece {
    let script = format!(
        "{ENCORE}
agent lead
    call spawn_agent {{\"agent\": \"worker\", \"task\": \"part one\"}}
  then
    call await_agents {{}}
  then
    say All done: {{last}}
agent worker
    {hang}
    say Did {{input}}.
"
    );
    let furnish = |mut harness: Harness| {
        harness = harness.agent(agent("lead", &[], &["worker"]));
        harness.agent(agent("worker", &[], &[]))
    };
    Piece { agent: "lead", script, furnish, look: Box::new(once) }
}

fn awaits_its_agents() -> Scene {
    Scene {
        // The agent hangs on in a process that lives on, so it dies as well.
        who: |events| [vec![HERO], children(events)].concat(),
        runs: Some((0, 0)),
        shows: |play| {
            async {
                let told = count(&play.events(HERO).await, "child_finished");
                assert_eq!(told, 1, "{:?}", play.death);
            }
            .boxed()
        },
        ..Scene::new("awaits its agents", pair("until call 2 hang"), pair(""), |play| {
            async {
                play.begins().await;
                let child = logged(&play.runtime, HERO, "it awaits its agent", |events| {
                    (count(events, "tool_started") == 2).then(|| children(events)[0])
                });
                play.asks(child.await, 1).await;
            }
            .boxed()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_while_it_awaits_its_agents_it_reads_their_results_all_the_same() {
    awaits_its_agents().plays().await;
}

fn two_agents(shaky: &str) -> Piece {
    let script = format!(
        "{ENCORE}
agent lead
    call spawn_agent {{\"agent\": \"shaky\", \"task\": \"a\"}}
    call spawn_agent {{\"agent\": \"steady\", \"task\": \"b\"}}
  then
    call await_agents {{}}
  then
    say {{last}}
agent shaky
    {shaky}
    say Shaky did {{input}}.
agent steady
    say Steady did {{input}}.
"
    );
    let furnish = |mut harness: Harness| {
        harness = harness.agent(agent("lead", &[], &["shaky", "steady"]));
        harness.agent(agent("shaky", &[], &[])).agent(agent("steady", &[], &[]))
    };
    Piece { agent: "lead", script, furnish, look: Box::new(once) }
}

fn out_of_tune() -> Scene {
    let piece = two_agents("until call 2 panic out of tune\n    until call 3 hang");
    Scene {
        who: |events| vec![children(events)[0]],
        runs: Some((0, 0)),
        shows: |play| nobody_else_noticed(play).boxed(),
        ..Scene::new("out of tune", piece, two_agents(""), |play| {
            async {
                play.begins().await;
                let shaky = logged(&play.runtime, HERO, "the other one is done", |events| {
                    (count(events, "child_finished") == 1).then(|| children(events)[0])
                });
                play.asks(shaky.await, 2).await;
            }
            .boxed()
        })
    }
}

async fn nobody_else_noticed(play: &Play) {
    let lead = play.events(HERO).await;
    let family: Vec<SessionId> = children(&lead);
    let spoken = lead.iter().find_map(|event| match event {
        Event::TurnFinished { outcome, .. } => Some(outcome.text().to_owned()),
        _ => None,
    });
    let spoken = spoken.expect("an outcome");
    assert!(spoken.contains("Shaky did a.") && spoken.contains("Steady did b."), "{spoken}");
    let shaky = play.events(family[0]).await;
    let said = causes(&shaky);
    let of = |cause: &RestartCause, text: &str| matches!(cause, RestartCause::Panic { message } if message.contains(text));
    let second = match play.death {
        Some(Death::Kill) => said.last() == Some(&RestartCause::Process),
        _ => said.last().is_some_and(|cause| of(cause, "struck")),
    };
    assert!(said.len() == 2 && of(&said[0], "out of tune") && second, "{said:?}");
    is_whole(&shaky);
    let steady = play.events(family[1]).await;
    assert_eq!(causes(&steady), [], "its turn was over");
    is_whole(&steady);
    let own = causes(&lead).into_iter().filter(|cause| *cause != RestartCause::Process);
    assert_eq!(own.count(), 0, "it never panicked");
    let totals = play.runtime.totals(TotalsOf::Subtree(HERO)).await.expect("totals");
    assert_eq!((totals.calls, totals.unsettled_calls), (6, 2), "{:?}", play.death);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_starts_the_session_again_and_its_siblings_never_notice() {
    out_of_tune().plays().await;
}
