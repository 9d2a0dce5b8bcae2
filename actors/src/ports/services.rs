//! Values that a host lends to its tools, by name and type.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

/// Values the host offers to its tools, by name and type.
///
/// ```
/// use greenroom_actors::ports::{ServiceError, Services};
///
/// let services = Services::default().with("answer", 42_u32)?;
/// assert_eq!(services.get::<u32>("answer").as_deref(), Some(&42));
/// assert!(services.get::<String>("answer").is_none(), "of another type");
/// let reserved = services.with("services", ()).unwrap_err();
/// assert!(matches!(reserved, ServiceError::Reserved { .. }));
/// # Ok::<(), ServiceError>(())
/// ```
#[derive(Clone, Default)]
pub struct Services(Arc<BTreeMap<String, Arc<dyn Any + Send + Sync>>>);

/// Names that mean something else in a tool's context.
pub const RESERVED_SERVICES: [&str; 3] = ["tool_use_id", "services", "references"];

/// A service that cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The name is taken by the runtime.
    #[error(
        "offer service {name:?}: the name is reserved; choose any other than {RESERVED_SERVICES:?}"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// Two services of one name.
    #[error("offer service {name:?}: it is offered already")]
    Twice {
        /// The name.
        name: String,
    },
}

impl Services {
    /// These and one more.
    ///
    /// # Errors
    /// When the name is reserved or taken.
    pub fn with<T: Any + Send + Sync>(self, name: &str, service: T) -> Result<Self, ServiceError> {
        if RESERVED_SERVICES.contains(&name) {
            return Err(ServiceError::Reserved { name: name.to_owned() });
        }
        if self.0.contains_key(name) {
            return Err(ServiceError::Twice { name: name.to_owned() });
        }
        let mut all = BTreeMap::clone(&self.0);
        all.insert(name.to_owned(), Arc::new(service));
        Ok(Self(Arc::new(all)))
    }

    /// The service of that name, if it is of that type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        Arc::clone(self.0.get(name)?).downcast().ok()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
