//! Own tools with typed arguments: the struct is the schema, and what does not fit it is told to
//! the model in words it can mend, before anybody is asked and before anything starts.

mod schema;

use std::{error::Error, fmt::Display, future::Future, marker::PhantomData, sync::Arc};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        ids::{PoolKind, ToolName},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    ports::{Probe, Tool, ToolCtx},
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::telemetry::chain;

pub(crate) use schema::Schema;

/// Why a tool failed: `?` makes one of any error, and `.into()` one of a text. The model reads it
/// with all its causes.
pub type ToolError = Box<dyn Error + Send + Sync>;

/// What a tool fails with that stopped because it was asked to, and has changed nothing: its call is
/// then closed as cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before anything was changed")]
pub struct Stopped;

type Run<A> = dyn Fn(ToolCtx, A) -> BoxFuture<'static, Result<String, ToolError>> + Send + Sync;
type Ask<A> = dyn Fn(ToolCtx, A) -> BoxFuture<'static, Probe> + Send + Sync;

/// A tool whose arguments are a struct.
///
/// ```
/// use greenroom::{AgentSpec, EffectClass, Runtime, ToolOutcome, TypedTool};
///
/// /// What the model must give; the comments are its descriptions.
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Divide {
///     /// What is divided.
///     top: i64,
///     /// By what.
///     by: i64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let divide = TypedTool::new("divide", "Divides.", |_ctx, args: Divide| async move {
///     Ok(args.top.checked_div(args.by).ok_or("nothing can be divided by 0")?)
/// })
/// .effect(EffectClass::Pure);
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let runtime = Runtime::builder().store(path).script("").tool(divide).start().await?;
/// let agent = AgentSpec::new("clerk", "scripted").allowed_tool("divide");
/// let session = runtime.spawn(&agent).await?;
///
/// let done = session.run_tool("divide", serde_json::json!({"top": 6, "by": 2})).await?;
/// assert_eq!(done.told().0.shown(), "3");
/// let wrong = session.run_tool("divide", serde_json::json!({"top": "six", "bye": 2})).await?;
/// let ToolOutcome::Failed { output } = wrong else { panic!("it ran: {wrong:?}") };
/// assert_eq!(output.shown(), r#"divide: 3 mistakes in the arguments
/// - at by: missing; expected a whole number: By what.
/// - at bye: unknown; expected one of "by", "top"; did you mean by?
/// - at top: expected a whole number, found the text "six""#);
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct TypedTool<A> {
    spec: ToolSpec,
    schema: Schema,
    run: Arc<Run<A>>,
    probe: Option<Arc<Ask<A>>>,
    args: PhantomData<fn(A)>,
}

impl<A> std::fmt::Debug for TypedTool<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedTool").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

impl<A: JsonSchema + DeserializeOwned + Send + 'static> TypedTool<A> {
    /// A tool that does `run`. Its effect class is `once` until it is said otherwise.
    pub fn new<F, T>(
        name: impl Into<ToolName>,
        description: &str,
        run: impl Fn(ToolCtx, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T, ToolError>> + Send + 'static,
        T: Display,
    {
        let schema = schemars::schema_for!(A);
        let spec = ToolSpec {
            name: name.into(),
            description: description.to_owned(),
            schema: schema.as_value().to_string(),
            effect: EffectClass::Once,
            pool: PoolKind::from("host"),
        };
        let run: Arc<Run<A>> = Arc::new(move |ctx, args| {
            let run = run(ctx, args);
            Box::pin(async move { run.await.map(|done| done.to_string()) })
        });
        Self { spec, schema: Schema::new(schema.to_value()), run, probe: None, args: PhantomData }
    }

    /// What running it twice would do.
    #[must_use]
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.spec.effect = effect;
        self
    }

    /// Makes it `verifiable`: after a crash the world is asked whether a started call happened.
    #[must_use]
    pub fn probe<F>(mut self, probe: impl Fn(ToolCtx, A) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Probe> + Send + 'static,
    {
        self.spec.effect = EffectClass::Verifiable;
        self.probe = Some(Arc::new(move |ctx, args| Box::pin(probe(ctx, args))));
        self
    }

    /// Whose slots it takes.
    #[must_use]
    pub fn pool(mut self, pool: impl Into<PoolKind>) -> Self {
        self.spec.pool = pool.into();
        self
    }
}

/// What the whole is called that a model gives a tool.
const ARGUMENTS: &str = "the arguments";

/// A tool's arguments as their struct has them, or what is wrong with them. A key that stands twice is
/// no argument: who decided may have read the other one.
pub(crate) fn arguments<A: DeserializeOwned>(args: &Args) -> Result<A, String> {
    args.object().map_err(|error| chain(&error))?;
    parse(ARGUMENTS, args)
}

/// What the struct itself says: it has the last word.
pub(crate) fn parse<A: DeserializeOwned>(whole: &str, args: &Args) -> Result<A, String> {
    let mut json = serde_json::Deserializer::from_str(&args.0);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let what = error.into_inner();
        if at == "." { format!("{whole}: {what}") } else { format!("at {at}: {what}") }
    })
}

impl<A: JsonSchema + DeserializeOwned + Send + 'static> Tool for TypedTool<A> {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        self.schema.check(args)?;
        arguments::<A>(args).map(drop)
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let run = Arc::clone(&self.run);
        Box::pin(async move {
            let args = match arguments::<A>(&args) {
                Ok(args) => args,
                Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
            };
            match run(ctx, args).await {
                Ok(text) => ToolOutcome::Done { output: Output::text(text) },
                Err(error) if error.is::<Stopped>() => {
                    ToolOutcome::Cancelled { effect_unknown: false }
                }
                Err(error) => ToolOutcome::Failed { output: Output::text(chain(error.as_ref())) },
            }
        })
    }

    fn probe(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, Probe> {
        match (&self.probe, arguments::<A>(&args)) {
            (Some(probe), Ok(args)) => probe(ctx, args),
            (None, _) | (_, Err(_)) => Box::pin(std::future::ready(Probe::Unknown)),
        }
    }
}
