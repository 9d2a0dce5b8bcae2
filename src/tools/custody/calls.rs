//! Which system calls a tool's process is refused: those by which it could touch other processes,
//! build a world of its own around the sandbox, reach parts of the kernel that no tool needs, or,
//! for a tool without network, speak to anybody at all. They answer "not permitted", as they would to
//! a program without privileges, so that programs say something sensible. Everything else is
//! allowed: a list of what is allowed would break programs with each new C library.
//!
//! `clone3` is said not to exist: its flags are behind a pointer that a filter cannot read, and C
//! libraries then use `clone`, whose flags it can. The second numbering of calls that some kernels
//! have on x86-64 is refused as a whole, or each refusal here could be had under another number.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// The filter could not be built: the machine has an architecture that it does not know.
#[derive(Debug, thiserror::Error)]
#[error("build the filter of system calls")]
pub struct NoFilter(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Refused to every tool, whatever the arguments.
const NEVER: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Ways around a filter: calls made by the kernel for the process.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Other worlds.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// Refused to a tool without network beside sockets that are not local: local ones have names in
/// the tree of files, where no namespace hides a daemon that listens.
const NO_NETWORK: &[i64] = &[
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
];

/// Every flag of a new namespace.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32 as u64;
/// Puts a character into a terminal's input; and the same by way of a console's menu.
const TERMINAL: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NoFilter {
    NoFilter(error.into())
}

fn rule(arg: u8, len: Len, op: Op, value: u64) -> Result<SeccompRule, NoFilter> {
    SeccompRule::new(vec![condition(arg, len, op, value)?]).map_err(wrong)
}

fn condition(arg: u8, len: Len, op: Op, value: u64) -> Result<SeccompCondition, NoFilter> {
    SeccompCondition::new(arg, len, op, value).map_err(wrong)
}

/// The filter, as the kernel takes it.
pub(super) fn filter(network: bool) -> Result<Vec<u8>, NoFilter> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        NEVER.iter().map(|call| (*call, Vec::new())).collect();
    let mut some = Vec::new();
    for flag in (0..32).map(|bit| 1 << bit).filter(|flag| NAMESPACES & flag != 0) {
        some.push(rule(0, Len::Qword, Op::MaskedEq(flag), flag)?);
    }
    rules.insert(libc::SYS_clone, some);
    let terminal = TERMINAL.map(|request| rule(1, Len::Dword, Op::Eq, request));
    rules.insert(libc::SYS_ioctl, terminal.into_iter().collect::<Result<_, _>>()?);
    // Families that tell of the machine, leave every namespace, or that no tool needs. Of netlink
    // there is what finds routes and addresses, which the C library asks.
    let mut sockets = Vec::new();
    let local = libc::AF_UNIX as u64;
    if network {
        let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        let other = families.map(|family| condition(0, Len::Dword, Op::Ne, family as u64));
        let other = other.into_iter().collect::<Result<_, _>>()?;
        sockets.push(SeccompRule::new(other).map_err(wrong)?);
        let rest = [
            condition(0, Len::Dword, Op::Eq, libc::AF_NETLINK as u64)?,
            condition(2, Len::Dword, Op::Ne, libc::NETLINK_ROUTE as u64)?,
        ];
        sockets.push(SeccompRule::new(rest.into()).map_err(wrong)?);
    } else {
        sockets.push(rule(0, Len::Dword, Op::Ne, local)?);
        rules.extend(NO_NETWORK.iter().map(|call| (*call, Vec::new())));
        // With an address it is a way to somebody; without one it is what pairs of sockets use.
        rules.insert(libc::SYS_sendto, vec![rule(4, Len::Qword, Op::Ne, 0)?]);
    }
    rules.insert(libc::SYS_socket, sockets);
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(wrong)?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(wrong)?;
    let program = BpfProgram::try_from(filter).map_err(wrong)?;
    Ok(bytes(&head(), &program))
}

/// One instruction: what it does, where it goes on if so and if not, and its number.
type Instruction = (u32, u8, u8, u32);

/// What no rule of the crate can say, before all rules: jumps are relative, so they still hold.
fn head() -> Vec<Instruction> {
    let refuse =
        |errno: i32| (libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32);
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let number = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0);
    let mut head = vec![number, (is, 0, 1, libc::SYS_clone3 as u32), refuse(libc::ENOSYS)];
    if cfg!(target_arch = "x86_64") {
        const SECOND_NUMBERING: u32 = 0x4000_0000;
        let from = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
        head.extend([(from, 0, 1, SECOND_NUMBERING), refuse(libc::ENOSYS)]);
    }
    head
}

fn bytes(head: &[Instruction], program: &BpfProgram) -> Vec<u8> {
    let rest = program.iter().map(|step| (u32::from(step.code), step.jt, step.jf, step.k));
    let mut bytes = Vec::with_capacity((head.len() + program.len()) * 8);
    for (code, so, otherwise, number) in head.iter().copied().chain(rest) {
        bytes.extend((code as u16).to_ne_bytes());
        bytes.extend([so, otherwise]);
        bytes.extend(number.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_for_this_machine_is_whole_instructions_and_fits() {
        for network in [true, false] {
            let bytes = filter(network).unwrap();
            assert!(bytes.len().is_multiple_of(8));
            assert!(bytes.len() / 8 < 4_096, "{} instructions", bytes.len() / 8);
        }
    }
}
