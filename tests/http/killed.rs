//! The kill driver through HTTP: the built binary serves a real store and is killed again and again, at
//! moments that follow from a seed, while clients open, speak, read, answer, fork, cancel and ask for
//! jobs, each asking for the same thing until it is answered. After each death an observer that has only
//! the store's file compares: what a client saw by a 2xx or by the id of an event is in the log, once,
//! and a reader was given every frame, none twice, over all its streams. In the end everything has ended.
//!
//! A kill follows something that somebody saw, by a number of sights from the seed: so it comes just when
//! a promise was made, which is when one that was made too early is broken. What the others are at in
//! that moment is up to the machine.

#[path = "killed/observer.rs"]
mod observer;
#[path = "killed/people.rs"]
mod people;
#[path = "killed/server.rs"]
mod server;
#[path = "killed/town.rs"]
mod town;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::testing::harness::{bounded, eventually};
use tempfile::TempDir;
use tokio::task::JoinSet;

use self::{
    observer::Observer,
    server::{Server, TOKEN, greenroom},
    town::{Promise, Promises, Town},
};
use crate::{chance::Chance, client::Client};

/// Deaths of a run; a hundred and more by hand.
const KILLS: u32 = 20;
/// What they follow from.
const SEED: u64 = 1;
/// Who opens and speaks.
const SPEAKERS: u64 = 4;
/// The most that is seen between two deaths: a session lives over one or two of them.
const SIGHTS: u64 = 60;

/// A folder with an agents file and its script.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/http/killed");
    for name in ["agents.toml", "agents.script"] {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// Everybody who uses the server.
struct People {
    town: Arc<Town>,
    /// Who ends when nothing new is to be begun, and leaves readers behind.
    busy: JoinSet<JoinSet<()>>,
    approvers: JoinSet<()>,
}

impl People {
    fn come(town: &Arc<Town>) -> Self {
        let (mut busy, mut approvers) = (JoinSet::new(), JoinSet::new());
        for no in 0..SPEAKERS {
            busy.spawn(people::speaker(Arc::clone(town), SEED * 1_000 + no));
        }
        busy.spawn(people::asker(Arc::clone(town)));
        // They race, and only one of them can be told that it counts.
        for answer in ["once", "no"] {
            approvers.spawn(people::approver(Arc::clone(town), answer));
        }
        Self { town: Arc::clone(town), busy, approvers }
    }

    /// Returns when so much was seen; what goes wrong with anybody meanwhile goes wrong here.
    async fn see(&mut self, sights: u64) {
        tokio::select! {
            () = bounded("somebody sees something", self.town.sights(sights)) => {}
            Some(ended) = self.busy.join_next() => panic!("one went home: {:?}", ended.map(drop)),
            Some(ended) = self.approvers.join_next() => panic!("one went home: {ended:?}"),
        }
    }

    /// Lets them end what they are at, and waits until everything has ended and everybody has read it.
    async fn finish(mut self, store: &Path) {
        self.town.ends();
        let mut readers = Vec::new();
        while let Some(ended) = bounded("everybody is done", self.busy.join_next()).await {
            readers.push(ended.unwrap());
        }
        let clock = greenroom::app::clock();
        eventually(&clock, "the end of all work", || async {
            Observer::of(store).await.at_work().await.is_empty().then_some(())
        })
        .await;
        let ends = Observer::of(store).await.ends(&self.town.promises()).await;
        eventually(&clock, "readers at the end of each log", || async {
            let given = self.town.promises().frames;
            ends.iter().all(|(session, end)| given[session].len() == *end).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_kills_the_server_what_its_clients_saw_is_in_the_log() {
    let folder = folder();
    let store = folder.path().join("green.db");
    let mut server = Server::starts(folder.path(), "127.0.0.1:0".parse().unwrap()).await;
    let address = server.address;
    let town = Town::new(Client { at: address, token: TOKEN.to_owned() });
    let mut people = People::come(&town);
    let mut chance = Chance::new(SEED);
    for kill in 0..KILLS {
        town.runs(Some(kill));
        people.see(chance.below(SIGHTS)).await;
        match chance.below(6) {
            0 => server.killed_as_it_ends().await,
            1 => server.ended().await,
            _ => server.killed().await,
        }
        town.runs(None);
        Observer::of(&store).await.holds(&town.promises()).await;
        server = Server::starts(folder.path(), address).await;
    }
    town.runs(Some(KILLS));
    people.finish(&store).await;
    server.ended().await;
    let promises = town.promises();
    let mut observer = Observer::of(&store).await;
    observer.holds(&promises).await;
    observer.has_nothing_else(&promises).await;
    let doctor = greenroom(folder.path(), &["doctor"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    covers(&promises);
}

/// Panics where a run had too little of something to mean much.
fn covers(promises: &Promises) {
    let count = |is: fn(&Promise) -> bool| promises.all.iter().filter(|one| is(one)).count();
    let counts = [
        ("opened", count(|one| matches!(one, Promise::Opened { .. })), 10),
        ("said", count(|one| matches!(one, Promise::Said { .. })), 20),
        ("allowed", count(|one| matches!(one, Promise::Decided { answer: "once", .. })), 1),
        ("refused", count(|one| matches!(one, Promise::Decided { answer: "no", .. })), 1),
        ("forked", count(|one| matches!(one, Promise::Forked { .. })), 2),
        ("renamed", count(|one| matches!(one, Promise::Renamed { .. })), 2),
        ("cancelled", count(|one| matches!(one, Promise::Cancelled { .. })), 2),
        ("asked", count(|one| matches!(one, Promise::Asked { .. })), 10),
        ("frames", promises.frames.values().map(Vec::len).sum(), 200),
    ];
    for (what, count, least) in counts {
        assert!(count >= least, "{what}: {count}, expected {least} and more");
    }
}
