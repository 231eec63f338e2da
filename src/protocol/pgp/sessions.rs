//! Session keys: each encrypted one is tried against every secret key and password that is here (RFC 9580, sections 5.1, 5.3).

use std::sync::Arc;

use sequoia_openpgp::{
    crypto::{Password, SessionKey},
    packet::{PKESK, SKESK},
    types::SymmetricAlgorithm,
};

use super::{cert, derivation, protected, secret::Handled, suite};
use crate::{
    base::{Budget, Error, Limits, Result, Secret},
    crypto::Cipher,
    keys::{Handle, ProtocolName, Record, Want},
    protocol::{Context, undecryptable},
};

/// An encrypted session key packet.
pub(super) enum Esk {
    Key(PKESK),
    Password(SKESK),
    /// Of a version that we do not know: perhaps another one fits.
    Unknown,
}

impl Esk {
    /// Whom it is for, as in the message: a key ID or fingerprint, `hidden` for a wildcard (RFC 9580, section 5.1.8), `password`.
    pub(super) fn recipient(&self) -> String {
        match self {
            Esk::Key(packet) => packet.recipient().map_or("hidden".to_owned(), |handle| handle.to_hex()),
            Esk::Password(_) => "password".to_owned(),
            Esk::Unknown => "unknown".to_owned(),
        }
    }
}

/// A session key, and its cipher where the packet that it came in names one.
type Session = (Option<SymmetricAlgorithm>, SessionKey);

/// What is here to open a message with.
pub(super) struct Sessions<'a> {
    context: Context<'a>,
    /// Passwords tried so far.
    tries: usize,
    /// How many session keys were tried on a container.
    attempts: usize,
    /// A secret key that the message names was tried in the last search.
    is_named: bool,
    /// Why a key that is here could not be used.
    locked: Option<Error>,
}

/// The container that a session key is looked for.
pub(super) struct Lock<'e> {
    /// What came before it.
    pub(super) esks: &'e [Esk],
    /// Its cipher, where it names one.
    pub(super) hint: Option<SymmetricAlgorithm>,
    /// Octets of its ciphertext.
    pub(super) size: usize,
}

/// What became of one search.
#[derive(Default)]
struct Search {
    /// A secret key was tried, named or not.
    is_tried: bool,
    /// Some session key was tried on the container.
    is_decrypted: bool,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(context: Context<'a>) -> Self {
        Sessions { context, tries: 0, attempts: 0, is_named: false, locked: None }
    }

