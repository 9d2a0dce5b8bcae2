//! What an init and the host say to the runtime about an order: records of sixteen bytes on the
//! order's own socket, and single bytes the other way.

/// Where making a process failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Finding room for one more.
    Room = 1,
    /// Handing the order over to the host.
    Handover,
    /// Starting the init, in its namespaces.
    Fork,
    /// Reading the order.
    Order,
    /// Saying who is who in the user namespace.
    Users,
    /// Making sure that it dies with its host.
    Death,
    /// Making the mounts its own.
    Mount,
    /// Making all but its trees read-only.
    Freeze,
    /// Showing its own processes alone.
    Proc,
    /// Covering `/tmp`.
    Scratch,
    /// Covering what it must not see or change.
    Cover,
    /// Joining its control group.
    Cgroup,
    /// Giving up privileges.
    Privileges,
    /// Starting the program's process.
    Child,
    /// Its limits.
    Limits,
    /// Its working directory.
    Cwd,
    /// Its three descriptors.
    Descriptors,
    /// Its rules for files.
    Landlock,
    /// Its filter of system calls.
    Seccomp,
    /// Executing the program.
    Execute,
}

impl Step {
    const ALL: [Self; 20] = [
        Self::Room,
        Self::Handover,
        Self::Fork,
        Self::Order,
        Self::Users,
        Self::Death,
        Self::Mount,
        Self::Freeze,
        Self::Proc,
        Self::Scratch,
        Self::Cover,
        Self::Cgroup,
        Self::Privileges,
        Self::Child,
        Self::Limits,
        Self::Cwd,
        Self::Descriptors,
        Self::Landlock,
        Self::Seccomp,
        Self::Execute,
    ];
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// It could not be made.
    Failed { step: Step, errno: i32 },
    /// It ended, nobody of its tree is left; the raw status.
    Ended { status: i32 },
}

/// Bytes of a record.
pub(super) const RECORD: usize = 16;
/// Everybody of the tree is asked to end.
pub(super) const TERM: u8 = b'T';
/// Everybody of the tree is ended.
pub(super) const KILL: u8 = b'K';

impl Record {
    pub(super) fn write(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let (kind, number) = match self {
            Self::Failed { step, errno } => (step as u8, errno),
            Self::Ended { status } => (0xff, status),
        };
        let [first, _, _, _, a, b, c, d, ..] = &mut bytes;
        *first = kind;
        [*a, *b, *c, *d] = number.to_ne_bytes();
        bytes
    }

    pub(super) fn read(bytes: &[u8; RECORD]) -> Option<Self> {
        let [kind, _, _, _, a, b, c, d, ..] = *bytes;
        let number = i32::from_ne_bytes([a, b, c, d]);
        if kind == 0xff {
            return Some(Self::Ended { status: number });
        }
        let step = Step::ALL.into_iter().find(|step| *step as u8 == kind)?;
        Some(Self::Failed { step, errno: number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ended = [0, 256, 9].map(|status| Record::Ended { status });
        let failed = Step::ALL.map(|step| Record::Failed { step, errno: 13 });
        for record in ended.into_iter().chain(failed) {
            assert_eq!(Record::read(&record.write()), Some(record));
        }
        assert_eq!(Record::read(&[0; RECORD]), None);
    }
}
