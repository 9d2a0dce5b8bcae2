//! `greenroom top`: the tree live in the terminal, drawn anew every second from what is committed, so it
//! works beside any runtime on the store, served or not. It shows as many rows as there is room for, those
//! with work in hand first.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use greenroom_actors::domain::{
    catalog::{SessionFilter, Status, TotalsOf},
    ids::SessionId,
};

use crate::{app, config::Settings};

use super::{
    CliError, Done, OnStore,
    ending::Signals,
    screen::{Screen, Tone, counted, grouped},
    tree::{self, Shown},
};

/// `greenroom top`.
#[derive(Args, Debug)]
pub(super) struct TopArgs {
    /// Draw it once and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    on: OnStore,
}

/// How often it is drawn.
const EVERY_MS: u64 = 1_000;
/// Trees that are read for one drawing: more do not fit on any screen.
const TREES: usize = 40;
/// Lines beside those of the trees.
const FRAME: usize = 6;
/// The other screen of the terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Home, and everything behind it gone.
const CLEAR: &str = "\x1b[H\x1b[J";

/// The other screen, left however this ends.
struct Raised;

impl Drop for Raised {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        let _left = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    }
}

pub(super) async fn run(
    args: &TopArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.on.path(settings);
    let reading = app::look(&store)?;
    if args.once || !io::stdout().is_terminal() {
        Screen::print(&drawn(&reading, screen, usize::MAX).await?)?;
        return Ok(Done::Well);
    }
    let mut signals = Signals::listen();
    let clock = app::clock();
    let raised = Raised;
    let mut out = io::stdout();
    out.write_all(ENTER.as_bytes())?;
    loop {
        let height = rustix::termios::tcgetwinsize(&out).map_or(24, |size| size.ws_row);
        let text = drawn(&reading, screen, usize::from(height).saturating_sub(FRAME)).await?;
        out.write_all(format!("{CLEAR}{}", text.replace('\n', "\r\n")).as_bytes())?;
        out.flush()?;
        tokio::select! {
            biased;
            _wish = signals.next() => break,
            () = clock.after(EVERY_MS) => {}
        }
    }
    drop(raised);
    Ok(Done::Well)
}

/// One picture of the house.
async fn drawn(
    reading: &greenroom_actors::runtime::Reading,
    screen: &Screen,
    rows: usize,
) -> Result<String, CliError> {
    let mut states = Vec::new();
    let census = reading.census(None).await?;
    for status in Status::ALL {
        let those = census.iter().filter(|one| one.status == status);
        let many: u64 = those.map(|one| one.sessions).sum();
        if many > 0 {
            states.push(format!("{} {}", grouped(many), status.word()));
        }
    }
    let totals = reading.totals(TotalsOf::Runtime).await?;
    let asked = reading.open(None).await?.approvals;
    let head = format!(
        "greenroom  {}  |  {}, {}  |  {}",
        if states.is_empty() { "no sessions".to_owned() } else { states.join(", ") },
        counted(totals.usage.tokens(), "token"),
        totals.cost,
        counted(asked, "open question"),
    );
    let trees = trees(reading).await?;
    let all = tree::draw(screen, &trees);
    let mut lines: Vec<&str> = all.lines().collect();
    let left_out = lines.len().saturating_sub(rows);
    lines.truncate(rows);
    let mut text = format!("{}\n\n{}", screen.paint(Tone::Good, &head), lines.join("\n"));
    if left_out > 0 {
        let more =
            format!("\n… {} more; `greenroom tree` has all", counted(left_out as u64, "line"));
        text += &screen.paint(Tone::Faint, &more);
    }
    Ok(text)
}

/// The trees to be shown: those with work in hand first, then the newest.
async fn trees(reading: &greenroom_actors::runtime::Reading) -> Result<Vec<Shown>, CliError> {
    let mut roots: Vec<SessionId> = Vec::new();
    let busy = vec![Status::Running, Status::Waiting, Status::Quarantined];
    for status in [busy, Vec::new()] {
        let filter = SessionFilter {
            roots: true,
            newest: true,
            rows: TREES,
            status,
            ..SessionFilter::default()
        };
        for row in reading.sessions(filter).await? {
            if !roots.contains(&row.session) && roots.len() < TREES {
                roots.push(row.session);
            }
        }
    }
    let now = app::clock().now();
    let mut trees = Vec::new();
    for root in roots {
        let node = reading.tree(root).await?;
        trees.push(tree::shown(reading, node, now).await?);
    }
    Ok(trees)
}
