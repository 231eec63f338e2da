//! The process with the keys: it starts the one with the sockets, and answers it.

use std::{
    io,
    os::fd::AsFd,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{sleep_until, timeout},
};

use super::{
    back::{Back, BackBuilder},
    listeners::KINDS,
    next_hop::Elsewhere,
    roles::{Role, Roles},
};
use crate::{
    base::{Error, Result},
    config::{self, Config},
    isolation::{
        Backend, Backends, Family, FrontProcess, HandOver, HealthAnswer, HealthQuestion, Heard, Loaded, Mailer,
        PassedSocket, Report,
    },
    mail::Mail,
    report::{Ended, Metrics},
    transport::{
        Health, Inherited, ListeningSocket, NextHop,
        serve::{Background, DRAIN, Event, State},
    },
};

/// A service whose sockets are in another process.
pub(super) struct Divided {
    pub(super) builder: BackBuilder,
    pub(super) roles: Roles,
    pub(super) inherited: Vec<Inherited>,
    pub(super) metrics: Arc<Metrics>,
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
        let mut front = Some(self.start(&current.loaded, &backends, &hear)?);
        match heard.recv().await {
            Some(Heard::Report(Report::Serving)) => current.begin(),
            Some(Heard::Report(Report::Failed(error))) => return Err(error),
            Some(Heard::Ended(status)) => {
                return Err(Error::unavailable(format!("the front ended ({})", how(&status))));
            }
            _ => return Err(Error::unavailable("the front does not start")),
        }
        (self.notify)(State::Ready);
        let (mut next, mut started) = (None::<Load>, Instant::now());
        let (mut pause, mut again) = (LEAST_PAUSE, None::<Instant>);
        let mut number = 1;
        loop {
            tokio::select! {
                event = events.recv(), if next.is_none() => match event {
                    Some(Event::Reload) => {
                        (self.notify)(State::Reloading);
                        number += 1;
                        let loaded = config::load(&self.path(&current))
                            .and_then(|config| self.load(number, &config, &backends));
                        match (loaded, &mut front) {
                            (Ok(load), Some(front)) => {
                                front.load(load.loaded.clone());
                                next = Some(load);
                            }
                            // The next front begins with it.
                            (Ok(load), None) => {
                                current = load;
                                current.begin();
                                backends.keep(number);
                                (self.notify)(State::Ready);
                            }
                            (Err(error), _) => {
                                self.metrics.reload_failed();
                                tracing::error!(
                                    event = "configuration-rejected",
                                    %error,
                                    hint = error.hint().map(tracing::field::display)
                                );
                                (self.notify)(State::Ready);
                            }
                        }
                    }
                    Some(Event::Stop) | None => break,
                },
                said = heard.recv() => match said {
                    Some(Heard::Report(Report::Serving)) => {
                        if let Some(load) = next.take() {
                            current = load;
                            current.begin();
                        }
                        (self.notify)(State::Ready);
                    }
                    Some(Heard::Report(Report::Kept)) => {
                        if let Some(load) = next.take() {
                            backends.remove(load.loaded.number);
                        }
                        (self.notify)(State::Ready);
                    }
                    Some(Heard::Report(Report::Left(number))) => {
                        if number != current.loaded.number && next.as_ref().is_none_or(|next| next.loaded.number != number) {
                            backends.remove(number);
                        }
                    }
                    Some(Heard::Report(Report::Failed(error))) => {
                        tracing::error!(event = "front-failed", %error);
                    }
                    Some(Heard::Ended(status)) => {
                        tracing::error!(event = "front-ended", how = how(&status));
                        self.metrics.process_ended(Ended::Front);
                        front = None;
                        if next.take().is_some() {
                            (self.notify)(State::Ready);
                        }
                        backends.keep(current.loaded.number);
                        // One that ends again and again is not started without a pause.
                        pause = if started.elapsed() < LONG { (pause * 2).min(MOST_PAUSE) } else { LEAST_PAUSE };
                        again = Some(Instant::now() + pause);
                    }
                    None => break,
                },
                () = sleep_until(again.unwrap_or_else(Instant::now).into()), if again.is_some() => {
                    started = Instant::now();
                    match self.start(&current.loaded, &backends, &hear) {
                        Ok(process) => (front, again) = (Some(process), None),
                        Err(error) => {
                            tracing::error!(event = "front-failed", %error);
                            pause = (pause * 2).min(MOST_PAUSE);
                            again = Some(Instant::now() + pause);
                        }
                    }
                }
            }
        }
        (self.notify)(State::Stopping);
        if let Some(front) = &mut front {
            front.stop();
            let ended = async { while !matches!(heard.recv().await, None | Some(Heard::Ended(_))) {} };
            if timeout(DRAIN + LONG, ended).await.is_err() {
                tracing::warn!(event = "front-failed", error = "it does not stop");
            }
        }
        Ok(())
    }

    fn path(&self, current: &Load) -> std::path::PathBuf {
        current.loaded.path.clone()
    }

    /// Opens the keys of a configuration, and answers about it.
    fn load(&mut self, number: u64, config: &Config, backends: &Backends) -> Result<Load> {
        let mailer = Arc::new(Mailer::default());
        let next_hop = |config: &Config, _: &_| {
            let mailer = Arc::clone(&mailer);
            Ok(match config.sendmail_program()? {
                Some(program) => Box::new(program.clone()) as Box<dyn NextHop>,
                None => Box::new(Elsewhere(Arc::new(move |mail| mailer.send(mail)))),
            })
        };
        let mut back = self.builder.build(config, next_hop)?;
        let background = std::mem::take(&mut back.background);
        backends.add(number, self.backend(back, config, mailer)?);
        let loaded = Loaded { number, path: config.path.clone(), texts: config.texts.all() };
        Ok(Load { loaded, background, tasks: Vec::new() })
    }

    fn backend(&self, back: Back, config: &Config, mailer: Arc<Mailer>) -> Result<Backend> {
        let roles = self.roles.clone();
        let health = Arc::clone(&back.health);
        let program = config.sendmail_program()?.cloned();
        Ok(Backend {
            handlers: KINDS.into_iter().map(|kind| (kind, back.measured(kind))).collect(),
            lists: back.lists,
            limits: config.bounds.message.clone(),
            health: Box::new(move |question| answer(&*health, question)),
            metrics: Arc::clone(&self.metrics),
            context: Arc::new(move |context| roles.enter(context)),
            program: program.map(|program| Box::new(move |mail: &Mail| program.hand_over(mail)) as HandOver),
            mailer,
        })
    }

    fn start(&self, loaded: &Loaded, backends: &Backends, hear: &mpsc::UnboundedSender<Heard>) -> Result<FrontProcess> {
        let sockets: Vec<PassedSocket<'_>> = self.inherited.iter().map(passed).collect();
        let hear = hear.clone();
        // The service may have ended.
        let hear = move |heard| drop(hear.send(heard));
        FrontProcess::start(self.roles.command(Role::Front), loaded.clone(), &sockets, backends, hear)
    }
}

fn passed(inherited: &Inherited) -> PassedSocket<'_> {
    let (family, socket) = match &inherited.listener {
        ListeningSocket::Tcp(socket) => (Family::Tcp, socket.as_fd()),
        ListeningSocket::Unix(socket) => (Family::Unix, socket.as_fd()),
    };
    (inherited.name.clone(), family, socket)
}

fn answer(health: &dyn Health, question: HealthQuestion) -> HealthAnswer {
    match question {
        HealthQuestion::ClockSkew => HealthAnswer::ClockSkew(health.clock_skew()),
        HealthQuestion::Endings => HealthAnswer::Endings(health.endings()),
        HealthQuestion::Keys => HealthAnswer::Keys(health.keys()),
        HealthQuestion::Ready => HealthAnswer::Ready(health.ready()),
    }
}

fn how(status: &io::Result<ExitStatus>) -> String {
    status.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}

/// Before a front is started again.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// A front that served for so long did not end because of its configuration.
const LONG: Duration = Duration::from_secs(10);
