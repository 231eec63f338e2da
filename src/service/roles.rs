//! The processes of a service, by what each does.

use std::{process::Command, sync::Arc};

/// What a process of the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has the sockets ([`front`](super::front())).
    Front,
    /// It reads mail, and decides ([`judge`](super::judge)).
    Judge,
    /// It asks the network for keys and revocations ([`ask_network`](super::ask_network)).
    Network,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Front, Role::Judge, Role::Network];

    /// Its name, as in the list of processes.
    pub fn name(self) -> &'static str {
        match self {
            Role::Front => "front",
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
///     let file = |of: &dyn AsFd| of.as_fd().try_clone_to_owned().map(File::from).map_err(|error| Error::io("a connection", &error));
///     // The same program is started again, with a connection as its standard input, and the front with another as its standard output.
///     let own = env::args().nth(1);
///     if let Some(role) = Role::ALL.into_iter().find(|role| own.as_deref() == Some(role.name())) {
///         let connection = file(&io::stdin())?;
///         return match role {
///             Role::Front => service::front(connection, file(&io::stdout())?, |_| {}, String::new),
///             Role::Judge => service::judge(connection, |_| {}, |_| {}),
///             Role::Network => service::ask_network(connection),
///         };
///     }
///     let start = |role: Role| {
///         let mut command = Command::new("/proc/self/exe");
///         command.arg(role.name()).env_clear();
///         command
///     };
///     Service::new("/etc/postseal/postseal.toml").with_roles(Roles::new(start)).run()
/// }
/// ```
#[derive(Clone)]
pub struct Roles {
    command: Arc<dyn Fn(Role) -> Command + Send + Sync>,
    context: Arc<dyn Fn() -> String + Send + Sync>,
    enter: Arc<dyn Fn(String) + Send + Sync>,
}

impl Roles {
    /// `command` starts a program that calls the function of a role with its standard input, and of the front with its standard output too.
    pub fn new(command: impl Fn(Role) -> Command + Send + Sync + 'static) -> Roles {
        Roles { command: Arc::new(command), context: Arc::new(String::new), enter: Arc::new(drop) }
    }

    /// Tells each process what the log has of the connection and message that it works for: `context` says what that is for this thread, and `enter` is told by
    /// the process that works for another.
    #[must_use]
    pub fn with_log_context(
        self,
        context: impl Fn() -> String + Send + Sync + 'static,
        enter: impl Fn(String) + Send + Sync + 'static,
    ) -> Roles {
        Roles { context: Arc::new(context), enter: Arc::new(enter), ..self }
    }

    /// Starts a process. Its standard input is to become its connection.
    pub(super) fn command(&self, role: Role) -> Command {
        (self.command)(role)
    }

    /// What the log has of the current connection and message.
    pub(super) fn context(&self) -> String {
        (self.context)()
    }

    /// This thread works for what the log has so from now on.
    pub(super) fn enter(&self, context: String) {
        (self.enter)(context);
    }
}
