//! Secrets, kept out of everything that leaves: the log of a session, the lines of the program's own
//! log, errors, screens, panics.
//!
//! Two nets, for two kinds of text. **By value**: what is known to be a secret (credentials of
//! providers, variables of the environment that are called like one) is found in every spelling of
//! `spellings`, in any text, and `MASK` stands in its place. It is right for the output of tools
//! too, for nothing else is touched. **By name**: what follows `authorization:`, `password=` and their
//! like is masked whatever it is. That guesses, so it is for what this program says of itself, its
//! log lines and errors, and never for a tool's output: a model that reads `password = ask()` masked
//! would write the mask back into somebody's file.
//!
//! A value below `SECRET_BYTES_MIN` is refused: it would mask ordinary words, and who has such a
//! credential has none. What is learnt stays known for the life of the handle, but for credentials
//! that are renewed, of which the last `PASSING` are remembered. Of other values there is room for
//! `SECRETS`; what comes beyond is said as an error and counted, and an app that would begin so does not.
//!
//! Invariants: what comes out is text whatever went in, no known spelling survives in it wherever the
//! text was cut into pieces, and a stream keeps back no more than what may be a spelling's beginning.

mod joined;
mod names;
mod sink;
mod spellings;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    fmt,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use joined::Joined;

pub use names::by_name;
pub use sink::Masking;
pub use stream::Stream;

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";
/// Shortest value that is a secret: keys of vendors begin at about 20 characters, and words of this
/// length are rarely said by chance.
pub const SECRET_BYTES_MIN: usize = 8;
/// Credentials from files that are remembered: one that is renewed each hour is known for two days.
const PASSING: usize = 48;
/// How many times its longest spelling a stream keeps back at most for the sake of colours and lines.
const COLOURS: usize = 16;
/// Values of all kinds that are found. Each is some fifty spellings of the automaton: ten of forty bytes
/// are known within 8 ms, and this many within 2 s and 230 MB, more than anybody should want.
pub const SECRETS: usize = 1_000;

/// The secrets that are known. Clones share them, so that what one learns all keep out.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    lasting: BTreeSet<String>,
    passing: VecDeque<String>,
    /// How many values there was no room for.
    beyond: usize,
    finder: Option<Arc<Finder>>,
    /// Whether it does not know all of them yet: it is built when a text comes, and not for each value.
    is_stale: bool,
}

/// Finds every spelling of every secret.
struct Finder {
    spellings: AhoCorasick,
    /// The same in order and in small letters, to see what may become one.
    sorted: Vec<String>,
    /// Bytes of the longest.
    longest: usize,
}

impl Secrets {
    /// From now on this is kept out, for good. Too short a value is none.
    pub fn learn(&self, value: &str) {
        let mut beyond = 0;
        {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            for value in spellings::parts(value) {
                if known.lasting.contains(value) {
                    continue;
                }
                if known.lasting.len() < SECRETS {
                    known.lasting.insert(value.to_owned());
                    known.is_stale = true;
                } else {
                    known.beyond += 1;
                    beyond = known.beyond;
                }
            }
        }
        // With the lock given back: the program's log asks this very handle.
        if beyond > 0 {
            tracing::error!(max = SECRETS, beyond, "a secret is not kept out: too many are known");
        }
    }

