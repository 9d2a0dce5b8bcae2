//! Providers, and models of vendors: what they come to, and what is wrong with them.

use greenroom_actors::domain::ids::Timestamp;

use super::*;

/// A day on which every price of the data has begun.
const NOW: Timestamp = Timestamp(1_795_256_430_123);

const AGENT: &str = "[agents.a]\ninstructions = \"x\"\nmodel = \"m\"\n";

fn model(lines: &str) -> String {
    format!("[models.m]\n{lines}\n{AGENT}")
}

#[test]
fn a_vendors_model_has_its_own_name_its_provider_and_the_known_price() {
    let file = read(&model("provider = \"anthropic\"\nmodel = \"Opus\"")).unwrap();
    let agent = &file.agents[0];
    assert_eq!(agent.model.as_str(), "claude-opus-5-5");
    assert_eq!(agent.provider, Some("anthropic".into()));
    let price = file.prices.price(&agent.model, NOW).unwrap().usual;
    assert_eq!((price.input, price.output), (4_000_000, 20_000_000));
    let names: Vec<&str> = file.providers.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["anthropic"]);
    assert_eq!(file.providers[0].key, None);
}

#[test]
fn a_price_in_the_file_goes_before_the_known_one() {
    let own = "provider = \"anthropic\"\nmodel = \"opus\"\nprice = { input = 1, output = 2 }";
    let file = read(&model(own)).unwrap();
    let price = file.prices.price(&"claude-opus-5-5".into(), NOW).unwrap().usual;
    assert_eq!((price.input, price.cache_read, price.output), (1_000_000, 1_000_000, 2_000_000));
}

#[test]
fn a_name_that_is_newer_than_the_program_is_passed_through_when_the_file_says_so() {
    let file = read(&model("provider = \"anthropic\"\nmodel = \" New-One \"\nunlisted = true"));
    let file = file.unwrap();
    assert_eq!(file.agents[0].model.as_str(), "New-One");
    assert_eq!(file.prices.price(&"New-One".into(), NOW), None);
}

#[test]
fn several_providers_of_one_kind_stand_side_by_side() {
    let text = r#"
[providers.work]
kind = "anthropic"
api_key_env = "WORK_KEY"
calls = 3
first_byte_ms = 5000
headers = { x-team = "stage" }
stream = false
[providers.home]
kind = "anthropic"
api_key_file = "keys/home"
base_url = "http://127.0.0.1:9/proxy"
[models.m]
provider = "work"
model = "opus"
[models.n]
provider = "home"
model = "opus"
"#;
    let file = read(&format!("{text}{AGENT}")).unwrap();
    assert_eq!(file.agents[0].provider, Some("work".into()));
    let [home, work] = file.providers.as_slice() else { panic!("{:?}", file.providers) };
    assert_eq!(work.key, Some(KeyAt::Variable("WORK_KEY".to_owned())));
    assert_eq!((work.calls, work.stream), (Some(3), Some(false)));
    assert_eq!((work.patience.first_byte_ms, work.patience.idle_ms), (5_000, 90_000));
    assert_eq!(work.headers, [("x-team".to_owned(), "stage".to_owned())]);
    assert_eq!(home.key, Some(KeyAt::File("keys/home".into())));
    assert_eq!(home.base_url.as_deref(), Some("http://127.0.0.1:9/proxy"));
    // One id at one price is in the book once.
    assert_eq!(file.prices.0.len(), 1);
}

#[test]
fn a_budget_in_money_is_kept_by_known_prices_and_refused_without() {
    let with = |model: &str, unlisted: &str| {
        let text = format!(
            "[models.m]\nprovider = \"anthropic\"\nmodel = {model:?}\n{unlisted}{AGENT}budget = {{ usd = 1 }}\n"
        );
        read(&text).map(drop).map_err(|mistakes| mistakes.to_string())
    };
    assert_eq!(with("opus", ""), Ok(()));
    let refused = with("brand-new", "unlisted = true\n").unwrap_err();
    assert!(refused.contains("model \"m\" of agent \"a\" has no price"), "{refused}");
}

