//! Session keys: each encrypted one is tried against every secret key and password that is here (RFC 9580, sections 5.1, 5.3).

use std::sync::Arc;

use sequoia_openpgp::{
    crypto::{Password, S2K, SessionKey},
    packet::{PKESK, SKESK},
    types::SymmetricAlgorithm,
};

use super::{cert, packets::changed, secret::Handled, suite};
use crate::{
    base::{Budget, Error, Result},
    keys::{Handle, ProtocolName, Record, Want},
    protocol::Context,
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

/// What is here to open a message with.
pub(super) struct Sessions<'a> {
    context: Context<'a>,
    /// Passwords tried so far.
    tries: usize,
    /// How many session keys came out, whatever became of them.
    unwrapped: usize,
    /// Why a key that is here could not be used.
    locked: Option<Error>,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(context: Context<'a>) -> Self {
        Sessions { context, tries: 0, unwrapped: 0, locked: None }
    }

    /// Tries every session key that comes out of `esks` on `fits`, until that answers the cipher's name. `hint` is the cipher
    /// where the container names it.
    pub(super) fn unlock(
        &mut self,
        esks: &[Esk],
        hint: Option<SymmetricAlgorithm>,
        budget: &mut Budget,
        fits: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<String> {
        for pass in [Pass::Named, Pass::Hidden] {
            for esk in esks {
                if let Esk::Key(packet) = esk
                    && let Some(cipher) = self.by_key(packet, pass, hint, budget, fits)?
                {
                    return Ok(cipher);
                }
            }
        }
        for esk in esks {
            if let Esk::Password(packet) = esk
                && let Some(cipher) = self.by_password(packet, budget, fits)?
            {
                return Ok(cipher);
            }
        }
        if self.unwrapped > 0 {
            return Err(changed());
        }
        Err(self.locked.take().unwrap_or_else(|| nobody(esks)))
    }

    fn by_key(
        &mut self,
        esk: &PKESK,
        pass: Pass,
        hint: Option<SymmetricAlgorithm>,
        budget: &mut Budget,
        fits: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
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
                let Some((algorithm, key)) = self.unwrap(esk, record, handle, hint, budget)? else { continue };
                self.unwrapped += 1;
                // No error of its own: that a session key came out is not for the sender to know.
                if self.unwrapped > MOST_KEYS {
                    return Err(changed());
                }
                if let Some(cipher) = fits(algorithm, &key) {
                    return Ok(Some(cipher));
                }
            }
        }
        Ok(None)
    }

    /// One try of one secret key. Every way to fail looks the same, because the differences are what oracles are made of
    /// (RFC 9580, section 13.4).
    fn unwrap(
        &mut self,
        esk: &PKESK,
        record: &Arc<Record>,
        handle: &Handle,
        hint: Option<SymmetricAlgorithm>,
        budget: &mut Budget,
    ) -> Result<Option<(Option<SymmetricAlgorithm>, SessionKey)>> {
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
        Ok(esk.decrypt(&mut Handled::new(key, secret), hint))
    }

    fn by_password(
        &mut self,
        esk: &SKESK,
        budget: &Budget,
        fits: &mut impl FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> Option<String>,
    ) -> Result<Option<String>> {
        affordable(esk, budget)?;
        for password in self.context.keys.passwords()? {
            self.tries += 1;
            if self.tries > PASSWORD_TRIES {
                return Err(Error::malformed(
                    "openpgp message",
                    format!("more than {PASSWORD_TRIES} passwords to try"),
                ));
            }
            let password = Password::from(password.expose());
            if let Ok((algorithm, key)) = esk.decrypt(&password)
                && let Some(cipher) = fits(algorithm, &key)
            {
                return Ok(Some(cipher));
            }
        }
        Ok(None)
    }
}

/// Which encrypted session keys are tried: first those that name a key, because a hidden one costs a try of every key.
#[derive(Clone, Copy)]
enum Pass {
    Hidden,
    Named,
}

/// Refuses a password hash that would cost more memory or time than a message is worth.
fn affordable(esk: &SKESK, budget: &Budget) -> Result<()> {
    let s2k = match esk {
        SKESK::V4(esk) => esk.s2k(),
        SKESK::V6(esk) => esk.s2k(),
        _ => return Ok(()),
    };
    if let S2K::Argon2 { t, m, .. } = s2k {
        let memory = 1024_usize.checked_shl(u32::from(*m)).unwrap_or(usize::MAX);
        let limit = budget.limits().argon2_memory;
        if memory > limit || memory.saturating_mul(usize::from(*t)) > limit.saturating_mul(ARGON2_PASSES) {
            return Err(Error::malformed("openpgp message", format!("its argon2 needs 2^{m} KiB and {t} passes")));
        }
    }
    Ok(())
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

/// Argon2 passes over the whole allowed memory. Source: RFC 9106, section 4 recommends 1 pass over 2 GiB, or 3 over 64 MiB.
const ARGON2_PASSES: usize = 4;

/// Recipients named in an error.
const NAMED_RECIPIENTS: usize = 8;
