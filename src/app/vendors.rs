//! Vendors as they are declared, joined with the environment: each finds its credential, its proxy
//! and its address, and becomes a provider. Nobody is asked anything here; what is not there yet,
//! such as a key, is said when it is needed, or before anything runs by [`Served::ready`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use greenroom_actors::{
    domain::{ids::CredentialName, usage::PriceBook},
    ports::ModelProvider,
};
use secrecy::SecretString;

use crate::{
    agents_file::{KeyAt, ProviderSpec},
    config::Environment,
    providers::{
        Key, KeyError, KeyNeed, Kind, Patience, Place, Preset, Setup, UnknownProvider, Vendor, Way,
        connect, preset, presets,
    },
    registry::{Model, Registry},
    telemetry::redact::{MASK, by_name},
};

use super::{AppError, clock};

/// Variables that name a cloud's project and region, the first that is set.
const PROJECT: [&str; 2] = ["GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT"];
const LOCATION: [&str; 2] = ["GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION"];

/// A vendor that is set up.
#[derive(Clone, Debug)]
pub struct Served {
    /// As it was declared.
    pub spec: ProviderSpec,
    /// Where its credential is.
    pub key: Key,
    /// Itself.
    pub vendor: Vendor,
}

impl Served {
    /// Its credential is where it should be.
    ///
    /// # Errors
    /// What to do.
    pub fn ready(&self) -> Result<(), KeyError> {
        self.key.find().map(drop)
    }
}

/// The vendors that the environment alone sets up: by a credential, or by an address of a server
/// that needs none.
#[must_use]
pub fn at_hand(environment: &Environment) -> Vec<ProviderSpec> {
    let is_set = |names: &[&str]| first(names, environment).is_some();
    let mut found: Vec<&'static Preset> = Vec::new();
    for preset in presets() {
        let by_key = preset.key == KeyNeed::Needed && is_set(preset.key_variables);
        let by_place = preset.kind != Kind::Vertex || (is_set(&PROJECT) && is_set(&LOCATION));
        let by_address = preset.key == KeyNeed::Optional && is_set(preset.base_variables);
        let has_address = preset.base_url.is_some() || is_set(preset.base_variables);
        // Two formats at one address are one vendor.
        let is_new = !found
            .iter()
            .any(|other| other.base_url.is_some() && other.base_url == preset.base_url);
        if is_new && has_address && ((by_key && by_place) || by_address) {
            found.push(preset);
        }
    }
    found.into_iter().map(ProviderSpec::of).collect()
}

/// A vendor by its name, of which nothing else is said.
///
/// # Errors
/// When there is none of that name.
pub fn vendor_called(name: &str) -> Result<ProviderSpec, UnknownProvider> {
    preset(name).map(ProviderSpec::of)
}

/// The variables that hold vendors' credentials, unless said otherwise.
#[must_use]
pub fn key_variables() -> Vec<&'static str> {
    let needed = presets().iter().filter(|preset| preset.key == KeyNeed::Needed);
    let mut names: Vec<&str> =
        needed.filter_map(|preset| preset.key_variables.first().copied()).collect();
    names.dedup();
    names
}

/// Sets vendors up. Paths are relative to `folder`.
///
/// # Errors
/// When one cannot be: its address, its headers, its proxy.
pub(super) fn serve(
    specs: Vec<ProviderSpec>,
    environment: &Environment,
    folder: &Path,
) -> Result<Vec<Served>, AppError> {
    let mut ways = Ways { environment, known: Vec::new() };
    let served = |spec: ProviderSpec| {
        let key = key(&spec, environment, folder);
        ways.serve(spec, key)
    };
    specs.into_iter().map(served).collect()
}

/// Sets one up of which no file says anything.
///
/// # Errors
/// When it cannot be: its address, its proxy.
pub fn serve_one(spec: ProviderSpec, environment: &Environment) -> Result<Served, AppError> {
    let key = key(&spec, environment, Path::new(""));
    Ways { environment, known: Vec::new() }.serve(spec, key)
}

