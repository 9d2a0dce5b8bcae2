//! What requests to several vendors have in common: ids of calls, arguments and schemas as JSON that
//! was written elsewhere, images as text. Bytes that the model or a user wrote are passed on as they
//! are; only what is no JSON at all is wrapped, because a vendor would refuse the conversation for
//! ever after one bad call.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use greenroom_actors::domain::{
    conversation::BlobRef, ids::ToolCallNo, model::ModelRequest, tool::Args,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The id of a call on the wire: made from our number, so the same each time. What id the vendor
/// gave it is not kept, because two calls may have had the same.
pub(super) fn call_id(call: ToolCallNo) -> String {
    format!("call_{}", call.0)
}

/// Arguments as an object, byte for byte where they are one.
pub(super) fn arguments(args: &Args) -> Result<Cow<'_, RawValue>, String> {
    #[derive(Serialize)]
    struct Unreadable<'a> {
        unreadable: &'a str,
    }
    // Parsed as a whole: a vendor is stricter than a look at the braces.
    if args.object().is_ok()
        && let Ok(raw) = serde_json::from_str(&args.0)
    {
        return Ok(Cow::Borrowed(raw));
    }
    to_raw_value(&Unreadable { unreadable: &args.0 })
        .map(Cow::Owned)
        .map_err(|error| format!("arguments of an earlier call: {error}"))
}

/// A schema that somebody declared.
pub(super) fn schema<'a>(what: &str, text: &'a str) -> Result<&'a RawValue, String> {
    serde_json::from_str(text).map_err(|error| format!("the schema of {what} is no JSON: {error}"))
}

/// An image's bytes as text.
pub(super) fn image(request: &ModelRequest, blob: &BlobRef) -> Result<String, String> {
    let bytes = request.images.get(&blob.sha256);
    let bytes = bytes.ok_or_else(|| format!("the image {} is not there", blob.sha256))?;
    Ok(STANDARD.encode(bytes))
}

/// Text that was put aside for its size and was not put back before the request was made.
pub(super) fn put_aside(blob: &BlobRef) -> String {
    format!("the text in blob {} is not there", blob.sha256)
}
