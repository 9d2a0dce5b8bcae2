//! Ten thousand sessions come and go, and nothing of them stays in memory: no entry, no lease, no
//! task, no bytes. Measured in a process of its own, so that no other test is in the figures.

use std::{alloc::System, sync::Arc};

use futures_util::future::join_all;
use greenroom_actors::{
    Runtime, limits,
    owned::Owned,
    ports::Clock as _,
    testing::{clock::ManualClock, harness::say},
};
use stats_alloc::StatsAlloc;
use tokio::runtime::Handle;

use crate::{
    parts,
    stage::Stage,
    workshop::{agent, until, wall},
};

pub mod parent;

const CYCLES: usize = 10_000;
const AT_ONCE: usize = 10;
/// The part of the process that is measured.
pub const PART: &str = "sessions come and go";

/// What the allocator is asked for and given back. Resident memory would tell of its caches as well,
/// which grow with the load of the machine.
#[global_allocator]
static HEAP: StatsAlloc<System> = StatsAlloc::system();

/// Bytes of the heap that are in use.
fn in_use() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

#[test]
fn ten_thousand_sessions_come_and_go_and_leave_nothing_in_memory() {
    let output = parts::process(PART).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("10000 sessions"), "it measured: {said}");
}

/// What the process does.
pub fn play() {
    parts::on_two_threads(come_and_go());
}

async fn come_and_go() {
    let nine = "    call spawn_agent {\"agent\": \"child\", \"task\": \"go\"}\n".repeat(9);
    let script = format!(
        "agent lead\n{nine}  then\n    call await_agents {{}}\n  then\n    say Done.\n\
         agent child\n    say Done.\n"
    );
    // Time runs by the test's hand, so that what leaves memory after a minute does so at once.
    let clock = ManualClock::new(1);
    let stage = Stage::set(&script, |mut harness| {
        harness.deps.clock = Arc::new(clock.clone());
        harness.options.idle_ms = 20;
        harness.agent(agent("lead", &[], &["child"])).agent(agent("child", &[], &[]))
    })
    .await;
    let runtime = &stage.runtime;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let cycle = || async {
        let session = say(runtime, "lead", "k", "go").await;
        let patience = u64::MAX / 4;
        let (_, outcome) = runtime.outcome(session, "k".into(), patience).await.expect("its end");
        assert_eq!(outcome.word(), "completed");
    };
    let _milliseconds = runs(&clock, 1);
    // What grows at first (pools, caches of the store) has grown then.
    join_all((0..AT_ONCE).map(|_| cycle())).await;
    quiet(runtime, &clock, 0).await;
    let (before, mut bytes) = (tasks(), Vec::new());
    for _half in 0..2 {
        for _ in 0..CYCLES / 2 / 10 / AT_ONCE {
            join_all((0..AT_ONCE).map(|_| cycle())).await;
        }
        quiet(runtime, &clock, 0).await;
        assert_eq!(runtime.leases_out(), 0);
        until("no task is left", || async { (tasks() <= before + 4).then_some(()) }).await;
        bytes.push(in_use());
    }
    println!("{CYCLES} sessions; heap in use after each half: {bytes:?}; tasks: {}", tasks());
    let grown = bytes[1].saturating_sub(bytes[0]);
    // A hundred bytes of each session that has gone would be 500,000; what is seen is some 5,000.
    assert!(grown < 256 << 10, "{grown} bytes more after the second half");
}

/// Time passes until no more than these are awake, and all that the others leave behind has gone.
async fn quiet(runtime: &Runtime, clock: &ManualClock, awake: usize) {
    let from = clock.now();
    let _minutes = runs(clock, 200);
    let over = || async { (clock.now().since_ms(from) > 3 * limits::IDLE_MS).then_some(()) };
    until("three idle times pass", over).await;
    until("the others are asleep", || async { (runtime.awake() <= awake).then_some(()) }).await;
    // The test's clock forgets sleepers that have gone when it is asked for them.
    let _ = clock.sleepers();
}

fn runs(clock: &ManualClock, ms: u64) -> Owned {
    let clock = clock.clone();
    Owned::spawn(async move {
        loop {
            clock.advance(ms);
            wall().sleep_until(wall().now().plus_ms(1)).await;
        }
    })
}
