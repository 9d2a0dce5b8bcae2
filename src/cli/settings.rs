//! `greenroom config`: what is set, by whom, and whether it is right. Settings that are wrong end
//! every command before it begins, with their mistakes; so here there is little left to say.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::{app, config::Settings};

use super::{
    CliError, Common, Done,
    screen::{Column, Screen, Tone, table},
};

/// `greenroom config …`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each setting
    Show {
        /// Print who set it as well
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Say whether the settings and these agents files are right
    Check {
        /// Agents files
        #[arg(value_name = "FILE")]
        agents: Vec<PathBuf>,
    },
}

/// A setting as JSON.
#[derive(Serialize)]
struct Line {
    key: &'static str,
    value: String,
    origin: String,
}

pub(super) fn config(
    command: ConfigCommand,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    match command {
        ConfigCommand::Show { origin, common } => show(settings, origin, common, screen),
        ConfigCommand::Check { agents } => {
            let mut well = true;
            for file in agents {
                match app::check(&file) {
                    Ok(_right) => Screen::print(&format!("{}: right", file.display()))?,
                    // One wrong file must not hide what the next one has.
                    Err(error) => {
                        screen.complain(&error);
                        well = false;
                    }
                }
            }
            Screen::print("settings: right")?;
            Ok(if well { Done::Well } else { Done::Badly })
        }
    }
}

fn show(
    settings: &Settings,
    origin: bool,
    common: Common,
    screen: &Screen,
) -> Result<Done, CliError> {
    let mut settings = settings.clone();
    settings.flag_store(common.on.store);
    let rows = settings.rows();
    if common.json {
        let line = |row: &crate::config::Row| Line {
            key: row.key,
            value: row.value.clone(),
            origin: row.origin.to_string(),
        };
        let lines: Vec<Line> = rows.iter().map(line).collect();
        Screen::print(&serde_json::to_string_pretty(&lines)?)?;
        return Ok(Done::Well);
    }
    let titles = if origin { &["KEY", "VALUE", "ORIGIN"][..] } else { &["KEY", "VALUE"] };
    let columns: Vec<Column> =
        titles.iter().map(|title| Column { title, is_number: false }).collect();
    let cells = |row: &crate::config::Row| {
        let mut cells = vec![(row.key.to_owned(), Tone::Plain), (row.value.clone(), Tone::Plain)];
        cells.extend(origin.then(|| (row.origin.to_string(), Tone::Faint)));
        cells
    };
    Screen::print(&table(screen, &columns, &rows.iter().map(cells).collect::<Vec<_>>()))?;
    Ok(Done::Well)
}
