//! Bounds of the tools that go out to the Web.

/// Redirects that `fetch` follows on one host: pages use one or two.
pub const FETCH_REDIRECTS: u32 = 5;
/// Bytes of a page that are read; most are below 1 MiB, and their text far below that.
pub const FETCH_BYTES: usize = 4 * 1024 * 1024;
/// The whole time of one `fetch`: a slow page takes 10 s.
pub const FETCH_MS: u64 = 60_000;
/// Results of one search that a model may ask for: the most that usual services give at once.
pub const SEARCH_RESULTS: usize = 20;
/// How many it gets where it does not say.
pub const SEARCH_RESULTS_USUAL: usize = 8;
/// Bytes of the words that are searched for: a service takes 400 characters, of up to 4 bytes each.
pub const SEARCH_QUERY_BYTES: usize = 1_600;
/// Characters of a result's title and of its text, each: 20 results are 4,000 tokens at most.
pub const SEARCH_CHARS: usize = 400;
/// Characters of a result's address: longer ones are trackers'.
pub const SEARCH_LINK_CHARS: usize = 2_000;
