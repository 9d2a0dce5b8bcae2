//! The role that is killed: a runtime on a real store, a vendor and a sink in other processes,
//! driven over standard input. It proves nothing itself.

use std::{
    io::{self, BufRead as _, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use greenroom::{
    clock::SystemClock,
    store::{Store, StoreOptions},
};
use greenroom_actors::{
    bus::{Heard, Note},
    domain::{
        catalog::{SessionFilter, Status},
        event::{CancelTarget, Event, UserInput},
        frame,
        ids::SessionId,
        permission::Subject,
        tool,
    },
    fault, limits,
    policy::turn::Rejected,
    runtime::{CallError, Deps, Options, Runtime, Setup},
};
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    control::{Acked, Open, Order, Reply, Said, Wish},
    load,
    remote::RemoteModel,
    sink, wire,
};

/// Orders read and not yet taken.
const ORDERS: usize = 256;
/// How long a question for an outcome waits before it is asked again.
const OUTCOME_MS: u64 = 120_000;
/// Exit code of a runtime that could not start.
pub(crate) const REFUSED: i32 = 3;

/// How a runtime is started.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// The store's file.
    pub(crate) store: std::path::PathBuf,
    /// The vendor's port.
    pub(crate) model: u16,
    /// The sink's port.
    pub(crate) sink: u16,
    /// At which passing of which point to abort.
    pub(crate) abort: Option<(String, u64)>,
}

/// The role.
pub(crate) fn play(args: &Args) -> i32 {
    if let Some((name, nth)) = args.abort.clone() {
        let passed = AtomicU64::new(1);
        fault::arm(Box::new(move |point| {
            if point == name && passed.fetch_add(1, Ordering::SeqCst) == nth {
                std::process::abort();
            }
        }));
    }
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match tokio {
        Ok(tokio) => tokio.block_on(serve(args)),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &dyn std::error::Error) -> i32 {
    eprintln!("{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because {error}");
        cause = error.source();
    }
    REFUSED
}

fn say(said: &Said) {
    let Ok(mut line) = serde_json::to_vec(said) else { return };
    line.push(b'\n');
    let mut out = io::stdout().lock();
    // A driver that has gone kills nobody any more; the end of its orders ends this process.
    drop(out.write_all(&line).and_then(|()| out.flush()));
}

async fn start(args: &Args, store: &Arc<Store>) -> Result<Runtime, Box<dyn std::error::Error>> {
    let deps = Deps {
        journal: Arc::clone(store) as _,
        catalog: Arc::clone(store) as _,
        blobs: Arc::clone(store) as _,
        clock: Arc::new(SystemClock),
    };
    let mut setup = Setup::new(deps);
    // Idle sessions leave memory within the run, so that waking is part of the load.
    setup.options = Options { idle_ms: 400, pid: std::process::id(), ..Options::default() };
    setup.options.pools.insert(sink::POOL.into(), 6);
    setup.agents = load::agents();
    setup.tools = sink::tools(wire::local(args.sink));
    setup.providers = vec![Arc::new(RemoteModel::new(wire::local(args.model))?)];
    setup.prices = load::prices();
    Ok(Runtime::start(setup).await?)
}

async fn serve(args: &Args) -> i32 {
    let store = match open(&args.store) {
        Ok(store) => Arc::new(store),
        Err(error) => return refuse(&error),
    };
    let runtime = match start(args, &store).await {
        Ok(runtime) => runtime,
        Err(error) => return refuse(error.as_ref()),
    };
    let mut heard = runtime.subscribe();
    say(&Said::Ready);
    let mut orders = orders();
    let mut work = JoinSet::new();
    loop {
        tokio::select! {
            note = heard.next() => match note {
                Some(Heard::Note(Note::Frame(frame))) => tell(&frame),
                Some(Heard::Note(_) | Heard::Lagged { .. }) => {}
                None => return 4,
            },
            why = runtime.ended() => {
                say(&Said::Ended { why: format!("{why:?}") });
                return 5;
            }
            Some(done) = work.join_next() => if let Err(panicked) = done {
                say(&Said::Ended { why: panicked.to_string() });
                return 6;
            },
            order = orders.recv() => match order {
                // The driver is gone.
                None => return 7,
                Some(Order { wish: Wish::Shutdown, .. }) => {
                    let order = runtime.shutdown().await;
                    store.close();
                    say(&Said::Bye { order });
                    return 0;
                }
                Some(Order { no, wish }) => {
                    let runtime = runtime.clone();
                    work.spawn(async move {
                        let reply = answer(&runtime, wish).await;
                        let reply = reply.unwrap_or_else(refusal);
                        say(&Said::Reply { no, reply });
                    });
                }
            },
        }
    }
}

