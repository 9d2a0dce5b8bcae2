//! A session's log by pages, forwards from a cursor or the last of it: what is on the wire is what is in
//! the log.

use axum::{Json, extract::State as Of};
use std::collections::VecDeque;

use greenroom_actors::{
    domain::{
        event::Event,
        ids::{Position, SessionId},
    },
    runtime::Decoded,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Ctx, House,
    problem::{Answer, problem},
    routes::Route,
    take::{Asked, Id, Who},
    wire::{FrameWire, Page, rows},
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions/{session}/frames", "Its log, frame by frame", list)
            .asks::<Wishes>()
            .gives::<Page<FrameWire>>(),
    ]
}

/// What a page read backwards holds, as long as it is written: more are on the page before.
const WINDOW_BYTES: usize = 4 * 1_024 * 1_024;

impl House {
    /// The last frames of a window, at least one: what does not fit is left out at its beginning, where
    /// whoever reads backwards goes on.
    async fn window(
        &self,
        session: SessionId,
        after: Position,
        before: u64,
    ) -> Answer<VecDeque<Decoded<Event>>> {
        let mut window: VecDeque<(usize, Decoded<Event>)> = VecDeque::new();
        let (mut cursor, mut bytes) = (after, 0);
        while cursor.0 + 1 < before {
            let rows = usize::try_from(before - cursor.0 - 1).unwrap_or(usize::MAX);
            let frames = self.reading.page(session, cursor, rows).await?;
            let Some(last) = frames.last() else { break };
            cursor = last.envelope.position;
            for frame in frames {
                let size = serde_json::to_vec(&frame.events).map_or(0, |text| text.len());
                bytes += size;
                window.push_back((size, frame));
                while bytes > WINDOW_BYTES && window.len() > 1 {
                    bytes -= window.pop_front().map_or(0, |(size, _)| size);
                }
            }
        }
        Ok(window.into_iter().map(|(_, frame)| frame).collect())
    }
}

/// Which frames.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// Those after this one.
    after: Option<u64>,
    /// The last ones before this one.
    before: Option<u64>,
    /// The last so many.
    #[schemars(range(min = 1, max = 500))]
    last: Option<usize>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
}

async fn list(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<FrameWire>>> {
    let row = ctx.line(&caller, session).await?;
    let end = Position(row.position.0.saturating_add(1));
    let limit = rows(wishes.last.or(wishes.limit))?;
    let back = |before: u64| Position(before.saturating_sub(1).saturating_sub(limit as u64));
    let (after, before) = match (wishes.after, wishes.before, wishes.last) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            return Err(problem("invalid", "expected one of `after`, `before` and `last`"));
        }
        (after, None, None) => (Position(after.unwrap_or(0)), None),
        (None, Some(before), None) => (back(before), Some(before)),
        (None, None, Some(_)) => (back(end.0), None),
    };
    let items = match before {
        None => ctx.reading.page(session, after, limit).await?.into(),
        Some(before) => ctx.window(session, after, before).await?,
    };
    let items: Vec<_> = items.into_iter().map(|frame| FrameWire::of(session, frame)).collect();
    // Forwards the cursor is the last frame; a reader that has all of it has it still.
    let last = items.last().map(|frame| frame.position);
    let next = last.filter(|last| before.is_none() && *last + 1 < end.0);
    Ok(Json(Page { items, next: next.map(|next| next.to_string()) }))
}
