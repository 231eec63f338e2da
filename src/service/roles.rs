//! The processes of a service, by what each does.

use std::{io, process::Command, sync::Arc};

use crate::isolation::{Ends, KeysLink, Process};

/// What a process of the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has the sockets ([`front`](super::front())).
    Front,
    /// It reads mail, and decides ([`judge`](super::judge)).
    Judge,
    /// It has the home ([`Service::keys`](super::Service::keys)).
    Keys,
    /// It asks the network for keys and revocations ([`ask_network`](super::ask_network)).
    Network,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Front, Role::Judge, Role::Keys, Role::Network];

    /// Its name, as in the list of processes.
    pub fn name(self) -> &'static str {
        match self {
            Role::Front => "front",
            Role::Judge => "judge",
            Role::Keys => "keys",
            Role::Network => "network",
        }
    }

    /// What the process with the keys calls it by.
    fn number(self) -> u8 {
        match self {
            Role::Front => 0,
            Role::Judge => 1,
            Role::Keys => 2,
            Role::Network => 3,
        }
    }

    /// The process that the process with the keys calls so. It starts no other one with keys.
    pub(super) fn of_number(number: u8) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.number() == number && *role != Role::Keys)
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
///     let service = || Service::new("/etc/postseal/postseal.toml");
///     // The same program is started again, with a connection as its standard input, and some with another as their standard output.
///     let own = env::args().nth(1);
///     if let Some(role) = Role::ALL.into_iter().find(|role| own.as_deref() == Some(role.name())) {
///         let connection = file(&io::stdin())?;
///         return match role {
///             Role::Front => service::front(connection, file(&io::stdout())?, |_| {}, String::new),
///             Role::Judge => service::judge(connection, |_| {}, |_| {}),
///             Role::Keys => service().keys(connection, file(&io::stdout())?, |_| Ok(())),
///             Role::Network => service::ask_network(connection),
///         };
///     }
///     let start = |role: Role| {
///         let mut command = Command::new("/proc/self/exe");
///         command.arg(role.name()).env_clear();
///         command
///     };
///     service().with_roles(Roles::new(start)).run()
/// }
/// ```
#[derive(Clone)]
pub struct Roles {
    start: Start,
    context: Arc<dyn Fn() -> String + Send + Sync>,
    enter: Arc<dyn Fn(String) + Send + Sync>,
}

/// What starts processes.
#[derive(Clone)]
enum Start {
    /// The supervisor of this process.
    By(KeysLink),
    /// This process.
    Here(Arc<dyn Fn(Role) -> Command + Send + Sync>),
}

impl Roles {
    /// `command` starts a program that calls the function of a role with its standard input, and of the front with its standard output too.
    pub fn new(command: impl Fn(Role) -> Command + Send + Sync + 'static) -> Roles {
        Roles { start: Start::Here(Arc::new(command)), context: Arc::new(String::new), enter: Arc::new(drop) }
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

    /// In a process whose supervisor starts them.
    pub(super) fn by(link: KeysLink) -> Roles {
        Roles { start: Start::By(link), context: Arc::new(String::new), enter: Arc::new(drop) }
    }

    /// The same, in a process whose supervisor starts them.
    pub(super) fn started_by(self, link: KeysLink) -> Roles {
        Roles { start: Start::By(link), ..self }
    }

    /// What starts a process; `None`: this process starts none.
    pub(super) fn command(&self, role: Role) -> Option<Command> {
        match &self.start {
            Start::By(_) => None,
            Start::Here(command) => Some(command(role)),
        }
    }

    /// Starts a process.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`].
    pub(super) fn start(&self, role: Role, ends: Ends) -> io::Result<Process> {
        match &self.start {
            Start::By(link) => link.start(role.number(), ends),
            Start::Here(command) => Process::spawn(command(role), ends),
        }
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
