//! What holds a tool's process, layer by layer, as a value: which layers are in force on this
//! machine was tried once at start, and is said wherever somebody asks.

use std::{collections::BTreeSet, fmt};

use super::record::Step;

/// One layer of the sandbox. Beside these every process has a session of its own, dies with the
/// runtime, has three descriptors, an environment made for it, and is reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Users of its own: what the other namespaces take where the runtime is not root.
    Users,
    /// Processes of its own: it sees and reaches no other, and all of them end at once.
    Processes,
    /// Mounts of its own, with an empty bounded `/tmp`.
    Mounts,
    /// All beyond the trees that it may change is read-only, down to modes and times.
    Frozen,
    /// A `/proc` that shows its own processes alone.
    Proc,
    /// A network of its own, with nobody in it.
    Network,
    /// Message queues and shared memory of its own.
    Ipc,
    /// No capability, and none from any program.
    Privileges,
    /// Bounds on memory, processor time, files and descriptors.
    Limits,
    /// A bound on the number of its processes that counts nobody else's.
    Count,
    /// Rules for files (Landlock).
    Files,
    /// A filter of system calls (seccomp).
    Calls,
}

impl Layer {
    /// All of them, the outermost first.
    pub const ALL: [Self; 12] = [
        Self::Users,
        Self::Processes,
        Self::Mounts,
        Self::Frozen,
        Self::Proc,
        Self::Network,
        Self::Ipc,
        Self::Privileges,
        Self::Limits,
        Self::Count,
        Self::Files,
        Self::Calls,
    ];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Processes => "processes",
            Self::Mounts => "mounts",
            Self::Frozen => "frozen",
            Self::Proc => "proc",
            Self::Network => "network",
            Self::Ipc => "ipc",
            Self::Privileges => "privileges",
            Self::Limits => "limits",
            Self::Count => "count",
            Self::Files => "files",
            Self::Calls => "calls",
        }
    }
}

impl Layer {
    /// What a process can do where it is missing.
    #[must_use]
    pub const fn lets(self) -> &'static str {
        match self {
            Self::Users => "a command is the same user to the kernel as this runtime",
            Self::Processes => "a command sees and reaches your other processes",
            Self::Mounts => "what rules deny is not hidden from a command's programs",
            Self::Frozen => {
                "a command changes modes and times of what is yours, and writes what is kept from it"
            }
            Self::Proc => "a command reads of other processes in /proc",
            Self::Network => "a command sees this machine's network",
            Self::Ipc => "a command reaches shared memory of others",
            Self::Privileges => "a command keeps this runtime's privileges",
            Self::Limits => "a command may take all memory and processor time",
            Self::Count => "a command may start any number of processes",
            Self::Files => "a command reads and writes every file that you may",
            Self::Calls => "a command may ask the kernel for anything",
        }
    }

    /// Whether a process is not contained without it, whatever else there is.
    #[must_use]
    pub const fn is_vital(self) -> bool {
        matches!(self, Self::Privileges | Self::Files | Self::Calls)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The layers in force, and why the others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    layers: BTreeSet<Layer>,
    missing: Vec<(Layer, String)>,
    /// Landlock's version.
    pub(super) landlock: u32,
}

impl Level {
    pub(super) fn of(layers: impl IntoIterator<Item = Layer>, landlock: u32) -> Self {
        Self { layers: layers.into_iter().collect(), missing: Vec::new(), landlock }
    }

    /// Whether a layer is in force.
    #[must_use]
    pub fn has(&self, layer: Layer) -> bool {
        self.layers.contains(&layer)
    }

    /// The layers in force.
    pub fn layers(&self) -> impl Iterator<Item = Layer> + '_ {
        self.layers.iter().copied()
    }

    /// The layers that are not, each with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (Layer, &str)> {
        self.missing.iter().map(|(layer, why)| (*layer, why.as_str()))
    }

    /// Goes without these, for a reason; whether that changed anything.
    pub(super) fn without(&mut self, layers: &[Layer], why: &str) -> bool {
        let mut changed = false;
        for layer in layers.iter().filter(|layer| self.layers.remove(layer)) {
            self.missing.push((*layer, why.to_owned()));
            changed = true;
        }
        changed
    }

    /// Layers that cannot be had without those that are missing.
    pub(super) fn close(&mut self, is_root: bool, has_groups: bool) {
        const INSIDE: [Layer; 6] = [
            Layer::Processes,
            Layer::Mounts,
            Layer::Frozen,
            Layer::Network,
            Layer::Ipc,
            Layer::Proc,
        ];
        if !is_root && !self.has(Layer::Users) {
            self.without(&INSIDE, "needs users of its own, or a runtime that is root");
        }
        if !(self.has(Layer::Processes) && self.has(Layer::Mounts)) {
            self.without(&[Layer::Proc], "needs processes and mounts of its own");
        }
        if !self.has(Layer::Mounts) {
            self.without(&[Layer::Frozen], "needs mounts of its own");
        }
        if has_groups {
            return;
        }
        let why = "there is no control group to be had, and";
        if !self.has(Layer::Users) {
            self.without(&[Layer::Count], &format!("{why} no users of its own to count for"));
        } else if is_root {
            self.without(&[Layer::Count], &format!("{why} the kernel counts none of root's"));
        }
    }

    /// What to go without when a step failed; empty where nothing can be spared.
    pub(super) const fn suspects(step: Step) -> &'static [&'static [Layer]] {
        const NAMESPACES: &[&[Layer]] = &[
            &[Layer::Users],
            &[Layer::Users, Layer::Processes, Layer::Mounts, Layer::Network, Layer::Ipc],
        ];
        match step {
            Step::Fork => NAMESPACES,
            Step::Users => &[&[Layer::Users]],
            Step::Mount | Step::Scratch => &[&[Layer::Mounts]],
            Step::Freeze => &[&[Layer::Frozen]],
            Step::Proc => &[&[Layer::Proc]],
            Step::Privileges => &[&[Layer::Privileges]],
            Step::Limits => &[&[Layer::Limits]],
            Step::Cgroup => &[&[Layer::Count]],
            Step::Landlock => &[&[Layer::Files]],
            Step::Seccomp => &[&[Layer::Calls]],
            Step::Room
            | Step::Handover
            | Step::Order
            | Step::Cover
            | Step::Death
            | Step::Child
            | Step::Cwd
            | Step::Descriptors
            | Step::Execute => &[],
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |layers: Vec<String>| layers.join(", ");
        let held = self.layers.iter().map(|layer| match layer {
            Layer::Files => format!("files (Landlock {})", self.landlock),
            layer => layer.to_string(),
        });
        write!(f, "{}", words(held.collect()))?;
        if !self.missing.is_empty() {
            let gone = self.missing.iter().map(|(layer, why)| format!("{layer} ({why})"));
            write!(f, "; without {}", words(gone.collect()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Layer;
    use crate::tools::LAYERS;

    #[test]
    fn the_names_that_may_be_required_are_those_of_the_layers() {
        assert_eq!(Layer::ALL.map(Layer::word), LAYERS);
    }
}
