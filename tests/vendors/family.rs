//! One tree of agents on models of different vendors: a lead that spawns subagents on another
//! vendor's model, each asked in its own words, all of it in one ledger at the prices of each.

use greenroom::providers::Kind;
use greenroom_actors::{
    domain::{
        catalog::TotalsOf,
        usage::{NanoUsd, Price, PriceBook, Usage},
    },
    testing::harness::{ended, events, say},
};

use crate::{
    house::{self, agent, name, vendor, way},
    props::children,
    server::Server,
    speech::{self, Call, INPUT, KINDS, OUTPUT, calls, streams},
};

/// Pico-dollars for a token in and out: 60 and 70 nano-dollars a call of 20 and 7 for the first.
fn price(kind: Kind) -> Price {
    let no = KINDS.into_iter().position(|of| of == kind).unwrap() as u64 + 1;
    Price { input: 3_000 * no, output: 10_000 * no, ..Price::default() }
}

fn cost(kind: Kind, calls: u64) -> NanoUsd {
    let usage = Usage { input: INPUT, output: OUTPUT, ..Usage::default() };
    NanoUsd(calls * price(kind).cost(&usage).0)
}

/// A lead's vendor: two agents are spawned, then waited for, then it says its last word.
async fn leading(kind: Kind, worker: &'static str) -> Server {
    Server::new(move |_asked, no| {
        let spawn = format!("{{\"agent\":\"{worker}\",\"task\":\"part\"}}");
        let spawned = Call { id: "s", name: "spawn_agent", args: &spawn };
        let again = Call { id: "s", name: "spawn_agent", args: &spawn };
        match no {
            0 => streams(kind, calls(kind, &[spawned, again])),
            1 => streams(kind, calls(kind, &[Call { id: "w", name: "await_agents", args: "{}" }])),
            _more => speech::says(kind, "All done."),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_one_tree_are_served_by_different_vendors_and_booked_at_the_prices_of_each() {
    let next = KINDS.into_iter().cycle().skip(1);
    for (lead, worker) in KINDS.into_iter().zip(next) {
        let boss = leading(lead, name(worker)).await;
        let hand = Server::new(move |_asked, _no| speech::says(worker, "My part.")).await;
        let vendors = vec![vendor(&way(), lead, &boss.url), vendor(&way(), worker, &hand.url)];
        let stage = house::stage(vendors, |mut harness| {
            let mut first = agent(lead, &[]);
            first.model = "boss".into();
            first.routes.insert(name(worker).into());
            let mut second = agent(worker, &[]);
            second.model = "hand".into();
            harness.prices =
                PriceBook::default().with("boss", price(lead)).with("hand", price(worker));
            harness.agent(first).agent(second)
        })
        .await;
        let session = say(&stage.runtime, name(lead), "k", "go").await;
        let outcome = ended(&stage.runtime, session, "k").await;
        assert_eq!(outcome.text(), "All done.", "{lead:?} and {worker:?}");

        assert_eq!((boss.count(), hand.count()), (3, 2), "{lead:?} and {worker:?}");
        let below = children(&events(&stage.runtime, session).await);
        assert_eq!(below.len(), 2);
        let mut sum = cost(lead, 3).0;
        let own = stage.runtime.totals(TotalsOf::Session(session)).await.unwrap();
        assert_eq!((own.calls, own.cost), (3, cost(lead, 3)), "{lead:?}");
        for child in below {
            let totals = stage.runtime.totals(TotalsOf::Session(child)).await.unwrap();
            assert_eq!((totals.calls, totals.cost), (1, cost(worker, 1)), "{worker:?}");
            sum += totals.cost.0;
        }
        let all = stage.runtime.totals(TotalsOf::Subtree(session)).await.unwrap();
        assert_eq!((all.calls, all.cost, all.unsettled_calls), (5, NanoUsd(sum), 0));
        assert_eq!(all.usage.input, 5 * INPUT, "in one ledger");
    }
}
