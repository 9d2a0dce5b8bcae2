//! Models for tests and trials. Owns the script format and the models without a script; refuses a
//! script it does not fully understand. The same request is answered the same way, in any process:
//! the only state is the count of attempts that `first` asks for.
//!
//! Inside, `parse` reads the format into `script`, a line at a time with `directive`; `reading`
//! derives from a request what a script may know of it; `play` turns the two into events.
//! `stand_ins` are the models without a script, `choice` picks one of them all or a real provider.
//!
//! # The scripted model
//!
#![doc = include_str!("../docs/scripted.md")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::{
    domain::{
        event::ModelFailure,
        ids::{CredentialName, ModelName, ProviderName, SessionId, TurnId},
    },
    ports::{Clock, ModelEvent, ModelProvider, ModelRequest},
};

mod choice;
mod directive;
mod parse;
mod play;
mod reading;
mod script;
mod stand_ins;

#[cfg(test)]
mod tests;

pub use choice::{Choice, Interpreter, ModelConfig, ModelConfigError};
pub use parse::ScriptError;
pub use stand_ins::{CannedModel, NoopModel, PromptScriptModel};

use play::{Act, acts, play, refused};
use reading::Reading;
use script::{Branch, Move, Occasion, Script};

/// The step of a turn that is being attempted.
type StepKey = (SessionId, TurnId, usize);

/// A model that answers from a script.
pub struct ScriptedModel {
    script: Script,
    name: ProviderName,
    clock: Option<Arc<dyn Clock>>,
    attempts: Mutex<HashMap<StepKey, u32>>,
}

impl ScriptedModel {
    /// A model that follows this script. It is called `scripted`, and does not wait anywhere
    /// until it is given a clock.
    ///
    /// # Errors
    /// Names the first line that is not part of the format, and what was expected there.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        Ok(Self {
            script: parse::script(text)?,
            name: "scripted".into(),
            clock: None,
            attempts: Mutex::default(),
        })
    }

    /// The same with delays, taken from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The same under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<ProviderName>) -> Self {
        self.name = name.into();
        self
    }

    fn acts(&self, request: &ModelRequest) -> Vec<Act> {
        let reading = Reading::of(request);
        match self.branch(request, &reading) {
            Ok(branch) => acts(branch, request, &reading, self.attempt(branch, &reading)),
            Err(failure) => vec![Act::Fail(failure)],
        }
    }

    /// The branch that answers, or why there is none.
    fn branch(&self, request: &ModelRequest, reading: &Reading) -> Result<&Branch, ModelFailure> {
        let agent = request.agent.as_str();
        let place = || format!("agent {agent}, turn {}, step {}", request.turn, reading.step + 1);
        let rule = self.script.rules.iter().find(|rule| {
            rule.agent.fits(agent)
                && rule.turn.is_none_or(|turn| turn == request.turn)
                && rule.when.as_ref().is_none_or(|when| when.found_in(&reading.input))
        });
        let rule = rule.ok_or_else(|| {
            refused(format!(
                "follow the script: no rule for {}, input {:?}",
                place(),
                reading.input
            ))
        })?;
        let step = if rule.again {
            reading.step.checked_rem(rule.steps.len()).unwrap_or(0)
        } else {
            reading.step
        };
        let branches = rule.steps.get(step).ok_or_else(|| {
            refused(format!(
                "follow the script: its rule ends before {}; add a `then`, or `again`",
                place()
            ))
        })?;
        branches
            .iter()
            .find(|branch| branch.when.as_ref().is_none_or(|when| when.found_in(&reading.last)))
            .ok_or_else(|| {
                refused(format!(
                    "follow the script: no branch for {}, last message {:?}; add an `else`",
                    place(),
                    reading.last
                ))
            })
    }

    /// Which attempt at its step this is, from 1; counted only where the script asks.
    fn attempt(&self, branch: &Branch, reading: &Reading) -> u32 {
        let counts = |next: &Move| matches!(next, Move::Ending { on: Occasion::First(_), .. });
        if !branch.moves.iter().any(counts) {
            return 1;
        }
        let key = (reading.session, reading.turn, reading.step);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(key).or_default();
        *attempt = attempt.saturating_add(1);
        *attempt
    }
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ModelProvider for ScriptedModel {
    fn name(&self) -> ProviderName {
        self.name.clone()
    }

    fn credential(&self) -> CredentialName {
        self.name.as_str().into()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        play(self.acts(&request), self.clock.clone())
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        stand_ins::only_model(self.name.as_str(), &prefix)
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
