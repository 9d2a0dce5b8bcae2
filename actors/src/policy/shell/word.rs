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

/// Stands for a bracket outside quotes, until the whole word is there.
pub(super) const CLASS: &str = "[";

fn is_class(piece: &Piece) -> bool {
    matches!(piece, Piece::Wild(text) if text == CLASS)
}

/// Pieces with each class of characters as one wildcard. Where it ends is not asked for closely: with
/// quotes in it, or brackets, the last bracket of the name is taken, and a wildcard stands for all that is
/// in between. A class that never ends is a bracket, for which it stands as well.
fn classes_closed(pieces: &[Piece]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut rest = pieces.to_vec();
    while let Some(at) = rest.iter().position(is_class) {
        let behind = rest.split_off(at + 1);
        rest.pop();
        out.append(&mut rest);
        out.push(Piece::Wild("*".to_owned()));
        // Where the last closing bracket of this name is: which piece, and behind which of its bytes.
        let mut end = None;
        for (nth, piece) in behind.iter().enumerate() {
            let Piece::Text(text) = piece else { continue };
            let (name, ended) = match text.split_once('/') {
                Some((name, _)) => (name, true),
                None => (text.as_str(), false),
            };
            end = name.rfind(']').map(|at| (nth, at + 1)).or(end);
            if ended {
                break;
            }
        }
        let (nth, byte) = end.unwrap_or((0, 0));
        let inside = behind.iter().take(nth);
        out.extend(inside.filter(|piece| matches!(piece, Piece::Any | Piece::Split)).cloned());
        rest = behind.into_iter().skip(nth).collect();
        if let Some(Piece::Text(text)) = rest.first_mut() {
            *text = text.get(byte..).unwrap_or_default().to_owned();
        }
    }
    out.append(&mut rest);
    out
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
        let pieces = if pieces.iter().any(is_class) { classes_closed(&pieces) } else { pieces };
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

    /// The folders that a shell looks through to put names in the place of its wildcards.
    pub(super) fn listed(&self) -> Vec<Self> {
        let pieces = self.pieces();
        let wild = |at: &usize| matches!(pieces.get(*at), Some(Piece::Wild(_)));
        let above = |at: usize| {
            let mut before = pieces.get(..at).unwrap_or_default().to_vec();
            while let Some(last) = before.pop() {
                if let Piece::Text(text) = last
                    && let Some((folder, _)) = text.rsplit_once('/')
                {
                    let is_root = folder.is_empty() && before.is_empty();
                    before.push(Piece::Text(if is_root { "/" } else { folder }.to_owned()));
                    return Self::of(before);
                }
            }
            Self::Text(".".to_owned())
        };
        (0..pieces.len()).filter(wild).map(above).take(crate::limits::WORD_WILDS + 1).collect()
    }

    /// Whether it may become several names of files.
    pub(super) fn is_wild(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Shape(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Wild(_))),
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
