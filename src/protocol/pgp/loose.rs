//! Revocation certificates that come by themselves: a signature packet without the certificate that it is about (RFC 9580, section 5.2.1).
//! What `key generate` and GnuPG lay aside for the day when a key is lost is of this form.

use std::{collections::BTreeMap, sync::Arc};

use sequoia_openpgp::{
    Cert, KeyHandle, Packet,
    packet::Signature,
    parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse},
    serialize::MarshalInto,
    types::SignatureType,
};

use super::{cert, keyfile, revocation::revokers, words};
use crate::{
    base::{Error, Result},
    keys::{Handle, Keys, ProtocolName, Record, Want},
    protocol::{KeyFile, LooseRevocation},
};

/// The revocations in the packets of a key file that no certificate among them has taken up.
pub(super) struct Loose {
    /// Each by its numbers, which no other signature has.
    left: BTreeMap<Vec<u8>, Signature>,
    /// The primary keys of the certificates.
    owners: Vec<KeyHandle>,
}

impl Loose {
    /// All of them, whatever stands around them.
    pub(super) fn read(octets: &[u8]) -> Loose {
        let mut left = BTreeMap::new();
        let mut next = PacketParserBuilder::from_bytes(octets)
            .and_then(|source| source.dearmor(Dearmor::Disabled).automatic_hashing(false).build());
        while let Ok(PacketParserResult::Some(parser)) = next {
            if let Packet::Signature(signature) = &parser.packet
                && is_revocation(signature)
            {
                left.insert(numbers(signature), signature.clone());
            }
            next = parser.next().map(|(_, next)| next);
        }
        Loose { left, owners: Vec::new() }
    }

