//! `[tools.web_search]`: what is right, and what is told where something is missing.

use super::*;
use crate::tools::web::Verb;

fn read(text: &str) -> Result<AgentsFile, Mistakes> {
    let tools: Vec<ToolName> = vec!["web_search".into()];
    let text = format!(
        "{text}\n[models.m]\nprovider = \"scripted\"\nscript = \"s\"\n\
         [agents.a]\nmodel = \"m\"\ntools = [\"web_search\"]\ninstructions = \"You search.\"\n"
    );
    let world = World {
        tools: &tools,
        plain: &[],
        text: &|_| Ok("agent *\n  say hello".to_owned()),
        script: &|_| Ok(()),
    };
    AgentsFile::read("f.toml", &text, &world)
}

#[test]
fn an_agent_that_may_search_needs_a_service_and_is_told_what_to_write() {
    let told = read("").unwrap_err().to_string();
    for part in [
        "has tool \"web_search\", and no service is said",
        "[tools.web_search] with service",
        "api_key_env",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let table = [
        ("", "does not say its `service`"),
        ("service = \"bravo\"", "did you mean \"brave\"?"),
        ("service = \"searxng\"", "search service \"searxng\" has no `url`"),
        ("service = \"searxng\"\nurl = \"ftp://x\"", "has no `url`"),
        ("service = \"brave\"\nresults = \"items\"", "a JSON pointer"),
        ("service = \"brave\"\nadress = \"x\"", "adress"),
        ("service = \"brave\"\nkey = \"sk-hush-hush\"", "`key` holds a credential"),
    ];
    for (section, words) in table {
        let told = read(&format!("[tools.web_search]\n{section}\n")).unwrap_err().to_string();
        assert!(told.contains(words), "{section:?}: {told}");
        assert!(!told.contains("no service is said"), "once is enough: {told}");
        assert!(!told.contains("sk-hush"), "{told}");
    }
}

#[test]
fn a_usual_service_needs_its_name_and_each_part_can_be_said_otherwise() {
    let section = "[tools.web_search]\nservice = \"brave\"\napi_key_env = \"BRAVE_KEY\"\n";
    let spec = read(section).unwrap().search.unwrap();
    assert_eq!(spec.key, Some(KeyAt::Variable("BRAVE_KEY".to_owned())));
    assert!(spec.url.starts_with("https://api.search.brave.com/") && !spec.is_private);
    let section = "[tools.web_search]\nservice = \"searxng\"\nurl = \"http://localhost:8080/search\"\n\
                   private = true\nmethod = \"post\"\nquery = \"words\"\nresults = \"/data/items\"\n\
                   link = \"/href\"\nfixed = { lang = \"de\" }\n";
    let spec = read(section).unwrap().search.unwrap();
    assert!(spec.is_private && spec.shape.verb == Verb::Post);
    let shape = spec.shape;
    assert_eq!([&*shape.query, &*shape.results, &*shape.link], ["words", "/data/items", "/href"]);
    assert_eq!(shape.fixed, [("lang".to_owned(), "de".to_owned())]);
}
