//! Custody: every process that a tool starts is owned, bounded and gone when it should be. It makes
//! an order ready, has it started by a host beside the runtime, listens to its pipes, and ends it
//! with everybody it started, whatever they call themselves.
//!
//! ```text
//!  runtime                           host                     init, one per order
//!  ┌──────────────┐  order + fds    ┌─────────────┐  fork    ┌──────────────┐  fork   ┌─────────┐
//!  │ office thread├────────────────▶│ one thread  ├─────────▶│ namespaces   ├────────▶│ program │
//!  │ running.rs   │◀───────────────────────────────────────▶ │ wipes, reaps │         └─────────┘
//!  └──────────────┘  one socket per order: T, K ▶ ◀ how it ended
//! ```
//!
//! Who dies takes all below along: the runtime the host (death of the office's thread, or the closed
//! socket), the host every init, an init its namespace or, without one, all its orphans. What even
//! that left behind is swept when the next runtime starts.
//!
//! The layers in force are tried once at start by making a process with all of them and going without
//! the one that fails; a layer that was required and cannot be had is a refusal. Nothing here looks
//! at permission: that was decided before, on the same arguments.

mod calls;
mod cgroup;
mod covers;
mod files;
mod host;
mod init;
mod inits;
mod level;
mod make;
mod mounts;
mod office;
mod orphans;
mod pages;
mod processors;
mod record;
mod running;
mod sweep;
mod sys;
mod system;
mod trees;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use greenroom_actors::limits;
use tracing::info;

pub use calls::NoFilter;
pub use files::NoRules;
pub use level::{Layer, Level};
pub use make::{Bounds, Cover, How, NotMade, Order};
pub use office::Refused;
pub use pages::Null;
pub use record::Step;
pub use running::{End, Report, Why, Wishes};

use cgroup::Groups;
use make::{Ends, Maker};
use office::Office;
use record::{RECORD, Record};
use running::Running;

/// What custody is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Layers without which there is no custody.
    pub require: Vec<Layer>,
    /// Layers that are left out although they could be had.
    pub without: Vec<Layer>,
    /// What bounds each process.
    pub bounds: Bounds,
    /// A folder of control groups in which orders may be counted, where the one that this process
    /// is in cannot be used.
    pub cgroup: Option<PathBuf>,
    /// Every variable that every process has.
    pub env: BTreeMap<OsString, OsString>,
    /// What `~` stands for, the same as in rules; `/tmp` where nobody knows. A process has the folder of
    /// that name for itself, and finds in it what it may use and nothing else.
    pub home: Option<PathBuf>,
}

/// Where programs are looked for unless said otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Default for Options {
    fn default() -> Self {
        let env = [
            ("PATH", PATH),
            ("LANG", "C.UTF-8"),
            ("TMPDIR", "/tmp"),
            ("TERM", "dumb"),
            ("PAGER", "cat"),
            // A folder that only looks like a repository is none: its configuration names programs,
            // and unlike that of `.git` it can be written with tools.
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.bareRepository"),
            ("GIT_CONFIG_VALUE_0", "explicit"),
        ];
        Self {
            require: Vec::new(),
            without: Vec::new(),
            bounds: Bounds::default(),
            cgroup: None,
            home: None,
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
        }
    }
}

