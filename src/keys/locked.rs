//! Secret keys that are unlocked on first use.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::Handle;
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
};

/// Secret keys at rest. Deriving a key from a passphrase is slow on purpose (RFC 9580, section 3.7), so an
/// implementation does it on the first request for a key and remembers the outcome.
pub trait Locked: Send + Sync + fmt::Debug {
    /// The secret key with the fingerprint `key`; `None` when it is missing (public part only, a stub, on a card).
    ///
    /// # Errors
    ///
    /// `NoKey` when no passphrase fits.
    fn unlock(&self, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>>;
}

/// Asks a user for a passphrase.
pub trait Ask: Send + Sync + fmt::Debug {
    /// A passphrase for `what` (`key FINGERPRINT of a@example.org`); `None` when there is no answer. `what` may contain text from certificates of
    /// unknown origin.
    fn ask(&self, what: &str) -> Result<Option<Secret>>;

    /// The answer does not fit; `left` more questions are possible.
    fn refused(&self, _left: usize) {}
}

/// Passphrases given beforehand, and optionally a way to ask for more. An answer that fits is remembered and tried on every later key; a refusal is
/// remembered too.
#[derive(Debug, Default)]
pub struct Passphrases {
    known: Mutex<Vec<Secret>>,
    ask: Mutex<Option<Box<dyn Ask>>>,
}

impl Passphrases {
    /// These, tried in order, without asking.
    pub fn new(known: Vec<Secret>) -> Self {
        Passphrases { known: Mutex::new(known), ask: Mutex::new(None) }
    }

    /// These first, then answers from `ask`, up to three for each key.
    pub fn asking(known: Vec<Secret>, ask: Box<dyn Ask>) -> Self {
        Passphrases { known: Mutex::new(known), ask: Mutex::new(Some(ask)) }
    }

    /// Each line of a passphrase file, without its line break; an empty line is none.
    pub fn of_lines(octets: &[u8]) -> Vec<Secret> {
        octets
            .split(|octet| *octet == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .map(|line| Secret::new(line.to_vec()))
            .collect()
    }

    /// The passphrases given beforehand and those that fitted so far.
    pub fn known(&self) -> Vec<Secret> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One more that is known: that of a key which was just made.
    pub fn remember(&self, passphrase: Secret) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).push(passphrase);
    }

    /// How many passphrases may be tried on one key: the known ones, and those that may be asked for.
    pub fn tries(&self) -> usize {
        self.known().len().saturating_add(ATTEMPTS)
    }

    /// The first result of `attempt`, which returns `None` when the passphrase does not fit. `None` when none fits.
    ///
    /// # Errors
    ///
    /// Those of `attempt`, and of asking.
    pub fn open<T>(&self, what: &str, mut attempt: impl FnMut(&Secret) -> Result<Option<T>>) -> Result<Option<T>> {
        for passphrase in self.known() {
            if let Some(opened) = attempt(&passphrase)? {
                return Ok(Some(opened));
            }
        }
        // Locked while a user types: two threads must not ask at once.
        let mut ask = self.ask.lock().unwrap_or_else(PoisonError::into_inner);
        for left in (0..ATTEMPTS).rev() {
            let Some(asked) = ask.as_ref() else { return Ok(None) };
            let Some(passphrase) = asked.ask(what)? else {
                *ask = None;
                return Ok(None);
            };
            if let Some(opened) = attempt(&passphrase)? {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).push(passphrase);
                return Ok(Some(opened));
            }
            asked.refused(left);
        }
        Ok(None)
    }
}

/// As often as `su`, `sudo` and GnuPG's pinentry ask.
const ATTEMPTS: usize = 3;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Typist(Vec<Option<&'static str>>, Arc<AtomicUsize>);

    impl Ask for Typist {
        fn ask(&self, _what: &str) -> Result<Option<Secret>> {
            let turn = self.1.fetch_add(1, Ordering::SeqCst);
            Ok(self.0[turn].map(Secret::from))
        }
    }

    fn fits(secret: &'static str) -> impl FnMut(&Secret) -> Result<Option<()>> {
        move |tried| Ok((tried.expose() == secret.as_bytes()).then_some(()))
    }

    #[test]
    fn an_answer_that_fits_is_asked_for_once() {
        let turns = Arc::new(AtomicUsize::new(0));
        let typist = Typist(vec![Some("wrong"), Some("right")], Arc::clone(&turns));
        let passphrases = Passphrases::asking(vec!["other".into()], Box::new(typist));
        assert_eq!(passphrases.open("key", fits("right")), Ok(Some(())));
        assert_eq!(passphrases.open("key", fits("right")), Ok(Some(())));
        assert_eq!(turns.load(Ordering::SeqCst), 2);
        assert_eq!(passphrases.known(), vec![Secret::from("other"), Secret::from("right")]);
    }

    #[test]
    fn three_wrong_answers_are_enough() {
        let turns = Arc::new(AtomicUsize::new(0));
        let typist = Typist(vec![Some("wrong"); 9], Arc::clone(&turns));
        let passphrases = Passphrases::asking(Vec::new(), Box::new(typist));
        assert_eq!(passphrases.open("key", fits("right")), Ok(None));
        assert_eq!(turns.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_refusal_is_remembered() {
        let turns = Arc::new(AtomicUsize::new(0));
        let typist = Typist(vec![None, Some("right")], Arc::clone(&turns));
        let passphrases = Passphrases::asking(Vec::new(), Box::new(typist));
        assert_eq!(passphrases.open("key", fits("right")), Ok(None));
        assert_eq!(passphrases.open("key", fits("right")), Ok(None));
        assert_eq!(turns.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn lines_lose_their_breaks_and_nothing_else() {
        let lines = Passphrases::of_lines(b" one \r\ntwo\n\nthree");
        assert_eq!(lines, vec![Secret::from(" one "), Secret::from("two"), Secret::from("three")]);
    }
}
