//! The key behind a signature, and what it was good for at that time.

use std::{sync::Arc, time::SystemTime};

use sequoia_openpgp::{
    Cert, Error as PgpError, Packet,
    cert::ValidCert,
    cert::amalgamation::{
        ValidAmalgamation, ValidateAmalgamation,
        key::{PrimaryKey, ValidErasedKeyAmalgamation},
    },
    packet::{Key, Signature as Packed, key, signature::subpacket::SubpacketTag},
    policy::{HashAlgoSecurity, Policy},
    types::{AEADAlgorithm, ReasonForRevocation, RevocationStatus, SymmetricAlgorithm},
};

use super::{cert, suite};
use crate::{
    base::Result,
    crypto::{KeyAlgorithm, Strength},
    keys::{Authenticated, Deprecated, Handle, ProtocolName, Record, Want},
    mail::{Address, address},
    protocol::Context,
    verdict::Why,
};

/// A key that may have made a signature, with all that is known of its certificate.
pub(super) struct Signer {
    cert: Arc<Cert>,
    /// The key itself.
    pub(super) key: Key<key::PublicParts, key::UnspecifiedRole>,
    /// The records that hold the certificate: usually one.
    records: Vec<Arc<Record>>,
}

impl Signer {
    /// The keys that the signature names, in either of its areas: a name is a hint, the digest decides.
    pub(super) fn find(signature: &Packed, context: Context<'_>) -> Result<Vec<Signer>> {
        let mut signers: Vec<Signer> = Vec::new();
        for issuer in signature.get_issuers().iter().take(CANDIDATES) {
            // The key ID of a fingerprint that was found names nobody else.
            if signers.iter().any(|signer| signer.key.key_handle().aliases(issuer)) {
                continue;
            }
            let handle = Handle::from_octets(issuer.as_bytes());
            for record in context.keys.find(ProtocolName::Pgp, &Want::Handle(&handle))?.into_iter().take(CANDIDATES) {
                let Ok(cert) = cert::parse(&record) else { continue };
                let keys: Vec<_> = cert.keys().key_handle(issuer.clone()).map(|key| key.key().clone()).collect();
                for key in keys {
                    Signer::add(&mut signers, key, &cert, &record);
                }
            }
        }
        Ok(signers)
    }

