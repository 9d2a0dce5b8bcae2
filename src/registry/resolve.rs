//! From a wish to a model. The first step that fits decides:
//!
//! ```text
//! vendor named, its models not listed ─▶ the name as it is
//! vendor named ─▶ its id or alias ─▶ the same after its own `vendor/` ─▶ its default, as a fallback
//! `vendor/model` ─▶ as if that vendor had been named
//! nobody named ─▶ the one vendor that has such an id, then such an alias
//! nothing said ─▶ the default of the first vendor, as a fallback
//! ```
//!
//! Letter case does not count where models are listed, and the listed spelling is the answer, because
//! vendors themselves do count it; a name that is passed through keeps its own.

use greenroom_actors::domain::ids::{ModelName, ProviderName};

use crate::document::{listed, near};

use super::{Model, Registry};

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What was asked for.
    pub requested: Option<String>,
    /// Who serves it.
    pub vendor: ProviderName,
    /// The name that the vendor knows.
    pub model: ModelName,
    /// Whether it is another model than the one asked for.
    pub used_fallback: bool,
    /// The steps, the wish first.
    pub chain: Vec<String>,
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoModel {
    /// A model that no vendor has, and nobody said whose it is.
    #[error("no model {name:?} is known{}; name its vendor", meant(.near.as_ref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// Several vendors serve it.
    #[error("{name:?} is served by several vendors: expected {}", listed(.vendors.iter().map(String::as_str)))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// As `vendor/model`.
        vendors: Vec<String>,
    },
    /// It names another vendor than it is asked of.
    #[error("{name:?} is a model of {other}, and {vendor} was named")]
    OtherVendor {
        /// What was asked for.
        name: String,
        /// Whose it is by its name.
        other: ProviderName,
        /// Who was named.
        vendor: ProviderName,
    },
    /// A vendor without a default, or nobody at all.
    #[error("nothing says which model")]
    NothingSaid,
}

fn meant(near: Option<&String>) -> String {
    near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

impl Registry {
    /// Finds the model that is meant by a name, at a vendor where one is named.
    ///
    /// # Errors
    /// When nothing is meant, or more than one, or a model of another vendor.
    pub fn resolve(
        &self,
        requested: Option<&str>,
        vendor: Option<&ProviderName>,
    ) -> Result<Resolution, NoModel> {
        let name = requested.map(str::trim).filter(|name| !name.is_empty());
        let wish = Wish { registry: self, name };
        match (name, vendor) {
            (name, Some(vendor)) => {
                let vendor = ProviderName(vendor.as_str().trim().to_ascii_lowercase());
                wish.at(name, &vendor)
            }
            (Some(name), None) => match name.split_once('/') {
                Some((prefix, rest)) if self.lists(prefix) && self.nobodys(name) => {
                    wish.at(Some(rest), &ProviderName(prefix.to_ascii_lowercase()))
                }
                Some(_) | None => wish.anywhere(name),
            },
            (None, None) => {
                let first = self.models().find(|model| model.is_default);
                let first = first.ok_or(NoModel::NothingSaid)?;
                Ok(wish.fell_back(first, format!("global_default:{}/{}", first.vendor, first.id)))
            }
        }
    }

    /// Whether no listed model has this as its whole name: hosts have ids with a `/` in them.
    fn nobodys(&self, name: &str) -> bool {
        !self.models().any(|model| model.answers_to(name))
    }
}

/// What is asked for, and where it is looked up.
struct Wish<'r> {
    registry: &'r Registry,
    name: Option<&'r str>,
}

impl Wish<'_> {
    fn at(&self, name: Option<&str>, vendor: &ProviderName) -> Result<Resolution, NoModel> {
        let registry = self.registry;
        if !registry.lists(vendor.as_str()) {
            let name = name.ok_or(NoModel::NothingSaid)?;
            return Ok(self.done(vendor.clone(), ModelName(name.to_owned())));
        }
        if let Some(name) = name {
            if let Some(model) = registry.find(vendor.as_str(), name) {
                return Ok(self.done(vendor.clone(), model.id.clone()));
            }
            if let Some((prefix, rest)) = name.split_once('/') {
                if prefix.eq_ignore_ascii_case(vendor.as_str()) {
                    return self.at(Some(rest), vendor);
                }
                if registry.lists(prefix) {
                    let other = ProviderName(prefix.to_ascii_lowercase());
                    let (name, vendor) = (name.to_owned(), vendor.clone());
                    return Err(NoModel::OtherVendor { name, other, vendor });
                }
            }
        }
        let default = registry.of(vendor.as_str()).find(|model| model.is_default);
        let default = default.ok_or(NoModel::NothingSaid)?;
        Ok(self.fell_back(default, format!("provider_default:{vendor}")))
    }

    /// Nobody was named: a name that two vendors know is nobody's.
    fn anywhere(&self, name: &str) -> Result<Resolution, NoModel> {
        let registry = self.registry;
        let by_id = |model: &&Model| model.id.as_str().eq_ignore_ascii_case(name);
        let mut found: Vec<&Model> = registry.models().filter(by_id).collect();
        if found.is_empty() {
            found = registry.models().filter(|model| model.answers_to(name)).collect();
        }
        match found.as_slice() {
            [model] => Ok(self.done(model.vendor.clone(), model.id.clone())),
            [] => {
                let ids = registry.models().map(|model| model.id.as_str());
                let near = near(name, ids).map(str::to_owned);
                Err(NoModel::Unknown { name: name.to_owned(), near })
            }
            several => {
                let full = |model: &&Model| format!("{}/{}", model.vendor, model.id);
                let vendors = several.iter().map(full).collect();
                Err(NoModel::Ambiguous { name: name.to_owned(), vendors })
            }
        }
    }

    fn done(&self, vendor: ProviderName, model: ModelName) -> Resolution {
        Resolution {
            requested: self.name.map(str::to_owned),
            vendor,
            model,
            used_fallback: false,
            chain: self.name.map(|name| format!("requested:{name}")).into_iter().collect(),
        }
    }

    fn fell_back(&self, model: &Model, step: String) -> Resolution {
        let mut done = self.done(model.vendor.clone(), model.id.clone());
        done.used_fallback = true;
        done.chain.push(step);
        done
    }
}
