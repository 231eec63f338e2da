//! The processes of a service, by what each does.

use std::{process::Command, sync::Arc};

/// What a process of the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It reads mail, and decides ([`judge`](super::judge)).
    Judge,
    /// It asks the network for keys and revocations ([`ask_network`](super::ask_network)).
    Network,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 2] = [Role::Judge, Role::Network];

    /// Its name, as in the list of processes.
    pub fn name(self) -> &'static str {
        match self {
            Role::Judge => "judge",
            Role::Network => "network",
        }
    }
}

/// How the processes of a service are started, and what they write into the log.
///
/// # Example
///
/// ```no_run
/// use std::{env, fs::File, io, os::fd::AsFd, process::Command};
/// use postseal::{
///     base::{Error, Result},
///     service::{self, Role, Roles, Service},
/// };
///
/// fn main() -> Result<()> {
///     // The same program is started again, to handle mail and to ask the network.
///     let own = env::args().nth(1);
///     if let Some(role) = Role::ALL.into_iter().find(|role| own.as_deref() == Some(role.name())) {
///         let connection = io::stdin().as_fd().try_clone_to_owned();
///         let connection = File::from(connection.map_err(|error| Error::io("standard input", &error))?);
///         return match role {
///             Role::Judge => service::judge(connection, |_| {}, |_| {}),
///             Role::Network => service::ask_network(connection),
///         };
///     }
///     let start = |role: Role| {
///         let mut command = Command::new("/proc/self/exe");
///         command.arg(role.name()).env_clear();
///         command
///     };
///     Service::new("/etc/postseal/postseal.toml").with_roles(Roles::new(start, String::new)).run()
/// }
/// ```
#[derive(Clone)]
pub struct Roles {
    command: Arc<dyn Fn(Role) -> Command + Send + Sync>,
    context: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Roles {
    /// `command` starts a program that calls the function of a role with its standard input. `context` is what the log has of the current connection and
    /// message: the process is told of it.
    pub fn new(
        command: impl Fn(Role) -> Command + Send + Sync + 'static,
        context: impl Fn() -> String + Send + Sync + 'static,
    ) -> Roles {
        Roles { command: Arc::new(command), context: Arc::new(context) }
    }

    /// Starts a process. Its standard input is to become its connection.
    pub(super) fn command(&self, role: Role) -> Command {
        (self.command)(role)
    }

    /// What the log has of the current connection and message.
    pub(super) fn context(&self) -> String {
        (self.context)()
    }
}
