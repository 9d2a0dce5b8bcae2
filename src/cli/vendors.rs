//! `greenroom models` and `greenroom auth`: what vendors serve, and whether they let us in. Both ask
//! the vendors that the agents file names and those whose credential the environment holds, all at
//! once; one that does not answer hides none of the others.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::future::join_all;
use greenroom_actors::{
    ModelProvider as _,
    domain::{
        ids::{ModelName, ProviderName},
        usage::Price,
    },
};
use serde_json::{Value, json};

use crate::{
    agents_file::ProviderSpec,
    app::{self, AppError, Served},
    config::Settings,
    registry::{Model, Registry, Skill},
    telemetry::chain,
};

use super::{
    CliError, Done,
    screen::{Column, Screen, Tone, cut, escaped, grouped, table},
};

/// Which vendors.
#[derive(Args, Debug)]
struct Which {
    /// Only this provider of the agents file, or this vendor
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The agents file [default: as set]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `greenroom models`.
#[derive(Args, Debug)]
pub(super) struct ModelsArgs {
    #[command(flatten)]
    which: Which,
    /// Only models whose names begin like this
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
}

/// `greenroom auth`.
#[derive(Args, Debug)]
pub(super) struct AuthArgs {
    #[command(flatten)]
    which: Which,
}

/// A vendor to be asked.
struct Asked {
    spec: ProviderSpec,
    /// Itself, or why it cannot be set up.
    served: Result<Served, String>,
    /// Whether somebody depends on its answer: an agent, or who asks for it by name.
    is_needed: bool,
}

impl Asked {
    /// The vendor, if it can be asked; or what to do first.
    fn ready(&self) -> Result<&Served, String> {
        let served = self.served.as_ref().map_err(Clone::clone)?;
        served.ready().map_err(|error| chain(&error))?;
        Ok(served)
    }

    /// Where its credential is.
    fn place(&self) -> String {
        self.served.as_ref().map_or_else(|_| "?".to_owned(), |served| served.key.place())
    }
}

/// Who is to be asked, and what is known about models.
struct Field {
    asked: Vec<Asked>,
    registry: Registry,
}

impl Which {
    /// The vendors meant: the named one, or all that are set up.
    fn field(&self, settings: &Settings) -> Result<Field, CliError> {
        let environment = &settings.environment;
        let file = self.agents.clone();
        let file = file.or_else(|| settings.agents.as_ref().map(|agents| agents.value.clone()));
        let mut field = Field { asked: Vec::new(), registry: Registry::built_in() };
        if let Some(file) = file {
            let mut crew = app::crew(&file, Path::new(""), environment)?;
            field.registry = std::mem::take(&mut crew.registry);
            for served in std::mem::take(&mut crew.served) {
                let (spec, is_needed) = (served.spec.clone(), crew.uses(&served));
                field.asked.push(Asked { spec, served: Ok(served), is_needed });
            }
        }
        let is_known =
            |name: &ProviderName| field.asked.iter().any(|asked| asked.spec.name == *name);
        let more: Vec<ProviderSpec> = match &self.provider {
            Some(name) => {
                let name = ProviderName::from(name.as_str());
                if is_known(&name) {
                    field.asked.retain(|asked| asked.spec.name == name);
                    Vec::new()
                } else {
                    field.asked.clear();
                    vec![app::vendor_called(name.as_str()).map_err(AppError::from)?]
                }
            }
            // What the file declares itself goes before what is merely at hand.
            None => {
                let more = app::at_hand(environment).into_iter();
                more.filter(|spec| !is_known(&spec.name)).collect()
            }
        };
        for spec in more {
            let served = app::serve_one(spec.clone(), environment).map_err(|error| chain(&error));
            field.asked.push(Asked { spec, served, is_needed: false });
        }
        // Who asks for one by name wants to know of that one.
        let by_name = self.provider.is_some();
        field.asked.iter_mut().for_each(|asked| asked.is_needed |= by_name);
        Ok(field)
    }
}

pub(super) async fn auth(
    args: AuthArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let field = args.which.field(settings)?;
    let answers = join_all(field.asked.iter().map(|asked| async {
        asked.ready()?.vendor.verify_auth().await.map_err(|failure| failure.message)
    }));
    let answers = answers.await;
    let told: Vec<(&Asked, Result<(), String>)> = field.asked.iter().zip(answers).collect();
    let is_well = told.iter().all(|(asked, answer)| answer.is_ok() || !asked.is_needed);
    if args.which.json {
        let line = |(asked, answer): &(&Asked, Result<(), String>)| {
            json!({
                "provider": asked.spec.name,
                "kind": asked.spec.kind,
                "credential": asked.place(),
                "needed": asked.is_needed,
                "works": answer.is_ok(),
                "says": answer.as_ref().err(),
            })
        };
        let lines: Vec<Value> = told.iter().map(line).collect();
        Screen::print(&serde_json::to_string_pretty(&lines)?)?;
    } else if told.is_empty() {
        Screen::remark(&nobody());
        return Ok(Done::Badly);
    } else {
        let columns = ["PROVIDER", "CREDENTIAL", "SAYS"];
        let columns = columns.map(|title| Column { title, is_number: false });
        let row = |(asked, answer): &(&Asked, Result<(), String>)| {
            let says = match answer {
                Ok(()) => ("works".to_owned(), Tone::Good),
                Err(why) => (escaped(why), Tone::Bad),
            };
            let name = (asked.spec.name.to_string(), Tone::Plain);
            vec![name, (asked.place(), Tone::Faint), says]
        };
        // What is wrong must be read whole, whatever the screen's width.
        let mut wide = *screen;
        wide.width = None;
        Screen::print(&table(&wide, &columns, &told.iter().map(row).collect::<Vec<_>>()))?;
    }
    Ok(if is_well { Done::Well } else { Done::Badly })
}

/// What to do where no vendor is set up.
fn nobody() -> String {
    let set = app::key_variables().join(", ");
    format!("no provider is set up: name one in an agents file, or set one of {set}")
}

/// A model, as the vendor's list and the data have it.
struct Line<'f> {
    provider: String,
    id: String,
    /// Whether its vendor says now that it serves it; nothing where the vendor was not heard.
    is_live: Option<bool>,
    known: Option<&'f Model>,
}