    /// The key that the signature names, where it is here and too old to be read.
    pub(super) fn deprecated(signature: &Packed, context: Context<'_>) -> Result<Option<Deprecated>> {
        for issuer in signature.get_issuers().iter().take(CANDIDATES) {
            if let Some(key) = context.keys.deprecated(&Handle::from_octets(issuer.as_bytes()))? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Copies of one certificate are one: a revocation in any of them counts.
    fn add(
        signers: &mut Vec<Signer>,
        key: Key<key::PublicParts, key::UnspecifiedRole>,
        cert: &Arc<Cert>,
        record: &Arc<Record>,
    ) {
        let same = |signer: &&mut Signer| {
            signer.key.fingerprint() == key.fingerprint() && signer.cert.fingerprint() == cert.fingerprint()
        };
        match signers.iter_mut().find(same) {
            Some(signer) if signer.records.iter().any(|own| Arc::ptr_eq(own, record)) => {}
            Some(signer) => {
                if !signer.records.iter().any(|own| own.bytes == record.bytes) {
                    let merged = Cert::clone(&signer.cert).merge_public(Cert::clone(cert));
                    signer.cert = merged.map_or_else(|_| Arc::clone(cert), Arc::new);
                }
                signer.records.push(Arc::clone(record));
            }
            None => signers.push(Signer { cert: Arc::clone(cert), key, records: vec![Arc::clone(record)] }),
        }
    }

    /// The mailboxes that the certificate claims, checked or not.
    pub(super) fn claimed(&self) -> Vec<Address> {
        let mut claimed: Vec<Address> = Vec::new();
        for address in self.records.iter().flat_map(|record| &record.claimed) {
            if !claimed.contains(address) {
                claimed.push(address.clone());
            }
        }
        claimed
    }

    /// Whether the key was good for signing a message at that time (RFC 9580, section 10.1).
    pub(super) fn standing(&self, at: SystemTime) -> std::result::Result<(), Why> {
        let cert = &self.cert;
        if self.key.creation_time() > at || cert.primary_key().key().creation_time() > at {
            return Err(Why::KeyNotYetValid);
        }
        // A hard revocation counts at any time, and even when nothing else of the certificate is valid.
        revoked(cert.revocation_status(&LENIENT, at))?;
        for subkey in cert.keys().subkeys().key_handle(self.key.key_handle()) {
            revoked(subkey.revocation_status(&LENIENT, at))?;
        }
        let (bound, valid) = self.bound(at).ok_or(Why::KeyNotBound)?;
        let over = |end: Option<SystemTime>| end.is_some_and(|end| end <= at);
        if over(bound.primary_key().key_expiration_time()) || over(valid.key_expiration_time()) {
            return Err(Why::KeyExpired);
        }
        self.may_sign(&valid)
    }

    /// The certificate and the key as they were bound at that time.
    ///
    /// Certificates are handed on without their older self-signatures (gpg's `export-clean`, most key servers). When none as old as that
    /// is left, the oldest that is left speaks for the time before it, as it does in GnuPG: the owner has said since that the key is his.
    fn bound(&self, at: SystemTime) -> Option<(ValidCert<'_>, ValidErasedKeyAmalgamation<'_, key::PublicParts>)> {
        let bound = |time: SystemTime| {
            let key = self.cert.keys().key_handle(self.key.key_handle()).next()?.with_policy(&LENIENT, time).ok()?;
            Some((self.cert.with_policy(&LENIENT, time).ok()?, key))
        };
        let said = |packed: &Packed| packed.signature_creation_time();
        let later = || {
            let primary = self.cert.primary_key().self_signatures().filter_map(said);
            let names = self.cert.userids().flat_map(|id| id.self_signatures().filter_map(said).collect::<Vec<_>>());
            let subkeys = self.cert.keys().subkeys().key_handle(self.key.key_handle());
            let subkeys = subkeys.flat_map(|subkey| subkey.self_signatures().filter_map(said).collect::<Vec<_>>());
            let mut times: Vec<SystemTime> = primary.chain(names).chain(subkeys).filter(|time| *time > at).collect();
            times.sort();
            times.dedup();
            times.into_iter().take(SELF_SIGNATURES).find_map(bound)
        };
        bound(at).or_else(later)
    }

    fn may_sign(&self, valid: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> std::result::Result<(), Why> {
        // Certificates of the nineties have no flags, and their keys do what their algorithm can.
        let flags = valid.key_flags().filter(|flags| !flags.is_empty());
        if !flags.map_or(valid.key().pk_algo().for_signing(), |flags| flags.for_signing()) {
            return Err(Why::WrongUsage);
        }
        // Without its cross-signature, anybody could claim the subkey of another as his own (RFC 9580, section 5.2.1.9).
        let primary = self.cert.primary_key();
        let crossed =
            |back: &Packed| back.verify_primary_key_binding(primary.key(), self.key.role_as_subordinate()).is_ok();
        match valid.primary() || valid.binding_signature().embedded_signatures().any(crossed) {
            true => Ok(()),
            false => Err(Why::KeyNotBound),
        }
    }

    /// The mailboxes that somebody believes to be the certificate's.
    pub(super) fn authenticated(&self, at: SystemTime) -> Vec<Authenticated> {
        let certified = self.certified(at);
        let mut all: Vec<Authenticated> = Vec::new();
        for one in self.records.iter().flat_map(|record| record.authenticate(&certified)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// The weakest of what the key stands on, and its name: the key, the primary key, and the self-signatures that bind them. A digest
    /// whose collisions are cheap lets a signature over one thing be shown as a binding of another.
    pub(super) fn weakest(&self, at: SystemTime) -> (Strength, String) {
        let of = |algorithm: KeyAlgorithm| (algorithm.strength(), algorithm.name());
        let mut weakest =
            of(suite::key_algorithm(&self.key)).min(of(suite::key_algorithm(self.cert.primary_key().key())));
        if let Some((cert, key)) = self.bound(at) {
            for hash in [cert.primary_key().binding_signature().hash_algo(), key.binding_signature().hash_algo()] {
                weakest = weakest.min((suite::hash_strength(hash), suite::hash_name(hash)));
            }
        }
        weakest
    }

    /// The mailboxes of its user IDs that were bound and not revoked at that time; bound no worse than the primary key is, because what
    /// that is worth counts in the strength of the signature.
    fn certified(&self, at: SystemTime) -> Vec<Address> {
        let Some((valid, _)) = self.bound(at) else { return Vec::new() };
        let strength = |packed: &Packed| suite::hash_strength(packed.hash_algo());
        let least = strength(valid.primary_key().binding_signature());
        let good = valid.userids().filter(|id| {
            !matches!(id.revocation_status(), RevocationStatus::Revoked(_)) && strength(id.binding_signature()) >= least
        });
        good.filter_map(|id| address::of_user_id(std::str::from_utf8(id.userid().value()).ok()?)).collect()
    }
}

/// A policy that lets old certificates be judged, whatever they use: what a signature is worth is decided by `crypto::Strength`.
#[derive(Debug)]
struct Lenient;

const LENIENT: Lenient = Lenient;

impl Policy for Lenient {
    fn signature(&self, signature: &Packed, _: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        match unknown_critical(signature) {
            Some(reason) => Err(PgpError::BadSignature(reason).into()),
            None => Ok(()),
        }
    }

    fn key(&self, _: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn symmetric_algorithm(&self, _: SymmetricAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn aead_algorithm(&self, _: AEADAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn packet(&self, _: &Packet) -> sequoia_openpgp::Result<()> {
        Ok(())
    }
}

/// Critical subpackets and notations that nobody here understands make a signature an error (RFC 9580, sections 5.2.3.7, 5.2.3.24).
pub(super) fn unknown_critical(packed: &Packed) -> Option<String> {
    packed.hashed_area().iter().filter(|subpacket| subpacket.critical()).find_map(|subpacket| match subpacket.tag() {
        SubpacketTag::Reserved(_) | SubpacketTag::Private(_) | SubpacketTag::Unknown(_) => {
            Some(format!("its critical subpacket {} is not known", u8::from(subpacket.tag())))
        }
        SubpacketTag::NotationData => Some("its critical notation is not known".to_owned()),
        _ => None,
    })
}

fn revoked(status: RevocationStatus<'_>) -> std::result::Result<(), Why> {
    let RevocationStatus::Revoked(revocations) = status else { return Ok(()) };
    let said = revocations.first().and_then(|revocation| revocation.reason_for_revocation());
    let (code, text) = said.unwrap_or((ReasonForRevocation::Unspecified, &[]));
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

/// Issuers of one signature, and records for one issuer, that are looked at. A key ID is 64 bits that can be forged; a fingerprint is one key.
const CANDIDATES: usize = 8;

/// Times of self-signatures that are tried in place of missing older ones.
const SELF_SIGNATURES: usize = 64;
