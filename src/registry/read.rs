//! Reads a text of models, and notes what is wrong with it like any other text of a person's.

use greenroom_actors::domain::{
    ids::{ModelName, ProviderName, Timestamp},
    usage::{LongPrompts, Price},
};

use crate::document::{Mistakes, Placed, Section, Sheet, listed, near};

use super::{Model, Skill};

/// Dearest price of a million tokens, in millionths of a dollar: more is a slip.
const PRICE_MAX: u64 = 1_000_000_000_000;
/// Most tokens that a model reads or writes: more is a slip.
const TOKENS_MAX: u64 = 1_000_000_000;

/// What a text says about one model.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) vendor: ProviderName,
    pub(super) id: ModelName,
    aliases: Option<Vec<String>>,
    skills: Option<Vec<Skill>>,
    context: Option<u64>,
    output_max: Option<u64>,
    prices: Option<Vec<(Timestamp, Price)>>,
    long: Option<LongPrompts>,
    is_default: Option<bool>,
}

impl Entry {
    pub(super) fn into_model(self) -> Model {
        let (vendor, id) = (self.vendor.clone(), self.id.clone());
        let mut model = Model {
            vendor,
            id,
            aliases: Vec::new(),
            skills: None,
            context: None,
            output_max: None,
            prices: Vec::new(),
            long: None,
            is_default: false,
        };
        self.lay_over(&mut model);
        model
    }

    pub(super) fn lay_over(self, model: &mut Model) {
        model.aliases = self.aliases.unwrap_or(std::mem::take(&mut model.aliases));
        model.skills = self.skills.or(model.skills.take());
        model.context = self.context.or(model.context);
        model.output_max = self.output_max.or(model.output_max);
        if let Some(prices) = self.prices {
            // The price of long prompts belonged to the prices before.
            (model.prices, model.long) = (prices, None);
        }
        model.long = self.long.or(model.long);
        model.is_default = self.is_default.unwrap_or(model.is_default);
    }
}

pub(super) fn entries(name: &str, text: &str) -> Result<Vec<Entry>, Mistakes> {
    let sheet = Sheet::new(name, text);
    let mut entries = Vec::new();
    if let Some(table) = sheet.parse() {
        for (vendor, models) in Section::outermost(&sheet, &table).named() {
            let models = models.named();
            entries.extend(models.iter().map(|(id, model)| entry(&vendor, id, model)));
        }
    }
    sheet.finish()?;
    Ok(entries)
}

fn entry(vendor: &Placed<String>, id: &Placed<String>, model: &Section<'_, '_>) -> Entry {
    model.only(&["aliases", "can", "context", "output", "price", "long", "default"]);
    let aliases =
        model.has("aliases").then(|| model.texts("aliases").into_iter().map(|alias| alias.value));
    Entry {
        vendor: ProviderName(vendor.value.to_ascii_lowercase()),
        id: ModelName(id.value.clone()),
        aliases: aliases.map(Iterator::collect),
        skills: model.has("can").then(|| skills(model)),
        context: model.number("context", 1..=TOKENS_MAX),
        output_max: model.number("output", 1..=TOKENS_MAX),
        prices: model.section("price").map(|prices| dated(&prices)),
        long: model.section("long").and_then(|long| long_prompts(&long)),
        is_default: model.flag("default"),
    }
}

fn skills(model: &Section<'_, '_>) -> Vec<Skill> {
    let mut skills = Vec::new();
    for word in model.texts("can") {
        match Skill::WORDS.iter().find(|(known, _)| *known == word.value) {
            Some((_, skill)) => skills.push(*skill),
            None => {
                let known = || Skill::WORDS.iter().map(|(word, _)| *word);
                let what = format!("{:?} is no word for what a model can", word.value);
                let meant = near(&word.value, known());
                model.sheet.note_near(word.span, what, listed(known()), meant);
            }
        }
    }
    skills
}

/// Prices by the day from which they hold, midnight of UTC.
fn dated(prices: &Section<'_, '_>) -> Vec<(Timestamp, Price)> {
    let mut found = Vec::new();
    for (day, section) in prices.named() {
        let Some(since) = midnight(&day.value) else {
            let what = format!("{:?} is no day", day.value);
            let expected = "the day from which the price holds, such as 2026-09-22".to_owned();
            prices.sheet.note(day.span, what, expected);
            continue;
        };
        section.only(&PRICE_KEYS);
        found.extend(price(&section).map(|price| (since, price)));
    }
    found.sort_by_key(|(since, _)| *since);
    found
}

fn midnight(day: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(midnight.timestamp().as_millisecond()))
}

fn long_prompts(long: &Section<'_, '_>) -> Option<LongPrompts> {
    long.only(&["above", "input", "output", "cache_read", "cache_write"]);
    let above = long.number("above", 1..=TOKENS_MAX);
    if !long.has("above") {
        let what = "`long` does not say `above` how many tokens".to_owned();
        long.sheet.note(long.span.clone(), what, "above = TOKENS of a prompt".to_owned());
    }
    let price = price(long);
    Some(LongPrompts { above: above?, price: price? })
}

/// What a table of a price may say.
pub(crate) const PRICE_KEYS: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

/// A price in dollars per million tokens.
pub(crate) fn price(price: &Section<'_, '_>) -> Option<Price> {
    let dollars = |key: &str| {
        let expected = "dollars per million tokens, such as 3 or 0.25, with at most 6 decimals";
        price.decimal(key, 6, 0..=PRICE_MAX, expected)
    };
    for key in ["input", "output"] {
        if !price.has(key) {
            let what = format!("the price lacks `{key}`");
            let expected = format!("{key} = DOLLARS per million tokens");
            price.sheet.note(price.span.clone(), what, expected);
        }
    }
    let (input, output) = (dollars("input"), dollars("output"));
    // What is not said about a cache is dear rather than free: a bound must hold.
    let (cache_read, cache_write) = (dollars("cache_read"), dollars("cache_write"));
    let (input, output) = (input?, output?);
    let (cache_read, cache_write) = (cache_read.unwrap_or(input), cache_write.unwrap_or(input));
    Some(Price { input, cache_read, cache_write, output })
}
