//! Which models there are: their ids and aliases, what they can, how much they read and write, and
//! what they cost from which day on. It is data (`registry/models.toml`), and a user's data in the
//! same form lies over it key by key. It owns the rules by which a wish becomes a vendor's model.
//!
//! It refuses to guess: what the data does not say is unknown, a price never 0; and no wish ends at
//! another vendor than the one that was named. Nothing here asks anybody; what a vendor serves at
//! this moment only the vendor knows.

mod read;
mod resolve;

#[cfg(test)]
mod tests;

use greenroom_actors::domain::{
    ids::{ModelName, ProviderName, Timestamp},
    usage::{DatedPrice, LongPrompts, Price, PriceBook},
};

use crate::document::Mistakes;

pub(crate) use read::{PRICE_KEYS, price};
pub use resolve::{NoModel, Resolution};

/// The data that is built in.
const MODELS: &str = include_str!("registry/models.toml");

/// What a model can, beside text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skill {
    /// Calls tools.
    Tools,
    /// Thinks before it answers.
    Reasoning,
    /// Looks at images.
    Images,
    /// Keeps to a schema.
    StructuredOutput,
}

impl Skill {
    /// All of them, by the words that the data has for them.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("tools", Self::Tools),
        ("reasoning", Self::Reasoning),
        ("images", Self::Images),
        ("structured_output", Self::StructuredOutput),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, skill)| *skill == self);
        found.map_or("", |(word, _)| word)
    }
}

/// What is known about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Who serves it: the name of a preset.
    pub vendor: ProviderName,
    /// Its name there.
    pub id: ModelName,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// What it can; nothing where that is not known.
    pub skills: Option<Vec<Skill>>,
    /// Tokens of a prompt and its answer.
    pub context: Option<u64>,
    /// Tokens of an answer.
    pub output_max: Option<u64>,
    /// Its prices, the oldest first.
    pub prices: Vec<(Timestamp, Price)>,
    /// Its price for long prompts.
    pub long: Option<LongPrompts>,
    /// Whether it is its vendor's model where none was named.
    pub is_default: bool,
}

impl Model {
    /// Whether this is one of its names. Letter case does not count.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        let is = |own: &str| own.eq_ignore_ascii_case(name);
        is(self.id.as_str()) || self.aliases.iter().any(|alias| is(alias))
    }

    /// Its price at a moment.
    #[must_use]
    pub fn price(&self, now: Timestamp) -> Option<Price> {
        self.prices.iter().rev().find(|(since, _)| *since <= now).map(|(_, price)| *price)
    }

    /// All its prices, for a budget in money.
    pub fn dated(&self) -> impl Iterator<Item = DatedPrice> {
        let dated = |(since, price): &(Timestamp, Price)| DatedPrice {
            model: self.id.clone(),
            since: *since,
            price: *price,
            long: self.long,
        };
        self.prices.iter().map(dated)
    }
}

/// All known models, by vendor and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(Vec<Model>);

impl Registry {
    /// What is built in.
    #[must_use]
    pub fn built_in() -> Self {
        // `the_data_that_is_built_in_is_right` reads the same text.
        Self::default().with("models.toml", MODELS).expect("the data that is built in is right")
    }

    /// With a user's data over it; `name` is what to call that in an error. What an entry says
    /// replaces what was known, key by key; prices are replaced as a whole.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn with(mut self, name: &str, text: &str) -> Result<Self, Mistakes> {
        for entry in read::entries(name, text)? {
            let known = |model: &&mut Model| model.vendor == entry.vendor && model.id == entry.id;
            match self.0.iter_mut().find(known) {
                Some(model) => entry.lay_over(model),
                None => self.0.push(entry.into_model()),
            }
        }
        self.0.sort_by(|a, b| (&a.vendor, &a.id).cmp(&(&b.vendor, &b.id)));
        Ok(self)
    }

    /// Every model.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.0.iter()
    }

    /// The models of one vendor.
    pub fn of<'r>(&'r self, vendor: &str) -> impl Iterator<Item = &'r Model> + use<'r> {
        let vendor = vendor.to_ascii_lowercase();
        self.0.iter().filter(move |model| model.vendor.as_str() == vendor)
    }

    /// The vendor's model of this name.
    #[must_use]
    pub fn find(&self, vendor: &str, name: &str) -> Option<&Model> {
        // An id goes before another model's alias.
        let exact = self.of(vendor).find(|model| model.id.as_str().eq_ignore_ascii_case(name));
        exact.or_else(|| self.of(vendor).find(|model| model.answers_to(name)))
    }

    /// Whether a vendor's models are listed here. One whose models are not takes any name.
    #[must_use]
    pub fn lists(&self, vendor: &str) -> bool {
        self.of(vendor).next().is_some()
    }

    /// Every known price, where a model's name means one thing: two vendors that serve the same id
    /// at different prices leave it unknown, for a price book has names alone.
    #[must_use]
    pub fn prices(&self) -> PriceBook {
        let is_clear = |model: &&Model| {
            let same = self.0.iter().filter(|other| other.id == model.id);
            same.clone().count() == 1 || same.clone().all(|other| other.prices == model.prices)
        };
        let mut book: Vec<DatedPrice> =
            self.0.iter().filter(is_clear).flat_map(Model::dated).collect();
        book.dedup();
        PriceBook(book)
    }
}
