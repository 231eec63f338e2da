//! `postseal serve`: it starts the process with the keys, and for it the others, and starts it again when it ends. It reads no mail and opens no home.

use std::{
    io,
    os::fd::AsFd,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};

use super::{
    restarts::{LONG, Restarts},
    rights::rights,
    roles::{Role, Roles},
};
use crate::{
    base::{Error, Result},
    config::{self, Config, Texts},
    isolation::{Family, HeardOfKeys, KeysProcess, PassedSocket, Startable, Told, Word},
    sandbox::Sandbox,
    transport::{
        Inherited, ListeningSocket,
        sendmail::Program,
        serve::{DRAIN, Event, State},
    },
};

/// A service whose keys are in another process.
pub(super) struct Supervised {
    pub(super) path: PathBuf,
    /// The home that takes the place of that of the configuration.
    pub(super) home: Option<PathBuf>,
    pub(super) roles: Roles,
    pub(super) inherited: Vec<Inherited>,
    pub(super) notify: Box<dyn Fn(State) + Send>,
}

/// A configuration, and what it takes.
struct Given {
    texts: Texts,
    rights: Sandbox,
    program: Option<Program>,
}

/// What is awaited of the process with the keys.
enum Awaited {
    /// It loads this configuration.
    Loaded(Given),
    /// It ends, and another one takes its place with this configuration.
    Ended(Given),
    /// It took the place of one with this configuration, and serves, or ends: then that is taken again.
    Served(Given),
    /// It says that it cannot serve, and ends. This configuration is taken again.
    Failed(Given),
    /// It was started again, and serves.
    ServedAgain,
}

/// A service that serves.
struct Serving {
    service: Supervised,
    hear: mpsc::UnboundedSender<HeardOfKeys>,
    /// The configuration in force.
    current: Given,
    /// What the process with the keys has kept.
    kept: Sandbox,
    /// The program that takes mail.
    program: Arc<Mutex<Option<Program>>>,
    awaited: Option<Awaited>,
    /// Whether a reload waits for that.
    is_to_reload: bool,
    keys: Option<KeysProcess>,
    /// How many ended before their time.
    ended: u64,
    restarts: Restarts,
}

impl Supervised {
    /// Serves until [`Event::Stop`], or until `events` is closed.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used at the start.
    pub(super) async fn serve(self, config: Config, mut events: mpsc::Receiver<Event>) -> Result<()> {
        let (hear, mut heard) = mpsc::unbounded_channel();
        let current = self.given(&config);
        let mut serving = Serving {
            kept: current.rights.clone(),
            program: Arc::default(),
            service: self,
            hear,
            current,
            awaited: None,
            is_to_reload: false,
            keys: None,
            ended: 0,
            restarts: Restarts::begin(),
        };
        serving.start()?;
        loop {
            match heard.recv().await {
                Some(HeardOfKeys::Word(Word::Failed(error))) => return Err(error),
                Some(HeardOfKeys::Word(Word::Ready)) => break,
                Some(HeardOfKeys::Word(Word::Reloading | Word::Stopping | Word::Unchanged)) => {}
                Some(HeardOfKeys::Ended(status)) => {
                    return Err(Error::unavailable(format!("the process with the keys ended ({})", how(&status))));
                }
                None => return Err(Error::unavailable("the process with the keys does not start")),
            }
        }
        (serving.service.notify)(State::Ready);
        loop {
            let again = serving.restarts.again();
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Reload) => serving.is_to_reload = true,
                    Some(Event::Stop) | None => break,
                },
                said = heard.recv() => match said {
                    Some(HeardOfKeys::Word(word)) => serving.word(word),
                    Some(HeardOfKeys::Ended(status)) => serving.ended(&status),
                    None => break,
                },
                () = sleep_until(again.unwrap_or_else(Instant::now).into()), if again.is_some() => serving.start_again(),
            }
            // One change at a time. What is started again may never serve with the configuration that there is.
            if serving.is_to_reload && matches!(serving.awaited, None | Some(Awaited::ServedAgain)) {
                serving.is_to_reload = false;
                serving.reload();
            }
        }
        serving.stop(heard).await;
        Ok(())
    }

    fn given(&self, config: &Config) -> Given {
        // One that cannot be used is an error of the process with the keys.
        let program = config.sendmail_program().ok().flatten().cloned();
        Given { texts: config.texts.clone(), rights: rights(config, self.home.as_deref()), program }
    }
}

impl Serving {
    /// Starts the process with the keys, with the configuration in force.
    fn start(&mut self) -> Result<()> {
        self.restarts.started();
        self.kept = self.current.rights.clone();
        self.set_program();
        let told = Told {
            path: self.service.path.clone(),
            texts: self.current.texts.all(),
            home: self.service.home.clone(),
            ended: self.ended,
        };
        let sockets: Vec<PassedSocket<'_>> = self.service.inherited.iter().map(passed).collect();
        let (roles, program) = (self.service.roles.clone(), Arc::clone(&self.program));
        let startable = Startable {
            process: Box::new(move |what| roles.command(Role::of_number(*what)?)),
            program: Box::new(move |envelope| {
                let program = program.lock().unwrap_or_else(PoisonError::into_inner);
                program.as_ref().map(|program| program.command(envelope))
            }),
        };
        let hear = self.hear.clone();
        // The service may have ended.
        let hear = move |heard| drop(hear.send(heard));
        let command = self.service.roles.command(Role::Keys);
        let command = command.ok_or_else(|| Error::unavailable("the process with the keys: nothing starts it"))?;
        self.keys = Some(KeysProcess::start(command, told, &sockets, Arc::new(startable), hear)?);
        Ok(())
    }

