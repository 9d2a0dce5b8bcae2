//! Every row of the table can be used, and every name leads to one row or says why not.

use super::*;

#[test]
fn a_provider_is_found_by_its_name_and_its_aliases() {
    for (said, expected) in [
        ("openai", "openai"),
        ("Google-GenAI", "gemini"),
        ("google", "gemini"),
        ("z.ai", "zai"),
        ("grok", "xai"),
        (" LM Studio ", "lmstudio"),
        ("azure-openai", "azure"),
    ] {
        assert_eq!(preset(said).map(|preset| preset.name), Ok(expected), "{said:?}");
    }
}

#[test]
fn a_name_with_a_mistake_says_what_was_meant() {
    let said = |name: &str| preset(name).unwrap_err().to_string();
    assert_eq!(said("antropic"), "there is no provider \"antropic\"; did you mean \"anthropic\"?");
    assert_eq!(
        said("opnerouter"),
        "there is no provider \"opnerouter\"; did you mean \"openrouter\"?"
    );
    assert_eq!(said("quux"), "there is no provider \"quux\"");
    assert_eq!(said(""), "there is no provider \"\"");
}

#[test]
fn a_closed_name_says_what_to_use_instead() {
    for (name, words) in [
        ("github_models", ["410", "openrouter"]),
        ("GitHub-Models", ["410", "azure"]),
        ("antigravity", ["no keys", "gemini"]),
        ("claude_cli", ["to come", "anthropic"]),
    ] {
        let said = preset(name).unwrap_err().to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn no_two_providers_share_a_name() {
    let mut names: Vec<String> = presets().iter().flat_map(Preset::names).map(plain).collect();
    names.extend(table::GONE.iter().flat_map(|(names, _)| *names).map(|name| plain(name)));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

#[test]
fn every_address_can_be_sent_to_and_says_what_holds_its_key() {
    for preset in presets() {
        let url = preset.base_url.unwrap_or("https://own.example.com").replace("{location}", "x");
        let url = reqwest::Url::parse(&url).unwrap();
        let is_own = url.host_str() == Some("127.0.0.1");
        assert_eq!(url.scheme(), if is_own { "http" } else { "https" }, "{}", preset.name);
        assert_eq!(is_own, preset.key == KeyNeed::Optional, "{}", preset.name);
        assert!(!preset.key_variables.is_empty(), "{}", preset.name);
        assert!(preset.base_url.is_some() || !preset.base_variables.is_empty(), "{}", preset.name);
    }
}
