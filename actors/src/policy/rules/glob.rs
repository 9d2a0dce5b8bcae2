//! Wildcards, compiled once and matched in bounded time without recursion. Two dialects: *text*
//! knows only `*` (commands, addresses and arguments are full of `?` and `[`), *segment* is one
//! part of a gitignore path and also knows `?` and `[a-z]`. A backslash makes the next character
//! plain in both.

/// A compiled wildcard pattern; it must match the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Piece {
    fn takes(&self, found: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == found,
            Self::One | Self::Any => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&found)) != *negated
            }
        }
    }
}

impl Piece {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Char(c), piece) | (piece, Self::Char(c)) => piece.takes(*c),
            // Two classes are taken to have a character in common.
            (Self::One | Self::Any | Self::Class { .. }, _) => true,
        }
    }
}

impl Glob {
    /// The text dialect; every text is a pattern.
    pub(super) fn text(pattern: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => push_any(&mut pieces),
                '\\' => pieces.push(Piece::Char(chars.next().unwrap_or('\\'))),
                plain => pieces.push(Piece::Char(plain)),
            }
        }
        Self(pieces)
    }

    /// The segment dialect; `None` when a `[` is never closed.
    pub(super) fn segment(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => push_any(&mut pieces),
                '?' => pieces.push(Piece::One),
                '[' => pieces.push(class(&mut chars)?),
                '\\' => pieces.push(Piece::Char(chars.next().unwrap_or('\\'))),
                plain => pieces.push(Piece::Char(plain)),
            }
        }
        Some(Self(pieces))
    }

    /// This pattern with a blank and anything after it.
    pub(super) fn followed_by_more(&self) -> Self {
        let mut pieces = self.0.clone();
        pieces.push(Piece::Char(' '));
        push_any(&mut pieces);
        Self(pieces)
    }

    /// Its text, where it has no wildcard.
    pub(super) fn literal(&self) -> Option<String> {
        let plain = |piece: &Piece| match piece {
            Piece::Char(c) => Some(*c),
            Piece::One | Piece::Any | Piece::Class { .. } => None,
        };
        self.0.iter().map(plain).collect()
    }

    /// Whether some text matches both: pairs of places that one more character, or none, can reach.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (rows, columns) = (self.0.len() + 1, other.0.len() + 1);
        let mut row = vec![false; columns];
        for at in 0..rows {
            let own = at.checked_sub(1).and_then(|at| self.0.get(at));
            let mut next = vec![false; columns];
            for column in 0..columns {
                let theirs = column.checked_sub(1).and_then(|at| other.0.get(at));
                let reached =
                    |cells: &[bool], at: usize| cells.get(at).copied().unwrap_or_default();
                let left = column > 0 && reached(&next, column - 1);
                let up = at > 0 && reached(&row, column);
                let across = at > 0 && column > 0 && reached(&row, column - 1);
                let yes = (at == 0 && column == 0)
                    || (own == Some(&Piece::Any) && (up || left))
                    || (theirs == Some(&Piece::Any) && (up || left))
                    || (across
                        && own.zip(theirs).is_some_and(|(own, theirs)| own.overlaps(theirs)));
                if let Some(cell) = next.get_mut(column) {
                    *cell = yes;
                }
            }
            row = next;
        }
        row.last().copied().unwrap_or_default()
    }

    /// The characters before the first wildcard.
    pub(super) fn literal_start(&self) -> String {
        self.0
            .iter()
            .map_while(|piece| match piece {
                Piece::Char(c) => Some(*c),
                Piece::One | Piece::Any | Piece::Class { .. } => None,
            })
            .collect()
    }

    /// Whether it matches all of `text`. After the last `*` nothing earlier is tried again, so the
    /// work is at most the product of both lengths.
    pub(super) fn matches(&self, text: &[char]) -> bool {
        let (mut at_piece, mut at_char) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let taken = match (self.0.get(at_piece), text.get(at_char)) {
                (Some(Piece::Any), _) => {
                    at_piece += 1;
                    retry = Some((at_piece, at_char));
                    continue;
                }
                (None, None) => return true,
                (Some(piece), Some(found)) => piece.takes(*found),
                (Some(_), None) => return false,
                (None, Some(_)) => false,
            };
            if taken {
                at_piece += 1;
                at_char += 1;
                continue;
            }
            let Some((piece, from)) = retry else { return false };
            retry = Some((piece, from + 1));
            at_piece = piece;
            at_char = from + 1;
        }
    }

    /// As [`Self::matches`], for a text at hand as a string.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.matches(&text.chars().collect::<Vec<_>>())
    }
}

fn push_any(pieces: &mut Vec<Piece>) {
    if pieces.last() != Some(&Piece::Any) {
        pieces.push(Piece::Any);
    }
}

fn class(chars: &mut std::str::Chars<'_>) -> Option<Piece> {
    let mut body: Vec<char> = Vec::new();
    loop {
        match chars.next()? {
            ']' if !body.is_empty() && body != ['!'] && body != ['^'] => break,
            '\\' => body.push(chars.next()?),
            other => body.push(other),
        }
    }
    let negated = matches!(body.first(), Some('!' | '^'));
    let mut rest = if negated { body.get(1..)? } else { &body };
    let mut ranges = Vec::new();
    while let Some(low) = rest.first().copied() {
        let range = match rest {
            [_, '-', high, ..] => (low, *high, 3),
            _ => (low, low, 1),
        };
        ranges.push((range.0, range.1));
        rest = rest.get(range.2..)?;
    }
    Some(Piece::Class { negated, ranges })
}

/// `text` with everything special in either dialect made plain.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A rule as it is proposed: the text without wildcards, but for the ` *` that it ends in.
pub(super) fn escape_all_but_end(rule: &str) -> String {
    match rule.strip_suffix(" *") {
        Some(start) => format!("{} *", escape(start)),
        None => escape(rule),
    }
}
