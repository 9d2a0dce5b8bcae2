//! `[models.NAME]`: what answers, and what it costs. An agent names a model by its name here; which
//! vendor's model that is, and what it is called there, is settled once, when the file is read.

use std::path::Path;

use greenroom_actors::domain::{
    ids::{ModelName, ProviderName, Timestamp},
    usage::{DatedPrice, Price, PriceBook},
};

use crate::{
    document::{Placed, Section, listed, near},
    registry::{self, NoModel, Registry},
};

use super::{
    World,
    agents::is_word,
    providers::{ProviderSpec, Providers, SCRIPTED},
};

/// What models are put together from.
#[derive(Debug)]
pub(super) struct Parts<'p> {
    pub(super) providers: Providers,
    pub(super) registry: &'p Registry,
}

/// The models of a file.
#[derive(Debug, Default)]
pub(super) struct Models {
    models: Vec<Model>,
    providers: Vec<ProviderSpec>,
}

/// One model.
#[derive(Debug)]
pub(super) struct Model {
    /// Its name in the file.
    pub(super) name: String,
    /// Its name where it is served.
    pub(super) model: ModelName,
    pub(super) provider: ProviderName,
    script: Option<String>,
    /// What it costs and since when; empty where that is not known.
    pub(super) prices: Vec<DatedPrice>,
}

impl Models {
    pub(super) fn find(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.name.as_str())
    }

    /// The one an agent has that names none.
    pub(super) fn only(&self) -> Option<&Model> {
        match self.models.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn prices(&self) -> PriceBook {
        let mut book: Vec<DatedPrice> = Vec::new();
        for dated in self.models.iter().flat_map(|model| &model.prices) {
            if !book.contains(dated) {
                book.push(dated.clone());
            }
        }
        PriceBook(book)
    }

    pub(super) fn providers(&self) -> Vec<ProviderSpec> {
        self.providers.clone()
    }

    pub(super) fn scripts(&self) -> Vec<(ProviderName, String)> {
        let scripted = self.models.iter();
        scripted.filter_map(|model| Some((model.provider.clone(), model.script.clone()?))).collect()
    }
}

pub(super) fn read(all: &Section<'_, '_>, parts: &Parts<'_>, world: &World<'_>) -> Models {
    let mut found = Models { models: Vec::new(), providers: parts.providers.own().to_vec() };
    let Some(section) = all.section("models") else { return found };
    for (name, table) in section.named() {
        is_word(section.sheet, "a model", &name);
        let served = provider(&name.value, &table, parts);
        let model = match served {
            // A model that is wrong stays known, so that agents which name it are not wrong as well.
            None | Some(Served::Script) => scripted(&name.value, &table, served.is_some(), world),
            Some(Served::By(spec)) => {
                let model = listed_model(&name.value, &table, &spec, parts.registry);
                if !found.providers.iter().any(|known| known.name == spec.name) {
                    found.providers.push(*spec);
                }
                model
            }
        };
        one_price(&table, &model, &found.models);
        found.models.push(model);
    }
    found
}

/// Who answers.
enum Served {
    Script,
    By(Box<ProviderSpec>),
}

fn provider(name: &str, model: &Section<'_, '_>, parts: &Parts<'_>) -> Option<Served> {
    if !model.has("provider") {
        let what = format!("model {name:?} does not say its `provider`");
        let expected = "a [providers.NAME], a vendor such as \"anthropic\", or \"scripted\"";
        model.sheet.note(model.span.clone(), what, expected.to_owned());
        return None;
    }
    let provider = model.text("provider")?;
    if provider.value == SCRIPTED {
        return Some(Served::Script);
    }
    let spec = parts.providers.find(&provider, model.sheet)?;
    Some(Served::By(Box::new(spec)))
}

/// A script in place of a model; where it `is` none, only its price is looked at.
fn scripted(name: &str, table: &Section<'_, '_>, is: bool, world: &World<'_>) -> Model {
    let price = table.section("price").and_then(|section| own_price(&section));
    let model = ModelName(name.to_owned());
    Model {
        name: name.to_owned(),
        provider: ProviderName(format!("{SCRIPTED}/{name}")),
        script: if is { script(name, table, world) } else { None },
        prices: price.map(|price| always(&model, price)).into_iter().collect(),
        model,
    }
}

