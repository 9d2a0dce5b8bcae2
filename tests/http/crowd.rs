//! Everybody at once: short turns, questions, expiries and cancels of a whole house, over HTTP. Nothing of
//! it is timed; what it took is printed, to be read beside the aims with
//! `GREENROOM_CROWD=10000 cargo test --release --test http crowd -- --nocapture --test-threads 1`.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use greenroom::{AgentSpec, Mode, Runtime, TypedTool};
use greenroom_actors::testing::harness::PATIENCE_MS;
use serde_json::{Value, json};

use super::{
    client::Client,
    theatre::{self, Theatre, at, items, unhurried},
};

/// Sessions of a run in the gate.
const USUAL: usize = 150;
/// Requests under way at once.
const AT_ONCE: usize = 64;
/// A tool that is cut off sleeps so many seconds, by which its process is known among all others.
const SLEEPS: &str = "86399.25";
/// Tools' processes that are cut off at once.
const PROCESSES: usize = 8;

const SCRIPT: &str = r#"
agent worker
    call count {}
  then
    stream 20 every 0ms
    say one two three four five six seven eight nine ten eleven twelve thirteen fourteen.

agent clerk
    call count {}
  then
    say {last}

agent hasty
    call count {}
  then
    say {last}

agent shell
    call exec {"argv": ["sleep", "86399.25"]}
  then
    say {last}

agent *
    stream 20 every 60000ms
    say a b c d e f g h i j k l m n o p q r s t
"#;

/// How many come, and how often two race for one thing: what somebody asked for, or what fits the gate.
pub fn size(usual: usize) -> usize {
    std::env::var("GREENROOM_CROWD")
        .map_or(usual, |told| told.parse().expect("GREENROOM_CROWD is a number"))
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

struct Crowd {
    theatre: Theatre,
    /// How often the tool ran.
    ran: Arc<AtomicUsize>,
}

impl Crowd {
    async fn come() -> Self {
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let count = TypedTool::new("count", "Counts.", move |_ctx, _nothing: Nothing| {
            counted.fetch_add(1, Ordering::SeqCst);
            // Always the same words: every turn costs the same.
            async move { Ok("counted") }
        });
        let agent = |name: &str, tools: &[&str]| {
            let agent = AgentSpec::new(name, "scripted");
            tools.iter().fold(agent, |agent, tool| agent.tool(*tool))
        };
        let unasked = |mut agent: AgentSpec| {
            agent.authority.mode = Mode::BypassPermissions;
            agent
        };
        let mut hasty = agent("hasty", &["count"]);
        hasty.limits.approval_ms = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let runtime = Runtime::builder()
            .store(folder.path().join("green.db"))
            .workspace(work)
            .script(SCRIPT)
            .tool(count)
            .agent(unasked(agent("worker", &["count"])))
            .agent(agent("clerk", &["count"]))
            .agent(hasty)
            .agent(unasked(agent("shell", &["exec"])))
            .agent(agent("slow", &[]))
            .calls_at_once("script", 20_000)
            .start()
            .await
            .unwrap();
        Self { theatre: Theatre::with(folder, runtime, unhurried()).await, ran }
    }

    fn admin(&self) -> &Client {
        &self.theatre.admin
    }

    async fn open(&self, agent: &str, many: usize) -> Vec<String> {
        stream::iter((0..many).map(|_| self.theatre.session(agent)))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    /// Says something to everybody; how long each took to be taken.
    async fn speak(&self, sessions: &[String]) -> Lengths {
        let say = |session: &String| {
            let path = at(session, "messages");
            async move {
                let begun = Instant::now();
                self.admin().post(&path, &json!({ "text": "go" })).await.is(202);
                begun.elapsed()
            }
        };
        Lengths(stream::iter(sessions.iter().map(say)).buffer_unordered(AT_ONCE).collect().await)
    }

    /// Waits until so many do this, and says how long that was.
    async fn until(&self, state: &str, many: usize) -> Duration {
        let (begun, clock) = (Instant::now(), greenroom::app::clock());
        let patience = Duration::from_millis(PATIENCE_MS)
            + many.max(size(0)) as u32 * Duration::from_millis(30);
        loop {
            let status = self.admin().get("/v1/status").await.is(200).json();
            if status["sessions"][state] == many {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < patience, "{many} are {state}: {}", status["sessions"]);
            clock.after(10).await;
        }
    }

    /// Every question, page by page.
    async fn questions(&self) -> (Vec<Value>, Lengths) {
        let (mut all, mut lengths, mut next) = (Vec::new(), Vec::new(), String::new());
        loop {
            let begun = Instant::now();
            let page = self.admin().get(&format!("/v1/approvals?limit=100{next}")).await.is(200);
            lengths.push(begun.elapsed());
            all.extend(items(&page));
            match page.json()["next"].as_str() {
                Some(cursor) => next = format!("&after={cursor}"),
                None => return (all, Lengths(lengths)),
            }
        }
    }

    async fn total(&self) -> Value {
        self.admin().get("/v1/totals").await.is(200).json()
    }

    /// Asks again and again whether anybody is there, while something goes on; the longest that took.
    async fn watched<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let clock = greenroom::app::clock();
        let mut longest = Duration::ZERO;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return (done, longest),
                () = clock.after(10) => {
                    let begun = Instant::now();
                    self.admin().get("/healthz").await.is(200);
                    longest = longest.max(begun.elapsed());
                }
            }
        }
    }
}

