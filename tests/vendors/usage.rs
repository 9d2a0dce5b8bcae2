//! V9: what vendors say of their usage, as the ledger books it. The last cumulative word counts once;
//! where there is none the call stands at its bound until somebody knows better.

use greenroom::providers::Kind;
use greenroom_actors::{
    domain::{
        catalog::{Totals, TotalsOf},
        usage::Usage,
    },
    testing::harness::{ended, say},
};
use serde_json::{Value, json};

use crate::{
    house::{self, agent, name, vendor, way},
    server::Server,
    speech::{self, INPUT, KINDS, OUTPUT, closed, frames, piece, streams, usage},
};

/// What an agent of this format is booked for an answer with this body.
async fn booked(kind: Kind, body: String) -> (String, Totals) {
    let server = Server::new(move |_asked, _no| streams(kind, body.clone())).await;
    let vendors = vec![vendor(&way(), kind, &server.url)];
    let stage = house::stage(vendors, |harness| {
        let mut agent = agent(kind, &[]);
        agent.limits.retries = 0;
        harness.agent(agent)
    })
    .await;
    let session = say(&stage.runtime, name(kind), "k", "go").await;
    let word = ended(&stage.runtime, session, "k").await.word().to_owned();
    (word, stage.runtime.totals(TotalsOf::Session(session)).await.unwrap())
}

/// Usage that stands at less than the end, and amid the answer.
fn amid(kind: Kind, output: u64) -> String {
    let frame = match kind {
        Kind::Anthropic => json!({"type": "message_delta", "delta": {},
            "usage": {"output_tokens": output}}),
        Kind::OpenAiChat => json!({"choices": [{"index": 0, "delta": {"content": "."}}],
            "usage": {"prompt_tokens": INPUT, "completion_tokens": output}}),
        Kind::OpenAiResponses => json!({"type": "response.in_progress", "response": {"id": "r",
            "status": "in_progress", "usage": {"input_tokens": INPUT, "output_tokens": output}}}),
        Kind::Gemini | Kind::Vertex => json!({"candidates": [{"content": {"role": "model",
            "parts": [{"text": "."}]}}], "usageMetadata": {"promptTokenCount": INPUT,
            "candidatesTokenCount": output}}),
        Kind::Ollama => json!({"model": "model", "message": {"role": "assistant", "content": "."},
            "done": false, "prompt_eval_count": INPUT, "eval_count": output}),
    };
    frames(kind, &[frame])
}

fn exact() -> Usage {
    Usage { input: INPUT, output: OUTPUT, ..Usage::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_cumulative_word_on_usage_is_booked_and_never_a_sum() {
    for kind in KINDS {
        let (begins, said) = (speech::begins(kind), piece(kind, "So"));
        let end = closed(kind, "stop", &usage(kind));
        let (one, three, seven) = (amid(kind, 1), amid(kind, 3), amid(kind, OUTPUT));
        let growing = format!("{begins}{one}{said}{three}{seven}{end}");
        let repeated = format!("{begins}{said}{seven}{seven}{seven}{end}");
        let again = format!("{begins}{said}{end}{end}");
        for body in [growing, repeated, again] {
            let (word, totals) = booked(kind, body).await;
            assert_eq!(word, "completed", "{kind:?}");
            assert_eq!((totals.usage, totals.unsettled_calls), (exact(), 0), "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_on_usage_a_call_stands_at_its_bound() {
    for kind in KINDS {
        let begins = speech::begins(kind).replace("\"usage\"", "\"no_usage\"");
        let said = format!("{begins}{}", piece(kind, "So"));
        for none in [json!({}), Value::Null] {
            let (word, totals) =
                booked(kind, format!("{said}{}", closed(kind, "stop", &none))).await;
            assert_eq!(word, "completed", "{kind:?}");
            assert_eq!((totals.usage, totals.unsettled_calls), (Usage::default(), 1), "{kind:?}");
            assert!(totals.unsettled_tokens_max > OUTPUT, "{kind:?}: {totals:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_that_stands_before_an_error_is_no_last_word() {
    for kind in KINDS {
        let error = match kind {
            Kind::Anthropic => json!({"type": "error", "error": {"type": "invalid_request_error"}}),
            Kind::OpenAiResponses => json!({"type": "response.failed", "response": {"id": "r",
                "status": "failed", "error": {"code": "invalid_prompt", "message": "no"},
                "usage": usage(kind)}}),
            Kind::OpenAiChat => json!({"error": {"code": "invalid_request"}, "usage": usage(kind)}),
            Kind::Gemini | Kind::Vertex => json!({"error": {"status": "INVALID_ARGUMENT",
                "message": "no"}, "usageMetadata": usage(kind)}),
            Kind::Ollama => json!({"error": "no", "prompt_eval_count": INPUT, "eval_count": 1}),
        };
        let begun = format!("{}{}{}", speech::begins(kind), piece(kind, "So"), amid(kind, 1));
        let (word, totals) = booked(kind, format!("{begun}{}", frames(kind, &[error]))).await;
        assert_eq!(word, "failed", "{kind:?}");
        // It may have cost more than it said until then: the bound stands, and it is no less.
        assert_eq!((totals.usage, totals.unsettled_calls), (Usage::default(), 1), "{kind:?}");
        assert!(totals.unsettled_tokens_max > INPUT + 1, "{kind:?}: {totals:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_every_kind_are_booked_apart() {
    let expected = Usage { input: 20, cache_read: 5, cache_write: 0, output: 7, reasoning: 2 };
    for kind in KINDS {
        let (usage, expected) = match kind {
            Kind::Anthropic => (
                json!({"input_tokens": 20, "cache_read_input_tokens": 5,
                    "cache_creation_input_tokens": 3, "output_tokens": 7,
                    "output_tokens_details": {"thinking_tokens": 2}}),
                Usage { cache_write: 3, ..expected },
            ),
            Kind::OpenAiChat => (
                json!({"prompt_tokens": 25, "prompt_tokens_details": {"cached_tokens": 5},
                    "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 2}}),
                expected,
            ),
            Kind::OpenAiResponses => (
                json!({"input_tokens": 25, "input_tokens_details": {"cached_tokens": 5},
                    "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}}),
                expected,
            ),
            Kind::Gemini | Kind::Vertex => (
                json!({"promptTokenCount": 25, "cachedContentTokenCount": 5,
                    "candidatesTokenCount": 5, "thoughtsTokenCount": 2}),
                expected,
            ),
            Kind::Ollama => (
                json!({"prompt_eval_count": 20, "eval_count": 7}),
                Usage { cache_read: 0, reasoning: 0, ..expected },
            ),
        };
        let said = format!("{}{}", speech::begins(kind), piece(kind, "So"));
        let (_, totals) = booked(kind, format!("{said}{}", closed(kind, "stop", &usage))).await;
        assert_eq!((totals.usage, totals.unsettled_calls), (expected, 0), "{kind:?}");
    }
}