/// A price that the file says: it holds for any call, at any time.
fn always(model: &ModelName, price: Price) -> DatedPrice {
    DatedPrice { model: model.clone(), since: Timestamp(0), price, long: None }
}

fn script(name: &str, model: &Section<'_, '_>, world: &World<'_>) -> Option<String> {
    model.only(&["provider", "script", "price"]);
    if !model.has("script") {
        let what = format!("model {name:?} is scripted and names no `script`");
        let expected = "script = \"FILE\", relative to this file".to_owned();
        model.sheet.note(model.span.clone(), what, expected);
        return None;
    }
    let path = model.words("script")?;
    let note = |why: String, expected: &str| {
        let what = format!("script {:?}: {why}", path.value);
        model.sheet.note(path.span.clone(), what, expected.to_owned());
    };
    let text = match (world.text)(Path::new(&path.value)) {
        Ok(text) => text,
        Err(why) => {
            note(why, "a script that can be read, relative to this file");
            return None;
        }
    };
    if let Err(why) = (world.script)(&text) {
        note(why, "a script that can be followed");
        return None;
    }
    Some(text)
}

/// A vendor's model.
fn listed_model(
    name: &str,
    table: &Section<'_, '_>,
    provider: &ProviderSpec,
    registry: &Registry,
) -> Model {
    table.only(&["provider", "model", "unlisted", "price"]);
    let id = id(name, table, provider, registry).unwrap_or_else(|| ModelName(name.to_owned()));
    let own = table.section("price").and_then(|section| own_price(&section));
    let known = registry.find(provider.vendor(), id.as_str());
    let prices = match own {
        Some(price) => vec![always(&id, price)],
        None => known.map(|model| model.dated().collect()).unwrap_or_default(),
    };
    let (name, provider) = (name.to_owned(), provider.name.clone());
    Model { name, model: id, provider, script: None, prices }
}

/// What the vendor calls it.
fn id(
    name: &str,
    table: &Section<'_, '_>,
    provider: &ProviderSpec,
    registry: &Registry,
) -> Option<ModelName> {
    let vendor = ProviderName::from(provider.vendor());
    let ids = || registry.of(vendor.as_str()).map(|model| model.id.as_str());
    let expected = || match ids().next() {
        Some(_) => format!("a model of {vendor}: {}", listed(ids())),
        None => format!("a model's name as {} knows it", provider.name),
    };
    if !table.has("model") {
        let what = format!("model {name:?} does not say its `model`");
        table.sheet.note(table.span.clone(), what, expected());
        return None;
    }
    let wanted = table.words("model")?;
    let is_unlisted = table.flag("unlisted").unwrap_or(false);
    let names = || {
        registry.of(vendor.as_str()).flat_map(|model| {
            let aliases = model.aliases.iter().map(String::as_str);
            std::iter::once(model.id.as_str()).chain(aliases)
        })
    };
    let note = |what: String, expected: String| {
        let Placed { value, span } = wanted.clone();
        table.sheet.note_near(span, what, expected, near(&value, names()));
    };
    match registry.resolve(Some(&wanted.value), Some(&vendor)) {
        Ok(found) if !found.used_fallback => Some(found.model),
        Ok(_) | Err(NoModel::NothingSaid) if is_unlisted => {
            Some(ModelName(wanted.value.trim().to_owned()))
        }
        Ok(_) | Err(NoModel::NothingSaid) => {
            let what = format!("{:?} is none of the known models of {vendor}", wanted.value);
            note(what, format!("{}; for a newer one `unlisted = true`", expected()));
            None
        }
        Err(
            error @ (NoModel::Unknown { .. }
            | NoModel::Ambiguous { .. }
            | NoModel::OtherVendor { .. }),
        ) => {
            note(error.to_string(), expected());
            None
        }
    }
}

fn own_price(section: &Section<'_, '_>) -> Option<Price> {
    section.only(&registry::PRICE_KEYS);
    registry::price(section)
}

/// Prices are kept by the vendor's name of a model: one name has one price.
fn one_price(table: &Section<'_, '_>, model: &Model, before: &[Model]) {
    let differs = |other: &&Model| other.model == model.model && other.prices != model.prices;
    if let Some(other) = before.iter().find(differs) {
        let what = format!(
            "models {:?} and {:?} are both {:?} where they are served, at two prices",
            other.name,
            model.name,
            model.model.as_str()
        );
        table.sheet.note(table.place("price"), what, "the same `price` in both".to_owned());
    }
}
