//! Keys of a module that may hang: an operation has a limit, and nobody waits for a module that left another one without an answer.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::failure::gone;
use crate::{
    base::{Error, Result, Secret},
    crypto::{KeyAlgorithm, Scheme, SecretKey, Unwrap},
};

/// How many operations of a module were given up and are still running.
pub(super) type GivenUp = Arc<AtomicUsize>;

/// A key whose operations run in threads of their own.
pub(super) struct LimitedKey {
    key: Arc<dyn SecretKey>,
    /// The name of the key, for errors.
    title: String,
    limit: Duration,
    given_up: GivenUp,
}

/// Where the answer of a thread is put.
struct Answer<T> {
    state: Mutex<State<T>>,
    answered: Condvar,
}

enum State<T> {
    Waiting,
    Answered(Result<T>),
    /// Nobody waits any more.
    GivenUp,
}

impl LimitedKey {
    pub(super) fn new(key: Arc<dyn SecretKey>, title: String, limit: Duration, given_up: GivenUp) -> LimitedKey {
        LimitedKey { key, title, limit, given_up }
    }

    fn run<T: Send + 'static>(&self, work: impl FnOnce(&dyn SecretKey) -> Result<T> + Send + 'static) -> Result<T> {
        if self.given_up.load(Ordering::SeqCst) > 0 {
            return Err(gone(&self.title, "its module does not answer"));
        }
        let answer = Arc::new(Answer { state: Mutex::new(State::Waiting), answered: Condvar::new() });
        let (key, given_up, theirs) = (Arc::clone(&self.key), Arc::clone(&self.given_up), Arc::clone(&answer));
        let thread = thread::Builder::new().name("token".to_owned()).spawn(move || {
            let done = work(&*key);
            let mut state = theirs.lock();
            if matches!(*state, State::GivenUp) {
                given_up.fetch_sub(1, Ordering::SeqCst);
            } else {
                *state = State::Answered(done);
                theirs.answered.notify_all();
            }
        });
        thread.map_err(|error| Error::io("a thread for a token", &error))?;
        let waiting = |state: &mut State<T>| matches!(state, State::Waiting);
        let waited = answer.answered.wait_timeout_while(answer.lock(), self.limit, waiting);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match std::mem::replace(&mut *state, State::GivenUp) {
            State::Answered(done) => done,
            State::Waiting | State::GivenUp => {
                self.given_up.fetch_add(1, Ordering::SeqCst);
                Err(gone(&self.title, &format!("no answer within {} seconds", self.limit.as_secs())))
            }
        }
    }
}

impl<T> Answer<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretKey for LimitedKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.key.algorithm()
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        let digest = digest.to_vec();
        self.run(move |key| key.sign(scheme, &digest))
    }

    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret> {
        let wrapped = wrapped.to_vec();
        match unwrap {
            Unwrap::RsaOaep { hash, mgf, label } => {
                let label = label.to_vec();
                self.run(move |key| key.decrypt(Unwrap::RsaOaep { hash, mgf, label: &label }, &wrapped))
            }
            Unwrap::RsaPkcs1 => self.run(move |key| key.decrypt(Unwrap::RsaPkcs1, &wrapped)),
        }
    }

    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let peer = peer.to_vec();
        self.run(move |key| key.agree(&peer))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        let ciphertext = ciphertext.to_vec();
        self.run(move |key| key.decapsulate(&ciphertext))
    }
}

impl fmt::Debug for LimitedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;
    use crate::base::Kind;

    /// A key that signs when it is let go on.
    #[derive(Debug)]
    struct Hanging(Mutex<mpsc::Receiver<()>>);

    impl SecretKey for Hanging {
        fn algorithm(&self) -> KeyAlgorithm {
            KeyAlgorithm::Ed25519
        }

        fn sign(&self, _: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
            self.0.lock().unwrap().recv().unwrap();
            Ok(digest.to_vec())
        }

        fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> Result<Secret> {
            Err(self.algorithm().refuses("decrypt"))
        }

        fn agree(&self, _: &[u8]) -> Result<Secret> {
            Err(self.algorithm().refuses("agree"))
        }
    }

    #[test]
    fn a_module_that_hangs_is_waited_for_once() {
        let (go_on, wait) = mpsc::channel();
        let given_up = GivenUp::default();
        let key = |limit| {
            let (_, nothing) = mpsc::channel();
            let hanging = Arc::new(Hanging(Mutex::new(nothing)));
            LimitedKey::new(hanging, "token mail".to_owned(), limit, Arc::clone(&given_up))
        };
        let hanging = Arc::new(Hanging(Mutex::new(wait)));
        let limit = Duration::from_millis(50);
        let first = LimitedKey::new(hanging, "token mail".to_owned(), limit, Arc::clone(&given_up));
        go_on.send(()).unwrap();
        assert_eq!(first.sign(Scheme::EdDsa, b"one"), Ok(b"one".to_vec()));
        // A refusal is no silence.
        let refused = first.agree(b"").unwrap_err();
        assert!(!refused.is_of_machine(), "{refused}");

        let error = first.sign(Scheme::EdDsa, b"two").unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain);
        assert!(error.to_string().contains("token mail: cannot be reached: no answer within"), "{error}");
        // Another key of the same module is not asked at all.
        let begin = Instant::now();
        let error = key(Duration::from_secs(60)).sign(Scheme::EdDsa, b"three").unwrap_err();
        assert!(error.is_of_machine() && begin.elapsed() < Duration::from_secs(10), "{error}");

        // It answers at last.
        go_on.send(()).unwrap();
        while given_up.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        go_on.send(()).unwrap();
        assert_eq!(first.sign(Scheme::EdDsa, b"four"), Ok(b"four".to_vec()));
    }
}
