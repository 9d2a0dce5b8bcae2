//! Own tools with typed arguments: the struct is the schema, and what does not fit it is told to
//! the model in words it can mend, before anybody is asked and before anything starts.

use std::{future::Future, marker::PhantomData, sync::Arc};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    Tool, ToolCtx,
    domain::{
        ids::{PoolKind, ToolName},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

type Run<A> = dyn Fn(ToolCtx, A) -> BoxFuture<'static, Result<String, String>> + Send + Sync;

/// A tool whose arguments are a struct.
///
/// ```
/// use greenroom::{EffectClass, TypedTool};
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Add {
///     /// One number.
///     a: i64,
///     /// Another.
///     b: i64,
/// }
///
/// let add = TypedTool::new("add", "Adds two numbers.", |_ctx, args: Add| async move {
///     Ok((args.a + args.b).to_string())
/// })
/// .effect(EffectClass::Pure);
/// ```
pub struct TypedTool<A> {
    spec: ToolSpec,
    run: Arc<Run<A>>,
    args: PhantomData<fn(A)>,
}

impl<A> std::fmt::Debug for TypedTool<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedTool").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

impl<A: JsonSchema + DeserializeOwned + Send + 'static> TypedTool<A> {
    /// A tool that does `run`. Its effect class is `once` until it is said otherwise.
    pub fn new<F>(
        name: impl Into<ToolName>,
        description: &str,
        run: impl Fn(ToolCtx, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        let schema = schemars::schema_for!(A);
        let spec = ToolSpec {
            name: name.into(),
            description: description.to_owned(),
            schema: schema.as_value().to_string(),
            effect: EffectClass::Once,
            pool: PoolKind::from("host"),
        };
        let run: Arc<Run<A>> = Arc::new(move |ctx, args| Box::pin(run(ctx, args)));
        Self { spec, run, args: PhantomData }
    }

    /// What running it twice would do.
    #[must_use]
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.spec.effect = effect;
        self
    }

    /// Whose slots it takes.
    #[must_use]
    pub fn pool(mut self, pool: impl Into<PoolKind>) -> Self {
        self.spec.pool = pool.into();
        self
    }
}

fn parse<A: DeserializeOwned>(args: &Args) -> Result<A, String> {
    let mut json = serde_json::Deserializer::from_str(&args.0);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let what = error.into_inner();
        if at == "." { what.to_string() } else { format!("at {at}: {what}") }
    })
}

impl<A: JsonSchema + DeserializeOwned + Send + 'static> Tool for TypedTool<A> {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        parse::<A>(args).map(drop)
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let run = Arc::clone(&self.run);
        Box::pin(async move {
            let args = match parse::<A>(&args) {
                Ok(args) => args,
                Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
            };
            match run(ctx, args).await {
                Ok(text) => ToolOutcome::Done { output: Output::text(text) },
                Err(text) => ToolOutcome::Failed { output: Output::text(text) },
            }
        })
    }
}
