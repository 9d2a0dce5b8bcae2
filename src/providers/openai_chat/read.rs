//! Streams, whole answers and lists of models, from their bytes.

use greenroom_actors::domain::{conversation::Reply, model::ModelEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::Frame;

use super::{
    super::{Decoder, ModelPage, Said, Trouble},
    answer::Answer,
    error,
    growing::Growing,
};

/// A reader of one stream.
pub(super) struct Reader {
    growing: Growing,
    closes: bool,
    over: bool,
}

impl Reader {
    /// For a server whose streams close with `[DONE]`, or need not.
    pub(super) fn new(family: &'static str, closes: bool) -> Self {
        Self { growing: Growing::new(family), closes, over: false }
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        self.over = true;
        let reply = Box::new(self.growing.finish()?);
        out.push(ModelEvent::Finished { reply });
        Ok(())
    }
}

impl Decoder for Reader {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let data = frame.data.trim();
        if self.over || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            // Without a word of an answer it closes nothing; the body's end says so.
            return if self.growing.has_begun() { self.finish(out) } else { Ok(()) };
        }
        if frame.name.as_deref() == Some("error") {
            return Err(problem(data));
        }
        // A named event that is no object is a sign of life, such as a `ping` with the time.
        if frame.name.is_some() && !data.starts_with('{') {
            return Ok(());
        }
        let chunk = answer(data)?;
        self.growing.add(chunk, out)
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if self.over || self.closes || !self.growing.has_stopped() {
            return Ok(());
        }
        self.finish(out)
    }
}

/// An answer that came as a whole.
pub(super) fn whole(family: &'static str, body: &[u8]) -> Result<Reply, Trouble> {
    let text = std::str::from_utf8(body).map_err(|_bad| Trouble::malformed("it is no text"))?;
    let mut growing = Growing::new(family);
    growing.add(answer(text)?, &mut Vec::new())?;
    if !growing.has_begun() {
        return Err(Trouble::malformed("the answer has no choices"));
    }
    growing.finish()
}

/// An answer, if it is not an error in an answer's clothes.
fn answer(text: &str) -> Result<Answer<'_>, Trouble> {
    let answer: Answer<'_> =
        serde_json::from_str(text).map_err(|error| Trouble::json("read the answer", &error))?;
    match answer.error() {
        Some(error) => Err(problem(error)),
        None if answer.is_error() => Err(problem(text)),
        None => Ok(answer),
    }
}

fn problem(text: &str) -> Trouble {
    let unread = || Said { code: "error".into(), message: text.into(), retry_after_ms: None };
    Trouble::Said(error::said(text).unwrap_or_else(unread))
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    models: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
}

/// A list of models: `data`, `models`, or the list itself.
pub(super) fn models(body: &[u8]) -> Result<ModelPage, Trouble> {
    let unread = |error| Trouble::json("read the list of models", &error);
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let entries: Vec<&RawValue> = if is_list {
        serde_json::from_slice(body).map_err(unread)?
    } else {
        let listed: Listed<'_> = serde_json::from_slice(body).map_err(unread)?;
        let none = || Trouble::malformed("the list of models has neither `data` nor `models`");
        listed.data.or(listed.models).ok_or_else(none)?
    };
    let mut names = Vec::with_capacity(entries.len());
    for entry in entries {
        let named: Named = serde_json::from_str(entry.get()).map_err(unread)?;
        names.extend(named.id.or(named.name));
    }
    Ok(ModelPage { names, after: None })
}
