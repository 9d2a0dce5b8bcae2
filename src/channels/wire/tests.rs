//! What a person is shown is readable, and is what runs.

use greenroom_actors::domain::{
    ids::{ApprovalId, ApprovalNo, SessionId, Timestamp, ToolCallNo},
    permission::{Ask, Request},
    tool::Args,
};

use super::*;

/// A question about a call with these arguments.
pub(in crate::channels) fn row(args: &str) -> ApprovalRow {
    let session: SessionId = "01890000-0000-7000-8000-000000000001".parse().unwrap();
    let request = Request { tool: "shell".into(), args: Args(args.to_owned()), cwd: None };
    ApprovalRow {
        id: ApprovalId { session, no: ApprovalNo(1) },
        tenant: "default".into(),
        agent: "clerk".into(),
        asked_at: Timestamp(1_789_999_000_000),
        ask: Ask {
            digest: request.digest(),
            subject: Subject::ToolCall { call: ToolCallNo(1), request },
            scripts: Vec::new(),
            reasons: Vec::new(),
            proposal: None,
            expires_at: Timestamp(1_790_000_000_000),
        },
    }
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn arguments_stand_as_the_digest_takes_them_and_not_as_the_model_spelt_them() {
    let spelt = row(r#"{ "command": "\u0065\u0063ho hi > x" }"#);
    let shown = question(&spelt);
    let found = json(&shown);
    assert_eq!(found["subject"]["request"]["args"], r#"{"command":"echo hi > x"}"#);
    assert_eq!(found["arguments"]["command"], "echo hi > x");
    assert_eq!(found["asked_at"], 1_789_999_000_000_u64);
    assert_eq!(found["digest"], row(r#"{"command":"echo hi > x"}"#).ask.digest.0);
    assert!(!String::from_utf8(shown).unwrap().contains("u0065"));
}

#[test]
fn a_large_number_is_shown_and_answered_as_it_is() {
    let large = r#"{"to":18446744073709551617}"#;
    let asked = row(large);
    let shown = String::from_utf8(question(&asked)).unwrap();
    assert_eq!(shown.matches("18446744073709551617").count(), 2, "{shown}");
    assert_ne!(asked.ask.digest, row(r#"{"to":18446744073709551616}"#).ask.digest);
    let (approval, digest) = (asked.id, &asked.ask.digest.0);
    let answered = format!(
        r#"{{"approval":"{approval}","digest":"{digest}","answer":"edit","args":{large}}}"#
    );
    let Ok(Answer::Edit { args }) = answer(&asked, answered.as_bytes()) else { panic!("no edit") };
    assert_eq!(args.0, large);
}

#[test]
fn what_a_terminal_obeys_or_nobody_sees_stands_as_its_code_and_means_the_same() {
    let odd = "a\u{202e}b\u{9b}2J\u{7f}\u{200b}\u{feff}\u{e0041}\u{1b}[2J\u{85}\u{2028}ä😀";
    let mut asked = row(&serde_json::json!({ "command": odd }).to_string());
    asked.ask.reasons = vec![odd.to_owned()];
    for bytes in [question(&asked), closed(&asked, odd)] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let is_bad = |c: char| unseen::is_unseen(c);
        assert_eq!(text.chars().find(|c| is_bad(*c)), None, "{text:?}");
        assert!(text.contains(r"a\u202eb\u009b2J\u007f\u200b\ufeff\udb40\udc41\u001b"), "{text}");
        assert!(text.contains("ä😀"), "what is seen stays as it is: {text}");
        let found = json(&bytes);
        let said = found.get("how").unwrap_or(&found["reasons"][0]);
        assert_eq!(said, odd, "the same text");
    }
    assert_eq!(json(&question(&asked))["arguments"]["command"], odd);
}
