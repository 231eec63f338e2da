//! The configured service: from a configuration file to running listeners, with reload, a graceful stop, and learning of capabilities.
//!
//! ```no_run
//! use postseal::{base::Result, service::Service};
//!
//! // Serves the listeners of the file until SIGTERM or SIGINT. SIGHUP loads the file again.
//! fn main() -> Result<()> {
//!     Service::new("/etc/postseal/postseal.toml").run()
//! }
//! ```

mod approving;
mod asking;
mod auditing;
mod back;
mod discovery;
mod divided;
mod enrolling;
mod environment;
mod front;
mod handler;
mod handler_config;
mod health;
mod joining;
mod judging;
mod keys;
mod learning;
mod listeners;
mod members;
mod network;
mod next_hop;
mod provisioning;
mod quarantine;
mod refreshing;
mod reminders;
mod renewing;
mod restarts;
mod rights;
mod roles;
mod signals;
mod sources;
mod supervisor;
mod tenants;
mod tokens;

use std::{path::PathBuf, sync::Arc};

use tokio::{runtime, sync::mpsc};

pub use self::{
    approving::ApprovingHandler,
    asking::{Asking, ask_network},
    auditing::AuditingHandler,
    discovery::{record_choices, with_network, with_statuses},
    enrolling::EnrollingHandler,
    environment::Environment,
    front::front,
    handler::{ConfiguredHandler, handler},
    judging::judge,
    learning::{CapabilityStore, LearningHandler},
    next_hop::{release_next_hop, sendmail_next_hop},
    provisioning::ProvisioningHandler,
    quarantine::{bounces, quarantine},
    roles::{Role, Roles},
    sources::OpenSources,
    tenants::measured_handler,
    tokens::{TOKEN_LIMIT, TokenProbe, open_tokens},
};
use self::{
    back::BackBuilder,
    environment::MakeEnvironment,
    listeners::{Behind, ListenersBuilder},
    next_hop::program_or_relay,
    supervisor::Supervised,
};
use crate::{
    base::{Error, Result},
    config::{self, Config, Isolation},
    report::Metrics,
    transport::{
        Inherited,
        serve::{self, Event, State},
    },
};

/// Makes the environment for a configuration, and is told how the network is asked.
type Furnish = Box<dyn FnMut(&Config, &Asking) -> Result<Environment> + Send>;

/// A service that is configured by one file.
pub struct Service {
    path: PathBuf,
    home: Option<PathBuf>,
    environment: Furnish,
    roles: Option<Roles>,
    inherited: Vec<Inherited>,
    notify: Box<dyn Fn(State) + Send>,
}

impl Service {
    /// The service that the file at `path` configures. Nothing is read before it runs.
    pub fn new(path: impl Into<PathBuf>) -> Service {
        Service {
            path: path.into(),
            home: None,
            environment: Box::new(Environment::asking),
            roles: None,
            inherited: Vec::new(),
            notify: Box::new(|_| {}),
        }
    }

    /// Takes keys, time and randomness from `environment` instead of [`Environment::asking`]. It is called for each load of the configuration, and of each tenant.
    #[must_use]
    pub fn with_environment(
        self,
        environment: impl FnMut(&Config, &Asking) -> Result<Environment> + Send + 'static,
    ) -> Service {
        Service { environment: Box::new(environment), ..self }
    }

    /// Says that `environment` takes this home, and not that of the configuration. The process with the keys may write into it, and no other process may read it.
    #[must_use]
    pub fn with_home(self, home: Option<PathBuf>) -> Service {
        Service { home, ..self }
    }

    /// Opens the home, serves the sockets, handles mail and asks the network in processes of this program, if the configuration does not say otherwise ([`Isolation`]).
    /// Without it, all is done in this process.
    #[must_use]
    pub fn with_roles(self, roles: Roles) -> Service {
        Service { roles: Some(roles), ..self }
    }

    /// Uses sockets that the parent process has opened, for `systemd:NAME` addresses.
    #[must_use]
    pub fn with_sockets(self, inherited: Vec<Inherited>) -> Service {
        Service { inherited, ..self }
    }

    /// Calls `notify` when the state changes, for a supervisor such as systemd.
    #[must_use]
    pub fn with_supervisor(self, notify: impl Fn(State) + Send + 'static) -> Service {
        Service { notify: Box::new(notify), ..self }
    }

    /// Serves until SIGTERM or SIGINT; SIGHUP loads the configuration again. Must not be called within a runtime.
    ///
    /// # Errors
    ///
    /// As [`Service::serve`]; `Io`: there are no threads or signals.
    pub fn run(self) -> Result<()> {
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("threads", &error))?;
        runtime.block_on(async {
            let events = signals::events().map_err(|error| Error::io("signals", &error))?;
            self.serve(events).await
        })
    }

    /// Serves until [`Event::Stop`], or until `events` is closed, and returns when the messages in progress are done. A configuration that
    /// cannot be loaded on [`Event::Reload`] leaves the current one in force.
    ///
    /// # Errors
    ///
    /// `Config`: the configuration cannot be loaded. Others: a listener cannot be opened, or the keys cannot be read.
    pub async fn serve(self, events: mpsc::Receiver<Event>) -> Result<()> {
        let Service { path, home, mut environment, roles, inherited, notify } = self;
        if let Some(roles) = roles {
            let config = config::load(&path)?;
            if config.isolation != Isolation::None {
                return Supervised { path, home, roles, inherited, notify }.serve(config, events).await;
            }
        }
        let metrics = Arc::new(Metrics::default());
        let asking = Asking::default();
        let environment: MakeEnvironment = Box::new(move |config| environment(config, &asking));
        let mut builder = BackBuilder::new(environment, None, Arc::clone(&metrics));
        let mut listeners = ListenersBuilder::new(Arc::clone(&metrics));
        let load = || {
            let config = config::load(&path)?;
            let mut back = builder.build(&config, program_or_relay)?;
            let background = std::mem::take(&mut back.background);
            let (clock, random) = (Arc::clone(&back.clock), Arc::clone(&back.random));
            let health = Arc::clone(&back.health);
            let handlers = Box::new(move |listener| back.measured(listener));
            let next_hop = Box::new(program_or_relay);
            listeners.build(&config, Behind { handlers, health, next_hop, background, clock, random })
        };
        serve::serve(load, &inherited, metrics, events, notify).await
    }
}