/// Why there is no custody.
#[derive(Debug, thiserror::Error)]
pub enum NoCustody {
    /// Its host.
    #[error("start the host of tools")]
    Host(#[source] io::Error),
    /// Its filter.
    #[error(transparent)]
    Filter(#[from] NoFilter),
    /// A layer that was required.
    #[error("hold tools as required: {}", .missing.join("; "))]
    Lacking {
        /// Which layers, and why they cannot be had.
        missing: Vec<String>,
    },
    /// Not even the least.
    #[error("try to hold a process")]
    Trial(#[source] StartError),
}

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The order.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// The host.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A step on the way.
    #[error("start a process, step {step:?}")]
    Step {
        /// Which.
        step: Step,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The host died with the order in its hands.
    #[error("start a process: its host died")]
    Lost,
}

/// Custody in force.
#[derive(Clone, Debug)]
pub struct Custody(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    office: Office,
    maker: Maker,
    swept: usize,
}

impl Custody {
    /// Starts the host, sweeps what dead runtimes left, and tries the layers.
    ///
    /// # Errors
    /// When no process can be held at all, or not as required.
    pub fn start(options: Options) -> Result<Self, NoCustody> {
        let Options { require, without, bounds, cgroup, mut env, home } = options;
        let swept = sweep::sweep();
        let (name, value) = sweep::tag();
        env.insert(name, value);
        let named = home.as_deref().unwrap_or(Path::new("/tmp"));
        env.entry("HOME".into()).or_insert_with(|| named.into());
        let home = home.and_then(|home| home.canonicalize().ok()).filter(|home| home.is_dir());
        let office = Office::open(bounds).map_err(NoCustody::Host)?;
        let landlock = sys::landlock_version();
        let mut level = Level::of(Layer::ALL, landlock);
        level.without(&without, "left out by its settings");
        if landlock == 0 {
            level.without(&[Layer::Files], "this kernel has no Landlock, or it is off");
        }
        let counts = level.has(Layer::Count);
        let groups = if counts { Groups::open(cgroup.as_deref()) } else { None };
        let path = env.get(OsStr::new("PATH")).map_or(OsStr::new(PATH), |path| path);
        let (system, filters) = (system::trees(path), make::filters()?);
        let mut maker = Maker { level, bounds, env, home, system, filters, groups };
        try_layers(&office, &mut maker)?;
        let lacking = |layer: &Layer| !maker.level.has(*layer);
        let missing = maker.level.missing().filter(|(layer, _)| require.contains(layer));
        let missing: Vec<String> =
            missing.map(|(layer, why)| format!("no {layer}: {why}")).collect();
        if require.iter().any(lacking) {
            return Err(NoCustody::Lacking { missing });
        }
        info!(level = %maker.level, swept, "processes of tools are held");
        Ok(Self(Arc::new(Inner { office, maker, swept })))
    }

    /// What holds a process here.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.0.maker.level
    }

    /// How many processes of dead runtimes were found at start, and ended.
    #[must_use]
    pub fn swept(&self) -> usize {
        self.0.swept
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn path(&self) -> Option<&OsString> {
        self.0.maker.env.get(OsStr::new("PATH"))
    }

    /// Runs an order until it ends by itself, by a wish or by its deadline. Dropped, it ends at once.
    ///
    /// # Errors
    /// When it did not start; what it did is the report's.
    pub async fn run(&self, order: &Order, wishes: Wishes<'_>) -> Result<Report, StartError> {
        let (parcel, ends) = self.0.maker.make(Some(order))?;
        let running = Running::new(ends).map_err(NotMade::Io)?;
        self.0.office.leave(parcel)?;
        running.finish(wishes).await
    }
}

/// Whether a folder belongs to the system, and is every program's to read.
pub(super) fn is_of_system(folder: &Path) -> bool {
    system::has(folder)
}

/// Makes processes that execute nothing until one comes through, each time with less.
fn try_layers(office: &Office, maker: &mut Maker) -> Result<(), NoCustody> {
    let is_root = rustix::process::geteuid().is_root();
    loop {
        maker.level.close(is_root, maker.groups.is_some());
        let Err(error) = try_once(office, maker) else { return Ok(()) };
        let StartError::Step { step, source } = &error else { return Err(NoCustody::Trial(error)) };
        let why = source.to_string();
        let mut groups = Level::suspects(*step).iter();
        if !groups.any(|group| maker.level.without(group, &why)) {
            return Err(NoCustody::Trial(error));
        }
    }
}

fn try_once(office: &Office, maker: &Maker) -> Result<(), StartError> {
    let (parcel, Ends { mut socket, group: _group, .. }) = maker.make(None)?;
    let patience = Duration::from_millis(limits::CALL_MS);
    socket.set_read_timeout(Some(patience)).map_err(NotMade::Io)?;
    office.leave(parcel)?;
    let mut bytes = [0; RECORD];
    match socket.read_exact(&mut bytes).map(|()| Record::read(&bytes)) {
        Ok(Some(Record::Ended { .. })) => Ok(()),
        Ok(Some(Record::Failed { step, errno })) => Err(failed(step, errno)),
        Ok(None) | Err(_) => Err(StartError::Lost),
    }
}

fn failed(step: Step, errno: i32) -> StartError {
    if step == Step::Room {
        return Refused::Full.into();
    }
    StartError::Step { step, source: io::Error::from_raw_os_error(errno) }
}