#[test]
fn an_unknown_provider_is_refused_with_what_was_meant() {
    let text = "[providers.work]\nkind = \"anthropic\"\n[models.m]\nprovider = \"wrok\"\nmodel = \"opus\"\n";
    let said = read(&format!("{text}{AGENT}")).unwrap_err().to_string();
    assert!(said.contains("f.toml:4:12: provider \"wrok\" does not exist"), "{said}");
    assert!(said.contains("did you mean \"work\"?"), "{said}");
    let said = read("[providers.x]\nkind = \"antropic\"\n").unwrap_err().to_string();
    assert!(said.contains("did you mean \"anthropic\"?"), "{said}");
}

#[test]
fn a_provider_that_the_world_has_closed_says_so_and_what_to_use() {
    let said = read(&model("provider = \"github_models\"\nmodel = \"x\"")).unwrap_err().to_string();
    assert!(said.contains("f.toml:2:12: provider \"github_models\" cannot be reached"), "{said}");
    assert!(!said.contains("did you mean"), "{said}");
}

#[test]
fn an_unknown_model_of_a_vendor_with_a_list_is_refused_with_what_was_meant() {
    let said = read(&model("provider = \"anthropic\"\nmodel = \"claude-sonet-4-6\"")).unwrap_err();
    let said = said.to_string();
    assert!(
        said.contains("f.toml:3:9: \"claude-sonet-4-6\" is none of the known models of"),
        "{said}"
    );
    assert!(said.contains("for a newer one `unlisted = true`"), "{said}");
    assert!(said.contains("did you mean \"claude-sonnet-4-6\"?"), "{said}");
    let other = read(&model("provider = \"anthropic\"\nmodel = \"openai/gpt-5\"")).unwrap_err();
    let other = other.to_string();
    assert!(other.contains("is a model of openai, and anthropic was named"), "{other}");
}

#[test]
fn a_key_in_the_file_is_refused_and_no_error_shows_it() {
    for line in [
        "api_key = \"hush-1\"",
        "token = \"hush-1\"",
        "api_key_env = \"sk-hush\"",
        "api_key_env = \"gsk_hush\"",
        "headers = { Authorization = \"Bearer hush\" }",
        "headers = { x-api-key = \"hush\", x-other = \"1\" }",
        "base_url = \"https://me:hush@host/v1\"",
        "api_key = \"hush\", wrong = 1",
        "api_key = hush\"",
    ] {
        let text = format!("[providers]\nwork = {{ kind = \"anthropic\", {line} }}\n");
        let said = read(&text).unwrap_err().to_string();
        assert!(!said.contains("hush"), "{line} in\n{said}");
        assert!(said.contains("f.toml:2:"), "{line} in\n{said}");
    }
    let said = read("[providers.anthropic]\napi_key = \"hush\"\n").unwrap_err().to_string();
    assert!(said.contains("`api_key` holds a credential"), "{said}");
    assert!(said.contains("expected api_key_env = \"VARIABLE\", or api_key_file"), "{said}");
}

#[test]
fn one_model_at_two_prices_is_refused() {
    let text = "[models.m]\nprovider = \"anthropic\"\nmodel = \"opus\"\n[models.n]\n\
                provider = \"anthropic\"\nmodel = \"opus\"\nprice = { input = 1, output = 1 }\n";
    let said = read(&format!("{text}{AGENT}")).unwrap_err().to_string();
    assert!(said.contains("models \"m\" and \"n\" are both \"claude-opus-5-5\""), "{said}");
}

#[test]
fn a_files_own_registry_lies_over_the_one_that_is_built_in() {
    let text = format!(
        "registry = \"models.toml\"\n{}",
        model("provider = \"anthropic\"\nmodel = \"mine\"")
    );
    let file = read(&text).unwrap();
    assert_eq!(file.agents[0].model.as_str(), "claude-of-ours");
    let wrong = read(&format!("registry = \"bad\"\n{AGENT}")).unwrap_err().to_string();
    assert!(wrong.contains("f.toml:1:12: registry \"bad\": "), "{wrong}");
}
