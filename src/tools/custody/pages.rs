//! An order as it goes over the fork: one block of bytes, written by the runtime where there is
//! plenty of everything, read by an init that may not allocate. The init maps its own copy, and
//! turns the places of the texts in the lists into addresses there, so that nothing is left to do
//! before execution.
//!
//! Refuses: a text with a null in it. Reading trusts nothing: a place outside the block is no text.

use std::{ffi::CStr, io};

use super::sys::{self, Pointers};

/// What stands where among the first words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// `Switches`.
    Switches,
    Program,
    Argv,
    ArgvLen,
    Env,
    EnvLen,
    Cwd,
    Filter,
    FilterLen,
    Limits,
    LimitsLen,
    UidMap,
    GidMap,
    /// Trees that stay what they are when all else is frozen or covered, with what may be done there in
    /// front.
    Trees,
    TreesLen,
    /// What is covered, each path with how in front.
    Covers,
    CoversLen,
    /// What is covered by an empty file system, each path with how in front; and how that is bounded.
    Scratches,
    ScratchesLen,
    Scratch,
    /// Landlock's rights for what was mounted after the rules were made: all, and to read.
    AccessAll,
    AccessRead,
}

const HEAD: usize = 32;

/// What an init is to do beside; bits of `Word::Switches`.
pub(super) mod switch {
    /// A tree of processes of its own: everybody in it dies with the init.
    pub(in super::super) const PID: u64 = 1;
    pub(in super::super) const USER: u64 = 1 << 1;
    pub(in super::super) const MOUNT: u64 = 1 << 2;
    /// `/proc` shows the own tree alone.
    pub(in super::super) const PROC: u64 = 1 << 3;
    pub(in super::super) const PRIVILEGES: u64 = 1 << 5;
    pub(in super::super) const LIMITS: u64 = 1 << 6;
    pub(in super::super) const LANDLOCK: u64 = 1 << 7;
    pub(in super::super) const SECCOMP: u64 = 1 << 8;
    /// All but its trees is read-only.
    pub(in super::super) const FROZEN: u64 = 1 << 9;
    /// Nothing is executed: only whether all of this can be had.
    pub(in super::super) const PROBE: u64 = 1 << 10;
}

/// A text with a null in it.
#[derive(Debug, thiserror::Error)]
#[error("a text for a program holds a null byte: {text:?}")]
pub struct Null {
    text: String,
}

/// An order being written.
#[derive(Debug)]
pub(super) struct Draft(Vec<u8>);

impl Draft {
    pub(super) fn new() -> Self {
        Self(vec![0; HEAD * 8])
    }

    pub(super) fn set(&mut self, word: Word, value: u64) {
        let at = word as usize * 8;
        if let Some(place) = self.0.get_mut(at..at + 8) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) -> Result<u64, Null> {
        if text.contains(&0) {
            return Err(Null { text: String::from_utf8_lossy(text).into_owned() });
        }
        let at = self.0.len() as u64;
        self.0.extend_from_slice(text);
        self.0.push(0);
        Ok(at)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        self.align();
        let at = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        at
    }

    pub(super) fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.bytes(&bytes)
    }

    /// A list of texts: their places, and a null behind them.
    pub(super) fn list<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(u64, u64), Null> {
        let mut places = texts.map(|text| self.text(text)).collect::<Result<Vec<_>, _>>()?;
        let count = places.len() as u64;
        places.push(0);
        Ok((self.words(&places), count))
    }

    pub(super) fn text_at(&mut self, word: Word, text: &[u8]) -> Result<(), Null> {
        let at = self.text(text)?;
        self.set(word, at);
        Ok(())
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    /// The finished block, sealed in a file that only lives in memory.
    pub(super) fn seal(mut self) -> io::Result<std::fs::File> {
        use std::io::Write as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        self.align();
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = std::fs::File::from(memfd_create("greenroom-order", flags)?);
        file.write_all(&self.0)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(file)
    }
}

/// An order being read, by an init: it allocates nothing.
pub(super) struct Pages(&'static mut [u8]);

impl Pages {
    pub(super) const fn new(bytes: &'static mut [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn word(&self, word: Word) -> u64 {
        self.at(word as u64 * 8)
    }

    pub(super) fn has(&self, switch: u64) -> bool {
        self.word(Word::Switches) & switch != 0
    }

    /// Whether ids mean somebody: only where `/proc` is that of their namespace.
    pub(super) fn has_ids(&self) -> bool {
        !self.has(switch::PID) || self.has(switch::PROC)
    }

    fn at(&self, place: u64) -> u64 {
        let bytes = self.0.get(place as usize..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    fn text_from(&self, place: u64) -> &CStr {
        let bytes = self.0.get(place as usize..).filter(|_| place != 0);
        bytes.and_then(|bytes| CStr::from_bytes_until_nul(bytes).ok()).unwrap_or(c"")
    }

    pub(super) fn text(&self, word: Word) -> &CStr {
        self.text_from(self.word(word))
    }

    /// A text of a list, and the letter in front of it.
    pub(super) fn lettered(&self, list: Word, no: u64) -> (u8, &CStr) {
        let text = self.listed(list, no).to_bytes_with_nul();
        let rest = text.get(1..).and_then(|rest| CStr::from_bytes_with_nul(rest).ok());
        (text.first().copied().unwrap_or_default(), rest.unwrap_or(c""))
    }

    /// A text of a list that was not made into addresses.
    fn listed(&self, list: Word, no: u64) -> &CStr {
        self.text_from(self.at(self.word(list) + no * 8))
    }

    /// Numbers that come in pairs.
    pub(super) fn pair(&self, list: Word, no: u64) -> (u64, u64) {
        let at = self.word(list) + no * 16;
        (self.at(at), self.at(at + 8))
    }

    pub(super) fn filter(&self) -> &[u8] {
        let (at, len) = (self.word(Word::Filter) as usize, self.word(Word::FilterLen) as usize);
        self.0.get(at..at.saturating_add(len)).unwrap_or_default()
    }

    /// Makes addresses of a list's places, once.
    pub(super) fn relocate(&mut self, list: Word, len: Word) {
        let base = self.0.as_ptr() as u64;
        let (at, len) = (self.word(list) as usize / 8, self.word(len) as usize);
        let words = sys::words_mut(self.0);
        for word in words.get_mut(at..at.saturating_add(len)).unwrap_or_default() {
            *word += base;
        }
    }

    /// A list as a program takes it, after `relocate`.
    pub(super) fn pointers(&self, list: Word, len: Word) -> Pointers<'_> {
        let (at, len) = (self.word(list) as usize / 8, self.word(len) as usize);
        Pointers(sys::words(self.0).get(at..=at.saturating_add(len)).unwrap_or_default())
    }
}
