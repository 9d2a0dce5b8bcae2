//! `[providers.NAME]`: where models are served. Each is of a kind that the program knows, and may
//! stand beside others of the same kind with another address or credential. A vendor that a model
//! names directly is a provider of that name with nothing said about it.
//!
//! Credentials are named, never given: a key that stands in the file is refused, and no error
//! shows it.

use std::{fmt, path::PathBuf};

use greenroom_actors::{domain::ids::ProviderName, limits as most};

use crate::{
    document::{Placed, Section, Sheet, listed, near},
    net::Patience,
    providers::{Kind, Place, Preset, UnknownProvider, preset, presets},
};

use super::agents::is_word;

/// The provider that answers from a script.
pub(super) const SCRIPTED: &str = "scripted";

const KEYS: [&str; 12] = [
    "kind",
    "base_url",
    "api_key_env",
    "api_key_file",
    "headers",
    "stream",
    "connect_ms",
    "first_byte_ms",
    "idle_ms",
    "calls",
    "project",
    "location",
];
/// Keys under which somebody would write a credential itself.
pub(super) const SECRETS: [&str; 6] = ["api_key", "apikey", "key", "token", "secret", "password"];
/// Headers that carry one.
const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-auth-token",
    "cookie",
];
/// Most calls at once under one credential that a file may ask for.
const CALLS_MAX: u32 = 10_000;

/// Where a provider's credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// In a variable of the environment.
    Variable(String),
    /// In a file, relative to the agents file.
    File(PathBuf),
}

/// A provider as a file declares it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderSpec {
    /// Its name here.
    pub name: ProviderName,
    /// Of which kind it is: the name of a preset.
    pub kind: &'static str,
    /// Where its paths begin, unless where the preset says.
    pub base_url: Option<String>,
    /// Its credential, unless where the preset says.
    pub key: Option<KeyAt>,
    /// Headers sent along.
    pub headers: Vec<(String, String)>,
    /// Whether answers are streamed.
    pub stream: Option<bool>,
    /// How long is waited.
    pub patience: Patience,
    /// How many calls run at once under its credential.
    pub calls: Option<u32>,
    /// Project and region, where it is a cloud's.
    pub place: Option<Place>,
}

impl ProviderSpec {
    /// A vendor of which nothing else is said.
    #[must_use]
    pub fn of(preset: &'static Preset) -> Self {
        Self {
            name: ProviderName::from(preset.name),
            kind: preset.name,
            base_url: None,
            key: None,
            headers: Vec::new(),
            stream: None,
            patience: Patience::default(),
            calls: None,
            place: None,
        }
    }

    /// Under which name its models are listed.
    #[must_use]
    pub fn vendor(&self) -> &'static str {
        match self.kind {
            "vertex" => "gemini",
            // With an address it is anybody's server that speaks the format.
            "openai_chat" if self.base_url.is_none() => "openai",
            kind => kind,
        }
    }
}

/// Without what its headers hold: that may be a secret.
impl fmt::Debug for ProviderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .field("key", &self.key)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// The providers of a file.
#[derive(Debug, Default)]
pub(super) struct Providers(Vec<ProviderSpec>);

impl Providers {
    pub(super) fn own(&self) -> &[ProviderSpec] {
        &self.0
    }

    /// The provider that a model names: one of the file's, or a vendor.
    pub(super) fn find(&self, name: &Placed<String>, sheet: &Sheet<'_>) -> Option<ProviderSpec> {
        if let Some(own) = self.0.iter().find(|own| own.name.as_str() == name.value) {
            return Some(own.clone());
        }
        let own = || self.0.iter().map(|own| own.name.as_str());
        let preset = kind(name, sheet, own().chain([SCRIPTED]).collect())?;
        // By an alias the vendor is meant, whom the file may have set up under its name.
        let own = self.0.iter().find(|own| own.name.as_str() == preset.name);
        let spec = own.cloned().unwrap_or_else(|| ProviderSpec::of(preset));
        if preset.kind == Kind::Vertex && spec.place.is_none() {
            let what = format!("provider {:?} has no project and location", name.value);
            let expected = format!("[providers.{}] with `project` and `location`", preset.name);
            sheet.note(name.span.clone(), what, expected);
            return None;
        }
        Some(spec)
    }
}

pub(super) fn read(all: &Section<'_, '_>) -> Providers {
    let Some(section) = all.section("providers") else { return Providers::default() };
    let read = section.named().into_iter().filter_map(|(name, table)| {
        is_word(section.sheet, "a provider", &name);
        if name.value == SCRIPTED {
            let what = format!("provider {SCRIPTED:?} is the program's own");
            section.sheet.note(name.span.clone(), what, "another name".to_owned());
        }
        provider(&name, &table)
    });
    Providers(read.collect())
}

