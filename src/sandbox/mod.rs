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
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};
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
    /// Ports of other machines.
    ports: Ports,
    /// Whether it connects to sockets of this machine.
    local: Local,
}

/// Ports of other machines.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    All,
    These(BTreeSet<u16>),
}

impl Default for Ports {
    fn default() -> Ports {
        Ports::These(BTreeSet::new())
    }
}

/// Whether a process connects to sockets of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    #[default]
    Never,
    Connects,
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
    /// It reads every file, writes some, and connects to a few servers.
    Storing,
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
        Sandbox { work: Work::Networking, ports: ports.map_or(Ports::All, Ports::These), ..Sandbox::default() }
    }

    /// Keeps reading files. It writes what [`Sandbox::writes`] names, and connects to what [`Sandbox::connects`] and [`Sandbox::connects_locally`] name. No program
    /// and no process is started, and nobody can connect to it.
    pub fn storing() -> Sandbox {
        Sandbox { work: Work::Storing, ..Sandbox::default() }
    }

    /// Keeps connecting to a port of other machines by TCP, and looking hosts up.
    pub fn connects(mut self, port: u16) -> Sandbox {
        if let Ports::These(ports) = &mut self.ports {
            ports.insert(port);
        }
        self
    }

    /// Keeps connecting to every port of other machines by TCP, and looking hosts up.
    pub fn connects_everywhere(self) -> Sandbox {
        Sandbox { ports: Ports::All, ..self }
    }

    /// Keeps connecting to sockets of this machine.
    pub fn connects_locally(self) -> Sandbox {
        Sandbox { local: Local::Connects, ..self }
    }

    /// Whether a process that keeps this keeps all that `other` keeps, of what it writes and connects to.
    pub fn covers(&self, other: &Sandbox) -> bool {
        let is_below = |path: &PathBuf| self.writable.iter().any(|own| path.starts_with(own));
        let ports = match (&self.ports, &other.ports) {
            (Ports::All, _) => true,
            (Ports::These(own), Ports::These(others)) => own.is_superset(others),
            (Ports::These(_), Ports::All) => false,
        };
        other.writable.iter().all(is_below) && ports && self.local >= other.local
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
        let files = match (self.bound_capabilities(), files) {
            (Err(_), Enforced::Fully) => Enforced::Partly,
            (_, files) => files,
        };
        let calls = match self.work {
            Work::Computing => calls::bound_to_computing(),
            Work::Files => calls::bound(),
            Work::Serving => calls::bound_to_serving(),
            Work::Networking => calls::bound_to_network(),
            Work::Storing => calls::bound_to_storing(&self.families()),
        };
        let calls = calls.map_err(refused)?;
        Ok(match (files, calls) {
            (Enforced::CallsOnly, Calls::Unbounded) => Enforced::Nothing,
            (_, Calls::Unbounded) => Enforced::Partly,
            (files, Calls::Bounded) => files,
        })
    }

    /// The families of the sockets that a process connects by.
    fn families(&self) -> Vec<i32> {
        let local = (self.local == Local::Connects).then_some(libc::AF_UNIX);
        let far = (self.ports != Ports::default()).then_some([libc::AF_INET, libc::AF_INET6]);
        local.into_iter().chain(far.into_iter().flatten()).collect()
    }

    /// What root may do beyond other users is left as far as the work takes it (capabilities(7)).
    fn bound_capabilities(&self) -> rustix::io::Result<()> {
        let of_files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::FOWNER;
        let kept = match self.work {
            Work::Computing | Work::Networking => CapabilitySet::empty(),
            Work::Files | Work::Storing => of_files | CapabilitySet::CHOWN,
            Work::Serving => of_files | CapabilitySet::NET_BIND_SERVICE,
        };
        let has = capabilities(None)?;
        // Where there is nothing to give up, the call may be forbidden, as by the unit of systemd.
        if kept.contains(has.permitted) && has.inheritable.is_empty() {
            return Ok(());
        }
        let (effective, permitted) = (has.effective & kept, has.permitted & kept);
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })
    }

    fn bound_files(&self) -> Result<Enforced> {
        let ports = match (self.work, &self.ports) {
            (Work::Networking | Work::Storing, Ports::All) => AccessNet::BindTcp.into(),
            _ => AccessNet::from_all(ABI_KNOWN),
        };
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let files = match self.work {
            // It has the keys: what else may be read in files is less than that, and a reload may name any.
            Work::Storing => AccessFs::from_all(ABI_KNOWN) & !read,
            _ => AccessFs::from_all(ABI_KNOWN),
        };
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(files)
            .and_then(|rules| match self.work {
                // It listens where a reload says, and connects to the next hop.
                Work::Serving => Ok(rules),
                Work::Computing | Work::Files | Work::Networking | Work::Storing => rules.handle_access(ports),
            })
            .and_then(|rules| rules.scope(Scope::from_all(ABI_KNOWN)));
        let mut rules = rules.and_then(Ruleset::create).map_err(refused)?;
        let readable = self.readable.iter().map(|path| (path.clone(), read));
        let (system, names, devices) = match self.work {
            Work::Computing | Work::Networking => (&[][..], &[][..], &[][..]),
            Work::Files | Work::Storing => (SYSTEM, &[][..], DEVICES),
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
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI_KNOWN) } & files;
            if access.is_empty() {
                continue;
            }
            rules = rules.add_rule(PathBeneath::new(opened, access)).map_err(refused)?;
        }
        let ports = match &self.ports {
            Ports::These(ports) => ports.iter(),
            Ports::All => Default::default(),
        };
        for port in ports {
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
