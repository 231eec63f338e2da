//! Asks for the passphrases that open keys.

use std::sync::{Mutex, PoisonError};

use postseal::{
    base::{Result, Secret},
    keys::Ask,
    report::printable,
};

use super::{ask, show::always};

/// Asks at the terminal for what opens a key.
#[derive(Debug)]
pub(crate) struct Prompt;

impl Ask for Prompt {
    fn ask(&self, what: &str) -> Result<Option<Secret>> {
        // Where nobody answers, the key stays locked.
        Ok(ask::secret(&format!("passphrase for {}{}: ", printable(what), purpose())).unwrap_or_default())
    }

    fn refused(&self, left: usize) {
        always(&refusal(left));
    }
}

/// What is said of a passphrase that does not fit.
pub(crate) fn refusal(left: usize) -> String {
    let tries = match left {
        0 => "no tries left".to_owned(),
        1 => "1 try left".to_owned(),
        left => format!("{left} tries left"),
    };
    format!("wrong passphrase, {tries}\n")
}

/// Says in later prompts what the key is needed for: `to sign m.eml`.
pub(crate) fn is_for(what: &str) {
    *PURPOSE.lock().unwrap_or_else(PoisonError::into_inner) = format!(", {}", printable(what));
}

fn purpose() -> String {
    PURPOSE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

static PURPOSE: Mutex<String> = Mutex::new(String::new());
