//! Which model answers, as a user configures it. A configuration for tests excludes a real
//! provider: a run that was meant to cost nothing must not find its way to a vendor, and a run
//! that was meant to be real must not be answered by a stand-in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{domain::ids::ProviderName, ports::ModelProvider};

use super::{
    ScriptError, ScriptedModel,
    stand_ins::{CannedModel, NoopModel, PromptScriptModel},
};

/// A stand-in that needs no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpreter {
    /// Says nothing.
    Noop,
    /// Does what its prompt says.
    PromptScript,
}

/// What answers model calls. At most one may be named; none is `noop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Always this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mock_response: Option<String>,
    /// This script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A stand-in without a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<Interpreter>,
    /// A real provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
}

/// What a configuration comes to.
#[derive(Debug)]
pub enum Choice {
    /// Says nothing.
    Noop,
    /// Always the same text.
    Canned(CannedModel),
    /// A script.
    Scripted(Box<ScriptedModel>),
    /// The prompt is the script.
    PromptScript,
    /// A real provider, to be found by name.
    Provider(ProviderName),
}

/// A configuration that does not say which model answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelConfigError {
    /// A test's answer beside a real provider.
    #[error("choose a model: {testing} is for tests and excludes provider {provider}; remove one")]
    TestingWithProvider {
        /// The test's key.
        testing: &'static str,
        /// The provider.
        provider: ProviderName,
    },
    /// Two answers for tests.
    #[error("choose a model: {first} and {second} exclude one another; remove one")]
    Two {
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The script.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

impl ModelConfig {
    /// What answers.
    ///
    /// # Errors
    /// When more than one model is named, or the script does not parse.
    pub fn resolve(self) -> Result<Choice, ModelConfigError> {
        let named = [
            self.mock_response.is_some().then_some("mock_response"),
            self.script.is_some().then_some("script"),
            self.interpreter.is_some().then_some("interpreter"),
        ];
        let mut named = named.into_iter().flatten();
        let testing = named.next();
        if let (Some(first), Some(second)) = (testing, named.next()) {
            return Err(ModelConfigError::Two { first, second });
        }
        match (testing, self.provider) {
            (Some(testing), Some(provider)) => {
                return Err(ModelConfigError::TestingWithProvider { testing, provider });
            }
            (None, Some(provider)) => return Ok(Choice::Provider(provider)),
            (_, None) => {}
        }
        if let Some(text) = self.mock_response {
            return Ok(Choice::Canned(CannedModel::new(text)));
        }
        if let Some(text) = self.script {
            return Ok(Choice::Scripted(Box::new(ScriptedModel::parse(&text)?)));
        }
        Ok(match self.interpreter {
            None | Some(Interpreter::Noop) => Choice::Noop,
            Some(Interpreter::PromptScript) => Choice::PromptScript,
        })
    }
}

impl Choice {
    /// The model itself.
    ///
    /// # Errors
    /// The name, when it is a real provider and has to be looked up.
    pub fn stand_in(self) -> Result<Arc<dyn ModelProvider>, ProviderName> {
        match self {
            Self::Noop => Ok(Arc::new(NoopModel)),
            Self::Canned(model) => Ok(Arc::new(model)),
            Self::Scripted(model) => Ok(Arc::from(model as Box<dyn ModelProvider>)),
            Self::PromptScript => Ok(Arc::new(PromptScriptModel)),
            Self::Provider(name) => Err(name),
        }
    }
}