    /// Tries every session key that comes out of the packets before `lock` on `opens`, until that answers the cipher's name. `opens`
    /// decrypts to the end and passes the last check.
    ///
    /// Whoever is named and does not open it, is told [`undecryptable`], whatever was wrong: a session key whose checksum fails (RFC 9580,
    /// section 5.1) is replaced by one that opens nothing, so that it takes as long to fail. To hidden recipients it stays closed as if
    /// for somebody else, whether a session key came out or not.
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
        if search.is_tried && !search.is_decrypted {
            let substitute = self.substitute(lock)?;
            self.attempt((lock.hint.or(Some(SymmetricAlgorithm::AES256)), substitute), lock, budget, opens);
        }
        match self.locked.take() {
            Some(locked) if !self.is_named => Err(locked),
            _ => Err(self.refusal(lock.esks)),
        }
    }

    /// What is told when no session key of `esks` opens their container: the same as when it opened and nothing vouches for what is within.
    pub(super) fn refusal(&self, esks: &[Esk]) -> Error {
        if self.is_named { undecryptable(ProtocolName::Pgp) } else { nobody(esks) }
    }

    /// A session key that opens nothing.
    fn substitute(&self, lock: &Lock<'_>) -> Result<SessionKey> {
        let length = lock.hint.and_then(|cipher| cipher.key_size().ok()).unwrap_or(LONGEST_KEY);
        let mut octets = vec![0; length];
        self.context.random.fill(&mut octets)?;
        Ok(SessionKey::from(octets))
    }

    /// One session key tried on the container, unless that has cost too much already.
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
        // No error of its own: that a session key came out is not for the sender to know.
        let is_affordable = self.attempts <= MOST_KEYS && budget.deciphered(work).is_ok();
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
            (Pass::Named, Some(handle)) => self.context.keys.find(ProtocolName::Pgp, &Want::Handle(handle))?,
            (Pass::Hidden, None) => self.context.keys.find(ProtocolName::Pgp, &Want::All)?,
            // A key that is not the one named cannot open it, and to try would ask for the passphrase of every key there is.
            _ => return Ok(None),
        };
        for record in &records {
            for handle in &record.secrets {
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

    /// Notes why a key that the message names is not among those with a secret part: on a card, for one.
    fn note_absent(&mut self, record: &Arc<Record>, named: Option<&Handle>) {
        let Some(named) = named else { return };
        let absent = record.handles.iter().filter(|own| own.is_named_by(named) && !record.secrets.contains(own));
        for handle in absent {
            if let Err(error) = self.context.keys.secret(record, handle) {
                self.locked.get_or_insert(error);
            }
        }
    }

    /// One try of one secret key: `None` when there is none of the right kind, `Some(None)` when no session key comes out of it. Every way to
    /// fail looks the same, because the differences are what oracles are made of (RFC 9580, section 13.4).
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
                self.locked.get_or_insert(error);
                return Ok(None);
            }
        };
        Ok(Some(esk.decrypt(&mut Handled::new(key, secret), hint)))
    }

    fn by_password(
        &mut self,
        esk: &SKESK,
        lock: &Lock<'_>,
        budget: &mut Budget,
        opens: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<Option<String>> {
        let cost = cost(esk, budget.limits())?;
        // One that cannot be tried at all is refused with and without a password.
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

/// The session key, or what comes out in its place under another password.
fn opened(esk: &SKESK, password: &Password) -> Option<(Option<SymmetricAlgorithm>, SessionKey)> {
    let (SKESK::V4(four), Some(cipher)) = (esk, protected_by(esk)) else { return esk.decrypt(password).ok() };
    let key = four.s2k().derive_key(password, cipher.key_length()).ok()?;
    let mut session = four.esk().ok()??.to_vec();
    cipher.decrypt_cfb(&Secret::new(key.to_vec()), &vec![0; cipher.block_length()], &mut session)?;
    let (algorithm, key) = session.split_first()?;
    Some((Some(SymmetricAlgorithm::from(*algorithm)), SessionKey::from(key)))
}

/// The cipher that the session key is encrypted with, where Sequoia does not decrypt it rightly.
fn protected_by(esk: &SKESK) -> Option<Cipher> {
    match esk {
        SKESK::V4(four) if matches!(four.esk(), Ok(Some(_))) => protected::ours(four.symmetric_algo()),
        _ => None,
    }
}

/// Which encrypted session keys are tried: first those that name a key, because a hidden one costs a try of every key.
#[derive(Clone, Copy)]
enum Pass {
    Hidden,
    Named,
}

/// What one try of a password costs.
fn cost(esk: &SKESK, limits: &Limits) -> Result<u64> {
    let (s2k, cipher) = match esk {
        SKESK::V4(esk) => (esk.s2k(), esk.symmetric_algo()),
        SKESK::V6(esk) => (esk.s2k(), esk.symmetric_algo()),
        _ => return Ok(0),
    };
    derivation::cost(s2k, cipher, limits, "openpgp message")
}

fn nobody(esks: &[Esk]) -> Error {
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
        return Error::no_key("openpgp message: encrypted, and no key for it comes with it");
    }
    if esks.iter().all(|esk| matches!(esk, Esk::Password(_))) {
        return Error::no_key("openpgp message: encrypted to a password that is not here")
            .with_hint("give the password with --passphrase-file");
    }
    Error::no_key(format!("openpgp message: no secret key here for any recipient ({list})"))
        .with_hint("import the secret key of one of them, or name its file with --keys")
}

/// Passwords times encrypted session keys in one message. Source: each costs up to 65 MiB of hashing (RFC 9580, section 3.7.1.3), 0.1 s.
const PASSWORD_TRIES: usize = 64;

/// Session keys that are tried on the data of one message. Source: an honest message has one; each try may decrypt a chunk of 4 MiB (RFC 9580,
/// section 5.13.2). RSA keys give one out of anything to those who are not named.
const MOST_KEYS: usize = 64;
/// Octets of the longest key of a cipher (RFC 9580, section 9.3).
const LONGEST_KEY: usize = 32;

/// Recipients named in an error.
const NAMED_RECIPIENTS: usize = 8;
