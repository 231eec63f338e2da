//! The system calls that are left. What is not listed is answered as an old kernel would answer it (ENOSYS), so that libraries use another way or fail.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction,
    SeccompCmpArgLen::{self, Dword, Qword},
    SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// What the kernel says of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Bounded,
    /// It takes none.
    Unbounded,
}

/// Each call that is left, and when: always where there is no rule.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Bounds the system calls of every thread of this process to those that read and write files.
pub(super) fn bound() -> Result<Calls, Error> {
    apply(files()?)
}

/// Bounds them to those that read and write files, and speak over sockets. No program and no process is started.
pub(super) fn bound_to_serving() -> Result<Calls, Error> {
    apply(serving()?)
}

/// Bounds them to those that read and write files, and speak over sockets of these families, which connect. No program and no process is started.
pub(super) fn bound_to_storing(families: &[i32]) -> Result<Calls, Error> {
    apply(storing(families)?)
}

/// Bounds them to those that compute with what is open. Memory that can be executed stays as it is, and no other process is told anything.
pub(super) fn bound_to_computing() -> Result<Calls, Error> {
    apply(computing()?)
}

/// The same, and those that speak with other machines. No connection is accepted.
pub(super) fn bound_to_network() -> Result<Calls, Error> {
    apply(network()?)
}

/// The rules of a process that reads and writes files.
fn files() -> Result<Rules, Error> {
    let mut rules = always(&[COMPUTING, FILES, OLD_NAMES]);
    // No namespace of its own.
    rules.insert(libc::SYS_clone, vec![rule([bits(0, Qword, NAMESPACES, 0)])?]);
    Ok(rules)
}

/// The rules of a process that serves sockets.
fn serving() -> Result<Rules, Error> {
    speaking(&[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6])
}

/// The rules of a process that stores what others ask for.
fn storing(families: &[i32]) -> Result<Rules, Error> {
    let mut rules = speaking(families)?;
    for call in ACCEPTING {
        rules.remove(call);
    }
    // A file that is replaced keeps its owner.
    rules.extend(always(&[OWNERS]));
    Ok(rules)
}

/// The rules of a process that reads and writes files, and has sockets of these families.
fn speaking(families: &[i32]) -> Result<Rules, Error> {
    let mut rules = always(&[COMPUTING, FILES, OLD_NAMES, SOCKETS]);
    // Landlock does not know the permissions of files: none becomes one of other users, nor one that runs as its owner. Owners stay.
    for (call, argument) in MODES {
        rules.insert(*call, vec![rule([bits(*argument, Dword, 0o6007, 0)])?]);
    }
    rules.remove(&libc::SYS_fchown);
    // Of limits it has its own.
    rules.insert(libc::SYS_prlimit64, vec![rule([is(0, 0)])?]);
    rules.insert(libc::SYS_clone, vec![thread()?]);
    // No packets as they are. Looking hosts up asks the kernel for the addresses of this machine (AF_NETLINK), and nothing else of the kernel is asked.
    let mut sockets = Vec::new();
    if families.contains(&libc::AF_INET) {
        sockets.push(rule([is(0, libc::AF_NETLINK), is(2, libc::NETLINK_ROUTE)])?);
    }
    for family in families {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            sockets.push(rule([is(0, *family), is_kind(kind)])?);
        }
    }
    rules.remove(&libc::SYS_socket);
    if !sockets.is_empty() {
        rules.insert(libc::SYS_socket, sockets);
    }
    Ok(rules)
}

/// The rules of a process that asks other machines.
fn network() -> Result<Rules, Error> {
    let mut rules = computing()?;
    rules.extend(always(&[NETWORK, OLD_NETWORK]));
    // Sockets of TCP and UDP: none of this machine, of the kernel's configuration, or for packets as they are.
    let mut sockets = Vec::new();
    for (kind, protocol) in [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for protocol in [0, protocol] {
                sockets.push(rule([is(0, family), is_kind(kind), is(2, protocol)])?);
            }
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    // Options of sockets and of TCP: those of other layers change how the kernel routes and filters.
    for call in [libc::SYS_getsockopt, libc::SYS_setsockopt] {
        rules.insert(call, vec![rule([is(1, libc::SOL_SOCKET)])?, rule([is(1, libc::IPPROTO_TCP)])?]);
    }
    rules.insert(libc::SYS_ioctl, vec![rule([equal(1, Dword, FIONBIO)])?]);
    Ok(rules)
}

/// The rules of a process that computes.
fn computing() -> Result<Rules, Error> {
    let mut rules = always(&[COMPUTING, OLD_COMPUTING]);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![rule([bits(2, Qword, u64::from(libc::PROT_EXEC.unsigned_abs()), 0)])?]);
    }
    // Of its own limits it may see all, and set the processor time of the next message.
    let seen = rule([is(0, 0), equal(2, Qword, 0)])?;
    let time = rule([is(0, 0), equal(1, Dword, u64::from(libc::RLIMIT_CPU))])?;
    rules.insert(libc::SYS_prlimit64, vec![seen, time]);
    rules.insert(libc::SYS_clone, vec![thread()?]);
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![rule([equal(0, Dword, own)])?]);
    Ok(rules)
}