/// A vendor that a program names, with the key that it gives or the one of the environment.
///
/// # Errors
/// When there is no vendor of that name, or it cannot be set up.
pub(super) fn named(
    name: &str,
    given: Option<SecretString>,
    environment: &Environment,
) -> Result<Served, AppError> {
    let spec = vendor_called(name)?;
    let key = match given {
        Some(key) => {
            Key::Variable { name: format!("the program's key for {name}"), value: Some(key) }
        }
        None => key(&spec, environment, Path::new("")),
    };
    Ways { environment, known: Vec::new() }.serve(spec, key)
}

/// The ways out: one for each patience, because a client has one.
struct Ways<'e> {
    environment: &'e Environment,
    known: Vec<(Patience, Way)>,
}

impl Ways<'_> {
    fn way(&mut self, patience: Patience) -> Result<Way, AppError> {
        if let Some((_, way)) = self.known.iter().find(|(known, _)| *known == patience) {
            return Ok(way.clone());
        }
        let way = Way::new(clock(), patience, Some(&self.environment.proxies))?;
        self.known.push((patience, way.clone()));
        Ok(way)
    }

    fn serve(&mut self, spec: ProviderSpec, key: Key) -> Result<Served, AppError> {
        let way = self.way(spec.patience)?;
        let secrets = &self.environment.secrets;
        let key = key.watched(secrets);
        for (name, value) in &spec.headers {
            // A header of one's own that is called like a secret holds one.
            if by_name(&format!("{name}: {value}")).ends_with(MASK) {
                secrets.learn(value);
            }
        }
        let preset = preset(spec.kind)?;
        let base_url =
            spec.base_url.clone().or_else(|| value(preset.base_variables, self.environment));
        let mut setup = Setup::preset(preset, base_url.as_deref())?.key(key.clone());
        setup.name = spec.name.clone();
        setup.headers = spec.headers.clone();
        setup.stream = spec.stream.unwrap_or(setup.stream);
        setup.place = spec.place.clone().or_else(|| place(preset, self.environment));
        let vendor = connect(&way, setup)?;
        Ok(Served { spec, key, vendor })
    }
}

fn variable(name: &str, environment: &Environment) -> Key {
    Key::Variable { name: name.to_owned(), value: environment.variables.find(name) }
}

/// A credential that a file names.
pub(super) fn key_at(at: &KeyAt, environment: &Environment, folder: &Path) -> Key {
    match at {
        KeyAt::Variable(name) => variable(name, environment),
        KeyAt::File(path) => Key::File(folder.join(path)),
    }
}

/// The file that a credential is in.
pub(super) fn key_file(at: &KeyAt, folder: &Path) -> Option<PathBuf> {
    match at {
        KeyAt::Variable(_) => None,
        KeyAt::File(path) => Some(folder.join(path)),
    }
}

/// Where a provider's credential is: where its declaration says, else in the first of its preset's
/// variables that is set. A vendor's credential never goes to an address that a file gives, unless
/// the file names it as well.
fn key(spec: &ProviderSpec, environment: &Environment, folder: &Path) -> Key {
    let variable = |name: &str| variable(name, environment);
    match (&spec.key, preset(spec.kind)) {
        (Some(at), _) => key_at(at, environment, folder),
        (None, _) if spec.base_url.is_some() => Key::None,
        (None, Ok(preset)) => {
            let usual = preset.key_variables.first().filter(|_| preset.key == KeyNeed::Needed);
            let name = first(preset.key_variables, environment).or(usual.copied());
            name.map_or(Key::None, variable)
        }
        (None, Err(_)) => Key::None,
    }
}

fn place(preset: &Preset, environment: &Environment) -> Option<Place> {
    if preset.kind != Kind::Vertex {
        return None;
    }
    let project = value(&PROJECT, environment)?;
    Some(Place { project, location: value(&LOCATION, environment)? })
}

