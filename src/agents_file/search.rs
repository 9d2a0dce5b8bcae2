//! `[tools.web_search]`: which service the search tool asks. One of the usual ones by its name, with an
//! address where it is anybody's own, and a credential by reference; each part of how it is asked may
//! be said otherwise. An agent that has the tool without this is a mistake, told with what to write.

use crate::{
    document::{Placed, Section, listed, near},
    tools::web::{SHAPES, Shape, Verb, shape},
};

use super::providers::{self, KeyAt};

/// The tool.
pub(super) const NAME: &str = "web_search";
/// What is expected where its service is not said.
const EXPECTED: &str = "[tools.web_search] with service = \"searxng\" and its url, or service = \
                        \"brave\" or \"tavily\" and api_key_env = \"VARIABLE\"";

const KEYS: [&str; 15] = [
    "service",
    "url",
    "private",
    "api_key_env",
    "api_key_file",
    "method",
    "query",
    "count",
    "key_header",
    "key_before",
    "results",
    "title",
    "link",
    "text",
    "fixed",
];

/// A search service as a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchSpec {
    /// How it is asked.
    pub shape: Shape,
    /// Its address.
    pub url: String,
    /// Whether it may be on this machine or in its network.
    pub is_private: bool,
    /// Its credential.
    pub key: Option<KeyAt>,
}

/// Notes an agent that has the tool where nothing says whom it asks.
pub(super) fn missing(agent: &str, name: &Placed<String>, list: &Section<'_, '_>) {
    let what = format!("agent {agent:?} has tool {NAME:?}, and no service is said that it asks");
    list.sheet.note(name.span.clone(), what, EXPECTED.to_owned());
}

pub(super) fn read(table: &Section<'_, '_>) -> Option<SearchSpec> {
    table.only(&KEYS);
    providers::secrets(table);
    let Some(name) = table.words("service") else {
        let what = "`[tools.web_search]` does not say its `service`".to_owned();
        table.sheet.note(table.span.clone(), what, EXPECTED.to_owned());
        return None;
    };
    let Some(mut shape) = shape(&name.value) else {
        let what = format!("search service {:?} is not known", name.value);
        let expected =
            format!("{}; others are one of them said otherwise", listed(SHAPES.into_iter()));
        table.sheet.note_near(name.span, what, expected, near(&name.value, SHAPES));
        return None;
    };
    let text = |key: &str, place: &mut String| {
        if let Some(said) = table.text(key) {
            *place = said.value;
        }
    };
    text("query", &mut shape.query);
    text("key_header", &mut shape.key_header);
    text("key_before", &mut shape.key_before);
    for (key, place) in [
        ("results", &mut shape.results),
        ("title", &mut shape.title),
        ("link", &mut shape.link),
        ("text", &mut shape.text),
    ] {
        text(key, place);
        if !(place.is_empty() || place.starts_with('/')) {
            let what = format!("`{key}` is {place:?}");
            table.sheet.note(table.place(key), what, "a JSON pointer such as \"/url\"".to_owned());
        }
    }
    shape.count = table.words("count").map(|count| count.value).or(shape.count);
    if let Some(fixed) = table.section("fixed") {
        shape.fixed =
            fixed.settings(&[]).into_iter().map(|(key, value)| (key.value, value)).collect();
    }
    shape.verb =
        table.choice("method", &[("get", Verb::Get), ("post", Verb::Post)]).unwrap_or(shape.verb);
    let said = table.words("url");
    let span = said.as_ref().map_or_else(|| table.span.clone(), |url| url.span.clone());
    let url = said.map(|url| url.value).or_else(|| shape.url.clone());
    let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    let Some(url) = url.filter(is_address) else {
        let what = format!("search service {:?} has no `url`", name.value);
        let expected = "where it is, such as \"https://search.example.org/search\"".to_owned();
        table.sheet.note(span, what, expected);
        return None;
    };
    let is_private = table.flag("private").unwrap_or(false);
    Some(SearchSpec { shape, url, is_private, key: providers::key(table) })
}
