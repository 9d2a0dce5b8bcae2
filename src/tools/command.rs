//! What `exec` and `shell` have in common: where a command runs, which file its program is, and how
//! what came of it is told to the model: its beginning and end, and where there is a place for it the
//! whole as a blob, which a person can read.
//!
//! Refuses: a folder outside the workspace. Rules of files hold the process itself to it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{
    domain::tool::{Output, ToolOutcome},
    limits,
    ports::{Blobs, Clock, ToolCtx},
};

use crate::{
    telemetry::{chain, redact::Secrets},
    typed::Stopped,
};

use super::{
    custody::{self, Cover, Custody, End, How, Layer, Order, Report, StartError, Why, Wishes},
    files::{Covers, Trees},
    hearing::{Heard, Hearing, Whole},
};

/// What a command runs with.
#[derive(Clone)]
pub struct Bench {
    custody: Custody,
    clock: Arc<dyn Clock>,
    workspace: PathBuf,
    read: Vec<PathBuf>,
    covers: Covers,
    network: bool,
    hearing: Hearing,
    blobs: Option<Arc<dyn Blobs>>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

/// One command.
pub(super) struct Command<'a> {
    pub(super) argv: Vec<OsString>,
    pub(super) cwd: Option<&'a str>,
    pub(super) timeout_ms: Option<u64>,
}

impl Bench {
    /// Commands run in this folder, and may do anything below it.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn new(
        custody: Custody,
        clock: Arc<dyn Clock>,
        workspace: impl AsRef<Path>,
    ) -> std::io::Result<Self> {
        let workspace = workspace.as_ref().canonicalize()?;
        Ok(Self {
            custody,
            clock,
            workspace,
            read: Vec::new(),
            covers: Covers::new(),
            network: false,
            hearing: Hearing::default(),
            blobs: None,
        })
    }

    /// What commands print has none of these in it, before anybody hears or keeps it.
    #[must_use]
    pub fn masking(mut self, secrets: Secrets) -> Self {
        self.hearing.secrets = secrets;
        self
    }

    /// Long outputs are kept whole there. On the way they lie in files without a name in this folder.
    #[must_use]
    pub fn keeping(mut self, blobs: Arc<dyn Blobs>, folder: impl Into<PathBuf>) -> Self {
        self.hearing.folder = Some(folder.into());
        self.blobs = Some(blobs);
        self
    }

    /// A further tree that commands may read.
    #[must_use]
    pub fn reading(mut self, tree: impl Into<PathBuf>) -> Self {
        self.read.push(tree.into());
        self
    }

    /// A file that commands must not see although it lies where they may look: it cannot be opened,
    /// nor moved with what it lies in. It takes mounts of their own, so who must rely on it requires
    /// that layer.
    #[must_use]
    pub fn hiding(mut self, file: impl Into<PathBuf>) -> Self {
        self.covers = self.covers.with(file.into(), How::Hidden);
        self
    }

    /// A file or folder that commands may read and not change, held in the same way.
    #[must_use]
    pub fn sparing(mut self, file: impl Into<PathBuf>) -> Self {
        self.covers = self.covers.with(file.into(), How::Kept);
        self
    }

    /// Commands may speak to the network.
    #[must_use]
    pub const fn with_network(mut self) -> Self {
        self.network = true;
        self
    }

    pub(super) async fn run(&self, ctx: &ToolCtx, command: Command<'_>) -> ToolOutcome {
        let mut order = match self.order(ctx, &command) {
            Ok(order) => order,
            Err(why) => return ToolOutcome::Failed { output: Output::text(why) },
        };
        order.covers = match self.covers(ctx, &order).await {
            Ok(covers) => covers,
            Err(outcome) => return outcome,
        };
        // Asked to end so early that what it wrote still comes out as an answer; of a short call
        // half is left for that, and its own deadline ends whoever is not done by then.
        let left_ms = ctx.deadline.since_ms(self.clock.now());
        let left_ms = left_ms - limits::TOOL_END_MS.min(left_ms / 2);
        let after_ms = command.timeout_ms.unwrap_or(limits::TOOL_RUN_MS).min(left_ms);
        let (cancel, hearing) = (ctx.cancel.clone(), self.hearing.clone());
        let wishes = Wishes { clock: &*self.clock, after_ms, cancel, hearing };
        match self.custody.run(&order, wishes).await {
            Ok(report) => self.told(ctx, &report, after_ms).await,
            Err(error) => ToolOutcome::Failed { output: Output::text(in_words(&error, &order)) },
        }
    }

    fn order(&self, ctx: &ToolCtx, command: &Command<'_>) -> Result<Order, String> {
        let Trees { write, read } = self.trees(ctx);
        let base = ctx.cwd.as_ref().map_or_else(|| self.workspace.clone(), PathBuf::from);
        let cwd = base.join(command.cwd.unwrap_or("."));
        let cwd = cwd.canonicalize().map_err(|error| format!("cwd {}: {error}", cwd.display()))?;
        let all = [&self.workspace].into_iter().chain(&write).chain(&read);
        if !all.into_iter().any(|tree| cwd.starts_with(tree)) {
            let workspace = self.workspace.display();
            return Err(format!("cwd {}: outside the workspace {workspace}", cwd.display()));
        }
        let name =
            command.argv.first().ok_or("argv: it is empty; its first word is the program")?;
        let program = find(name, &cwd, self.custody.path())?;
        Ok(Order {
            program,
            argv: command.argv.clone(),
            env: BTreeMap::from([
                ("PWD".into(), cwd.clone().into_os_string()),
                ("TRACEPARENT".into(), ctx.traceparent.clone().into()),
            ]),
            cwd,
            network: self.network,
            read,
            write,
            covers: Vec::new(),
        })
    }

    /// The trees of a call: those that fences leave, else the workspace. What is not there is none.
    fn trees(&self, ctx: &ToolCtx) -> Trees {
        let fences = ctx.sight.trees();
        let there = |trees: &Vec<String>| -> Vec<PathBuf> {
            trees.iter().filter_map(|tree| Path::new(tree).canonicalize().ok()).collect()
        };
        let write = fences.and_then(|trees| trees.write.as_ref()).map(there);
        let write = write.unwrap_or_else(|| vec![self.workspace.clone()]);
        let mut read = self.read.clone();
        read.extend(fences.iter().flat_map(|trees| there(&trees.read)));
        read.retain(|tree| !write.iter().any(|own| tree.starts_with(own)));
        Trees { write, read }
    }

    /// What is covered in those, as rules are now.
    async fn covers(&self, ctx: &ToolCtx, order: &Order) -> Result<Vec<Cover>, ToolOutcome> {
        if !self.custody.level().has(Layer::Mounts) {
            return Ok(Vec::new());
        }
        // The system's are the same for everybody, and large.
        let mut trees = Trees { write: order.write.clone(), read: order.read.clone() };
        trees.read.retain(|tree| !custody::is_of_system(tree));
        let found = self.covers.find(ctx, trees).await;
        found.map_err(|error| match error.is::<Stopped>() {
            true => ToolOutcome::Cancelled { effect_unknown: false },
            false => ToolOutcome::Failed { output: Output::text(chain(error.as_ref())) },
        })
    }
}

