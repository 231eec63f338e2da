//! What a process gives up before it reads a stranger's message: files, programs, the network and most system calls.
//!
//! Landlock (Linux 5.13 and later) bounds the files, the ports and the signals; a seccomp filter bounds the system calls. An older kernel enforces what it
//! knows, and [`Sandbox::enter`] says how much that is.

mod calls;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use self::calls::Calls;
use crate::base::{Error, Result};

/// What a process keeps when it gives up everything else. Without any call of [`Sandbox::reads`] or [`Sandbox::writes`] it can open no file that belongs to a
/// person; what it has open stays open.
///
/// # Example
///
/// ```no_run
/// use postseal::sandbox::Sandbox;
///
/// # fn main() -> postseal::base::Result<()> {
/// // From here on this process reads these two, writes one, and starts no program.
/// Sandbox::new().reads("message.eml").writes("/home/alice/.local/share/postseal").enter()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Sandbox {
    readable: BTreeSet<PathBuf>,
    writable: BTreeSet<PathBuf>,
    /// Folders where sockets are made.
    sockets: BTreeSet<PathBuf>,
    work: Work,
    /// Ports of other machines; `None`: all.
    ports: Option<BTreeSet<u16>>,
}

/// What a process does after it gave up the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Work {
    /// It computes with what it has open.
    Computing,
    /// It reads and writes files.
    #[default]
    Files,
    /// It serves sockets, and reads and writes files.
    Serving,
    /// It speaks with other machines, by connections that it opens.
    Networking,
}

/// How much of a [`Sandbox`] the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Enforced {
    /// All of it that this program knows.
    Fully,
    /// The system calls and, of the rest, as much as an older kernel knows.
    Partly,
    /// Not even files: the kernel was built or started without Landlock. The system calls are bounded.
    CallsOnly,
    /// Nothing: neither Landlock nor seccomp is there, as in some containers.
    Nothing,
}

impl Enforced {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Enforced::Fully => "all",
            Enforced::Partly => "a part",
            Enforced::CallsOnly => "the system calls alone",
            Enforced::Nothing => "nothing",
        }
    }
}

impl Sandbox {
    /// Keeps nothing.
    pub fn new() -> Sandbox {
        Sandbox::default()
    }

    /// Keeps what is open, and nothing that has a name: no file is opened, made or removed, and no memory becomes code.
    pub fn computing() -> Sandbox {
        Sandbox { work: Work::Computing, ..Sandbox::default() }
    }

    /// Keeps sockets: listening, connecting, looking names up.
    pub fn serving() -> Sandbox {
        Sandbox { work: Work::Serving, ..Sandbox::default() }
    }

    /// Keeps making local sockets in a folder, and removing them.
    pub fn makes_sockets(mut self, folder: impl Into<PathBuf>) -> Sandbox {
        self.sockets.insert(folder.into());
        self
    }

    /// Keeps what is open, and the network: sockets of TCP and UDP. Nobody can connect to it, and it opens no file and no socket of this machine. By TCP it
    /// connects to these ports alone; `None`: to all.
    pub fn network(ports: Option<BTreeSet<u16>>) -> Sandbox {
        Sandbox { work: Work::Networking, ports, ..Sandbox::default() }
    }

    /// Keeps reading a file, or everything in a folder. A path that is not there stays so.
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Sandbox {
        self.readable.insert(path.into());
        self
    }

    /// Keeps reading and writing a file, or everything in a folder. Of a path that is not there, the nearest folder above it that is.
    pub fn writes(mut self, path: impl Into<PathBuf>) -> Sandbox {
        self.writable.insert(path.into());
        self
    }

    /// Gives up the rest, for this process and for ever. No core file is written either.
    ///
    /// Call it while the process has one thread: Landlock bounds the calling thread and those that it starts.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the rules or the filter cannot be made. A kernel that does not take them is no error.
    pub fn enter(&self) -> Result<Enforced> {
        // A core file would hold what the message decrypts to.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)?;
        let files = self.bound_files()?;
        let calls = match self.work {
            Work::Computing => calls::bound_to_computing(),
            Work::Files => calls::bound(),
            Work::Serving => calls::bound_to_serving(),
            Work::Networking => calls::bound_to_network(),
        };
        let calls = calls.map_err(refused)?;
        Ok(match (files, calls) {
            (Enforced::CallsOnly, Calls::Unbounded) => Enforced::Nothing,
            (_, Calls::Unbounded) => Enforced::Partly,
            (files, Calls::Bounded) => files,
        })
    }

    fn bound_files(&self) -> Result<Enforced> {
        let ports = match (self.work, &self.ports) {
            (Work::Networking, None) => AccessNet::BindTcp.into(),
            _ => AccessNet::from_all(ABI_KNOWN),
        };
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI_KNOWN))
            .and_then(|rules| match self.work {
                // It listens where a reload says, and connects to the next hop.
                Work::Serving => Ok(rules),
                Work::Computing | Work::Files | Work::Networking => rules.handle_access(ports),
            })
            .and_then(|rules| rules.scope(Scope::from_all(ABI_KNOWN)));
        let mut rules = rules.and_then(Ruleset::create).map_err(refused)?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let readable = self.readable.iter().map(|path| (path.clone(), read));
        let (system, names, devices) = match self.work {
            Work::Computing | Work::Networking => (&[][..], &[][..], &[][..]),
            Work::Files => (SYSTEM, &[][..], DEVICES),
            Work::Serving => (SYSTEM, NAMES, DEVICES),
        };
        let readable = readable.chain(system.iter().chain(names).map(|path| (PathBuf::from(path), read)));
        let everything = AccessFs::from_all(ABI_KNOWN) & !BitFlags::from(AccessFs::Execute);
        let writable = self.writable.iter().filter_map(|path| present(path)).map(|path| (path, everything));
        let devices = devices.iter().map(|path| (PathBuf::from(path), read | AccessFs::WriteFile | AccessFs::IoctlDev));
        let making = AccessFs::MakeSock | AccessFs::RemoveFile;
        let sockets = self.sockets.iter().map(|path| (path.clone(), making));
        for (path, access) in readable.chain(writable).chain(sockets).chain(devices) {
            // What is not there cannot be opened either way.
            let Ok(opened) = PathFd::new(&path) else { continue };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI_KNOWN) };
            rules = rules.add_rule(PathBeneath::new(opened, access)).map_err(refused)?;
        }
        for port in self.ports.iter().flatten() {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(refused)?;
        }
        Ok(match rules.restrict_self().map_err(refused)?.ruleset {
            RulesetStatus::FullyEnforced => Enforced::Fully,
            RulesetStatus::PartiallyEnforced => Enforced::Partly,
            RulesetStatus::NotEnforced => Enforced::CallsOnly,
        })
    }
}

/// The nearest of a path and the folders above it that is there.
fn present(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("sandbox: {error}"))
}

/// The newest interface of Landlock that is asked for: Linux 6.12. A newer kernel has it too.
const ABI_KNOWN: ABI = ABI::V6;
/// What libraries read of the machine: processors, memory, time zones, locales. No file of a person.
const SYSTEM: &[&str] =
    &["/etc/localtime", "/proc/self", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/usr/share/zoneinfo"];
/// How hosts are looked up, and the public authorities.
const NAMES: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/pki/tls",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
];
/// What is opened again by its name.
const DEVICES: &[&str] = &["/dev/null", "/dev/random", "/dev/tty", "/dev/urandom"];