/// These calls, without rules.
fn always(calls: &[&[i64]]) -> Rules {
    calls.iter().flat_map(|calls| calls.iter()).map(|call| (*call, Vec::new())).collect()
}

/// All of these conditions.
fn rule<const N: usize>(conditions: [Result<SeccompCondition, BackendError>; N]) -> Result<SeccompRule, Error> {
    let conditions = conditions.into_iter().collect::<Result<_, _>>();
    conditions.and_then(SeccompRule::new).map_err(Error::Backend)
}

/// The argument with this number is this value.
fn is(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    equal(argument, Dword, u64::from(value.unsigned_abs()))
}

fn equal(argument: u8, length: SeccompCmpArgLen, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value)
}

/// These bits of an argument are those of `value`.
fn bits(argument: u8, length: SeccompCmpArgLen, these: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, length, SeccompCmpOp::MaskedEq(these), value)
}

/// The second argument of socket(2), whatever flags it has.
fn is_kind(kind: i32) -> Result<SeccompCondition, BackendError> {
    bits(1, Dword, KINDS_OF_SOCKETS, u64::from(kind.unsigned_abs()))
}

/// clone(2) makes a thread of this process, and no other process.
fn thread() -> Result<SeccompRule, Error> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    rule([bits(0, Qword, NAMESPACES | thread, thread)])
}

/// clone3 hides its flags from a filter; without it libc uses clone.
fn apply(rules: Rules) -> Result<Calls, Error> {
    let Some(architecture) = ARCHITECTURE else { return Ok(Calls::Unbounded) };
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        SeccompAction::Allow,
        architecture,
    );
    let program: BpfProgram =
        filter.and_then(TryInto::try_into).map_err(|error: BackendError| Error::Backend(error))?;
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => Ok(Calls::Bounded),
        Err(Error::Prctl(_) | Error::Seccomp(_)) => Ok(Calls::Unbounded),
        Err(error) => Err(error),
    }
}

/// What this program was compiled for; `None`: the filter knows no such machine.
const ARCHITECTURE: Option<TargetArch> = if cfg!(target_arch = "x86_64") {
    Some(TargetArch::x86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(TargetArch::aarch64)
} else if cfg!(target_arch = "riscv64") {
    Some(TargetArch::riscv64)
} else {
    None
};

/// `CLONE_NEW*` of linux/sched.h.
const NAMESPACES: u64 = 0x7e02_0080;

/// What computing takes, and reading and writing what is open, on every architecture.
const COMPUTING: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
];

/// `SOCK_TYPE_MASK` of linux/net.h.
const KINDS_OF_SOCKETS: u64 = 0xf;

/// `FIONBIO` of asm-generic/ioctls.h, which has another type in each libc.
const FIONBIO: u64 = 0x5421;

/// What speaking with other machines takes beside that.
const NETWORK: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
];

/// What files take beside that, and other processes that are told of a signal.
const FILES: &[i64] = &[
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getpgid,
    libc::SYS_ioctl,
    libc::SYS_kill,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_prlimit64,
    libc::SYS_tgkill,
];

/// What sets the permissions of a file, and which argument they are.
#[cfg(target_arch = "x86_64")]
const MODES: &[(i64, u8)] = &[(libc::SYS_chmod, 1), (libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[(i64, u8)] = &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2)];

/// What sockets take beside that.
const SOCKETS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socket,
    libc::SYS_socketpair,
];

/// What others connect by.
const ACCEPTING: &[i64] = &[libc::SYS_accept4, libc::SYS_bind, libc::SYS_listen];

/// What sets the owner of a file.
#[cfg(target_arch = "x86_64")]
const OWNERS: &[i64] = &[libc::SYS_chown, libc::SYS_fchown, libc::SYS_fchownat];
#[cfg(not(target_arch = "x86_64"))]
const OWNERS: &[i64] = &[libc::SYS_fchown, libc::SYS_fchownat];

/// What only older architectures still have beside newer names.
#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NAMES: &[i64] = &[];

/// Those of them that the network takes.
#[cfg(target_arch = "x86_64")]
const OLD_NETWORK: &[i64] = &[libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NETWORK: &[i64] = &[];

/// Those of them that computing takes.
#[cfg(target_arch = "x86_64")]
const OLD_COMPUTING: &[i64] = &[libc::SYS_arch_prctl, libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const OLD_COMPUTING: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that is also in one of the lists must not be left without its rules.
    #[test]
    fn what_has_rules_has_them_in_every_process() {
        for rules in [files(), serving(), computing(), network(), storing(&[]), storing(&[libc::AF_UNIX])] {
            let rules = rules.unwrap();
            assert!(!rules[&libc::SYS_clone].is_empty());
            for forbidden in [libc::SYS_execve, libc::SYS_unshare, libc::SYS_setns, libc::SYS_ptrace, libc::SYS_clone3]
            {
                assert!(!rules.contains_key(&forbidden), "{forbidden}");
            }
        }
        for rules in [serving(), network(), storing(&[libc::AF_UNIX])] {
            assert!(!rules.unwrap()[&libc::SYS_socket].is_empty());
        }
        let alone = storing(&[]).unwrap();
        for forbidden in [libc::SYS_socket, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept4] {
            assert!(!alone.contains_key(&forbidden), "{forbidden}");
        }
    }
}