/// The file of a program: what is named by a path is there; a bare name is looked for.
fn find(name: &OsStr, cwd: &Path, path: Option<&OsString>) -> Result<PathBuf, String> {
    let shown = name.display();
    if name.as_encoded_bytes().contains(&b'/') {
        return Ok(cwd.join(name));
    }
    let mut denied = false;
    for folder in path.iter().flat_map(std::env::split_paths) {
        let file = folder.join(name);
        let Ok(about) = file.metadata() else { continue };
        if !about.is_file() {
            continue;
        }
        if about.permissions().mode() & 0o111 != 0 {
            return Ok(file);
        }
        denied = true;
    }
    Err(if denied {
        format!("{shown}: found, but it is not executable")
    } else {
        format!(
            "{shown}: no such program in {}",
            path.map_or("".into(), |path| path.to_string_lossy())
        )
    })
}

/// A process that did not start, so that a model can mend it.
fn in_words(error: &StartError, order: &Order) -> String {
    let program = order.program.display();
    match error {
        StartError::Step { step: custody::Step::Execute, source } => {
            format!("{program}: {source}")
        }
        StartError::Step { step: custody::Step::Cwd, source } => {
            format!("cwd {}: {source}", order.cwd.display())
        }
        StartError::Step { .. }
        | StartError::NotMade(_)
        | StartError::Refused(_)
        | StartError::Lost => chain(error),
    }
}

