//! Ids of traces and spans. They follow from ids that the log has, so the tool that is told its span and
//! the exporter that tells of it later say the same, after a restart as well, and nothing is kept for it.
//! Who exports spans, and whether anybody does, is not known here.

use sha2::{Digest as _, Sha256};

use super::ids::{ApprovalNo, CallId, CallNo, ModelCallNo, SessionId, ToolCallNo, TurnId};

/// A trace: everything that a tree of sessions does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span within its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// What a span is of, within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spanned {
    /// A turn.
    Turn(TurnId),
    /// A call of a model.
    Model(ModelCallNo),
    /// A call of a tool.
    Tool(ToolCallNo),
    /// A question to a person.
    Question(ApprovalNo),
}

impl TraceId {
    /// The trace of a tree, by its root: it has the root's id.
    #[must_use]
    pub const fn of(root: SessionId) -> Self {
        Self(*root.0.as_bytes())
    }
}

impl SpanId {
    /// The span of something in a session: the beginning of a hash of what it is of. All zeros mean none
    /// to whoever reads spans, so that one value is another one.
    #[must_use]
    pub fn of(session: SessionId, what: Spanned) -> Self {
        let (kind, no) = match what {
            Spanned::Turn(no) => ("turn", no.0),
            Spanned::Model(no) => ("model", no.0),
            Spanned::Tool(no) => ("tool", no.0),
            Spanned::Question(no) => ("question", no.0),
        };
        let digest = Sha256::digest(format!("{session}/{kind}/{no}"));
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(if id == [0; 8] { [1; 8] } else { id })
    }
}

/// The context that a call hands to what it starts, as W3C Trace Context writes it: version, trace, span,
/// and that it is recorded.
#[must_use]
pub fn traceparent(root: SessionId, call: CallId) -> String {
    let what = match call.no {
        CallNo::Model(no) => Spanned::Model(no),
        CallNo::Tool(no) => Spanned::Tool(no),
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (trace, span) = (TraceId::of(root), SpanId::of(call.session, what));
    format!("00-{}-{}-01", hex(&trace.0), hex(&span.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_span_has_the_same_id_whoever_asks_and_no_other_span_has_it() {
        let session = SessionId(Uuid::from_u128(7));
        let of = |no| {
            [
                Spanned::Turn(TurnId(no)),
                Spanned::Model(ModelCallNo(no)),
                Spanned::Tool(ToolCallNo(no)),
                Spanned::Question(ApprovalNo(no)),
            ]
        };
        let ids: BTreeSet<[u8; 8]> =
            (1..=1_000).flat_map(of).map(|what| SpanId::of(session, what).0).collect();
        assert_eq!(ids.len(), 4_000);
        // It is told to programs that outlive this version: another hash would part them.
        assert_eq!(
            traceparent(SessionId(Uuid::from_u128(1)), CallId::tool(session, ToolCallNo(3))),
            "00-00000000000000000000000000000001-e5572a48d8d3f415-01"
        );
    }
}
