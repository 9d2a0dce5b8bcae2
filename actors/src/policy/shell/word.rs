//! One word of a command after quotes are gone: the text that it is, or pieces of which some are known
//! only when the command runs.

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Word {
    /// Exactly this.
    Text(String),
    /// This shape.
    Shape(Vec<Piece>),
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Piece {
    /// Exactly this.
    Text(String),
    /// A wildcard as it is written, to be replaced by names of files.
    Wild(String),
    /// Anything, within one word.
    Any,
    /// Anything, also several words or none.
    Split,
}

impl Word {
    /// Its text where it is known.
    pub(in crate::policy) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Shape(_) => None,
        }
    }

    /// A word of pieces; neighbouring texts become one.
    pub(super) fn of(pieces: Vec<Piece>) -> Self {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(so_far)), Piece::Text(more)) => so_far.push_str(&more),
                (_, Piece::Text(text)) if text.is_empty() => {}
                (_, piece) => joined.push(piece),
            }
        }
        match joined.as_mut_slice() {
            [] => Self::Text(String::new()),
            [Piece::Text(text)] => Self::Text(std::mem::take(text)),
            _ => Self::Shape(joined),
        }
    }

    /// A word of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::Shape(vec![Piece::Any])
    }

    /// Its pieces.
    pub(in crate::policy) fn pieces(&self) -> Vec<Piece> {
        match self {
            Self::Text(text) => vec![Piece::Text(text.clone())],
            Self::Shape(pieces) => pieces.clone(),
        }
    }

    /// The text that it begins with.
    pub(super) fn start(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Shape(pieces) => match pieces.first() {
                Some(Piece::Text(text)) => text,
                Some(Piece::Wild(_) | Piece::Any | Piece::Split) | None => "",
            },
        }
    }

    /// Whether it may turn out as several words, or none.
    pub(super) fn may_split(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Shape(pieces) => pieces.contains(&Piece::Split),
        }
    }

    /// Whether it is written out but for names of files.
    pub(in crate::policy) fn is_files(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Shape(pieces) => {
                !pieces.iter().any(|piece| matches!(piece, Piece::Any | Piece::Split))
            }
        }
    }

    /// The same without a beginning that it has.
    pub(super) fn without(&self, start: &str) -> Option<Self> {
        let mut pieces = self.pieces();
        match pieces.first_mut() {
            Some(Piece::Text(text)) => *text = text.strip_prefix(start)?.to_owned(),
            Some(Piece::Wild(_) | Piece::Any | Piece::Split) | None => return None,
        }
        Some(Self::of(pieces))
    }
}