/// What came of it, part by part.
struct Words<'r> {
    is_good: bool,
    /// Each with what was heard behind it.
    parts: Vec<(String, Option<&'r Heard>)>,
}

impl<'r> Words<'r> {
    /// Of an order that nobody cancelled.
    fn of(report: &'r Report, after_ms: u64) -> Self {
        let end = match (report.why, report.end) {
            (Why::Deadline | Why::Cancelled, _) => {
                Some(format!("[timed out after {after_ms} ms and was ended]"))
            }
            (Why::Itself, End::Exited(0)) => None,
            (Why::Itself, End::Exited(code)) => Some(format!("[exit code {code}]")),
            (Why::Itself, End::Signalled(signal)) => {
                let name = rustix::process::Signal::from_named_raw(signal);
                let name =
                    name.map_or_else(|| signal.to_string(), |name| format!("{signal}, {name:?}"));
                Some(format!("[ended by signal {name}]"))
            }
            (Why::Itself, End::Unknown) => Some("[how it ended is unknown]".to_owned()),
        };
        let is_good = end.is_none();
        let mut parts: Vec<(String, Option<&Heard>)> =
            end.into_iter().map(|end| (end, None)).collect();
        if !report.out.is_empty() {
            parts.push((String::new(), Some(&report.out)));
        }
        if !report.err.is_empty() {
            parts.push(("[stderr]\n".to_owned(), Some(&report.err)));
        }
        if report.abandoned {
            let text = "[a pipe was still open after the end; it was not read on]";
            parts.push((text.to_owned(), None));
        }
        if parts.is_empty() {
            parts.push(("[no output]".to_owned(), None));
        }
        Self { is_good, parts }
    }

    /// Head and tail of each.
    fn shown(&self) -> String {
        let shown = |(words, heard): &(String, Option<&Heard>)| {
            heard.map_or_else(|| words.clone(), |heard| format!("{words}{}", heard.shown()))
        };
        self.parts.iter().map(shown).collect::<Vec<_>>().join("\n")
    }

    /// All of each; and how many bytes were too many even for that.
    fn whole(&self) -> (Whole, u64) {
        let (mut whole, mut over) = (Whole::default(), 0);
        for (no, (words, heard)) in self.parts.iter().enumerate() {
            let between = if no == 0 { "" } else { "\n" };
            whole.text(format!("{between}{words}"));
            over += heard.map_or(0, |heard| heard.whole(&mut whole));
        }
        (whole, over)
    }
}

impl Bench {
    async fn told(&self, ctx: &ToolCtx, report: &Report, after_ms: u64) -> ToolOutcome {
        if report.why == Why::Cancelled {
            return ToolOutcome::Cancelled { effect_unknown: true };
        }
        let words = Words::of(report, after_ms);
        let output = self.output(ctx, report, &words).await;
        if words.is_good { ToolOutcome::Done { output } } else { ToolOutcome::Failed { output } }
    }

    /// Where something is left out of what is shown, the whole is put away first; where that cannot
    /// be, it is said, and what there is of it goes on.
    async fn output(&self, ctx: &ToolCtx, report: &Report, words: &Words<'_>) -> Output {
        let shown = words.shown();
        let lost = report.out.lost().or_else(|| report.err.lost());
        let lost = lost.map(|why| format!("{shown}\n[the whole was not kept: {why}]"));
        let is_long = report.out.is_long() || report.err.is_long();
        let Some(blobs) = self.blobs.as_ref().filter(|_| is_long && lost.is_none()) else {
            return Output::text(lost.unwrap_or(shown));
        };
        let (whole, over) = words.whole();
        let left_ms = ctx.deadline.since_ms(self.clock.now());
        let kept = tokio::select! {
            biased;
            kept = blobs.put_pieces(Arc::new(whole)) => kept.map_err(|error| error.to_string()),
            // The answer must still come out in time.
            () = self.clock.after(left_ms / 2) => Err("the store did not answer in time".to_owned()),
        };
        match kept {
            Ok(blob) => {
                let all = blob.bytes.saturating_add(over);
                let which = if over == 0 { "the whole is" } else { "all but the middle is" };
                let preview = Output::ends(&shown, &format!("{all} bytes in all; {which} kept"));
                Output::Stored { preview, blob }
            }
            Err(why) => Output::text(format!("{shown}\n[the whole was not kept: {why}]")),
        }
    }
}
