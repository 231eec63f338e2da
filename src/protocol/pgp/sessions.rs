//! Decrypts session keys: each encrypted one is tried with every available secret key and password (RFC 9580, sections
//! 5.1 and 5.3).

use std::sync::Arc;

use sequoia_openpgp::{
    crypto::{Password, SessionKey},
    packet::{PKESK, SKESK},
    types::{PublicKeyAlgorithm, SymmetricAlgorithm},
};

use super::{cert, derivation, protected, secret::Handled, suite};
use crate::{
    base::{Budget, Error, Hint, Limits, Result, Secret},
    crypto::{Cipher, KeyAlgorithm},
    keys::{Handle, ProtocolName, Purpose, Query, Record, Want},
    protocol::{Context, undecryptable},
};

/// An encrypted session key packet.
pub(super) enum Esk {
    Key(PKESK),
    Password(SKESK),
    /// An unknown version: another packet may fit.
    Unknown,
}

impl Esk {
    /// The recipient as given in the message: a key ID or fingerprint, `hidden` for a wildcard (RFC 9580, section
    /// 5.1.8), or `password`.
    pub(super) fn recipient(&self) -> String {
        match self {
            Esk::Key(packet) => packet.recipient().map_or("hidden".to_owned(), |handle| handle.to_hex()),
            Esk::Password(_) => "password".to_owned(),
            Esk::Unknown => "unknown".to_owned(),
        }
    }

    /// Whether the session key in it stays secret when quantum computers exist.
    pub(super) fn is_quantum_safe(&self) -> bool {
        match self {
            Esk::Key(packet) => KeyAlgorithm::Other(suite::public_name(packet.pk_algo())).is_quantum_safe(),
            Esk::Password(_) => true,
            Esk::Unknown => false,
        }
    }
}

/// A session key, and its cipher if the packet names one.
type Session = (Option<SymmetricAlgorithm>, SessionKey);

/// The keys and passwords for opening a message, and what was tried so far.
pub(super) struct Sessions<'a> {
    context: Context<'a>,
    /// Passwords tried so far.
    tries: usize,
    /// Number of session keys tried on a container.
    attempts: usize,
    /// The last search tried a secret key that the message names.
    is_named: bool,
    /// Why an available key could not be used.
    locked: Option<Error>,
    /// Why a key could not be asked. Another one may still decrypt.
    unreachable: Option<Error>,
}

/// The container for which a session key is needed.
pub(super) struct Lock<'e> {
    /// The encrypted session keys before it.
    pub(super) esks: &'e [Esk],
    /// Its cipher, if the container names it.
    pub(super) hint: Option<SymmetricAlgorithm>,
    /// Length of its ciphertext in octets.
    pub(super) size: usize,
}

/// The outcome of one search.
#[derive(Default)]
struct Search {
    /// A secret key was tried, whether named or not.
    is_tried: bool,
    /// A session key was tried on the container.
    is_decrypted: bool,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(context: Context<'a>) -> Self {
        Sessions { context, tries: 0, attempts: 0, is_named: false, locked: None, unreachable: None }
    }

