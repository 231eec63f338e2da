//! The slots of a module, by a thread that can be given up.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use cryptoki::{context::Pkcs11, slot::Slot};

use super::failure::Failure;

/// Asks a module for its slots. A module without any may never answer: the client of p11-kit says of an empty list that it needs more room, and cryptoki then
/// asks again, without end, until the module is ended.
#[derive(Default)]
pub(super) struct Slots {
    /// When the last list was given up. Held while one is waited for: the others wait for the same.
    given_up: Mutex<Option<Instant>>,
    asked: Arc<Asked>,
}

/// Whether a list is still to come.
#[derive(Default)]
struct Asked {
    is_asked: Mutex<bool>,
    answered: Condvar,
}

impl Slots {
    /// The slots with tokens.
    ///
    /// # Errors
    ///
    /// `Lost` when the module does not say them in time. For a while after that, at once.
    pub(super) fn list(&self, context: &Pkcs11) -> Result<Vec<Slot>, Failure> {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = given_up.is_some_and(|at| at.elapsed() < AGAIN);
        if is_fresh || std::mem::replace(&mut *self.asked.lock(), true) {
            return Err(silent());
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (context, asked) = (context.clone(), Arc::clone(&self.asked));
        let started = thread::Builder::new().name("tokens".to_owned()).spawn(move || {
            let slots = context.get_slots_with_token();
            *asked.lock() = false;
            asked.answered.notify_all();
            // Nobody may wait any more.
            let _ = sender.send(slots);
        });
        if let Err(error) = started {
            *self.asked.lock() = false;
            return Err(Failure::Lost(error.to_string().to_lowercase()));
        }
        match receiver.recv_timeout(PATIENCE) {
            Ok(slots) => slots.map_err(|failed| Failure::before(&failed)),
            Err(_) => {
                *given_up = Some(Instant::now());
                Err(silent())
            }
        }
    }

    /// Whether a list is still to come.
    pub(super) fn is_asked(&self) -> bool {
        *self.asked.lock()
    }

    /// Waits a little for a list that is still to come: the module has ended, which ends the question.
    pub(super) fn wait(&self) {
        let asked = self.asked.lock();
        let _ended = self.asked.answered.wait_timeout_while(asked, ENDING, |is_asked| *is_asked);
    }
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent() -> Failure {
    Failure::Lost("it does not say which tokens there are".to_owned())
}

/// How long a list may take. Source: readers of smart cards, and modules that ask over a network, answer within a second; and `/readyz` has three for all of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a module that did not answer is not asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between the end of a module and that of a question to it.
const ENDING: Duration = Duration::from_secs(1);
