//! The process with the keys, as it begins: it gives up what it does not need, and serves what its supervisor tells it.

use std::{fs::File, sync::Arc, thread};

use tokio::{runtime, sync::mpsc};

use super::{
    Service,
    asking::Asking,
    back::BackBuilder,
    divided::Divided,
    environment::MakeEnvironment,
    front::inherited,
    judging::check_enforced,
    rights::rights,
    roles::{Role, Roles},
};
use crate::{
    base::{Error, Result},
    config::{self, Config, Log, Texts},
    isolation::{KeysLink, Supervised, Told, Wish, Word},
    report::{Ended, Metrics, PassedCounts},
    transport::{
        Inherited,
        serve::{Event, State},
    },
};

impl Service {
    /// Opens the home, and answers the other processes, for the service at the other end of `control` and `passing`, until it says to stop, or is gone. `begin`
    /// starts the log, and does what this process can do no more when it opens the home: starting programs.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the service says what it may not. What fails else is reported to the service.
    pub fn keys(self, control: File, passing: File, begin: impl FnOnce(&Log) -> Result<()>) -> Result<()> {
        let (mut supervised, told, sockets) = Supervised::start(control, passing)?;
        let link = supervised.link();
        let (sender, events) = mpsc::channel(1);
        let listening = thread::Builder::new().name("orders".to_owned());
        let begun = begun(&told, begin).and_then(|config| {
            let listening = listening.spawn(move || {
                while let Some(wish) = supervised.next_wish() {
                    let event = match wish {
                        Wish::Reload => Event::Reload,
                        Wish::Stop => Event::Stop,
                    };
                    if sender.blocking_send(event).is_err() {
                        return;
                    }
                }
            });
            listening.map_err(|error| Error::io("threads", &error))?;
            let runtime = runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Error::io("threads", &error))?;
            runtime.block_on(self.answer(config, told, inherited(sockets), events, link.clone()))
        });
        if let Err(error) = begun {
            link.tell(&Word::Failed(error));
        }
        Ok(())
    }

    async fn answer(
        self,
        config: Config,
        told: Told,
        inherited: Vec<Inherited>,
        events: mpsc::Receiver<Event>,
        link: KeysLink,
    ) -> Result<()> {
        let roles = match self.roles {
            Some(roles) => roles.started_by(link.clone()),
            None => Roles::by(link.clone()),
        };
        let metrics = Arc::new(Metrics::default());
        (0..told.ended).for_each(|_| metrics.process_ended(Ended::Keys));
        let asking = Asking::by(&roles, &metrics);
        let mut environment = self.environment;
        let environment: MakeEnvironment = Box::new(move |config| environment(config, &asking));
        let builder = BackBuilder::new(environment, Some(roles.clone()), Arc::clone(&metrics));
        let counts = Arc::new(PassedCounts::of(Arc::clone(&metrics)));
        let words = link.clone();
        let notify = Box::new(move |state| {
            words.tell(&match state {
                State::Ready => Word::Ready,
                State::Reloading => Word::Reloading,
                State::Stopping => Word::Stopping,
                State::Unchanged => Word::Unchanged,
            });
        });
        Divided { builder, roles, link, home: told.home, inherited, metrics, counts, notify }
            .serve(config, events)
            .await
    }
}

/// The configuration, after this process gave up everything that it does not need. It has one thread.
fn begun(told: &Told, begin: impl FnOnce(&Log) -> Result<()>) -> Result<Config> {
    let config = config::load_from(&told.path, &Texts::given(told.texts.clone()))?;
    begin(&config.log)?;
    let enforced = rights(&config, told.home.as_deref()).enter()?;
    check_enforced(Role::Keys, enforced, config.isolation)?;
    Ok(config)
}