    /// Tries every session key decrypted from the packets before `lock` with `opens`, until that returns the cipher's
    /// name. `opens` decrypts to the end and passes the last check.
    ///
    /// If a named key does not open the container, the error is [`undecryptable`], whatever the cause. A session key
    /// with a wrong checksum (RFC 9580, section 5.1) is replaced by a random one, so that failing takes the same time.
    /// For hidden recipients the error is the same as without any key, whether or not a session key was decrypted. A key
    /// that may decrypt and cannot be reached (a token that is not plugged in) is an error of this machine.
    pub(super) fn unlock(
        &mut self,
        lock: &Lock<'_>,
        budget: &mut Budget,
        opens: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<String> {
        let mut search = Search::default();
        self.is_named = false;
        for pass in [Pass::Named, Pass::Hidden] {
            for esk in lock.esks {
                if let Esk::Key(packet) = esk
                    && let Some(cipher) = self.by_key(packet, pass, lock, budget, &mut search, opens)?
                {
                    return Ok(cipher);
                }
            }
        }
        for esk in lock.esks {
            if let Esk::Password(packet) = esk
                && let Some(cipher) = self.by_password(packet, lock, budget, opens)?
            {
                return Ok(cipher);
            }
        }
        if let Some(unreachable) = self.unreachable.take() {
            return Err(unreachable);
        }
        if search.is_tried && !search.is_decrypted {
            let substitute = self.substitute(lock)?;
            self.attempt((lock.hint.or(Some(SymmetricAlgorithm::AES256)), substitute), lock, budget, opens);
        }
        match self.locked.take() {
            Some(locked) if !self.is_named => Err(locked),
            _ => Err(self.refusal(lock.esks)),
        }
    }

    /// The error when no session key of `esks` opens the container. For a named key it is the same as for a plaintext
    /// that fails its check.
    pub(super) fn refusal(&self, esks: &[Esk]) -> Error {
        if self.is_named { undecryptable(ProtocolName::Pgp) } else { no_recipient(esks) }
    }

    /// A random session key.
    fn substitute(&self, lock: &Lock<'_>) -> Result<SessionKey> {
        let length = lock.hint.and_then(|cipher| cipher.key_size().ok()).unwrap_or(LONGEST_KEY);
        let mut octets = vec![0; length];
        self.context.random.fill(&mut octets)?;
        Ok(SessionKey::from(octets))
    }

    /// Tries one session key on the container, unless too much was spent already.
    fn attempt(
        &mut self,
        (algorithm, key): Session,
        lock: &Lock<'_>,
        budget: &mut Budget,
        opens: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Option<String> {
        self.attempts += 1;
        let cipher = algorithm.and_then(|algorithm| Cipher::of_openpgp(algorithm.into()));
        let work = lock.size.saturating_mul(cipher.map_or(1, Cipher::cost));
        // Not an error of its own: it would tell the sender that a session key was decrypted.
        let is_affordable = self.attempts <= MAX_KEYS && budget.deciphered(work).is_ok();
        is_affordable.then(|| opens(algorithm, &key)).flatten()
    }

    fn by_key(
        &mut self,
        esk: &PKESK,
        pass: Pass,
        lock: &Lock<'_>,
        budget: &mut Budget,
        search: &mut Search,
        opens: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<Option<String>> {
        let named = esk.recipient().map(|handle| Handle::from_octets(handle.as_bytes()));
        let records = match (pass, &named) {
            (Pass::Named, Some(handle)) => {
                self.context.keys.find(ProtocolName::Pgp, &Query::new(Purpose::Decrypt, Want::Handle(handle)))?
            }
            (Pass::Hidden, None) => {
                self.context.keys.find(ProtocolName::Pgp, &Query::new(Purpose::Decrypt, Want::Secrets))?
            }
            // A key other than the named one cannot open it. Trying would ask for the passphrase of every key.
            _ => return Ok(None),
        };
        for record in &records {
            for handle in record.secrets() {
                if named.as_ref().is_some_and(|name| !handle.is_named_by(name)) {
                    continue;
                }
                let Some(session) = self.unwrap(esk, record, handle, lock.hint, budget)? else { continue };
                search.is_tried = true;
                self.is_named |= named.is_some();
                let Some(session) = session else { continue };
                search.is_decrypted = true;
                if let Some(cipher) = self.attempt(session, lock, budget, opens) {
                    return Ok(Some(cipher));
                }
            }
            self.note_absent(record, named.as_ref());
        }
        Ok(None)
    }

    /// Notes why a key that the message names has no secret part here, for instance because it is on a smart card.
    fn note_absent(&mut self, record: &Arc<Record>, named: Option<&Handle>) {
        let Some(named) = named else { return };
        let absent = record.handles().iter().filter(|own| own.is_named_by(named) && !record.secrets().contains(own));
        for handle in absent {
            if let Err(error) = self.context.keys.secret(record, handle) {
                self.note(error);
            }
        }
    }

    /// Tries one secret key. `None` if it is of the wrong kind, `Some(None)` if no session key results. All failures
    /// look the same: differences would be an oracle (RFC 9580, section 13.4).
    fn unwrap(
        &mut self,
        esk: &PKESK,
        record: &Arc<Record>,
        handle: &Handle,
        hint: Option<SymmetricAlgorithm>,
        budget: &mut Budget,
    ) -> Result<Option<Option<Session>>> {
        let cert = cert::parse(record).ok();
        let wanted = |key: &Handle| key == handle;
        let key = cert.as_ref().and_then(|cert| {
            cert.keys()
                .map(|key| key.key().clone())
                .find(|key| wanted(&Handle::from_octets(key.fingerprint().as_bytes())))
        });
        let Some(key) = key.filter(|key| key.pk_algo() == esk.pk_algo()) else { return Ok(None) };
        budget.unwrapping(suite::key_algorithm(&key).unwrap_cost())?;
        let secret = match self.context.keys.secret(record, handle) {
            Ok(Some(secret)) => secret,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.note(error);
                return Ok(None);
            }
        };
        let mut handled = Handled::new(key, secret);
        let session = esk.decrypt(&mut handled, hint);
        match handled.unreachable() {
            Some(error) if session.is_none() => {
                self.note(error);
                Ok(None)
            }
            _ => Ok(Some(session.filter(|(cipher, _)| is_admitted(esk, *cipher)))),
        }
    }

    fn note(&mut self, error: Error) {
        let noted = if error.is_of_machine() { &mut self.unreachable } else { &mut self.locked };
        noted.get_or_insert(error);
    }

    fn by_password(
        &mut self,
        esk: &SKESK,
        lock: &Lock<'_>,
        budget: &mut Budget,
        opens: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<Option<String>> {
        let cost = cost(esk, budget.limits())?;
        // A packet that exceeds the budget is refused with and without a password.
        budget.clone().derivation(cost)?;
        for password in self.context.keys.passwords()? {
            self.tries += 1;
            if self.tries > PASSWORD_TRIES {
                return Err(Error::malformed(
                    "openpgp message",
                    format!("more than {PASSWORD_TRIES} passwords to try"),
                ));
            }
            budget.derivation(cost)?;
            let password = Password::from(password.expose());
            if let Some(session) = opened(esk, &password)
                && let Some(cipher) = self.attempt(session, lock, budget, opens)
            {
                return Ok(Some(cipher));
            }
        }
        Ok(None)
    }
}

/// Whether the key of the packet may be for this cipher: with ML-KEM it is one of AES, where the packet names one (RFC 9980, section 4.3.1).
fn is_admitted(esk: &PKESK, cipher: Option<SymmetricAlgorithm>) -> bool {
    let aes = [SymmetricAlgorithm::AES128, SymmetricAlgorithm::AES192, SymmetricAlgorithm::AES256];
    esk.pk_algo() != PublicKeyAlgorithm::MLKEM768_X25519 || cipher.is_none_or(|cipher| aes.contains(&cipher))
}

/// The session key. A wrong password yields a different one.
fn opened(esk: &SKESK, password: &Password) -> Option<(Option<SymmetricAlgorithm>, SessionKey)> {
    let (SKESK::V4(four), Some(cipher)) = (esk, protected_by(esk)) else { return esk.decrypt(password).ok() };
    let key = four.s2k().derive_key(password, cipher.key_length()).ok()?;
    let mut session = four.esk().ok()??.to_vec();
    cipher.decrypt_cfb(&Secret::new(key.to_vec()), &vec![0; cipher.block_length()], &mut session)?;
    let (algorithm, key) = session.split_first()?;
    Some((Some(SymmetricAlgorithm::from(*algorithm)), SessionKey::from(key)))
}

/// The cipher of the session key, if Sequoia does not decrypt it correctly.
fn protected_by(esk: &SKESK) -> Option<Cipher> {
    match esk {
        SKESK::V4(four) if matches!(four.esk(), Ok(Some(_))) => protected::ours(four.symmetric_algo()),
        _ => None,
    }
}

/// Order of the encrypted session keys: those that name a key come first, because a hidden one costs a try of every
/// key.
#[derive(Clone, Copy)]
enum Pass {
    Hidden,
    Named,
}

/// The cost of trying one password.
fn cost(esk: &SKESK, limits: &Limits) -> Result<u64> {
    let (s2k, cipher) = match esk {
        SKESK::V4(esk) => (esk.s2k(), esk.symmetric_algo()),
        SKESK::V6(esk) => (esk.s2k(), esk.symmetric_algo()),
        _ => return Ok(0),
    };
    derivation::cost(s2k, cipher, limits, "openpgp message")
}

fn no_recipient(esks: &[Esk]) -> Error {
    let mut names: Vec<String> = esks.iter().map(Esk::recipient).collect();
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(NAMED_RECIPIENTS);
    names.truncate(NAMED_RECIPIENTS);
    let mut list = names.join(", ");
    if more > 0 {
        list = format!("{list} and {more} more");
    }
    if esks.is_empty() {
        return Error::no_key("openpgp message: encrypted, but it holds no encrypted key");
    }
    if esks.iter().all(|esk| matches!(esk, Esk::Password(_))) {
        return Error::no_key("openpgp message: encrypted to a password that was not given")
            .with_hint(Hint::Passphrase);
    }
    Error::no_key(format!("openpgp message: no secret key for any recipient ({list})")).with_hint(Hint::ImportSecretKey)
}

/// Maximum of passwords times encrypted session keys in one message. Source: each costs up to 65 MiB of hashing (RFC
/// 9580, section 3.7.1.3), 0.1 s.
const PASSWORD_TRIES: usize = 64;

/// Maximum session keys tried on the data of one message. Source: a regular message has one, and each try may decrypt a
/// chunk of 4 MiB (RFC 9580, section 5.13.2). An RSA key yields a session key from any packet for a hidden recipient.
const MAX_KEYS: usize = 64;
/// Length in octets of the longest cipher key (RFC 9580, section 9.3).
const LONGEST_KEY: usize = 32;

/// Maximum recipients listed in an error.
const NAMED_RECIPIENTS: usize = 8;