fn refusal(error: CallError) -> Reply {
    match error {
        CallError::Rejected(Rejected::Quarantined { .. }) => Reply::Quarantined,
        error => Reply::Refused { why: format!("{error} ({error:?})") },
    }
}

fn open(path: &Path) -> Result<Store, greenroom::store::OpenError> {
    Store::open(path, StoreOptions::default())
}

fn orders() -> mpsc::Receiver<Order> {
    let (orders, taken) = mpsc::channel(ORDERS);
    // Reading standard input blocks, so it has a thread; the thread ends with its input.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { return };
            if orders.blocking_send(order).is_err() {
                return;
            }
        }
    });
    taken
}

fn tell(frame: &greenroom_actors::bus::Frame) {
    let Ok(body) = frame::encode(&frame.events) else { return };
    say(&Said::Frame(Acked {
        session: frame.session,
        position: frame.position,
        token: frame.token,
        digest: frame::hex(&Sha256::digest(body.as_bytes())),
    }));
}

async fn answer(runtime: &Runtime, wish: Wish) -> Result<Reply, CallError> {
    Ok(match wish {
        Wish::Open { agent } => {
            Reply::Opened { session: runtime.open(&agent, "crash".into()).await? }
        }
        Wish::Submit { session, key, text } => {
            runtime.submit(session, key, UserInput::text(text)).await?;
            Reply::Done
        }
        Wish::Outcome { session, key } => {
            let (turn, outcome) = runtime.outcome(session, key, OUTCOME_MS).await?;
            Reply::Outcome { turn, outcome }
        }
        Wish::Invoke { session, key, tool: name } => {
            let args = tool::Args(r#"{"note":"host","delay_ms":20}"#.to_owned());
            let outcome = runtime.invoke_tool(session, key, (name, args), (None, None)).await?;
            Reply::Invoked { outcome }
        }
        Wish::Approvals => Reply::Approvals { rows: approvals(runtime).await? },
        Wish::Decide { approval, answer } => {
            runtime.decide(approval, answer).await?;
            Reply::Done
        }
        Wish::Cancel { session } => {
            runtime
                .cancel(session, CancelTarget::Everything, "the client changed its mind")
                .await?;
            Reply::Done
        }
        Wish::Fork { session } => {
            let stands = runtime.tree(session).await?.row.position;
            Reply::Opened { session: runtime.fork(session, stands).await? }
        }
        Wish::Release { session } => {
            runtime.release(session, false).await?;
            Reply::Done
        }
        Wish::Strike { session } => strike(runtime, session).await,
        Wish::Busy => Reply::Busy { rows: busy(runtime).await? },
        Wish::Reserved { root } => {
            let figures = runtime.accounts(root).await;
            Reply::Reserved { open: figures.map(|figures| figures.open) }
        }
        // Taken before it comes here.
        Wish::Shutdown => Reply::Done,
    })
}

/// Lets a session panic and waits until its log says that it was started again. The one who asks
/// has the patience.
async fn strike(runtime: &Runtime, session: SessionId) -> Reply {
    let mut heard = runtime.subscribe();
    if !runtime.panic_session(session, "struck") {
        return Reply::Refused { why: "it is not awake".to_owned() };
    }
    let again = |event: &Event| matches!(event, Event::SessionRestarted { .. });
    while let Some(heard) = heard.next().await {
        if let Heard::Note(Note::Frame(frame)) = heard
            && frame.session == session
            && frame.events.iter().any(again)
        {
            return Reply::Done;
        }
    }
    Reply::Refused { why: "the runtime has ended".to_owned() }
}

async fn approvals(runtime: &Runtime) -> Result<Vec<Open>, CallError> {
    let rows = runtime.approvals(None).await?;
    let open = rows.into_iter().filter_map(|row| match row.ask.subject {
        Subject::ToolCall { request, .. } => {
            Some(Open { approval: row.id, agent: row.agent, tool: request.tool })
        }
        Subject::Plan { .. } | Subject::Budget { .. } | Subject::Question { .. } => None,
    });
    Ok(open.collect())
}

async fn busy(runtime: &Runtime) -> Result<Vec<(SessionId, String)>, CallError> {
    let status = vec![Status::Running, Status::Waiting, Status::Quarantined];
    let filter = SessionFilter { status, rows: limits::LIST_ROWS, ..SessionFilter::default() };
    let rows = runtime.sessions(filter).await?;
    let told = rows.into_iter().map(|row| {
        let doing = format!("{} {}: {:?}", row.agent, row.status.word(), row.waiting_on);
        (row.session, doing)
    });
    Ok(told.collect())
}
