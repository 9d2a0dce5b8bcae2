//! Which call a fragment belongs to. By the book a call has an index, and only its first fragment an
//! id and a name. Servers also send every call as index 0, or without an index, or with a new id on
//! each fragment, or with its name on each. So: a call begins with a name, and a fragment without
//! one goes on with the call at its place.

use greenroom_actors::domain::tool::Args;

use super::super::draft::{At, Draft, Piece};

/// The calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Begun>);

#[derive(Debug)]
struct Begun {
    place: Place,
    id: Option<String>,
    at: At,
}

/// In which choice and with which index, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) choice: i64,
    pub(super) index: Option<i64>,
}

impl Calls {
    /// The call that this fragment goes on with; none where it begins one.
    pub(super) fn find(
        &self,
        draft: &mut Draft,
        place: Place,
        id: Option<&str>,
        name: &str,
    ) -> Option<At> {
        let here = |begun: &&Begun| {
            let index = place.index.is_none() || begun.place.index == place.index;
            index && begun.place.choice == place.choice
        };
        let same_id = |begun: &&Begun| id.is_some() && begun.id.as_deref() == id;
        let latest = || self.0.iter().rev().filter(here);
        let known = id.and_then(|_id| latest().find(same_id));
        let found = known.or_else(|| latest().next())?;
        let other_id = id.is_some() && found.id.is_some() && !same_id(&found);
        let goes_on =
            name.is_empty() || same_id(&found) || (!other_id && takes(draft.piece(found.at), name));
        goes_on.then_some(found.at)
    }

    /// Where they stand in the draft.
    pub(super) fn places(&self) -> impl Iterator<Item = At> {
        self.0.iter().map(|begun| begun.at)
    }

    pub(super) fn begun(&mut self, place: Place, id: Option<String>, at: At) {
        self.0.push(Begun { place, id, at });
    }
}

/// Whether a name without an id of its own belongs to this call: the call has none yet, or has the
/// same and its arguments are not complete.
fn takes(piece: Option<&mut Piece>, name: &str) -> bool {
    match piece {
        Some(Piece::Tool { name: begun, args }) => {
            begun.is_empty() || (begun == name && !is_whole(args))
        }
        Some(Piece::Text(_) | Piece::Thinking { .. } | Piece::Opaque { .. }) | None => false,
    }
}

/// A look at the end saves most fragments the parsing.
fn is_whole(args: &str) -> bool {
    args.trim_end().ends_with('}') && Args(args.to_owned()).object().is_ok()
}
