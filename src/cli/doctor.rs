//! `greenroom doctor`: is this store sound, who has it, and what in it waits for a person. Each line
//! says what was looked at and what to do. Nothing is changed; code 1 when something is wrong.

use std::path::Path;

use clap::Args;
use greenroom_actors::{
    domain::catalog::{SessionRow, Status},
    limits,
    runtime::Reading,
};
use serde::Serialize;

use crate::{
    app::{self, Held, Holder},
    config::Settings,
};

use super::{
    CliError, Common, Done,
    ending::shell,
    look,
    screen::{Screen, Tone, counted, wrapped},
};
use crate::telemetry::chain;

/// `greenroom doctor`.
#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    common: Common,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grade {
    Fine,
    /// Somebody has to do something; nothing is lost.
    Waits,
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    grade: Grade,
    about: &'static str,
    says: String,
}

impl Finding {
    fn new(is_fine: bool, otherwise: Grade, about: &'static str, says: String) -> Self {
        Self { grade: if is_fine { Grade::Fine } else { otherwise }, about, says }
    }
}

pub(super) async fn run(
    args: &DoctorArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let path = args.common.store(settings);
    let mut findings = file(&path).await?;
    let reading = app::look(&path)?;
    match inside(&reading, &path).await {
        Ok(found) => findings.extend(found),
        // What the file check found says more than that it cannot be read either.
        Err(error) => {
            findings.push(Finding::new(false, Grade::Wrong, "sessions", chain(&error)));
        }
    }
    findings.push(match app::custody() {
        Ok(held) => custody(&held),
        Err(error) => Finding::new(false, Grade::Waits, "tools", chain(&error)),
    });
    let wrong = findings.iter().any(|finding| finding.grade == Grade::Wrong);
    let text = if args.common.json {
        serde_json::to_string_pretty(&findings)?
    } else {
        let line = |finding: &Finding| {
            let (word, tone) = match finding.grade {
                Grade::Fine => ("ok   ", Tone::Good),
                Grade::Waits => ("waits", Tone::Busy),
                Grade::Wrong => ("WRONG", Tone::Bad),
            };
            let says = wrapped(&finding.says, screen.width, INDENT);
            format!("{}  {:9}  {says}", screen.paint(tone, word), finding.about)
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    Screen::print(&text)?;
    Ok(if wrong { Done::Badly } else { Done::Well })
}

/// What would hold the processes of tools here, and what they could do all the same.
fn custody(held: &Held) -> Finding {
    let Held { level, lets, is_open } = held;
    let mut says = format!("held by {level}");
    if !lets.is_empty() {
        says.push_str(&format!("; so {}", lets.join(", ")));
    }
    let grade = if *is_open { Grade::Wrong } else { Grade::Waits };
    Finding::new(lets.is_empty(), grade, "tools", says)
}

/// Where what is said begins.
const INDENT: usize = "WRONG  questions  ".len();

/// What is in the store.
async fn inside(reading: &Reading, path: &Path) -> Result<Vec<Finding>, CliError> {
    let rows = look::every(reading, true).await?;
    let mut findings = vec![logs(reading, &rows).await];
    findings.extend(waiting(reading, &rows, path).await?);
    Ok(findings)
}

async fn file(path: &Path) -> Result<Vec<Finding>, CliError> {
    let found = app::checkup(path).await?;
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let mut findings = vec![Finding::new(
        found.broken.is_empty() && found.dangling == 0,
        Grade::Wrong,
        "file",
        if found.broken.is_empty() && found.dangling == 0 {
            format!("{} is sound, {} MiB", path.display(), mib(found.bytes))
        } else {
            format!(
                "{} is damaged: {}{}; copy it away, then restore a backup, or go on with the sessions that still verify",
                path.display(),
                found.broken.join("; "),
                if found.dangling > 0 {
                    let rows = counted(found.dangling as u64, "row");
                    format!("; {rows} with a reference to others that are gone")
                } else {
                    String::new()
                }
            )
        },
    )];
    let alarm = limits::STORE_WAL_ALARM_PAGES * 4_096;
    findings.push(Finding::new(
        found.wal_bytes <= alarm,
        Grade::Waits,
        "disk",
        format!(
            "{} MiB wait in its write-ahead log; more than {} MiB mean that a long read holds them up",
            mib(found.wal_bytes),
            mib(alarm)
        ),
    ));
    let says = match found.holder {
        Holder::Nobody => "nobody works on it".to_owned(),
        Holder::Process(Some(pid)) => format!("process {pid} works on it"),
        Holder::Process(None) => "a runtime works on it".to_owned(),
    };
    findings.push(Finding::new(true, Grade::Fine, "runtime", says));
    Ok(findings)
}

/// Every log, read and verified from its first frame.
async fn logs(reading: &Reading, rows: &[SessionRow]) -> Finding {
    let mut damaged = Vec::new();
    for row in rows {
        if let Err(error) = reading.last_outcome(row.session).await {
            // Damage names its log itself.
            let why = error.damage();
            damaged.push(why.unwrap_or_else(|| format!("{}: {}", row.session, chain(&error))));
        }
    }
    let says = if damaged.is_empty() {
        format!("{}, every log verifies", counted(rows.len() as u64, "session"))
    } else {
        format!(
            "{} of {} sessions do not verify and are off the stage, the others are served: {}",
            damaged.len(),
            rows.len(),
            damaged.join("; ")
        )
    };
    Finding::new(damaged.is_empty(), Grade::Wrong, "logs", says)
}

/// What waits: for a runtime, or for a person.
async fn waiting(
    reading: &Reading,
    rows: &[SessionRow],
    path: &Path,
) -> Result<Vec<Finding>, CliError> {
    let store = shell(path);
    let of = |status: Status| rows.iter().filter(move |row| row.status == status);
    let at_work = of(Status::Running).count();
    let work = Finding::new(
        true,
        Grade::Fine,
        "work",
        format!(
            "{} with work in hand, which a runtime on this store takes up",
            counted(at_work as u64, "session")
        ),
    );
    let off: Vec<String> = of(Status::Quarantined).map(|row| row.session.to_string()).collect();
    let says = match off.first() {
        None => "no session is quarantined".to_owned(),
        Some(first) => format!(
            "{} quarantined: {}; `greenroom release {first} --store {store}` lets one back",
            off.len(),
            off.join(", ")
        ),
    };
    let stage = Finding::new(off.is_empty(), Grade::Waits, "stage", says);
    let open = reading.approvals(None).await?;
    let says = match open.first() {
        None => "no question is open".to_owned(),
        Some(row) => {
            format!(
                "{} open; `greenroom approve {} once --store {store}` answers one",
                open.len(),
                row.id
            )
        }
    };
    let questions = Finding::new(open.is_empty(), Grade::Waits, "questions", says);
    let halt = reading.halted().await?;
    let says = halt.as_ref().map_or_else(
        || "work may begin".to_owned(),
        |halt| {
            let (by, reason) = (&halt.by, &halt.reason);
            format!("stopped by {by}: {reason}; `greenroom unhalt --store {store}` lifts it")
        },
    );
    let switch = Finding::new(halt.is_none(), Grade::Waits, "switch", says);
    Ok(vec![work, stage, questions, switch])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_tools_is_graded_by_what_is_missing() {
        let grade = |lets: &[&'static str], is_open| {
            let held = Held { level: "files".to_owned(), lets: lets.to_vec(), is_open };
            let found = custody(&held);
            (found.grade, found.says)
        };
        assert_eq!(grade(&[], false), (Grade::Fine, "held by files".to_owned()));
        let says = "held by files; so it sees this, it does that".to_owned();
        assert_eq!(grade(&["it sees this", "it does that"], false), (Grade::Waits, says.clone()));
        assert_eq!(grade(&["it sees this", "it does that"], true), (Grade::Wrong, says));
    }
}
