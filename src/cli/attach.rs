//! `greenroom attach`: one session of a running server in the terminal. What it says comes as it says it,
//! what it does is told in lines, and what is typed is said to it. Leaving stops nothing.

use std::io::Write as _;

use clap::Args;
use greenroom_actors::domain::{
    conversation::{Block, Reply, ReplyBlock},
    event::Event,
    ids::AgentName,
};
use serde_json::{Value, json};

use crate::{app, config::Settings};

use super::{
    CliError, Done, OnStore,
    ending::Signals,
    look, progress,
    remote::Remote,
    run::Terminal,
    screen::{Screen, Tone, escaped},
};

/// `greenroom attach`.
#[derive(Args, Debug)]
pub(super) struct AttachArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    #[command(flatten)]
    on: OnStore,
}

/// How many of the last frames are told first.
const BACK: u64 = 20;

pub(super) async fn run(
    args: &AttachArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.on.path(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session, &store).await?;
    let remote = Remote::at(&store)?;
    let row = reading.session(session).await?;
    let (agent, last) = row.map_or((AgentName::from(""), 0), |row| (row.agent, row.position.0));
    let path = format!("/v1/sessions/{session}");
    let after = last.saturating_sub(BACK);
    let mut events = remote.follow(&format!("{path}/events?after={after}")).await?;
    let mut terminal = Terminal::open();
    let hint = match terminal {
        Some(_) => "type to say something; Ctrl-C leaves, and it goes on",
        None => "no terminal to type in; Ctrl-C leaves, and it goes on",
    };
    Screen::remark(&screen.paint_remark(Tone::Faint, &format!("{agent} {session}: {hint}")));
    let mut signals = Signals::listen();
    let mut voice = Voice { screen: *screen, is_amid_words: false, spoke: false };
    loop {
        let typed = async {
            match &mut terminal {
                Some(terminal) => terminal.line().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _wish = signals.next() => return Ok(Done::Well),
            event = events.next() => match event {
                Some((name, data)) if name == "end" => {
                    voice.line(&format!("ended: {}", escaped(text(&data["why"]))))?;
                    return Ok(Done::Well);
                }
                Some((name, data)) => voice.tell(&name, &data)?,
                None => {
                    voice.line("the server has gone; the log has everything")?;
                    return Ok(Done::Badly);
                }
            },
            line = typed => match line {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => {
                    let said = json!({ "text": line.trim_end() });
                    if let Err(error) = remote.post(&format!("{path}/messages"), &said).await {
                        voice.line(&format!("not said: {error}"))?;
                    }
                }
                None => return Ok(Done::Well),
            },
        }
    }
}

/// What is told on stdout.
struct Voice {
    screen: Screen,
    is_amid_words: bool,
    /// The call that is told was heard piece by piece.
    spoke: bool,
}

impl Voice {
    fn tell(&mut self, name: &str, data: &Value) -> Result<(), CliError> {
        match name {
            "delta" if data["kind"] == "text" => {
                let mut out = std::io::stdout().lock();
                let text = escaped(text(&data["text"]));
                write!(out, "{text}").and_then(|()| out.flush())?;
                (self.is_amid_words, self.spoke) = (true, true);
                Ok(())
            }
            "progress" => self.line(&format!("  … {}", escaped(text(&data["label"])))),
            "lagged" => self.line(&format!("  … {} pieces missed", data["missed"])),
            "frame" => self.frame(data),
            _ => Ok(()),
        }
    }

    fn frame(&mut self, data: &Value) -> Result<(), CliError> {
        let events: Vec<Event> = serde_json::from_value(data["events"].clone())?;
        for event in &events {
            match event {
                Event::ModelCallStarted { .. } => self.spoke = false,
                Event::ModelCallFinished { reply, .. } => {
                    let said = std::mem::take(&mut self.spoke);
                    let text = words(reply);
                    if !said && !text.is_empty() {
                        self.line(&escaped(&text))?;
                    }
                }
                _ => {
                    let told =
                        format!("  {:19}  {}", event.name(), escaped(&progress::detail(event)));
                    let told = self.screen.paint(Tone::Faint, told.trim_end());
                    self.line(&told)?;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<(), CliError> {
        if std::mem::take(&mut self.is_amid_words) {
            Screen::print("")?;
        }
        Ok(Screen::print(text)?)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The words of an answer.
fn words(reply: &Reply) -> String {
    let said = reply.blocks.iter().filter_map(|block| match block {
        ReplyBlock::Said { block: Block::Text { text } } => Some(text.as_str()),
        ReplyBlock::Said { .. } | ReplyBlock::ToolUse { .. } => None,
    });
    said.collect()
}