    /// How many values are not kept out because there are more than `SECRETS`.
    #[must_use]
    pub fn beyond(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).beyond
    }

    /// The same of a credential that another will replace.
    pub fn learn_passing(&self, value: &str) {
        // Read first: this is called before every request, and hardly ever anything is new.
        let is_new = |known: &Known, value: &str| {
            !known.lasting.contains(value) && !known.passing.iter().any(|known| known == value)
        };
        for value in spellings::parts(value) {
            if !is_new(&self.0.read().unwrap_or_else(PoisonError::into_inner), value) {
                continue;
            }
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if is_new(&known, value) {
                known.passing.push_back(value.to_owned());
                if known.passing.len() > PASSING {
                    known.passing.pop_front();
                }
                known.is_stale = true;
            }
        }
    }

    /// What an address carries before its host, as it stands there and as it is meant.
    pub fn learn_address(&self, url: &str) {
        let rest = url.split_once("://").map_or(url, |(_scheme, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((user, _host)) = authority.rsplit_once('@') else { return };
        let password = user.split_once(':').map_or(user, |(_name, password)| password);
        self.learn(password);
        self.learn(&percent_encoding::percent_decode_str(password).decode_utf8_lossy());
    }

    /// Everything that another handle knows.
    pub fn learn_all(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        for value in other.values() {
            self.learn(&value);
        }
        let beyond = other.beyond();
        self.0.write().unwrap_or_else(PoisonError::into_inner).beyond += beyond;
    }

    /// A text without them.
    #[must_use]
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.finder() {
            Some(finder) if !finder.spans(text).is_empty() => {
                let mut stream = self.stream();
                stream.push_all(text);
                Cow::Owned(stream.finish())
            }
            Some(_) | None => Cow::Borrowed(text),
        }
    }

    /// A text of this program's own without them, and without what is called like one.
    #[must_use]
    pub fn clean_words(&self, text: &str) -> String {
        by_name(&self.clean(text)).into_owned()
    }

    /// A reader of text that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if !known.is_stale {
                return known.finder.clone();
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_stale {
            known.rebuild();
        }
        known.finder.clone()
    }

    fn values(&self) -> BTreeSet<String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.lasting.iter().chain(&known.passing).cloned().collect()
    }
}

impl Known {
    fn rebuild(&mut self) {
        self.is_stale = false;
        let values = self.lasting.iter().chain(&self.passing);
        let all = values.flat_map(|value| spellings::all(value));
        let all: BTreeSet<String> = all.map(|spelling| spelling.to_ascii_lowercase()).collect();
        let longest = all.iter().map(String::len).max().unwrap_or(1);
        // Upper and lower case of every spelling are the same, so that a key in capitals is found.
        // Of the forms of the automaton this one is quick to build and small, and quick enough.
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let mut builder = AhoCorasick::builder();
        let spellings = builder.kind(kind).ascii_case_insensitive(true).build(&all);
        // It is refused only above billions of states; what was known before stays so then.
        match spellings {
            Ok(spellings) => {
                let sorted = all.into_iter().collect();
                self.finder = Some(Arc::new(Finder { spellings, sorted, longest }));
            }
            Err(_too_many) => self.beyond += 1,
        }
    }
}

impl Finder {
    /// Where the end of a text begins that may be the beginning of a secret; its length if none does.
    fn open(&self, text: &str) -> usize {
        let open = self.open_as_it_stands(text);
        // Colours and line breaks amid it do not hide it here either, unless they are many times what
        // is looked for: else a text of nothing but colours would never be given.
        let from = text.len().saturating_sub(COLOURS * self.longest);
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let tail = text.get(from..).unwrap_or_default();
        let Some(joined) = Joined::of_beginning(tail) else { return open };
        let begin = self.open_as_it_stands(joined.text());
        if begin == joined.text().len() {
            return open;
        }
        open.min(from + joined.at(begin))
    }

    fn open_as_it_stands(&self, text: &str) -> usize {
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let end = text.get(from..).unwrap_or_default().to_ascii_lowercase();
        let begins = |at: usize| {
            let tail = end.get(at..).unwrap_or_default();
            let next = self.sorted.partition_point(|known| known.as_str() <= tail);
            self.sorted.get(next).is_some_and(|known| known.starts_with(tail))
        };
        let found = (0..end.len()).find(|at| end.is_char_boundary(*at) && begins(*at));
        found.map_or(text.len(), |at| from + at)
    }

    /// Where secrets are, in order; what overlaps is one.
    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let found = |text| self.spellings.find_overlapping_iter(text).map(|found| found.range());
        let mut spans: Vec<Range<usize>> = found(text).collect();
        if let Some(joined) = Joined::of(text) {
            // Colours and lines amid a secret do not hide it: it is looked for in what they leave.
            let places = |span: Range<usize>| {
                let last = span.end.checked_sub(1)?;
                Some(joined.at(span.start)..joined.at(last) + 1)
            };
            spans.extend(found(joined.text()).filter_map(places));
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                Some(_) | None => merged.push(span),
            }
        }
        merged
    }
}

/// Two that know the same.
impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.values() == other.values()
    }
}

impl Eq for Secrets {}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.values().len()).finish()
    }
}
