//! Finds the key that made a signature, and checks that it could sign at that time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{
    Cert,
    cert::ValidCert,
    cert::amalgamation::{ValidAmalgamation, ValidateAmalgamation, key::ValidErasedKeyAmalgamation},
    packet::{Key, Signature as Packed, key},
    types::{HashAlgorithm, ReasonForRevocation},
};

use super::{
    cert,
    lenient::LENIENT,
    revocation::{self, Known},
    select::merged,
    suite,
};
use crate::{
    base::Result,
    crypto::{KeyAlgorithm, Strength},
    keys::{Authenticated, Deprecated, Handle, Keys, ProtocolName, Purpose, Query, Record, Want},
    mail::{Address, address},
    protocol::{Context, select::Copies},
    verdict::Why,
};

/// A key that may have made a signature, with its certificate.
pub(super) struct Signer {
    cert: Arc<Cert>,
    /// The key itself.
    pub(super) key: Key<key::PublicParts, key::UnspecifiedRole>,
    /// The records that hold the certificate; usually one.
    records: Vec<Arc<Record>>,
}

impl Signer {
    /// The keys that the signature names in its hashed or unhashed area. A name is only a hint: the digest decides.
    pub(super) fn find(signature: &Packed, context: Context<'_>) -> Result<Vec<Signer>> {
        let mut signers: Vec<Signer> = Vec::new();
        for issuer in signature.get_issuers().iter().take(CANDIDATES) {
            // The key ID of a fingerprint that was already found is the same key.
            if signers.iter().any(|signer| signer.key.key_handle().aliases(issuer)) {
                continue;
            }
            let handle = Handle::from_octets(issuer.as_bytes());
            let records = context.keys.find(ProtocolName::Pgp, &Query::new(Purpose::Verify, Want::Handle(&handle)))?;
            for copies in Copies::grouped(records).iter().take(CANDIDATES) {
                // Copies are merged, because one without this key may hold its revocation.
                let Ok(cert) = merged(copies) else { continue };
                for key in cert.keys().key_handle(issuer.clone()) {
                    let (cert, records) = (Arc::clone(&cert), copies.records().to_vec());
                    signers.push(Signer { key: key.key().clone(), cert, records });
                }
            }
        }
        Ok(signers)
    }