pub(super) async fn models(
    args: ModelsArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let field = args.which.field(settings)?;
    let prefix = args.prefix.as_str();
    let answers = join_all(field.asked.iter().map(|asked| async {
        asked
            .ready()?
            .vendor
            .list_models(prefix.to_owned())
            .await
            .map_err(|failure| failure.message)
    }));
    let mut is_well = true;
    let mut lines = Vec::new();
    for (asked, answer) in field.asked.iter().zip(answers.await) {
        let spec = &asked.spec;
        let live = answer.map_err(|why| {
            Screen::remark(&format!("{}: {}", spec.name, escaped(&why)));
            is_well &= args.which.provider.is_none();
        });
        lines.extend(merged(spec, live.ok().as_deref(), &field.registry, prefix));
    }
    if args.which.provider.is_none() {
        // Vendors that nobody set up are listed from the data alone.
        let is_asked = |vendor: &str| field.asked.iter().any(|one| one.spec.vendor() == vendor);
        let rest = field.registry.models().filter(|model| !is_asked(model.vendor.as_str()));
        let rest = rest.filter(|model| begins(model, prefix));
        lines.extend(rest.map(|model| Line {
            provider: model.vendor.to_string(),
            id: model.id.to_string(),
            is_live: None,
            known: Some(model),
        }));
    }
    print(&lines, args.which.json, screen)?;
    Ok(if is_well { Done::Well } else { Done::Badly })
}

fn begins(model: &Model, prefix: &str) -> bool {
    let mut names = model.aliases.iter().map(String::as_str).chain([model.id.as_str()]);
    names.any(|name| name.starts_with(prefix))
}

/// A vendor's own list and what the data has about it, in one order.
fn merged<'f>(
    spec: &ProviderSpec,
    live: Option<&[ModelName]>,
    registry: &'f Registry,
    prefix: &str,
) -> Vec<Line<'f>> {
    let line = |id: &str, is_live, known| Line {
        provider: spec.name.to_string(),
        id: id.to_owned(),
        is_live,
        known,
    };
    let served = live.unwrap_or_default();
    let mut lines: Vec<Line<'f>> = served
        .iter()
        .map(|id| line(id.as_str(), Some(true), registry.find(spec.vendor(), id.as_str())))
        .collect();
    let listed = registry.of(spec.vendor()).filter(|model| begins(model, prefix));
    for model in listed {
        if !served.iter().any(|id| model.answers_to(id.as_str())) {
            lines.push(line(model.id.as_str(), live.map(|_| false), Some(model)));
        }
    }
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

