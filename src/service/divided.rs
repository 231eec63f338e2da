//! The process with the keys: it starts the one with the sockets, and answers it.

use std::{io, path::PathBuf, process::ExitStatus, sync::Arc, time::Instant};

use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{sleep_until, timeout},
};

use super::{
    back::{Back, BackBuilder},
    listeners::KINDS,
    next_hop::Elsewhere,
    restarts::{LONG, Restarts},
    roles::{Role, Roles},
    supervisor::{how, passed},
};
use crate::{
    base::{Error, Result},
    config::{self, Config},
    isolation::{
        Backend, Backends, FrontProcess, HandOver, HealthAnswer, HealthQuestion, Heard, KeysLink, Loaded, Mailer,
        PassedSocket, Report,
    },
    mail::Mail,
    report::{Ended, Metrics, PassedCounts},
    transport::{
        Health, Inherited, NextHop,
        sendmail::Program,
        serve::{Background, DRAIN, Event, State},
    },
};

/// A service whose sockets are in another process.
pub(super) struct Divided {
    pub(super) builder: BackBuilder,
    pub(super) roles: Roles,
    /// Its supervisor, which starts the program that takes mail.
    pub(super) link: KeysLink,
    /// The home that takes the place of that of the configuration.
    pub(super) home: Option<PathBuf>,
    pub(super) inherited: Vec<Inherited>,
    pub(super) metrics: Arc<Metrics>,
    /// What they count, on its way to the front.
    pub(super) counts: Arc<PassedCounts>,
    pub(super) notify: Box<dyn Fn(State) + Send>,
}

/// A configuration that the front has, or is to have.
struct Load {
    loaded: Loaded,
    /// What is done beside serving mail, before it is begun.
    background: Vec<Background>,
    tasks: Vec<AbortHandle>,
}

