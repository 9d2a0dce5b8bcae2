//! `greenroom replay --final`: the last model step of a stored session made once more on a live model, beside
//! what was answered then. The session is only read, also while a server works on it; nothing is written, so
//! nothing books what the call costs, and that is said.

use greenroom_actors::{
    domain::{
        agent::ModelChoice,
        conversation::{Block, Reply, ReplyBlock},
        ids::SessionId,
        usage::NanoUsd,
    },
    runtime::LastStep,
};
use serde_json::{Value, json};

use crate::{app, config::Settings, telemetry::redact::Secrets};

use super::super::{CliError, Done, look, run::RunError, screen::Screen};
use super::{Broken, ReplayArgs};

pub(super) async fn run(args: ReplayArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session.unwrap_or_default(), &store).await?;
    let file = args.agents.or_else(|| settings.agents.as_ref().map(|agents| agents.value.clone()));
    let crew = app::crew(&file.ok_or(RunError::NoAgents)?, &store, &settings.environment)?;
    let clock = app::clock();
    let mut step = reading.last_step(session, clock.now()).await.map_err(Broken::from)?;
    if let Some(model) = args.model {
        let provider = args.provider.map(Into::into).or_else(|| step.choice.provider.clone());
        step = step.on(ModelChoice { model: model.into(), provider });
    }
    let providers = &crew.config.providers;
    let wanted = step.choice.provider.as_ref();
    let served = match wanted {
        Some(name) => providers.iter().find(|one| one.name() == *name),
        None => providers.first(),
    };
    let served = served.ok_or_else(|| Broken::NotServed(step.choice.to_string()))?;
    let reply = step.ask(served, &clock).await.map_err(Broken::from)?;
    let tariff = crew.config.prices.price(&step.choice.model, clock.now());
    let cost = tariff.zip(reply.usage).map(|(tariff, usage)| tariff.cost(&usage));
    let secrets = &crew.config.secrets;
    let text = if args.common.json {
        serde_json::to_string_pretty(&as_json(session, &step, (&reply, cost), secrets))?
    } else {
        in_words(session, &step, (&reply, cost), secrets)
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

/// An answer as people read it: its words, then what it wants done.
fn words(reply: &Reply, secrets: &Secrets) -> (String, Vec<(String, String)>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for block in &reply.blocks {
        match block {
            ReplyBlock::Said { block: Block::Text { text: said } } => text.push_str(said),
            ReplyBlock::ToolUse { name, args } => {
                calls.push((name.to_string(), secrets.clean(&args.0).into_owned()));
            }
            // Thinking is no answer, and what only its vendor understands is for nobody's eyes.
            ReplyBlock::Said { .. } => {}
        }
    }
    (secrets.clean(&text).into_owned(), calls)
}

fn as_json(
    session: SessionId,
    step: &LastStep,
    (reply, cost): (&Reply, Option<NanoUsd>),
    secrets: &Secrets,
) -> Value {
    let told = |reply: &Reply| {
        let (text, calls) = words(reply, secrets);
        let call = |(name, args): (String, String)| json!({ "tool": name, "args": args });
        let calls: Vec<Value> = calls.into_iter().map(call).collect();
        json!({ "text": text, "calls": calls, "usage": reply.usage })
    };
    json!({
        "session": session.to_string(),
        "frame": step.at,
        "model": step.choice.model,
        "then": told(&step.reply),
        "now": told(reply),
        "cost": cost.map(|cost| cost.to_string()),
        "booked": false,
    })
}

fn in_words(
    session: SessionId,
    step: &LastStep,
    (reply, cost): (&Reply, Option<NanoUsd>),
    secrets: &Secrets,
) -> String {
    let told = |reply: &Reply| {
        let (text, calls) = words(reply, secrets);
        let calls = calls.into_iter().map(|(name, args)| format!("calls {name} {args}"));
        let lines = (!text.is_empty()).then_some(text).into_iter().chain(calls);
        lines.collect::<Vec<_>>().join("\n")
    };
    let cost = cost
        .map_or_else(|| "what it cost is not known".to_owned(), |cost| format!("it cost {cost}"));
    format!(
        "{session}, frame {}\nthen:\n{}\nnow, on {}:\n{}\n{cost}, and is not booked: nothing was written",
        step.at,
        told(&step.reply),
        step.choice,
        told(reply),
    )
}