impl Line<'_> {
    /// Who says that there is such a model.
    const fn source(&self) -> (&'static str, Tone) {
        match (self.is_live, self.known) {
            (Some(true), Some(_)) => ("live+data", Tone::Good),
            (Some(true), None) => ("live", Tone::Good),
            (Some(false), _) => ("data, not served", Tone::Bad),
            (None, _) => ("data", Tone::Faint),
        }
    }

    fn json(&self) -> Value {
        let known = self.known;
        let now = app::clock().now();
        json!({
            "provider": self.provider,
            "model": self.id,
            "live": self.is_live,
            "listed": known.is_some(),
            "aliases": known.map(|model| &model.aliases),
            "can": known.and_then(words),
            "context": known.and_then(|model| model.context),
            "output_max": known.and_then(|model| model.output_max),
            "price": known.and_then(|model| model.price(now)).map(|price| dollars(&price)),
            "long_prompts": known.and_then(|model| model.long).map(|long| {
                json!({ "above": long.above, "price": dollars(&long.price) })
            }),
        })
    }

    fn row(&self, screen: &Screen) -> Vec<(String, Tone)> {
        let known = self.known;
        let (source, tone) = self.source();
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), grouped);
        let price = known.and_then(|model| model.price(app::clock().now()));
        let price = price.map_or_else(
            || "?".to_owned(),
            |price| {
                let from =
                    if known.is_some_and(|model| model.long.is_some()) { "from " } else { "" };
                format!("{from}${} / ${}", usd(price.input), usd(price.output))
            },
        );
        let aliases = known.map(|model| model.aliases.join(", ")).unwrap_or_default();
        let id = screen.width.map_or_else(|| escaped(&self.id), |width| cut(&self.id, width / 2));
        vec![
            (self.provider.clone(), Tone::Plain),
            (id, Tone::Plain),
            (source.to_owned(), tone),
            (number(known.and_then(|model| model.context)), Tone::Plain),
            (number(known.and_then(|model| model.output_max)), Tone::Plain),
            (price, Tone::Plain),
            (aliases, Tone::Faint),
        ]
    }
}

fn words(model: &Model) -> Option<Vec<&'static str>> {
    model.skills.as_ref().map(|skills| skills.iter().map(|skill: &Skill| skill.word()).collect())
}

/// Dollars per million tokens, without zeros at the end.
fn usd(pico: u64) -> String {
    let text = format!("{}.{:06}", pico / 1_000_000, pico % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As texts, because a binary fraction is no price.
fn dollars(price: &Price) -> Value {
    json!({
        "input": usd(price.input),
        "output": usd(price.output),
        "cache_read": usd(price.cache_read),
        "cache_write": usd(price.cache_write),
    })
}

fn print(lines: &[Line<'_>], as_json: bool, screen: &Screen) -> Result<(), CliError> {
    if as_json {
        let lines: Vec<Value> = lines.iter().map(Line::json).collect();
        Screen::print(&serde_json::to_string_pretty(&lines)?)?;
        return Ok(());
    }
    let columns = [
        ("PROVIDER", false),
        ("MODEL", false),
        ("SOURCE", false),
        ("CONTEXT", true),
        ("OUTPUT", true),
        ("IN / OUT PER MILLION", false),
        ("ALIASES", false),
    ];
    let columns = columns.map(|(title, is_number)| Column { title, is_number });
    let rows: Vec<_> = lines.iter().map(|line| line.row(screen)).collect();
    Screen::print(&table(screen, &columns, &rows))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_the_digits_that_it_has() {
        let check = |pico: u64, text: &str| assert_eq!(usd(pico), text);
        check(3_000_000, "3");
        check(37_500, "0.0375");
        check(12_500_000, "12.5");
        check(0, "0");
    }
}
