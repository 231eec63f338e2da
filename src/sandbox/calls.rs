//! The system calls that are left. What is not listed is answered as an old kernel would answer it (ENOSYS), so that libraries use another way or fail.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// What the kernel says of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Bounded,
    /// It takes none.
    Unbounded,
}

/// Bounds the system calls of every thread of this process to those that read and write files.
pub(super) fn bound() -> Result<Calls, Error> {
    let calls = COMPUTING.iter().chain(FILES).chain(OLD_NAMES);
    apply(calls.map(|call| (*call, Vec::new())).collect())
}

/// Bounds them to those that read and write files, and speak over sockets. No program is started.
pub(super) fn bound_to_serving() -> Result<Calls, Error> {
    let calls = COMPUTING.iter().chain(FILES).chain(OLD_NAMES).chain(SOCKETS);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls.map(|call| (*call, Vec::new())).collect();
    // Landlock does not know the permissions of files: none becomes one of other users, nor one that runs as its owner. Owners stay.
    for (call, argument) in MODES {
        let own = SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(0o6007), 0);
        let own = own.and_then(|own| SeccompRule::new(vec![own])).map_err(Error::Backend)?;
        rules.insert(*call, vec![own]);
    }
    rules.remove(&libc::SYS_fchown);
    // Of limits it has its own.
    let of_itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0);
    let of_itself = of_itself.and_then(|own| SeccompRule::new(vec![own])).map_err(Error::Backend)?;
    rules.insert(libc::SYS_prlimit64, vec![of_itself]);
    apply(rules)
}

/// Bounds them to those that compute with what is open. Memory that can be executed stays as it is, and no other process is told anything.
pub(super) fn bound_to_computing() -> Result<Calls, Error> {
    apply(computing()?)
}

/// The same, and those that speak with other machines. No connection is accepted.
pub(super) fn bound_to_network() -> Result<Calls, Error> {
    let mut rules = computing()?;
    rules.extend(NETWORK.iter().chain(OLD_NETWORK).map(|call| (*call, Vec::new())));
    let any = |argument, values: &[i32]| {
        let one = |value: &i32| {
            let value = u64::from(value.unsigned_abs());
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
        };
        values.iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    // Sockets of TCP and UDP: none of this machine, of the kernel's configuration, or for packets as they are.
    let mut sockets = Vec::new();
    for (kind, protocol) in [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)] {
        let kind = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(KINDS_OF_SOCKETS),
            u64::from(kind.unsigned_abs()),
        );
        let kind = kind.map_err(Error::Backend)?;
        for family in any(0, &[libc::AF_INET, libc::AF_INET6]).map_err(Error::Backend)? {
            for protocol in any(2, &[0, protocol]).map_err(Error::Backend)? {
                let rule = SeccompRule::new(vec![family.clone(), kind.clone(), protocol]);
                sockets.push(rule.map_err(Error::Backend)?);
            }
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    // Options of sockets and of TCP: those of other layers change how the kernel routes and filters.
    for call in [libc::SYS_getsockopt, libc::SYS_setsockopt] {
        let levels = any(1, &[libc::SOL_SOCKET, libc::IPPROTO_TCP]).map_err(Error::Backend)?;
        let levels = levels.into_iter().map(|level| SeccompRule::new(vec![level]));
        rules.insert(call, levels.collect::<Result<_, _>>().map_err(Error::Backend)?);
    }
    let without_waiting = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, FIONBIO);
    let without_waiting = SeccompRule::new(vec![without_waiting.map_err(Error::Backend)?]).map_err(Error::Backend)?;
    rules.insert(libc::SYS_ioctl, vec![without_waiting]);
    apply(rules)
}

/// The rules of a process that computes.
fn computing() -> Result<BTreeMap<i64, Vec<SeccompRule>>, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = COMPUTING.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend(OLD_COMPUTING.iter().map(|call| (*call, Vec::new())));
    let only_if = |argument, length, operator, value| {
        let condition = SeccompCondition::new(argument, length, operator, value).map_err(Error::Backend)?;
        Ok::<_, Error>(vec![SeccompRule::new(vec![condition]).map_err(Error::Backend)?])
    };
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, only_if(2, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(executable), 0)?);
    }
    // Of its own limits it may see all, and set the processor time of the next message.
    let own_limits = |argument, length, value| {
        let of_itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?;
        let also = SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value)?;
        SeccompRule::new(vec![of_itself, also])
    };
    let seen = own_limits(2, SeccompCmpArgLen::Qword, 0).map_err(Error::Backend)?;
    let time = own_limits(1, SeccompCmpArgLen::Dword, u64::from(libc::RLIMIT_CPU)).map_err(Error::Backend)?;
    rules.insert(libc::SYS_prlimit64, vec![seen, time]);
    // A thread of this process, and no other process.
    let thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(NAMESPACES | u64::from(libc::CLONE_THREAD.unsigned_abs())),
        u64::from(libc::CLONE_THREAD.unsigned_abs()),
    );
    let thread = SeccompRule::new(vec![thread.map_err(Error::Backend)?]).map_err(Error::Backend)?;
    rules.insert(libc::SYS_clone, vec![thread]);
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, only_if(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?);
    Ok(rules)
}

fn apply(mut rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<Calls, Error> {
    let Some(architecture) = ARCHITECTURE else { return Ok(Calls::Unbounded) };
    // No namespace of its own. clone3 hides its flags from a filter; without it libc uses clone.
    let in_its_namespace = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(NAMESPACES), 0)
        .map_err(Error::Backend)?;
    let clone = SeccompRule::new(vec![in_its_namespace]).map_err(Error::Backend)?;
    rules.entry(libc::SYS_clone).or_insert_with(|| vec![clone]);
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
