//! V1 in a whole runtime: an answer that asks for a tool is cut somewhere, and the turn goes on as if
//! it had never been. Cuts at every byte, seen through the adapters alone, are in `tests/replay.rs`.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use greenroom::providers::{Kind, Setup, connect};
use greenroom_actors::{
    domain::{conversation::Speaker, event::Event, tool::EffectClass},
    testing::harness::{Harness, ended, events, say},
};

use crate::{
    house::{self, name, way},
    props::{self, Prop, allow},
    server::{Answer, Server, Then},
    speech::{self, Call, KINDS, calls},
    stage::Stage,
};

/// Cuts of each format, evenly, and at each of its last bytes.
const CUTS: usize = 16;
const LAST: usize = 5;

fn asks(kind: Kind) -> String {
    let call = |id| Call { id, name: "look", args: r#"{"at":"the sky"}"# };
    calls(kind, &[call("a"), call("b")])
}

/// Where an answer is cut; before its last byte that counts.
fn places(kind: Kind) -> Vec<usize> {
    let whole = asks(kind);
    // Gemini has no closing frame, and what follows the others' closing bytes is nothing.
    let end = whole.trim_end().len();
    let even = (0..CUTS).map(|no| no * (end - LAST) / CUTS);
    even.chain(end - LAST..end).collect()
}

/// Each cut has a provider of its own, so that one credential has no more than one fault: how many
/// together are borne is the gate's to say.
fn furnish(mut harness: Harness, server: &str) -> Harness {
    harness.providers.clear();
    for kind in KINDS {
        for at in places(kind) {
            let called = format!("{}-{at}", name(kind));
            let mut setup = Setup::new(called.as_str(), kind, format!("{server}/{called}/{at}"));
            // One whose closing word is not known may end with the reason why the model stopped.
            setup.quirks.closes = true;
            harness.providers.push(Arc::new(connect(&way(), setup).unwrap()));
            let mut agent = props::agent(&called, &["look"], &[]);
            agent.model = "model".into();
            agent.provider = Some(called.as_str().into());
            harness = harness.agent(agent);
        }
    }
    allow(harness, &["look"])
}

/// The first answer at an address is cut where the address says; later ones are whole.
async fn server() -> Server {
    let begun = Mutex::new(BTreeSet::new());
    Server::new(move |asked, _no| {
        let mut path = asked.first.split('/').skip(1);
        let (called, at) = (path.next().unwrap(), path.next().unwrap());
        let kind = KINDS.into_iter().find(|kind| called.starts_with(name(*kind))).unwrap();
        if !begun.lock().unwrap().insert(called.to_owned()) {
            return speech::says(kind, "It went on.");
        }
        let at: usize = at.parse().unwrap();
        let body = asks(kind).as_bytes()[..at].to_vec();
        // Half of them end as if that were all.
        let then = if at.is_multiple_of(2) { Then::Ends } else { Then::Breaks };
        let media = if kind == Kind::Ollama { Answer::lines(body) } else { Answer::events(body) };
        media.then(then)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_whose_answer_is_cut_starts_no_tool_and_ends_with_one_answer() {
    let (server, look) = (server().await, Prop::new("look", EffectClass::Once));
    let (url, prop) = (server.url.clone(), look.clone());
    let stage =
        Stage::set("agent nobody\n  say Nothing.\n", |harness| furnish(harness.tool(prop), &url))
            .await;
    let mut sessions = Vec::new();
    for kind in KINDS {
        for at in places(kind) {
            let agent = format!("{}-{at}", name(kind));
            sessions.push((say(&stage.runtime, &agent, "k", "go").await, agent));
        }
    }
    for (session, agent) in sessions {
        assert_eq!(ended(&stage.runtime, session, "k").await.text(), "It went on.", "{agent}");
        let log = events(&stage.runtime, session).await;
        let count = |name: &str| props::count(&log, name);
        assert_eq!(count("model_call_failed"), 1, "{agent}: {log:?}");
        assert!(!log.iter().any(|event| matches!(event, Event::ToolRequested { .. })), "{agent}");
        let state = stage.runtime.state(session).await.unwrap();
        let by_model = state.conversation.iter().filter(|said| said.speaker == Speaker::Assistant);
        assert_eq!(by_model.count(), 1, "{agent}");
    }
    assert!(look.keys().is_empty(), "a tool ran");
    // A call that is made again is another one, also for a vendor that remembers keys.
    let asked = server.asked();
    let keys: BTreeSet<_> =
        asked.iter().map(|asked| asked.header("idempotency-key").expect("a key")).collect();
    assert_eq!(keys.len(), asked.len(), "each call has a key of its own");
    assert_eq!(asked.len(), 2 * KINDS.into_iter().map(|kind| places(kind).len()).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_answer_uncut_starts_both_tools() {
    for kind in KINDS {
        let server = Server::new(move |_asked, no| match no {
            0 => speech::streams(kind, asks(kind)),
            _more => speech::says(kind, "Done."),
        })
        .await;
        let look = Prop::new("look", EffectClass::Once);
        let vendors = vec![house::vendor(&way(), kind, &server.url)];
        let stage = house::stage(vendors, house::with_tool(&[kind], &look, "look")).await;
        let session = say(&stage.runtime, name(kind), "k", "go").await;
        assert_eq!(ended(&stage.runtime, session, "k").await.text(), "Done.", "{kind:?}");
        assert_eq!(look.args(), [r#"{"at":"the sky"}"#; 2], "{kind:?}");
    }
}
