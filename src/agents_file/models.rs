//! `[models.NAME]`: what answers, and what it costs. An agent names a model by its name here.

use std::path::Path;

use greenroom_actors::domain::{
    ids::{ModelName, ProviderName, Timestamp},
    usage::{DatedPrice, Price, PriceBook},
};

use crate::document::{Section, listed};

use super::{World, agents::is_word};

/// What exists, for the error about what does not.
const PROVIDERS: [&str; 1] = ["scripted"];
/// Pico-dollars per token in a million dollars per million tokens: dearer is a slip.
const PRICE_MAX: u64 = 1_000_000_000_000;

/// The models of a file.
#[derive(Debug, Default)]
pub(super) struct Models(Vec<Model>);

/// One model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: ModelName,
    pub(super) provider: ProviderName,
    script: Option<String>,
    pub(super) price: Option<Price>,
}

impl Models {
    pub(super) fn find(&self, name: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.name.as_str() == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|model| model.name.as_str())
    }

    /// The one an agent has that names none.
    pub(super) fn only(&self) -> Option<&Model> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn prices(&self) -> PriceBook {
        let priced = self.0.iter().filter_map(|model| {
            let since = Timestamp(0);
            model.price.map(|price| DatedPrice { model: model.name.clone(), since, price })
        });
        PriceBook(priced.collect())
    }

    pub(super) fn scripts(&self) -> Vec<(ProviderName, String)> {
        let scripted = self.0.iter();
        scripted.filter_map(|model| Some((model.provider.clone(), model.script.clone()?))).collect()
    }
}

pub(super) fn read(all: &Section<'_, '_>, world: &World<'_>) -> Models {
    let Some(section) = all.section("models") else { return Models::default() };
    let mut models = Vec::new();
    for (name, model) in section.named() {
        is_word(section.sheet, "a model", &name);
        // A model that is wrong stays known, so that agents which name it are not wrong as well.
        models.push(Model {
            provider: ProviderName(format!("scripted/{}", name.value)),
            script: script(&name.value, &model, world),
            price: price(&model),
            name: ModelName(name.value),
        });
    }
    Models(models)
}

fn script(name: &str, model: &Section<'_, '_>, world: &World<'_>) -> Option<String> {
    let expected = || format!("{}: no vendor's models are connected yet", listed(PROVIDERS));
    if !model.has("provider") {
        let what = format!("model {name:?} does not say its `provider`");
        model.sheet.note(model.span.clone(), what, expected());
        return None;
    }
    let provider = model.text("provider")?;
    if provider.value != "scripted" {
        let what = format!("provider {:?} does not exist", provider.value);
        model.sheet.note(provider.span, what, expected());
        return None;
    }
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

fn price(model: &Section<'_, '_>) -> Option<Price> {
    let price = model.section("price")?;
    price.only(&["input", "output", "cache_read", "cache_write"]);
    let dollars = |key: &str| {
        let expected = "dollars per million tokens, such as 3 or 0.25, with at most 6 decimals";
        price.decimal(key, 6, 0..=PRICE_MAX, expected)
    };
    for key in ["input", "output"] {
        if !price.has(key) {
            let what = format!("the price lacks `{key}`");
            price.sheet.note(
                price.span.clone(),
                what,
                format!("{key} = DOLLARS per million tokens"),
            );
        }
    }
    let (input, output) = (dollars("input"), dollars("output"));
    // What is not said about a cache is dear rather than free: a bound must hold.
    let (cache_read, cache_write) = (dollars("cache_read"), dollars("cache_write"));
    let (input, output) = (input?, output?);
    let (cache_read, cache_write) = (cache_read.unwrap_or(input), cache_write.unwrap_or(input));
    Some(Price { input, cache_read, cache_write, output })
}
