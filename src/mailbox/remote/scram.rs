//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: the password does not go to the server, and the server shows that it knows it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use icu_normalizer::ComposingNormalizer;
use subtle::ConstantTimeEq;

use super::Access;
use crate::{
    base::{Error, Result, Secret},
    crypto::{Hash, hmac, pbkdf2},
};

/// One login.
pub(super) struct Scram {
    /// `n=user,r=nonce`.
    first_bare: String,
    nonce: String,
    password: Secret,
    max_iterations: u32,
    state: State,
}

enum State {
    First,
    /// The signature that the server has to show.
    Proved(Vec<u8>),
    Verified,
}

impl Scram {
    /// A login with a fresh nonce.
    ///
    /// # Errors
    ///
    /// `Unavailable`: there is no randomness. `Usage`: the name or the password has control characters.
    pub(super) fn new(user: &str, password: Secret, access: &Access) -> Result<Scram> {
        let mut random = [0; 18];
        access.random.fill(&mut random)?;
        Self::with_nonce(user, password, STANDARD.encode(random), access.limits.kdf_iterations)
    }

    fn with_nonce(user: &str, password: Secret, nonce: String, max_iterations: u32) -> Result<Scram> {
        let user = prepared(user)?.replace('=', "=3D").replace(',', "=2C");
        let password = match std::str::from_utf8(password.expose()) {
            Ok(text) => Secret::new(prepared(text)?.into_bytes()),
            Err(_) => password,
        };
        let first_bare = format!("n={user},r={nonce}");
        Ok(Scram { first_bare, nonce, password, max_iterations, state: State::First })
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("{GS2}{}", self.first_bare).into_bytes()
    }

    /// The answer to the server's first message, or to its last one.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is neither. `NoKey`: the server refuses the proof, or its signature is wrong.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        let text = std::str::from_utf8(challenge).map_err(|_| wrong("not UTF-8"))?;
        match &self.state {
            State::First => self.prove(text),
            State::Proved(signature) => {
                let last = text.split(',').next().unwrap_or_default();
                if let Some(error) = last.strip_prefix("e=") {
                    return Err(Error::no_key(format!("login: the server refused it: {error:?}")));
                }
                let shown = last.strip_prefix("v=").and_then(|shown| STANDARD.decode(shown).ok());
                let shown = shown.ok_or_else(|| wrong("no signature in the server's last message"))?;
                if !bool::from(shown.ct_eq(signature)) {
                    return Err(Error::no_key(
                        "login: the server does not know the password, so it may be another server",
                    ));
                }
                self.state = State::Verified;
                Ok(Vec::new())
            }
            State::Verified => Err(wrong("a message after the last one")),
        }
    }

    /// Whether the server has shown that it knows the password.
    pub(super) fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified)
    }

    /// RFC 5802, section 3.
    fn prove(&mut self, first: &str) -> Result<Vec<u8>> {
        let mut attributes = first.split(',');
        let mut next = |name: &str| attributes.next().and_then(|attribute| attribute.strip_prefix(name));
        let nonce = next("r=").ok_or_else(|| wrong("no nonce in the server's first message"))?;
        let salt = next("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or_else(|| wrong("no salt"))?;
        let iterations: u32 = next("i=").and_then(|count| count.parse().ok()).ok_or_else(|| wrong("no iterations"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong("the server's nonce does not continue ours"));
        }
        if iterations < MIN_ITERATIONS || iterations > self.max_iterations {
            return Err(wrong(&format!("{iterations} iterations, not {MIN_ITERATIONS} to {}", self.max_iterations)));
        }
        let salted = pbkdf2(Hash::Sha256, &self.password, &salt, iterations, 32)?;
        let client_key = Secret::new(hmac(Hash::Sha256, &salted, b"Client Key"));
        let stored_key = Secret::new(Hash::Sha256.digest(client_key.expose()));
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(GS2));
        let authenticated = format!("{},{first},{without_proof}", self.first_bare);
        let signature = hmac(Hash::Sha256, &stored_key, authenticated.as_bytes());
        let proof: Vec<u8> = client_key.expose().iter().zip(&signature).map(|(key, own)| key ^ own).collect();
        let server_key = Secret::new(hmac(Hash::Sha256, &salted, b"Server Key"));
        self.state = State::Proved(hmac(Hash::Sha256, &server_key, authenticated.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }
}

/// SASLprep (RFC 4013), as far as real passwords need it: NFKC, and no control characters.
fn prepared(text: &str) -> Result<String> {
    if text.chars().any(char::is_control) {
        return Err(Error::usage("login: a control character in the name or the password"));
    }
    // Spaces that are not ASCII become U+0020 by NFKC; a soft hyphen is mapped to nothing.
    let text: String = text.chars().filter(|c| *c != '\u{ad}').collect();
    Ok(ComposingNormalizer::new_nfkc().normalize(&text).into_owned())
}

fn wrong(why: &str) -> Error {
    Error::malformed("login", format!("SCRAM: {why}"))
}

/// No channel binding, no other identity.
const GS2: &str = "n,,";
/// Source: RFC 7677, section 4.
const MIN_ITERATIONS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let mut scram = Scram::with_nonce("user", "pencil".into(), "rOprNGfwEbeRWgbNEkqO".into(), 10_000).unwrap();
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(scram.answer(server.as_bytes()).unwrap(), proof.as_bytes());
        assert!(!scram.is_verified());
        assert_eq!(scram.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap(), b"");
        assert!(scram.is_verified());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let first = "r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        for (first, last, why) in [
            (first, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "does not know the password"),
            (first, "e=invalid-proof", "refused it"),
            (first, "x", "no signature"),
            ("r=abX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "", "nonce"),
            ("r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "", "nonce"),
            ("r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", "", "iterations"),
            ("r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000", "", "iterations"),
            ("m=x,r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "", "no nonce"),
        ] {
            let mut scram = Scram::with_nonce("u", "p".into(), "abc".into(), 10_000).unwrap();
            let refused = scram.answer(first.as_bytes()).and_then(|_| scram.answer(last.as_bytes())).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
            assert!(!scram.is_verified());
        }
    }
}
