//! Ways for questions, and when a tool that fails is asked about: what they come to, and what is
//! wrong with them.

use greenroom_actors::domain::agent::Reliability;

use super::*;

const AGENT: &str = "[agents.a]\ninstructions = \"x\"\n";

#[test]
fn each_way_is_named_and_its_key_is_a_reference() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split("<!-- checked -->\n```toml\n").nth(2).unwrap();
    let file = read(shown.split("```").next().unwrap()).unwrap();
    let key = KeyAt::Variable("CREW_HOOK_KEY".to_owned());
    let webhook = Webhook { url: "https://example.com/greenroom".to_owned(), key };
    let folder = Some("/var/lib/crew/questions".into());
    assert_eq!(file.approvals, Approvals { folder, webhook: Some(webhook), parent: true });
    assert_eq!(read(AGENT).unwrap().approvals, Approvals::default());
}

#[test]
fn a_webhook_without_an_address_or_with_its_key_in_the_file_is_refused() {
    let text = format!("{AGENT}[approvals.webhook]\napi_key_env = \"K\"\n");
    let said = read(&text).unwrap_err().to_string();
    assert!(said.contains("`webhook` without \"url\""), "{said}");
    let text = format!("{AGENT}[approvals.webhook]\nurl = \"https://h/\"\nkey = \"hush-hush\"\n");
    let said = read(&text).unwrap_err().to_string();
    assert!(said.contains("`key` holds a credential"), "{said}");
    assert!(!said.contains("hush-hush"), "{said}");
    let text = format!("{AGENT}[approvals.webhook]\nurl = \"https://h/\"\n");
    let said = read(&text).unwrap_err().to_string();
    assert!(said.contains("`webhook` without \"api_key_env\""), "{said}");
}

#[test]
fn reliability_is_usual_unless_said_and_may_be_off() {
    let usual = read(AGENT).unwrap().agents.remove(0).reliability;
    assert_eq!(usual, Reliability::default());
    let off = read(&format!("{AGENT}reliability = {{ failures = 0, raised_ms = 5 }}\n")).unwrap();
    let expected = Reliability { failures: 0, raised_ms: 5, ..usual };
    assert_eq!(off.agents[0].reliability, expected);
}