fn provider(name: &Placed<String>, table: &Section<'_, '_>) -> Option<ProviderSpec> {
    secrets(table);
    let known: Vec<&str> = KEYS.iter().chain(&SECRETS).copied().collect();
    table.only(&known);
    let kind = if table.has("kind") {
        kind(&table.text("kind")?, table.sheet, Vec::new())?
    } else {
        // `[providers.anthropic]` says its kind by its name.
        kind(name, table.sheet, Vec::new())?
    };
    let base = ProviderSpec::of(kind);
    let wait = |key, usual| table.number(key, 1..=most::TIME_MAX_MS).unwrap_or(usual);
    Some(ProviderSpec {
        name: ProviderName(name.value.clone()),
        base_url: address(table),
        key: key(table),
        headers: headers(table),
        stream: table.flag("stream"),
        patience: Patience {
            connect_ms: wait("connect_ms", base.patience.connect_ms),
            first_byte_ms: wait("first_byte_ms", base.patience.first_byte_ms),
            idle_ms: wait("idle_ms", base.patience.idle_ms),
        },
        calls: table.small("calls", 1..=CALLS_MAX),
        place: place(name, table, kind),
        ..base
    })
}

/// Where in a cloud it is; a cloud's provider must say that, and no other one does.
fn place(name: &Placed<String>, table: &Section<'_, '_>, kind: &Preset) -> Option<Place> {
    for key in ["project", "location"] {
        let is_cloud = kind.kind == Kind::Vertex;
        let (what, expected) = match (table.has(key), is_cloud) {
            (true, false) => {
                (format!("`{key}` at a provider of kind {:?}", kind.name), "no such key")
            }
            (false, true) => {
                (format!("provider {:?} does not say its `{key}`", name.value), "a text")
            }
            (true, true) | (false, false) => continue,
        };
        table.sheet.note(table.place(key), what, expected.to_owned());
    }
    let text = |key| table.words(key).map(|text| text.value);
    let place = Place { project: text("project")?, location: text("location")? };
    if let Some(word) = place.strange() {
        let key = if word == place.location { "location" } else { "project" };
        let what = format!("`{key}` is {word:?}");
        table.sheet.note(table.place(key), what, "small letters, digits and `-`".to_owned());
        return None;
    }
    Some(place)
}

/// Notes a credential that stands in the file itself.
pub(super) fn secrets(table: &Section<'_, '_>) {
    for key in SECRETS.into_iter().filter(|key| table.has(key)) {
        let what = format!("`{key}` holds a credential, and a file like this is passed around");
        table.sheet.note_secret(table.place(key), what, REFERENCE.to_owned());
    }
}

pub(super) const REFERENCE: &str =
    "api_key_env = \"VARIABLE\", or api_key_file = \"FILE\" that only you may read";

pub(super) fn key(table: &Section<'_, '_>) -> Option<KeyAt> {
    if table.has("api_key_env") && table.has("api_key_file") {
        let what = "both `api_key_env` and `api_key_file` are given".to_owned();
        table.sheet.note(table.place("api_key_file"), what, "one of them".to_owned());
        return None;
    }
    if let Some(file) = table.words("api_key_file") {
        return Some(KeyAt::File(PathBuf::from(file.value)));
    }
    let name = table.words("api_key_env")?;
    // Small letters are refused because keys have them: one written here by mistake would be
    // told to everybody as the name of a variable that is not set.
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let fits = name.value.chars().all(plain)
        && !name.value.starts_with(|c: char| c.is_ascii_digit())
        && name.value.len() <= most::WORD_CHARS;
    if !fits {
        let what = "`api_key_env` holds no name of a variable".to_owned();
        let expected = "a name in capitals, digits and `_`, such as \"ANTHROPIC_API_KEY\"";
        table.sheet.note_secret(name.span, what, expected.to_owned());
        return None;
    }
    Some(KeyAt::Variable(name.value))
}

fn address(table: &Section<'_, '_>) -> Option<String> {
    let url = table.words("base_url")?;
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.value.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if host.contains('@') {
        let what = "`base_url` holds a credential".to_owned();
        table.sheet.note_secret(url.span, what, REFERENCE.to_owned());
    } else if host.is_empty() || url.value.contains(['?', '#']) {
        let what = format!("`base_url` is {:?}", url.value);
        table.sheet.note(url.span, what, "an address such as https://HOST/PATH".to_owned());
    }
    // A wrong one is one all the same: its models are not the vendor's, and no mistake beside it.
    Some(url.value)
}

fn headers(table: &Section<'_, '_>) -> Vec<(String, String)> {
    let Some(section) = table.section("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, value) in section.settings(&[]) {
        if SECRET_HEADERS.contains(&name.value.to_ascii_lowercase().as_str()) {
            let what = format!("header {:?} holds a credential", name.value);
            let place = section.place(&name.value);
            section.sheet.note_secret(place, what, REFERENCE.to_owned());
            continue;
        }
        headers.push((name.value, value));
    }
    headers
}

/// The preset of this name; or notes why there is none.
fn kind(name: &Placed<String>, sheet: &Sheet<'_>, own: Vec<&str>) -> Option<&'static Preset> {
    match preset(&name.value) {
        Ok(preset) => Some(preset),
        Err(UnknownProvider::Gone { why, .. }) => {
            let what = format!("provider {:?} cannot be reached", name.value);
            sheet.note(name.span.clone(), what, format!("another one: {why}"));
            None
        }
        Err(UnknownProvider::Unknown { .. }) => {
            let known = || own.iter().copied().chain(presets().iter().map(|preset| preset.name));
            let what = format!("provider {:?} does not exist", name.value);
            sheet.note_near(name.span.clone(), what, listed(known()), near(&name.value, known()));
            None
        }
    }
}