    /// Those that `cert` holds are not loose.
    pub(super) fn held_by(&mut self, cert: &Cert) {
        if !self.left.is_empty() {
            self.owners.push(cert.key_handle());
            held(cert).into_iter().for_each(|signature| drop(self.left.remove(&numbers(signature))));
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What is left once every certificate was seen; `place` is what errors call the file.
    pub(super) fn left(self, place: &str) -> Vec<LooseRevocation> {
        let Loose { left, owners } = self;
        let matters = |signature: &Signature| {
            // Others take back what they once certified, which says nothing of the key.
            signature.typ() != SignatureType::CertificationRevocation
                || owners.is_empty()
                || owners.iter().any(|owner| names(signature, owner))
        };
        let packet = |signature: Signature| {
            Some(LooseRevocation { place: place.to_owned(), octets: Packet::from(signature).to_vec().ok()? })
        };
        left.into_values().filter(matters).filter_map(packet).collect()
    }
}

/// Applies the revocations in `file` that came without their certificates: to certificates that came along, or that are in `beside`.
///
/// A certificate of `beside` goes, revoked, to `file.elsewhere`. What revokes nothing that is known is an error of kind `NoKey` in
/// `file.lost`, or `Malformed` when its certificate is known and it is not valid.
///
/// # Errors
///
/// The keys could not be asked.
pub fn apply_revocations(file: &mut KeyFile, beside: &dyn Keys) -> Result<()> {
    for revocation in std::mem::take(&mut file.revocations) {
        let signature = parse(&revocation)?;
        let mut taken = false;
        for found in file.found.iter_mut().map(|one| &mut one.record).chain(&mut file.elsewhere) {
            if let Some(record) = revoked(found, &signature)? {
                *found = record;
                taken = true;
            }
        }
        if taken {
            continue;
        }
        for record in candidates(&signature, beside)? {
            if let Some(record) = revoked(&record, &signature)? {
                file.elsewhere.push(record);
                taken = true;
            }
        }
        if !taken {
            file.lost.push(lost(&revocation, &signature, file, beside)?);
        }
    }
    Ok(())
}

/// The certificate with the revocation in it; `None` when that does not revoke it.
fn revoked(record: &Record, signature: &Signature) -> Result<Option<Record>> {
    if record.protocol != ProtocolName::Pgp {
        return Ok(None);
    }
    let cert = Cert::clone(&*cert::parse(record)?);
    if !names(signature, &cert.key_handle()) && !is_by_revoker(&cert, signature) {
        return Ok(None);
    }
    let failed = |error: &sequoia_openpgp::anyhow::Error| keyfile::failed(&record.fingerprint, error);
    let octets = cert.insert_packets(vec![signature.clone()]).and_then(|(cert, _)| cert.to_vec());
    // Read anew, so that signatures that Sequoia cannot verify are verified here.
    let cert = octets.and_then(|octets| cert::read(&octets)).map_err(|error| failed(&error))?;
    if !is_held(&cert, signature) {
        return Ok(None);
    }
    let described = keyfile::describe_cert(&cert)?.record;
    Ok(Some(Record { bytes: described.bytes, ..record.clone() }))
}

/// Whether the revocation has its place in the certificate: made by its own key, or perhaps by one of others.
fn is_held(cert: &Cert, signature: &Signature) -> bool {
    held(cert).into_iter().any(|held| held.normalized_eq(signature))
}

/// The revocations of a certificate and its parts: by its own key, verified, and by others, as far as they are about it.
fn held(cert: &Cert) -> Vec<&Signature> {
    let mut all: Vec<&Signature> = Vec::new();
    let primary = cert.primary_key();
    all.extend(primary.self_revocations());
    all.extend(primary.other_revocations());
    for user in cert.userids() {
        all.extend(user.self_revocations());
        all.extend(user.other_revocations());
    }
    for attribute in cert.user_attributes() {
        all.extend(attribute.self_revocations());
        all.extend(attribute.other_revocations());
    }
    for subkey in cert.keys().subkeys() {
        all.extend(subkey.self_revocations());
        all.extend(subkey.other_revocations());
    }
    all
}

/// Certificates that may be meant: whose key made the revocation, or who name that as their revoker.
fn candidates(signature: &Signature, beside: &dyn Keys) -> Result<Vec<Arc<Record>>> {
    let mut all = Vec::new();
    for issuer in signature.get_issuers() {
        all.extend(beside.find(ProtocolName::Pgp, &Want::Handle(&Handle::from_octets(issuer.as_bytes())))?);
    }
    // Only what is revoked by another is looked for in all of them: it does not say whom it is about.
    for record in beside.find(ProtocolName::Pgp, &Want::All)? {
        let is_new = all.iter().all(|known: &Arc<Record>| known.fingerprint != record.fingerprint);
        if is_new && cert::parse(&record).is_ok_and(|cert| is_by_revoker(&cert, signature)) {
            all.push(record);
        }
    }
    all.dedup_by(|one, other| one.fingerprint == other.fingerprint);
    Ok(all)
}

fn lost(revocation: &LooseRevocation, signature: &Signature, file: &KeyFile, beside: &dyn Keys) -> Result<Error> {
    let mut issuers: Vec<KeyHandle> = signature.get_issuers();
    issuers.sort_by_key(|issuer| std::cmp::Reverse(issuer.as_bytes().len()));
    let Some(issuer) = issuers.first().map(|issuer| Handle::from_octets(issuer.as_bytes())) else {
        return Ok(Error::malformed(&revocation.place, "a revocation certificate that does not say for which key"));
    };
    let is_here = file.found.iter().any(|one| one.record.has(&issuer))
        || !beside.find(ProtocolName::Pgp, &Want::Handle(&issuer))?.is_empty();
    let what = format!("a revocation certificate for key {issuer}");
    Ok(match is_here {
        true => Error::malformed(&revocation.place, format!("{what}, which is damaged: it does not revoke that key")),
        false => Error::no_key(format!("{}: {what}, whose certificate is not here", revocation.place))
            .with_hint("import the certificate too: postseal key import CERTIFICATE REVOCATION"),
    })
}

fn parse(revocation: &LooseRevocation) -> Result<Signature> {
    let failed = |why: String| Error::malformed(&revocation.place, why);
    match Packet::from_bytes(&revocation.octets) {
        Ok(Packet::Signature(signature)) => Ok(signature),
        Ok(_) => Err(failed("no revocation certificate".to_owned())),
        Err(error) => Err(failed(words::reason(&error))),
    }
}

fn is_revocation(signature: &Signature) -> bool {
    use SignatureType::{CertificationRevocation, KeyRevocation, SubkeyRevocation};
    matches!(signature.typ(), KeyRevocation | SubkeyRevocation | CertificationRevocation)
}

fn numbers(signature: &Signature) -> Vec<u8> {
    signature.mpis().to_vec().unwrap_or_default()
}

fn is_by_revoker(cert: &Cert, signature: &Signature) -> bool {
    revokers(cert).iter().any(|revoker| names(signature, revoker))
}

fn names(signature: &Signature, key: &KeyHandle) -> bool {
    signature.get_issuers().iter().any(|issuer| issuer.aliases(key))
}
