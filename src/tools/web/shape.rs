//! How search services are asked, as data: three usual ones, each of which may be bent to fit another.

/// How the words are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// In the address.
    Get,
    /// As JSON in the body.
    Post,
}

/// How a service is asked, and where in its answer what stands. Places are JSON pointers, those of a
/// result's parts within the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its address, where all its users have the same.
    pub url: Option<String>,
    /// How the words are sent.
    pub verb: Verb,
    /// The parameter that holds the words.
    pub query: String,
    /// The one that holds how many results are wanted, where it takes one.
    pub count: Option<String>,
    /// Parameters that are always the same.
    pub fixed: Vec<(String, String)>,
    /// The header that holds the credential.
    pub key_header: String,
    /// What stands before it there.
    pub key_before: String,
    /// The list of results.
    pub results: String,
    /// A result's title.
    pub title: String,
    /// Its address.
    pub link: String,
    /// What is said of it.
    pub text: String,
}

/// The services that need no more than their name.
pub const SHAPES: [&str; 3] = ["searxng", "brave", "tavily"];

/// The service of that name.
#[must_use]
pub fn shape(name: &str) -> Option<Shape> {
    let usual = Shape {
        url: None,
        verb: Verb::Get,
        query: "q".to_owned(),
        count: None,
        fixed: Vec::new(),
        key_header: "authorization".to_owned(),
        key_before: "Bearer ".to_owned(),
        results: "/results".to_owned(),
        title: "/title".to_owned(),
        link: "/url".to_owned(),
        text: "/content".to_owned(),
    };
    let some = |text: &str| Some(text.to_owned());
    match name {
        // Anybody's own; JSON must be among its `search.formats`.
        "searxng" => Some(Shape { fixed: vec![("format".to_owned(), "json".to_owned())], ..usual }),
        "brave" => Some(Shape {
            url: some("https://api.search.brave.com/res/v1/web/search"),
            count: some("count"),
            key_header: "x-subscription-token".to_owned(),
            key_before: String::new(),
            results: "/web/results".to_owned(),
            text: "/description".to_owned(),
            ..usual
        }),
        "tavily" => Some(Shape {
            url: some("https://api.tavily.com/search"),
            verb: Verb::Post,
            query: "query".to_owned(),
            count: some("max_results"),
            ..usual
        }),
        _ => None,
    }
}