/// The first of these variables that is set.
fn first<'n>(names: &[&'n str], environment: &Environment) -> Option<&'n str> {
    names.iter().copied().find(|name| environment.variables.find(name).is_some())
}

/// What it holds; only for what is no secret.
fn value(names: &[&str], environment: &Environment) -> Option<String> {
    use secrecy::ExposeSecret as _;
    let name = first(names, environment)?;
    Some(environment.variables.find(name)?.expose_secret().trim().to_owned())
}

/// How many calls may run at once under each credential; who share one share the smallest number.
pub(super) fn gates(served: &[Served]) -> BTreeMap<CredentialName, u32> {
    let mut gates = BTreeMap::new();
    for one in served {
        let Some(calls) = one.spec.calls else { continue };
        let room = gates.entry(one.vendor.credential()).or_insert(calls);
        *room = calls.min(*room);
    }
    gates
}

/// Prices, and those of the vendors' known models where these say nothing.
pub(super) fn with_known(mut prices: PriceBook, served: &[Served]) -> PriceBook {
    let (registry, own) = (Registry::built_in(), prices.clone());
    let listed = served.iter().flat_map(|one| registry.of(one.spec.vendor()));
    let dated = listed.flat_map(Model::dated);
    prices.0.extend(dated.filter(|price| own.0.iter().all(|known| known.model != price.model)));
    prices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::found(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_vendor_is_at_hand_by_its_key_or_by_the_address_of_a_server() {
        let check = |set: &[(&str, &str)], names: &[&str]| {
            let found = at_hand(&environment(set));
            let found: Vec<&str> = found.iter().map(|spec| spec.name.as_str()).collect();
            assert_eq!(found, names, "{set:?}");
        };
        check(&[], &[]);
        check(&[("OPENAI_API_KEY", "k")], &["openai"]);
        check(&[("OPENAI_API_KEY", "")], &[]);
        check(&[("GROQ_BASE_URL", "http://x")], &[]);
        check(&[("VLLM_BASE_URL", "http://x")], &["vllm"]);
        check(&[("VLLM_API_KEY", "k")], &[]);
        check(&[("AZURE_OPENAI_API_KEY", "k")], &[]);
        check(
            &[("AZURE_OPENAI_API_KEY", "k"), ("AZURE_OPENAI_ENDPOINT", "https://me.example")],
            &["azure"],
        );
        check(&[("GOOGLE_ACCESS_TOKEN", "k"), ("GOOGLE_CLOUD_PROJECT", "p")], &[]);
    }

    #[test]
    fn who_share_a_credential_share_the_smallest_number_of_calls() {
        let named = |name: &str, key: &str, calls| ProviderSpec {
            name: name.into(),
            key: Some(KeyAt::Variable(key.to_owned())),
            calls,
            ..vendor_called("groq").unwrap()
        };
        let specs = vec![
            named("a", "K1", Some(5)),
            named("b", "K1", Some(2)),
            named("c", "K1", None),
            named("d", "K2", Some(9)),
            named("e", "K3", None),
        ];
        let served = serve(specs, &environment(&[]), Path::new("")).unwrap();
        let calls: Vec<(String, u32)> =
            gates(&served).into_iter().map(|(credential, calls)| (credential.0, calls)).collect();
        assert_eq!(calls, [("K1".to_owned(), 2), ("K2".to_owned(), 9)]);
    }

    #[test]
    fn a_vendors_key_does_not_go_to_an_address_that_a_file_gives_unless_the_file_names_it() {
        let place = |base_url: Option<&str>, named: Option<&str>| {
            let spec = ProviderSpec {
                base_url: base_url.map(str::to_owned),
                key: named.map(|name| KeyAt::Variable(name.to_owned())),
                ..vendor_called("groq").unwrap()
            };
            key(&spec, &environment(&[("GROQ_API_KEY", "k")]), Path::new("")).place()
        };
        assert_eq!(place(None, None), "GROQ_API_KEY");
        assert_eq!(place(Some("https://elsewhere.example"), None), "none");
        assert_eq!(place(Some("https://elsewhere.example"), Some("GROQ_API_KEY")), "GROQ_API_KEY");
    }

    #[test]
    fn known_prices_are_added_where_a_program_says_nothing() {
        let served = [named("groq", Some("k".into()), &environment(&[])).unwrap()];
        let own = greenroom_actors::domain::usage::Price { input: 1, ..Default::default() };
        let prices = PriceBook::default().with("openai/gpt-oss-20b", own);
        let book = with_known(prices, &served);
        let at = greenroom_actors::domain::ids::Timestamp(1_795_256_430_123);
        let input = |model: &str| book.price(&model.into(), at).map(|price| price.usual.input);
        assert_eq!(input("openai/gpt-oss-20b"), Some(1));
        assert_eq!(input("openai/gpt-oss-120b"), Some(150_000));
        assert_eq!(input("llama-3.1-8b-instant"), None);
    }

    #[test]
    fn a_crew_has_the_gates_and_the_credentials_that_its_file_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crew.toml");
        let text = "[providers.a]\nkind = \"groq\"\napi_key_env = \"K1\"\ncalls = 3\n\
                    [providers.idle]\nkind = \"groq\"\napi_key_env = \"K2\"\n\
                    [models.m]\nprovider = \"a\"\nmodel = \"gpt-oss-20b\"\n\
                    [agents.x]\ninstructions = \"x\"\n";
        std::fs::write(&path, text).unwrap();
        let crew = |set: &[(&str, &str)]| {
            super::super::crew(&path, Path::new("x.db"), &environment(set)).unwrap()
        };
        let unset = crew(&[]);
        assert_eq!(unset.config.options.gates, BTreeMap::from([("K1".into(), 3)]));
        assert_eq!(unset.config.providers.len(), 2);
        let error = unset.ready().unwrap_err();
        assert_eq!(error.to_string(), "provider a");
        // Nobody is at work at the other one.
        assert!(crew(&[("K1", "k")]).ready().is_ok());
    }

    #[test]
    fn no_setting_shows_a_secret_and_all_of_them_are_kept_out() {
        let secret = |no: u32| format!("canary-{no}-of-the-house");
        let [header, key, proxy, named] = [1, 2, 3, 4].map(secret);
        let environment = environment(&[
            ("K1", &key),
            ("SOME_ACCESS_TOKEN", &named),
            ("HTTPS_PROXY", &format!("http://me:{proxy}@127.0.0.1:9")),
            ("SOME_TOKEN_FILE", "/run/secrets/token"),
        ]);
        let spec = ProviderSpec {
            name: "a".into(),
            key: Some(KeyAt::Variable("K1".to_owned())),
            headers: vec![
                ("x-house-api-key".to_owned(), header.clone()),
                ("x-house-name".to_owned(), "a-plain-value".to_owned()),
            ],
            ..vendor_called("groq").unwrap()
        };
        let served = serve(vec![spec.clone()], &environment, Path::new("")).unwrap();
        let mut setup =
            Setup::preset(preset("groq").unwrap(), Some("http://me:hush-hush@h/")).unwrap();
        setup.headers = spec.headers.clone();
        let config = super::super::Config::new("x.db");
        let shown = format!(
            "{environment:?} {spec:?} {served:?} {setup:?} {config:?} {:?}",
            config.secrets
        );
        let all = [&header, &key, &proxy, &named];
        assert!(all.iter().all(|secret| !shown.contains(*secret)), "{shown}");
        assert!(!shown.contains("hush-hush"), "{shown}");
        for secret in all {
            assert_eq!(environment.secrets.clean(secret), MASK, "{secret}");
        }
        let plain = "a-plain-value /run/secrets/token";
        assert_eq!(environment.secrets.clean(plain), plain);
        let error = connect(&Way::new(clock(), Patience::default(), None).unwrap(), {
            setup.base_url = "nonsense://me:hush-hush@h".to_owned();
            setup
        });
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("hush-hush"), "{error}");
    }
}
