//! Where models are served. What a request and its answer are made of stands in the domain.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{future::BoxFuture, stream::BoxStream};

pub use crate::domain::model::{ModelEvent, ModelRequest};
use crate::domain::{
    event::ModelFailure,
    ids::{CredentialName, ModelName, ProviderName},
};

/// Somewhere models are served. A stream ends with exactly one `Finished` or one error; a stream
/// that just ends is a failure.
pub trait ModelProvider: Send + Sync + 'static {
    /// Its configured name.
    fn name(&self) -> ProviderName;

    /// Whose rate limits its calls share.
    fn credential(&self) -> CredentialName;

    /// Calls a model.
    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>>;

    /// Models it serves whose names begin with `prefix`, sorted.
    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>>;

    /// Whether the credential works, before any work starts.
    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>>;
}

/// Providers by name.
pub type ProviderTable = BTreeMap<ProviderName, Arc<dyn ModelProvider>>;
