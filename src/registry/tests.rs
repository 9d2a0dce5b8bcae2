//! The rules of resolving as a table, and that the data is what it says.

use super::*;

fn small() -> Registry {
    Registry::default()
        .with(
            "t.toml",
            r#"
[alpha.One]
aliases = ["uno", "shared"]
default = true
price.2026-01-01 = { input = 1, output = 2 }
price.2026-06-01 = { input = 3, output = 4, cache_read = 0.5 }
[alpha.two]
aliases = ["One-ish"]
[beta.three]
aliases = ["shared"]
[host."alpha/two"]
default = true
"#,
        )
        .unwrap()
}

/// What a wish comes to: `vendor/model`, the chain, or the error's words.
fn wish(requested: Option<&str>, vendor: Option<&str>) -> String {
    let vendor = vendor.map(ProviderName::from);
    match small().resolve(requested, vendor.as_ref()) {
        Ok(found) => {
            let mark = if found.used_fallback { "fallback " } else { "" };
            format!("{mark}{} {} [{}]", found.vendor, found.model, found.chain.join(" "))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_wish_becomes_a_model_by_the_first_step_that_fits() {
    let check = |requested: &str, vendor: Option<&str>, said: &str| {
        assert_eq!(wish(Some(requested), vendor), said, "{requested} at {vendor:?}");
    };
    // At a vendor: ids before aliases, whatever the letter case and the spaces.
    check("One", Some("alpha"), "alpha One [requested:One]");
    check(" oNE ", Some("Alpha"), "alpha One [requested:oNE]");
    check("UNO", Some("alpha"), "alpha One [requested:UNO]");
    check("one-ish", Some("alpha"), "alpha two [requested:one-ish]");
    check("shared", Some("beta"), "beta three [requested:shared]");
    check("alpha/uno", Some("alpha"), "alpha One [requested:alpha/uno]");
    // A host's ids have other vendors' names in them.
    check("alpha/two", Some("host"), "host alpha/two [requested:alpha/two]");
    check("host/alpha/two", None, "host alpha/two [requested:host/alpha/two]");
    // A vendor whose models are not listed takes the name as it is.
    check(" Anything/At:all ", Some("gamma"), "gamma Anything/At:all [requested:Anything/At:all]");
    check("uno", Some("gamma"), "gamma uno [requested:uno]");
    // Unknown there: its own default, never somebody else's model.
    check("three", Some("alpha"), "fallback alpha One [requested:three provider_default:alpha]");
    check("beta/three", Some("alpha"), "\"beta/three\" is a model of beta, and alpha was named");
    check("four", Some("beta"), "nothing says which model");
    // Nobody named.
    check("beta/shared", None, "beta three [requested:beta/shared]");
    check("UNO", None, "alpha One [requested:UNO]");
    check("alpha/One", None, "alpha One [requested:alpha/One]");
    check("alpha/two", None, "host alpha/two [requested:alpha/two]");
    check(
        "shared",
        None,
        "\"shared\" is served by several vendors: expected one of \"alpha/One\", \"beta/three\"",
    );
    check("thre", None, "no model \"thre\" is known; did you mean \"three\"?; name its vendor");
    check("zzzzzz", None, "no model \"zzzzzz\" is known; name its vendor");
}

#[test]
fn a_wish_for_nothing_is_a_default_and_says_so() {
    assert_eq!(wish(None, Some("alpha")), "fallback alpha One [provider_default:alpha]");
    assert_eq!(wish(Some("  "), Some("alpha")), "fallback alpha One [provider_default:alpha]");
    assert_eq!(wish(None, None), "fallback alpha One [global_default:alpha/One]");
    assert_eq!(wish(None, Some("gamma")), "nothing says which model");
}

#[test]
fn a_price_holds_from_its_day_on_and_before_the_first_it_is_unknown() {
    let registry = small();
    let one = registry.find("alpha", "one").unwrap();
    let at = |ms: i64| one.price(Timestamp(ms)).map(|price| (price.input, price.cache_read));
    // Midnights of the 1st of January and of June 2026, UTC.
    assert_eq!(at(1_767_225_599_999), None);
    assert_eq!(at(1_767_225_600_000), Some((1_000_000, 1_000_000)));
    assert_eq!(at(1_780_271_999_999), Some((1_000_000, 1_000_000)));
    assert_eq!(at(1_780_272_000_000), Some((3_000_000, 500_000)));
    let book = registry.prices();
    assert_eq!(
        book.price(&"One".into(), Timestamp(1_780_272_000_000)).unwrap().usual.input,
        3_000_000
    );
    assert_eq!(book.price(&"two".into(), Timestamp(i64::MAX)), None);
}

#[test]
fn a_users_data_lies_over_it_key_by_key() {
    let over =
        "[alpha.One]\ncontext = 9\nprice.2026-02-01 = { input = 7, output = 8 }\n[gamma.new]\n";
    let registry = small().with("mine.toml", over).unwrap();
    let one = registry.find("alpha", "uno").unwrap();
    assert_eq!((one.context, one.prices.len(), one.is_default), (Some(9), 1, true));
    assert!(registry.lists("gamma"));
}

#[test]
fn an_id_at_two_prices_has_none_in_the_book() {
    let two = "[alpha.x]\nprice.2026-01-01 = { input = 1, output = 1 }\n\
               [beta.x]\nprice.2026-01-01 = { input = 2, output = 2 }\n";
    let registry = Registry::default().with("t.toml", two).unwrap();
    assert_eq!(registry.prices(), PriceBook::default());
}

#[test]
fn what_is_wrong_with_a_users_data_is_shown_with_its_place() {
    let text = "[alpha.x]\ncan = [\"tolls\"]\nprice.soon = { input = 1, output = 1 }\n\
                long = { input = 1 }\ncontxt = 3\ndefault = \"yes\"\n";
    let mistakes = Registry::default().with("mine.toml", text).unwrap_err().to_string();
    for said in [
        "mine.toml:2:8: \"tolls\" is no word for what a model can",
        "did you mean \"tools\"?",
        "mine.toml:3:7: \"soon\" is no day",
        "mine.toml:4:8: `long` does not say `above` how many tokens",
        "mine.toml:4:8: the price lacks `output`",
        "mine.toml:5:1: unknown key \"contxt\"",
        "mine.toml:6:11: `default` is a text",
    ] {
        assert!(mistakes.contains(said), "{said} in\n{mistakes}");
    }
}

#[test]
fn the_data_that_is_built_in_is_right() {
    let registry = Registry::built_in();
    let mut vendors: Vec<&str> = registry.models().map(|model| model.vendor.as_str()).collect();
    vendors.dedup();
    for vendor in &vendors {
        let defaults = registry.of(vendor).filter(|model| model.is_default).count();
        assert_eq!(defaults, 1, "{vendor} has {defaults} defaults");
        // A name means one model at a vendor.
        for model in registry.of(vendor) {
            let names = model.aliases.iter().map(String::as_str).chain([model.id.as_str()]);
            for name in names {
                let same = registry.of(vendor).filter(|other| other.answers_to(name)).count();
                assert_eq!(same, 1, "{vendor} has {same} models called {name}");
            }
        }
    }
    for model in registry.models() {
        let what = format!("{}/{}", model.vendor, model.id);
        for (_, price) in &model.prices {
            assert!(price.input > 0 && price.output > 0, "{what} costs nothing");
            assert!(price.cache_read <= price.input, "{what} has a dear cache");
        }
        let long = model.long.zip(model.prices.last());
        let is_dearer = long.is_none_or(|(long, (_, usual))| long.price.input > usual.input);
        assert!(is_dearer, "{what} has long prompts that are cheaper");
        assert!(model.long.is_none() || !model.prices.is_empty(), "{what} has one price only");
        let fits = model.context.zip(model.output_max).is_none_or(|(all, out)| out < all);
        assert!(fits, "{what} writes more than it holds");
    }
}
