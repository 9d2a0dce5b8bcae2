//! An answer of Anthropic's, streamed or whole.
//!
//! ```text
//! message_start ─▶ (content_block_start ─▶ content_block_delta* ─▶ content_block_stop)*
//!               ─▶ message_delta ─▶ message_stop
//! ```
//!
//! Only `message_stop` ends a streamed answer. Events that nobody knows are passed over, and so is the
//! closing line of another vendor's protocol that some services add. Blocks are told apart by their
//! index; that one was closed twice or not at all changes nothing, because none is acted on before the
//! end, unless another begins in its place.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{conversation::Reply, model::ModelEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::Frame;

use super::{
    super::{Decoder, Said, Trouble, draft::Draft},
    block::Growing,
    report::{self, Report},
};

/// A reader of one stream.
#[derive(Default)]
pub(super) struct Reader {
    draft: Draft,
    stage: Stage,
    blocks: BTreeMap<u64, Growing>,
    /// The blocks that were closed: their index may begin another.
    closed: BTreeSet<u64>,
    report: Report,
    reason: Option<String>,
}

/// How far the answer is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    NotBegun,
    Under,
    Over,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Decoder for Reader {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if self.stage == Stage::Over || matches!(frame.data.trim(), "" | "[DONE]") {
            return Ok(());
        }
        let event: Event<'_> = match serde_json::from_str(&frame.data) {
            Ok(event) => event,
            Err(_) if frame.name.as_deref() == Some("error") => {
                return Err(Trouble::Said(Said { message: frame.data.clone(), ..Said::default() }));
            }
            Err(error) => return Err(Trouble::json("an event", &error)),
        };
        match event.kind.as_str() {
            "message_start" => self.begin(&event),
            "content_block_start" => self.begin_block(&event, out),
            "content_block_delta" => self.grow_block(&event, out),
            "content_block_stop" => {
                let index = event.index.map(|index| read::<u64>("a block's index", Some(index)));
                self.closed.extend(index.and_then(Result::ok));
                Ok(())
            }
            "message_delta" => self.note(&event),
            "message_stop" => self.finish(out),
            // Whatever its type: who puts an error where an event was expected means it.
            _other if event.error.is_some() => Err(report::trouble(&frame.data)
                .unwrap_or_else(|| Trouble::malformed("an error that cannot be read"))),
            _other => Ok(()),
        }
    }
}

impl Reader {
    fn begin(&mut self, event: &Event<'_>) -> Result<(), Trouble> {
        #[derive(Deserialize)]
        struct Begun<'a> {
            model: Option<String>,
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }
        if self.stage != Stage::NotBegun {
            return Err(Trouble::malformed("an answer began within another"));
        }
        let begun: Begun<'_> = read("the beginning of an answer", event.message)?;
        self.stage = Stage::Under;
        self.draft.served_by = begun.model;
        self.report = Report::begun(begun.usage);
        Ok(())
    }

    fn begin_block(&mut self, event: &Event<'_>, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let index = self.under_way(event.index)?;
        let raw = event.content_block.ok_or_else(|| missing("a block"))?;
        // Some services count every block as the first: then the one before was closed.
        let closed = self.closed.remove(&index);
        match self.blocks.remove(&index) {
            Some(block) if closed => block.finish(&mut self.draft)?,
            Some(_open) => {
                return Err(Trouble::Malformed(format!("block {index} began twice")));
            }
            None => {}
        }
        let block = Growing::begin(&mut self.draft, raw, out)?;
        self.blocks.insert(index, block);
        Ok(())
    }

    fn grow_block(&mut self, event: &Event<'_>, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let index = self.under_way(event.index)?;
        let delta = event.delta.ok_or_else(|| missing("a delta"))?;
        let block = self.blocks.get_mut(&index);
        let block = block.ok_or_else(|| {
            Trouble::Malformed(format!("block {index} was added to and never began"))
        })?;
        block.add(&mut self.draft, delta, out)
    }

    fn note(&mut self, event: &Event<'_>) -> Result<(), Trouble> {
        #[derive(Deserialize)]
        struct Noted {
            stop_reason: Option<String>,
        }
        if self.stage != Stage::Under {
            return Err(Trouble::malformed("an answer's end before its beginning"));
        }
        if event.delta.is_some() {
            let noted: Noted = read("the end of an answer", event.delta)?;
            self.reason = noted.stop_reason.or(self.reason.take());
        }
        self.report.replace(Report::read(event.usage));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if self.stage != Stage::Under {
            return Err(Trouble::malformed("an answer's end before its beginning"));
        }
        self.stage = Stage::Over;
        for block in std::mem::take(&mut self.blocks).into_values() {
            block.finish(&mut self.draft)?;
        }
        let reply = reply(&mut self.draft, &self.report, self.reason.as_deref());
        out.push(ModelEvent::Finished { reply: Box::new(reply) });
        Ok(())
    }

    /// The index of a block, where blocks may come.
    fn under_way(&self, index: Option<&RawValue>) -> Result<u64, Trouble> {
        if self.stage != Stage::Under {
            return Err(Trouble::malformed("a block before the answer began"));
        }
        read("a block's index", index)
    }
}

/// An answer that came as a whole.
pub(super) fn whole(body: &[u8]) -> Result<Reply, Trouble> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: Option<Vec<&'a RawValue>>,
        model: Option<String>,
        stop_reason: Option<String>,
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let json = |error| Trouble::json("an answer", &error);
    let message: Message<'_> = serde_json::from_slice(body).map_err(json)?;
    if message.error.is_some()
        && let Ok(text) = std::str::from_utf8(body)
        && let Some(trouble) = report::trouble(text)
    {
        return Err(trouble);
    }
    let content = message.content.ok_or_else(|| missing("the content of an answer"))?;
    let mut draft = Draft::default();
    draft.served_by = message.model;
    for raw in content {
        Growing::begin(&mut draft, raw, &mut Vec::new())?.finish(&mut draft)?;
    }
    Ok(reply(&mut draft, &Report::read(message.usage), message.stop_reason.as_deref()))
}

fn reply(draft: &mut Draft, report: &Report, reason: Option<&str>) -> Reply {
    draft.usage = report.usage();
    let stop = report::stop(reason, draft.asks_tools());
    draft.finish(stop)
}

fn read<'a, T: Deserialize<'a>>(what: &str, raw: Option<&'a RawValue>) -> Result<T, Trouble> {
    let raw = raw.ok_or_else(|| missing(what))?;
    serde_json::from_str(raw.get()).map_err(|error| Trouble::json(what, &error))
}

fn missing(what: &str) -> Trouble {
    Trouble::Malformed(format!("{what} is missing"))
}
