//! The page: files that stand in the binary, and no others. They hold no data and need no token; what
//! they show they ask for with the token of whoever looks.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::Ctx;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Address, kind and text of a file.
macro_rules! file {
    ($kind:expr, $name:literal) => {
        (concat!("/page/", $name), $kind, include_str!(concat!("page/", $name)))
    };
}

/// All of them.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("page/index.html")),
    file!(SCRIPT, "api.js"),
    file!(SCRIPT, "app.js"),
    file!(SCRIPT, "approvals.js"),
    file!(CSS, "base.css"),
    file!(SCRIPT, "charts.js"),
    file!(SCRIPT, "deeds.js"),
    file!(SCRIPT, "dialogs.js"),
    file!(SCRIPT, "divider.js"),
    file!(SCRIPT, "dom.js"),
    file!(SCRIPT, "entry.js"),
    file!(SCRIPT, "exact.js"),
    file!(SCRIPT, "facts.js"),
    file!(SCRIPT, "fold.js"),
    file!(SCRIPT, "forest.js"),
    file!(SCRIPT, "format.js"),
    file!(SCRIPT, "groups.js"),
    file!(SCRIPT, "halt.js"),
    file!(IMAGE, "icon.svg"),
    file!(SCRIPT, "items.js"),
    file!(SCRIPT, "job.js"),
    file!(SCRIPT, "jobs.js"),
    file!(SCRIPT, "keys.js"),
    file!(SCRIPT, "marks.js"),
    file!(CSS, "page.css"),
    file!(SCRIPT, "panel.js"),
    file!(SCRIPT, "prose.js"),
    file!(SCRIPT, "purse.js"),
    file!(SCRIPT, "question.js"),
    file!(SCRIPT, "rights.js"),
    file!(SCRIPT, "row.js"),
    file!(SCRIPT, "rows.js"),
    file!(CSS, "side.css"),
    file!(SCRIPT, "status.js"),
    file!(SCRIPT, "stream.js"),
    file!(SCRIPT, "talk.js"),
    file!(SCRIPT, "theme.js"),
    file!(CSS, "tree.css"),
    file!(SCRIPT, "unseen.js"),
];

/// The router with the page.
pub(super) fn mounted(router: Router<Ctx>) -> Router<Ctx> {
    FILES.iter().fold(router, |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use greenroom_actors::domain::unseen;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_asks_for_none_but_these() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/page");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| if name == "index.html" { "/".to_owned() } else { format!("/page/{name}") })
            .collect();
        files.sort();
        let mut served: Vec<&str> = FILES.iter().map(|(path, ..)| *path).collect();
        served.sort_unstable();
        assert_eq!(served, files);
        for (path, _, text) in FILES {
            for mark in ["href=\"", "src=\"", "from '", "from \"", "url("] {
                for asked in text.split(mark).skip(1) {
                    let asked = asked.split(['"', '\'', ')']).next().unwrap_or_default();
                    let known = asked.starts_with('#')
                        || asked.starts_with("data:")
                        || served.contains(&asked.replace("./", "/page/").as_str());
                    assert!(known, "{path} asks for {asked}");
                }
            }
        }
    }

    /// The characters of a class that the page's script names, written as in its expressions.
    fn class(script: &str, name: &str) -> Vec<RangeInclusive<u32>> {
        let (_, after) = script.split_once(&format!("const {name} =")).expect(name);
        let (text, _) = after.split_once(';').expect("its end");
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        let mut goes_on = false;
        for part in text.split("u{").skip(1) {
            let (code, rest) = part.split_once('}').expect("a code");
            let code = u32::from_str_radix(code, 16).expect("a number");
            let begun = ranges.pop_if(|_| goes_on).map_or(code, |range| *range.start());
            ranges.push(begun..=code);
            goes_on = rest.starts_with('-');
        }
        ranges
    }

    #[test]
    fn what_the_page_puts_into_boxes_is_what_the_runtime_takes_for_unseen() {
        let script = include_str!("page/unseen.js");
        let turns = class(script, "TURNS");
        let parts = ["CONTROL", "TURNS", "NO_SHAPE", "BLANK"].map(|name| class(script, name));
        let boxed = parts.concat();
        for name in ["CONTROL", "TURNS", "NO_SHAPE", "BLANK", "HALF"] {
            assert!(
                script.contains(&format!("${{{name}}}")),
                "{name} is in none of its expressions"
            );
        }
        let has = |ranges: &[RangeInclusive<u32>], c: char| {
            ranges.iter().any(|range| range.contains(&u32::from(c)))
        };
        for c in '\0'..=char::MAX {
            assert_eq!(has(&boxed, c), unseen::is_unseen(c), "{}", c.escape_unicode());
            assert_eq!(has(&turns, c), unseen::turns_around(c), "{}", c.escape_unicode());
        }
    }
}