    fn set_program(&self) {
        self.program.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.current.program);
    }

    /// Has the configuration loaded again. A process that would need more than it kept is replaced.
    fn reload(&mut self) {
        let given = config::load(&self.service.path).map(|config| self.service.given(&config));
        let Some(keys) = &mut self.keys else {
            match given {
                // The next one begins with it.
                Ok(given) => self.current = given,
                Err(error) => rejected(&error),
            }
            return;
        };
        match given {
            Ok(given) if self.awaited.is_some() || !self.kept.covers(&given.rights) => {
                tracing::info!(event = "keys-replaced");
                (self.service.notify)(State::Reloading);
                self.awaited = Some(Awaited::Ended(given));
                keys.stop();
            }
            Ok(given) => {
                self.awaited = Some(Awaited::Loaded(given));
                keys.reload();
            }
            // It says what is wrong, and counts it.
            Err(_) => keys.reload(),
        }
    }

    fn word(&mut self, word: Word) {
        match (word, self.awaited.take()) {
            (Word::Failed(error), Some(Awaited::Served(before))) => {
                rejected(&error);
                self.awaited = Some(Awaited::Failed(before));
            }
            (Word::Failed(error), awaited) => {
                let hint = error.hint().map(tracing::field::display);
                tracing::error!(event = "keys-failed", %error, hint);
                self.awaited = awaited;
            }
            (Word::Ready, awaited) => {
                match awaited {
                    Some(Awaited::Loaded(given)) => {
                        self.current = given;
                        self.set_program();
                    }
                    Some(Awaited::ServedAgain) => tracing::info!(event = "keys-started"),
                    // It is told to stop by now.
                    Some(awaited @ Awaited::Ended(_)) => {
                        self.awaited = Some(awaited);
                        return;
                    }
                    Some(Awaited::Served(_)) => tracing::info!(event = "configuration-loaded"),
                    Some(Awaited::Failed(_)) | None => {}
                }
                (self.service.notify)(State::Ready);
            }
            (Word::Reloading, awaited) => {
                self.awaited = awaited;
                (self.service.notify)(State::Reloading);
            }
            (Word::Unchanged, awaited) => {
                self.awaited = awaited.filter(|awaited| !matches!(awaited, Awaited::Loaded(_)));
                (self.service.notify)(State::Unchanged);
            }
            (Word::Stopping, awaited) => self.awaited = awaited,
        }
    }

    fn ended(&mut self, status: &io::Result<ExitStatus>) {
        self.keys = None;
        match self.awaited.take() {
            Some(Awaited::Ended(next)) => {
                let before = std::mem::replace(&mut self.current, next);
                self.awaited = Some(Awaited::Served(before));
                return self.start_again();
            }
            Some(Awaited::Failed(before)) => {
                self.current = before;
                (self.service.notify)(State::Unchanged);
                return self.start_again();
            }
            Some(Awaited::Served(before)) => {
                self.current = before;
                (self.service.notify)(State::Unchanged);
            }
            // It may be what ended it.
            Some(Awaited::Loaded(_)) => (self.service.notify)(State::Unchanged),
            Some(Awaited::ServedAgain) | None => {}
        }
        tracing::error!(event = "keys-ended", how = how(status));
        self.ended += 1;
        self.restarts.ended();
    }

    fn start_again(&mut self) {
        match self.start() {
            Ok(()) => {
                self.awaited.get_or_insert(Awaited::ServedAgain);
            }
            Err(error) => {
                tracing::error!(event = "keys-failed", %error);
                self.restarts.ended();
            }
        }
    }

    /// Waits until the messages in progress are done.
    async fn stop(mut self, mut heard: mpsc::UnboundedReceiver<HeardOfKeys>) {
        (self.service.notify)(State::Stopping);
        let Some(keys) = &mut self.keys else { return };
        keys.stop();
        let ended = async { while !matches!(heard.recv().await, None | Some(HeardOfKeys::Ended(_))) {} };
        if timeout(DRAIN + 2 * LONG, ended).await.is_err() {
            tracing::error!(event = "keys-failed", error = "it does not stop");
        }
    }
}

fn rejected(error: &Error) {
    let hint = error.hint().map(tracing::field::display);
    tracing::error!(event = "configuration-rejected", %error, hint);
}

/// A socket for another process.
pub(super) fn passed(inherited: &Inherited) -> PassedSocket<'_> {
    let (family, socket) = match &inherited.listener {
        ListeningSocket::Tcp(socket) => (Family::Tcp, socket.as_fd()),
        ListeningSocket::Unix(socket) => (Family::Unix, socket.as_fd()),
    };
    (inherited.name.clone(), family, socket)
}

/// How a process ended.
pub(super) fn how(status: &io::Result<ExitStatus>) -> String {
    status.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}
