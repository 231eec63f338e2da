//! Whether a certificate, a subkey or a user ID is revoked, by its own key or by a designated revoker (RFC 4880,
//! section 5.2.3.15).

use std::time::SystemTime;

use sequoia_openpgp::{
    Cert, KeyHandle,
    cert::amalgamation::UserIDAmalgamation,
    packet::{
        Key, Signature,
        key::{PublicParts, UnspecifiedRole},
    },
    types::RevocationStatus,
};

use super::{cert, lenient::LENIENT, public};
use crate::{
    base::Result,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Want},
};

/// The revocation status of a certificate or one of its parts.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Not revoked.
    Good,
    /// A designated revoker, the key with this fingerprint, may have revoked it. The signature cannot be checked,
    /// because the key is missing.
    Perhaps(Handle),
    /// Revoked by these signatures.
    Revoked(Vec<Signature>),
}

/// Evaluates `status`, of a part of `cert`, with the keys in `keys`.
///
/// # Errors
///
/// Errors of `keys`.
pub(super) fn known(status: &RevocationStatus<'_>, cert: &Cert, keys: &dyn Keys) -> Result<Known> {
    let others = match status {
        RevocationStatus::NotAsFarAsWeKnow => return Ok(Known::Good),
        RevocationStatus::Revoked(own) => return Ok(Known::Revoked(own.iter().copied().cloned().collect())),
        RevocationStatus::CouldBe(others) => others,
    };
    let mut known = Known::Good;
    for revoker in revokers(cert) {
        let by = |signature: &&&Signature| signature.get_issuers().iter().any(|issuer| issuer.aliases(&revoker));
        let claims: Vec<&Signature> = others.iter().filter(by).copied().collect();
        if claims.is_empty() {
            continue;
        }
        let Some(key) = find(&revoker, keys)? else {
            known = Known::Perhaps(Handle::from_octets(revoker.as_bytes()));
            continue;
        };
        let made = |signature: &&&Signature| {
            signature.computed_digest().is_some_and(|digest| public::check(&key, signature, digest).is_ok())
        };
        let made: Vec<Signature> = claims.iter().filter(made).map(|signature| Signature::clone(signature)).collect();
        if !made.is_empty() {
            return Ok(Known::Revoked(made));
        }
    }
    Ok(known)
}

/// The revocation status of the certificate at `at`. A hard revocation counts at any time.
pub(super) fn of_cert(cert: &Cert, at: SystemTime, keys: &dyn Keys) -> Result<Known> {
    known(&cert.revocation_status(&LENIENT, at), cert, keys)
}

/// The revocation status of a key at `at`: of its certificate, and of the subkey if it is one.
pub(super) fn of_key(cert: &Cert, key: &KeyHandle, at: SystemTime, keys: &dyn Keys) -> Result<Known> {
    let mut all = of_cert(cert, at, keys)?;
    for subkey in cert.keys().subkeys().key_handle(key.clone()) {
        let own = known(&subkey.revocation_status(&LENIENT, at), cert, keys)?;
        all = all.worse(own);
    }
    Ok(all)
}

/// The revocation status of a user ID at `at`.
pub(super) fn of_user_id(cert: &Cert, user: &UserIDAmalgamation<'_>, at: SystemTime, keys: &dyn Keys) -> Result<Known> {
    known(&user.revocation_status(&LENIENT, at), cert, keys)
}

/// A warning that a designated revoker's key is missing; `None` if no such key is needed.
pub(super) fn doubt(cert: &Cert, at: SystemTime, keys: &dyn Keys) -> Result<Option<String>> {
    // Few certificates have such revocations, and checking further takes public-key operations.
    if !cert.keys().any(|key| key.other_revocations().next().is_some()) {
        return Ok(None);
    }
    let mut all = of_cert(cert, at, keys)?;
    for subkey in cert.keys().subkeys() {
        all = all.worse(of_key(cert, &subkey.key().key_handle(), at, keys)?);
    }
    let Known::Perhaps(revoker) = all else { return Ok(None) };
    let key = cert.fingerprint().to_hex();
    Ok(Some(format!("key {key} may be revoked by its designated revoker {revoker}, whose key is missing")))
}

/// The designated revokers that the certificate names, sorted.
pub(super) fn revokers(cert: &Cert) -> Vec<KeyHandle> {
    let mut all: Vec<KeyHandle> =
        cert.revocation_keys(&LENIENT).map(|revoker| KeyHandle::from(revoker.revoker().1.clone())).collect();
    all.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    all.dedup();
    all
}

impl Known {
    fn worse(self, other: Known) -> Known {
        match (self, other) {
            (Known::Revoked(signatures), _) | (_, Known::Revoked(signatures)) => Known::Revoked(signatures),
            (Known::Perhaps(revoker), _) | (_, Known::Perhaps(revoker)) => Known::Perhaps(revoker),
            (Known::Good, Known::Good) => Known::Good,
        }
    }
}

fn find(key: &KeyHandle, keys: &dyn Keys) -> Result<Option<Key<PublicParts, UnspecifiedRole>>> {
    for record in
        keys.find(ProtocolName::Pgp, &Query::new(Purpose::Verify, Want::Handle(&Handle::from_octets(key.as_bytes()))))?
    {
        let Ok(cert) = cert::parse(&record) else { continue };
        let found = cert.keys().key_handle(key.clone()).next().map(|found| found.key().clone());
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