/// How long things took.
struct Lengths(Vec<Duration>);

impl Lengths {
    fn p99(mut self) -> Duration {
        self.0.sort();
        let at = (self.0.len() * 99).div_ceil(100).saturating_sub(1);
        self.0[at]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_speaks_at_once_is_answered_and_every_token_is_counted() {
    let many = size(USUAL);
    let crowd = Crowd::come().await;
    let sessions = crowd.open("worker", 1).await;
    crowd.speak(&sessions).await;
    crowd.until("idle", 1).await;
    let one = crowd.total().await;
    assert!(one["input_tokens"].as_u64() > Some(0) && one["calls"] == 2, "{one}");
    let sessions = crowd.open("worker", many - 1).await;
    let begun = Instant::now();
    let taken = crowd.speak(&sessions).await.p99();
    crowd.until("idle", many).await;
    let pace = (many - 1) as f64 / begun.elapsed().as_secs_f64();
    println!("{many} turns at once: {pace:.0} a second, taken within {taken:?} at p99");
    assert_eq!(crowd.ran.load(Ordering::SeqCst), many);
    // They are all alike: the whole is so many times the one.
    let all = crowd.total().await;
    for figure in ["calls", "input_tokens", "output_tokens", "unsettled_calls", "unpriced_calls"] {
        assert_eq!(all[figure], one[figure].as_u64().unwrap() * many as u64, "{figure}");
    }
    crowd.theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_questions_is_listed_answered_and_expires_without_one_lost() {
    let many = size(USUAL);
    let crowd = Crowd::come().await;
    let sessions = crowd.open("clerk", many).await;
    crowd.speak(&sessions).await;
    crowd.until("waiting", many).await;
    let (questions, pages) = crowd.questions().await;
    let asked: HashSet<&str> =
        questions.iter().map(|question| question["session"].as_str().unwrap()).collect();
    assert_eq!((asked.len(), questions.len()), (many, many));
    assert_eq!(asked, sessions.iter().map(String::as_str).collect());
    let decide = |(no, question): (usize, &Value)| {
        let path = format!("/v1/approvals/{}/1", question["session"].as_str().unwrap());
        let answer = if no % 2 == 0 { "once" } else { "no" };
        let body = json!({ "answer": answer, "digest": question["digest"] });
        let crowd = &crowd;
        async move {
            let begun = Instant::now();
            crowd.admin().post(&path, &body).await.is(200);
            begun.elapsed()
        }
    };
    let answers = questions.iter().enumerate().map(decide);
    let answered = Lengths(stream::iter(answers).buffer_unordered(8).collect().await);
    crowd.until("idle", many).await;
    assert_eq!(crowd.ran.load(Ordering::SeqCst), many.div_ceil(2));
    let (pages, answered) = (pages.p99(), answered.p99());
    println!("{many} questions: a page {pages:?}, an answer {answered:?} at p99");

    let hasty = crowd.open("hasty", many).await;
    let expiring = async {
        crowd.speak(&hasty).await;
        crowd.until("idle", 2 * many).await;
    };
    let ((), longest) = crowd.watched(expiring).await;
    println!("{many} questions expire: the longest anybody else waited was {longest:?}");
    assert_eq!(crowd.ran.load(Ordering::SeqCst), many.div_ceil(2), "what expired never ran");
    assert!(crowd.questions().await.0.is_empty());
    crowd.theatre.close().await;
}

/// How many sleep for as long as only these tests do.
fn asleep() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let words = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    let argv = format!("sleep\0{SLEEPS}\0");
    words.filter(|words| words.ends_with(argv.as_bytes())).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_is_stopped_at_once_is_at_rest_with_its_processes() {
    let many = size(USUAL);
    let crowd = Crowd::come().await;
    let (slow, shells) = (crowd.open("slow", many).await, crowd.open("shell", PROCESSES).await);
    crowd.speak(&shells).await;
    let clock = greenroom::app::clock();
    let deadline = Instant::now() + Duration::from_millis(PATIENCE_MS);
    // A tool's pool may have fewer places than that.
    while asleep() == 0 {
        assert!(Instant::now() < deadline, "no tool began");
        clock.after(10).await;
    }
    crowd.speak(&slow).await;
    crowd.until("running", many + PROCESSES).await;
    let begun = Instant::now();
    let halted = crowd.admin().post("/v1/halt", &json!({ "reason": "drill" })).await.is(200).json();
    assert_eq!((&halted["cancelled"], &halted["failed"]), (&json!(many + PROCESSES), &json!(0)));
    crowd.until("idle", many + PROCESSES).await;
    let settled = begun.elapsed();
    while asleep() > 0 {
        assert!(begun.elapsed() < Duration::from_millis(PATIENCE_MS), "{} still run", asleep());
        clock.after(10).await;
    }
    println!(
        "{many} stopped at once: settled after {settled:?}, no process after {:?}",
        begun.elapsed()
    );
    for session in slow.iter().chain(&shells).take(20) {
        let frames = crowd.admin().get(&at(session, "frames?limit=500")).await.text();
        assert_eq!(frames.matches(r#""outcome":{"kind":"cancelled""#).count(), 1, "{frames}");
    }
    crowd.theatre.close().await;
}

/// Memory of this process that is in the machine, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}

/// One session with a long log, in which each of a thousand names stands many times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_gone_on_with_after_a_restart_and_read_from_anywhere() {
    let frames = size(USUAL) as u64 * 10;
    let theatre = Theatre::unhurried().await;
    let session = theatre.session("echo").await;
    let (client, path) = (&theatre.admin, at(&session, "rename"));
    let rename = |no: u64| {
        let (path, name) = (path.as_str(), json!({ "name": format!("take {}", no % 1_000) }));
        async move { client.post(path, &name).await.is(200) }
    };
    // One after the other within a lane: a name that it has already is no change.
    let lanes = (0..4).map(|lane| async move {
        for no in (lane..frames).step_by(4) {
            rename(no).await;
        }
    });
    futures_util::future::join_all(lanes).await;
    let folder = theatre.folder;
    theatre.served.end().await;
    drop(theatre.face);
    theatre.runtime.shutdown().await;
    let before = resident();
    let runtime = theatre::runtime(folder.path()).await;
    let again = Theatre::with(folder, runtime, unhurried()).await;
    let begun = Instant::now();
    assert_eq!(again.turn(&session, "hello").await["outcome"], "completed");
    let woken = begun.elapsed();
    let row = again.admin.get(&format!("/v1/sessions/{session}")).await.is(200).json();
    let end = row["position"].as_u64().unwrap();
    assert!(end > frames * 9 / 10, "{end} frames");
    let from = |after: u64| {
        let (client, path) = (&again.admin, at(&session, &format!("events?after={after}")));
        async move {
            let mut stream = client.follow(&path, &[]).await;
            let mut heard = Vec::new();
            while heard.last() != Some(&end) {
                heard.extend(stream.next().await.unwrap().id);
            }
            heard
        }
    };
    let begun = Instant::now();
    assert_eq!(from(end - 10).await, (end - 9..=end).collect::<Vec<_>>());
    let last = begun.elapsed();
    assert_eq!(from(0).await, (1..=end).collect::<Vec<_>>());
    let grown = resident().saturating_sub(before) / 1_024;
    println!(
        "{end} frames: answered after a restart in {woken:?}, the last ten in {last:?}, {grown} KiB more"
    );
    again.close().await;
}