    /// The key that the signature names, if it is available but too old to be parsed.
    pub(super) fn deprecated(signature: &Packed, context: Context<'_>) -> Result<Option<Deprecated>> {
        for issuer in signature.get_issuers().iter().take(CANDIDATES) {
            if let Some(key) = context.keys.deprecated(&Handle::from_octets(issuer.as_bytes()))? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The mailboxes that the certificate claims, verified or not.
    pub(super) fn claimed(&self) -> Vec<Address> {
        let mut claimed: Vec<Address> = Vec::new();
        for address in self.records.iter().flat_map(|record| record.claimed()) {
            if !claimed.contains(address) {
                claimed.push(address.clone());
            }
        }
        claimed
    }

    /// Whether the key could sign messages at that time (RFC 9580, section 10.1). Errors only if `keys` fails.
    pub(super) fn standing(&self, at: SystemTime, keys: &dyn Keys) -> Result<std::result::Result<(), Why>> {
        // A hard revocation counts at any time, even if nothing else in the certificate is valid.
        let known = revocation::of_key(&self.cert, &self.key.key_handle(), at, keys)?;
        Ok(self.timely(at).and_then(|()| revoked(&known)).and_then(|()| self.usable(at)))
    }

    fn timely(&self, at: SystemTime) -> std::result::Result<(), Why> {
        match self.key.creation_time() > at || self.cert.primary_key().key().creation_time() > at {
            true => Err(Why::KeyNotYetValid),
            false => Ok(()),
        }
    }

    /// A warning for users of the key; see [`revocation::doubt`].
    pub(super) fn doubt(&self, at: SystemTime, keys: &dyn Keys) -> Result<Option<String>> {
        revocation::doubt(&self.cert, at, keys)
    }

    fn usable(&self, at: SystemTime) -> std::result::Result<(), Why> {
        let (bound, valid) = self.bound(at).ok_or(Why::KeyNotBound)?;
        let over = |end: Option<SystemTime>| end.is_some_and(|end| end <= at);
        if over(bound.primary_key().key_expiration_time()) || over(valid.key_expiration_time()) {
            return Err(Why::KeyExpired);
        }
        self.may_sign(&valid)
    }

    /// The certificate and the key as they were bound at that time.
    ///
    /// Certificates are often distributed without older self-signatures (gpg's `export-clean`, most key servers). If
    /// none from that time is left, the oldest remaining one counts for the time before it, as in GnuPG: the owner has
    /// confirmed the key since.
    fn bound(&self, at: SystemTime) -> Option<(ValidCert<'_>, ValidErasedKeyAmalgamation<'_, key::PublicParts>)> {
        let bound = |time: SystemTime| {
            let key = self.cert.keys().key_handle(self.key.key_handle()).next()?.with_policy(&LENIENT, time).ok()?;
            Some((self.cert.with_policy(&LENIENT, time).ok()?, key))
        };
        let created = |packed: &Packed| packed.signature_creation_time();
        let later = || {
            let primary = self.cert.primary_key().self_signatures().filter_map(created);
            let names = self.cert.userids().flat_map(|id| id.self_signatures().filter_map(created).collect::<Vec<_>>());
            let subkeys = self.cert.keys().subkeys().key_handle(self.key.key_handle());
            let subkeys = subkeys.flat_map(|subkey| subkey.self_signatures().filter_map(created).collect::<Vec<_>>());
            let mut times: Vec<SystemTime> = primary.chain(names).chain(subkeys).filter(|time| *time > at).collect();
            times.sort();
            times.dedup();
            times.into_iter().take(SELF_SIGNATURES).find_map(bound)
        };
        bound(at).or_else(later)
    }

    fn may_sign(&self, valid: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> std::result::Result<(), Why> {
        // Certificates from the 1990s have no flags. Their keys may do what their algorithm can.
        let flags = valid.key_flags().filter(|flags| !flags.is_empty());
        if !flags.map_or(valid.key().pk_algo().for_signing(), |flags| flags.for_signing()) {
            return Err(Why::WrongUsage);
        }
        match cert::has_back_signature(valid) {
            true => Ok(()),
            false => Err(Why::KeyNotBound),
        }
    }

    /// The certificate's mailboxes that a key source confirms.
    pub(super) fn authenticated(&self, at: SystemTime, keys: &dyn Keys) -> Result<Vec<Authenticated>> {
        let certified = self.certified(at, keys)?;
        let mut all: Vec<Authenticated> = Vec::new();
        for one in self.records.iter().flat_map(|record| record.authenticate(&certified)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        Ok(all)
    }

    /// The weakest algorithm that the signature relies on, and its name: of the key, the primary key, or the
    /// self-signatures that bind them. With a weak digest, a signature over other data could be presented as a binding.
    pub(super) fn weakest(&self, at: SystemTime) -> (Strength, String) {
        let of = |algorithm: KeyAlgorithm| (algorithm.strength(), algorithm.name());
        let mut weakest =
            of(suite::key_algorithm(&self.key)).min(of(suite::key_algorithm(self.cert.primary_key().key())));
        if let Some((cert, key)) = self.bound(at) {
            for packed in [cert.primary_key().binding_signature(), key.binding_signature()] {
                let name = format!("the certificate's {} self-signature", suite::hash_name(packed.hash_algo()));
                weakest = weakest.min((self_signature_strength(packed), name));
            }
        }
        weakest
    }

    /// The mailboxes of the user IDs that were bound and not revoked at that time. Their self-signatures must be at
    /// least as strong as that of the primary key, whose strength counts for the signature.
    fn certified(&self, at: SystemTime, keys: &dyn Keys) -> Result<Vec<Address>> {
        let Some((valid, _)) = self.bound(at) else { return Ok(Vec::new()) };
        let least = self_signature_strength(valid.primary_key().binding_signature());
        let mut good = Vec::new();
        for id in valid.userids().filter(|id| self_signature_strength(id.binding_signature()) >= least) {
            let known = revocation::known(&id.revocation_status(), &self.cert, keys)?;
            if !matches!(known, Known::Revoked(_)) {
                good.extend(std::str::from_utf8(id.userid().value()).ok().and_then(address::of_user_id));
            }
        }
        Ok(good)
    }
}

/// The strength of the digest in a certificate's signature. SHA-1 and RIPEMD-160 are weak if the signature was made
/// before chosen-prefix collisions became affordable (RFC 9580, section 9.5). Since then they are broken, as in
/// messages.
fn self_signature_strength(packed: &Packed) -> Strength {
    let is_old = packed.signature_creation_time().is_some_and(|made| made < SystemTime::UNIX_EPOCH + SHA1_ENDED);
    match packed.hash_algo() {
        HashAlgorithm::SHA1 | HashAlgorithm::RipeMD if is_old => Strength::Weak,
        hash => suite::hash_strength(hash),
    }
}

fn revoked(known: &Known) -> std::result::Result<(), Why> {
    let Known::Revoked(revocations) = known else { return Ok(()) };
    let given = revocations.first().and_then(|revocation| revocation.reason_for_revocation());
    let (code, text) = given.unwrap_or((ReasonForRevocation::Unspecified, &[]));
    let text = String::from_utf8_lossy(text);
    if !text.trim().is_empty() {
        return Err(Why::KeyRevoked(text.trim().to_owned()));
    }
    let code = match code {
        ReasonForRevocation::KeyCompromised => "compromised",
        ReasonForRevocation::KeyRetired => "retired",
        ReasonForRevocation::KeySuperseded => "superseded",
        ReasonForRevocation::UIDRetired => "user id retired",
        _ => "no reason given",
    };
    Err(Why::KeyRevoked(code.to_owned()))
}

/// 2023-02-01T00:00:00Z, in seconds since 1970: the date from which Sequoia's standard policy refuses SHA-1
/// self-signatures.
const SHA1_ENDED: Duration = Duration::from_secs(1_675_209_600);

/// Maximum issuers per signature and records per issuer. A key ID has only 64 bits and can be forged; a fingerprint
/// names one key.
const CANDIDATES: usize = 8;

/// Maximum self-signature times tried in place of missing older ones.
const SELF_SIGNATURES: usize = 64;