impl Load {
    /// From now on it is in force.
    fn begin(&mut self) {
        self.tasks = self.background.drain(..).map(|task| tokio::spawn(task).abort_handle()).collect();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A service that serves.
struct Serving {
    service: Divided,
    backends: Backends,
    hear: mpsc::UnboundedSender<Heard>,
    /// The configuration in force.
    current: Load,
    /// That which the front was told to load.
    next: Option<Load>,
    /// The number of the last load.
    number: u64,
    front: Option<FrontProcess>,
    restarts: Restarts,
}

impl Divided {
    /// Serves until [`Event::Stop`], or until `events` is closed.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used at the start.
    pub(super) async fn serve(mut self, config: Config, mut events: mpsc::Receiver<Event>) -> Result<()> {
        let backends = Backends::default();
        let (hear, mut heard) = mpsc::unbounded_channel();
        let mut current = self.load(1, &config, &backends)?;
        let front = Some(self.start(&current.loaded, &backends, &hear)?);
        loop {
            match heard.recv().await {
                Some(Heard::Report(Report::Serving(_))) => break,
                Some(Heard::Report(Report::Failed(error))) => return Err(error),
                // The configuration that it could not serve.
                Some(Heard::Report(Report::Kept(_) | Report::Left(_))) => {}
                Some(Heard::Ended(status)) => {
                    return Err(Error::unavailable(format!("the front ended ({})", how(&status))));
                }
                None => return Err(Error::unavailable("the front does not start")),
            }
        }
        current.begin();
        (self.notify)(State::Ready);
        let restarts = Restarts::begin();
        let mut serving = Serving { service: self, backends, hear, current, next: None, number: 1, front, restarts };
        loop {
            let again = serving.restarts.again();
            tokio::select! {
                // One reload at a time.
                event = events.recv(), if serving.next.is_none() => match event {
                    Some(Event::Reload) => serving.reload(),
                    Some(Event::Stop) | None => break,
                },
                said = heard.recv() => match said {
                    Some(Heard::Report(report)) => serving.report(report),
                    Some(Heard::Ended(status)) => serving.ended(&status),
                    None => break,
                },
                () = sleep_until(again.unwrap_or_else(Instant::now).into()), if again.is_some() => serving.start_again(),
            }
        }
        serving.stop(heard).await;
        Ok(())
    }

    /// Opens the keys of a configuration, and answers about it.
    fn load(&mut self, number: u64, config: &Config, backends: &Backends) -> Result<Load> {
        let mailer = Arc::new(Mailer::default());
        let link = self.link.clone();
        let next_hop = |config: &Config, _: &_| {
            let mailer = Arc::clone(&mailer);
            Ok(Box::new(match config.sendmail_program()?.map(|program| handing_over(program, &link)) {
                Some(program) => Elsewhere(program.into()),
                None => Elsewhere(Arc::new(move |mail| mailer.send(mail))),
            }) as Box<dyn NextHop>)
        };
        let mut back = self.builder.build(config, next_hop)?;
        let background = std::mem::take(&mut back.background);
        backends.add(number, self.backend(back, config, mailer)?);
        let home = self.home.clone();
        let loaded = Loaded { number, path: config.path.clone(), texts: config.texts.all(), home };
        Ok(Load { loaded, background, tasks: Vec::new() })
    }

    fn backend(&self, back: Back, config: &Config, mailer: Arc<Mailer>) -> Result<Backend> {
        let roles = self.roles.clone();
        let health = Arc::clone(&back.health);
        let program = config.sendmail_program()?;
        Ok(Backend {
            handlers: KINDS.into_iter().map(|kind| (kind, back.measured(kind))).collect(),
            lists: back.lists,
            limits: config.bounds.message.clone(),
            recipients: config.bounds.recipients,
            health: Box::new(move |question| answer(&*health, question)),
            counts: Arc::clone(&self.counts),
            context: Arc::new(move |context| roles.enter(context)),
            program: program.map(|program| handing_over(program, &self.link)),
            mailer,
            posted: Default::default(),
        })
    }

    fn start(&self, loaded: &Loaded, backends: &Backends, hear: &mpsc::UnboundedSender<Heard>) -> Result<FrontProcess> {
        let sockets: Vec<PassedSocket<'_>> = self.inherited.iter().map(passed).collect();
        let hear = hear.clone();
        // The service may have ended.
        let hear = move |heard| drop(hear.send(heard));
        FrontProcess::start(|ends| self.roles.start(Role::Front, ends), loaded.clone(), &sockets, backends, hear)
    }
}

impl Serving {
    /// Loads the configuration again, and has the front load it.
    fn reload(&mut self) {
        (self.service.notify)(State::Reloading);
        self.number += 1;
        let loaded = config::load(&self.current.loaded.path)
            .and_then(|config| self.service.load(self.number, &config, &self.backends));
        match (loaded, &mut self.front) {
            (Ok(load), Some(front)) => {
                front.load(load.loaded.clone());
                self.next = Some(load);
            }
            // The next front begins with it.
            (Ok(load), None) => self.take(load),
            (Err(error), _) => {
                self.service.metrics.reload_failed();
                let hint = error.hint().map(tracing::field::display);
                tracing::error!(event = "configuration-rejected", %error, hint);
                (self.service.notify)(State::Unchanged);
            }
        }
    }

    /// From now on this configuration is in force.
    fn take(&mut self, load: Load) {
        self.current = load;
        self.current.begin();
        (self.service.notify)(State::Ready);
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Serving(number) => match self.next.take_if(|next| next.loaded.number == number) {
                Some(load) => self.take(load),
                None => tracing::info!(event = "front-started"),
            },
            Report::Kept(number) if self.is_next(number) => self.discard(),
            Report::Kept(_) => {}
            Report::Left(number) => {
                if number != self.current.loaded.number && !self.is_next(number) {
                    self.backends.remove(number);
                }
            }
            Report::Failed(error) => tracing::error!(event = "front-failed", %error),
        }
    }

    /// Whether the front was told to load this one.
    fn is_next(&self, number: u64) -> bool {
        self.next.as_ref().is_some_and(|next| next.loaded.number == number)
    }

    /// The configuration in force stays so, if another was to be loaded.
    fn discard(&mut self) {
        if let Some(load) = self.next.take() {
            self.backends.remove(load.loaded.number);
            (self.service.notify)(State::Unchanged);
        }
    }

    fn ended(&mut self, status: &io::Result<ExitStatus>) {
        tracing::error!(event = "front-ended", how = how(status));
        self.service.metrics.process_ended(Ended::Front);
        self.service.counts.begin_anew();
        self.front = None;
        self.discard();
        self.backends.keep(self.current.loaded.number);
        self.restarts.ended();
    }

    fn start_again(&mut self) {
        self.restarts.started();
        match self.service.start(&self.current.loaded, &self.backends, &self.hear) {
            Ok(front) => self.front = Some(front),
            Err(error) => {
                tracing::error!(event = "front-failed", %error);
                self.restarts.ended();
            }
        }
    }

    /// Waits until the front has done the messages in progress.
    async fn stop(mut self, mut heard: mpsc::UnboundedReceiver<Heard>) {
        (self.service.notify)(State::Stopping);
        let Some(front) = &mut self.front else { return };
        front.stop();
        let ended = async { while !matches!(heard.recv().await, None | Some(Heard::Ended(_))) {} };
        if timeout(DRAIN + LONG, ended).await.is_err() {
            tracing::error!(event = "front-failed", error = "it does not stop");
        }
    }
}

/// Hands mail over to a program, which the supervisor starts.
fn handing_over(program: &Program, link: &KeysLink) -> HandOver {
    let (program, link) = (program.clone(), link.clone());
    Box::new(move |mail: &Mail| program.hand_over_by(mail, |envelope, octets| link.run_program(envelope, octets)))
}

fn answer(health: &dyn Health, question: HealthQuestion) -> HealthAnswer {
    match question {
        HealthQuestion::ClockSkew => HealthAnswer::ClockSkew(health.clock_skew()),
        HealthQuestion::Endings => HealthAnswer::Endings(health.endings()),
        HealthQuestion::Keys => HealthAnswer::Keys(health.keys()),
        HealthQuestion::Ready => HealthAnswer::Ready(health.ready()),
    }
}
