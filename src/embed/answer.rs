//! Answers that are values: the struct is the schema that the model is told, and the answer is held
//! against it here as well, since not every vendor keeps to one.

use greenroom_actors::{
    domain::{outcome::TurnOutcome, tool::Args},
    runtime::CallError,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::TurnStream;
use crate::typed::{Schema, parse};

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is not known how the turn ended.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The turn did not complete.
    #[error("the turn {}: {}", .outcome.word(), .outcome.text())]
    NotAnswered {
        /// How it ended.
        outcome: TurnOutcome,
    },
    /// The answer is not what was asked for.
    #[error("{why}")]
    Misfit {
        /// Everything that does not fit, and where; words that can be sent back to the model.
        why: String,
        /// The answer.
        text: String,
    },
}

/// The JSON Schema of a type, for `output_schema`.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> String {
    schemars::schema_for!(T).as_value().to_string()
}

impl TurnStream {
    /// The turn's answer as a value. The agent's or the turn's `output_schema` tells the model what
    /// to keep to; this holds the answer against the type, whatever it was told.
    ///
    /// ```
    /// use greenroom::{AgentSpec, AnswerError, Runtime, schema_of};
    ///
    /// #[derive(schemars::JsonSchema, serde::Deserialize)]
    /// struct City {
    ///     name: String,
    ///     people: u64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("greenroom.db");
    /// let script = "agent * when Bern\n  say {\"name\": \"Bern\", \"people\": 134794}\n\
    ///               agent *\n  say {\"name\": \"Ys\", \"people\": \"none\"}";
    /// let runtime = Runtime::builder().store(path).script(script).start().await?;
    /// let clerk = AgentSpec::new("clerk", "scripted").answers_in(schema_of::<City>());
    /// let session = runtime.spawn(&clerk).await?;
    ///
    /// let bern: City = session.send("Bern?").await?.typed().await?;
    /// assert_eq!((bern.name.as_str(), bern.people), ("Bern", 134_794));
    /// let ys = session.send("Ys?").await?.typed::<City>().await;
    /// let Err(AnswerError::Misfit { why, .. }) = ys else { panic!("it fits") };
    /// assert_eq!(why, "at people: expected a whole number, found the text \"none\"");
    /// # runtime.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the turn did not complete, or its answer does not fit.
    pub async fn typed<T: JsonSchema + DeserializeOwned>(self) -> Result<T, AnswerError> {
        let text = match self.outcome().await? {
            TurnOutcome::Completed { text, .. } => text,
            outcome @ (TurnOutcome::Failed { .. }
            | TurnOutcome::Cancelled { .. }
            | TurnOutcome::BudgetExhausted { .. }) => {
                return Err(AnswerError::NotAnswered { outcome });
            }
        };
        let fits = Schema::new(schemars::schema_for!(T).to_value());
        // The struct has the last word: it may ask for more than its schema says.
        let value = fits
            .check_text("the answer", &text)
            .and_then(|()| parse::<T>("the answer", &Args(text.clone())));
        value.map_err(|why| AnswerError::Misfit { why, text })
    }
}
