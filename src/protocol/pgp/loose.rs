//! Revocation certificates without the certificate that they revoke: a single signature packet (RFC 9580, section
//! 5.2.1). `key generate` and GnuPG store revocations for later use in this form.

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
    base::{Error, Hint, Result},
    keys::{Handle, Keys, ProtocolName, Query, Record, Want},
    protocol::{KeyFile, LooseRevocation},
};

/// The revocations in a key file that belong to no certificate in it.
pub(super) struct Loose {
    /// Keyed by the numbers of the signature, which are unique.
    left: BTreeMap<Vec<u8>, Signature>,
    /// The primary keys of the certificates.
    owners: Vec<KeyHandle>,
}

impl Loose {
    /// Collects all revocations in the packets, ignoring the packets around them.
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

    /// Removes the revocations that `cert` holds.
    pub(super) fn held_by(&mut self, cert: &Cert) {
        if !self.left.is_empty() {
            self.owners.push(cert.key_handle());
            held(cert).into_iter().for_each(|signature| drop(self.left.remove(&numbers(signature))));
        }
    }

    /// Whether no revocation is left.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The revocations left after all certificates were read. `place` names the file in errors.
    pub(super) fn left(self, place: &str) -> Vec<LooseRevocation> {
        let Loose { left, owners } = self;
        let matters = |signature: &Signature| {
            // A certification revocation by another key says nothing about the key itself.
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

/// Applies the revocations in `file` that came without their certificates, to certificates in the file or in `beside`.
///
/// A certificate of `beside` is added, revoked, to `file.elsewhere`. A revocation that applies to no known certificate
/// becomes an error in `file.lost`: of kind `NoKey`, or `Malformed` if its certificate is known and the revocation is
/// invalid.
///
/// # Errors
///
/// Errors of `beside`, and `Malformed` if a revocation is not a signature packet.
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

/// The certificate with the revocation added; `None` if the signature does not revoke it.
fn revoked(record: &Record, signature: &Signature) -> Result<Option<Record>> {
    if record.protocol() != ProtocolName::Pgp {
        return Ok(None);
    }
    let cert = Cert::clone(&*cert::parse(record)?);
    if !names(signature, &cert.key_handle()) && !is_by_revoker(&cert, signature) {
        return Ok(None);
    }
    let failed = |error: &sequoia_openpgp::anyhow::Error| keyfile::failed(record.fingerprint(), error);
    let octets = cert.insert_packets(vec![signature.clone()]).and_then(|(cert, _)| cert.to_vec());
    // Read again, so that `binding_signatures` verifies signatures that Sequoia cannot.
    let cert = octets.and_then(|octets| cert::read(&octets)).map_err(|error| failed(&error))?;
    if !is_held(&cert, signature) {
        return Ok(None);
    }
    let described = keyfile::describe_cert(&cert)?.record;
    Ok(Some(record.clone().with_bytes(described.bytes().clone())))
}

/// Whether the certificate accepts the revocation: it was made by its own key, or possibly by a designated revoker.
fn is_held(cert: &Cert, signature: &Signature) -> bool {
    held(cert).into_iter().any(|held| held.normalized_eq(signature))
}

/// The revocations of a certificate and its parts: verified ones by its own key, and those by other keys.
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

/// Certificates that may be meant: the one whose key made the revocation, or those that name this key as designated
/// revoker.
fn candidates(signature: &Signature, beside: &dyn Keys) -> Result<Vec<Arc<Record>>> {
    let mut all = Vec::new();
    for issuer in signature.get_issuers() {
        all.extend(
            beside.find(ProtocolName::Pgp, &Query::manage(Want::Handle(&Handle::from_octets(issuer.as_bytes()))))?,
        );
    }
    // A revocation by a designated revoker does not name the revoked certificate, so all certificates are searched.
    for record in beside.find(ProtocolName::Pgp, &Query::manage(Want::All))? {
        let is_new = all.iter().all(|known: &Arc<Record>| known.fingerprint() != record.fingerprint());
        if is_new && cert::parse(&record).is_ok_and(|cert| is_by_revoker(&cert, signature)) {
            all.push(record);
        }
    }
    all.dedup_by(|one, other| one.fingerprint() == other.fingerprint());
    Ok(all)
}

fn lost(revocation: &LooseRevocation, signature: &Signature, file: &KeyFile, beside: &dyn Keys) -> Result<Error> {
    let mut issuers: Vec<KeyHandle> = signature.get_issuers();
    issuers.sort_by_key(|issuer| std::cmp::Reverse(issuer.as_bytes().len()));
    let Some(issuer) = issuers.first().map(|issuer| Handle::from_octets(issuer.as_bytes())) else {
        return Ok(Error::malformed(&revocation.place, "a revocation certificate that names no key"));
    };
    let is_here = file.found.iter().any(|one| one.record.has(&issuer))
        || !beside.find(ProtocolName::Pgp, &Query::manage(Want::Handle(&issuer)))?.is_empty();
    let what = format!("a revocation certificate for key {issuer}");
    Ok(match is_here {
        true => Error::malformed(&revocation.place, format!("{what}, which is damaged: it does not revoke that key")),
        false => Error::no_key(format!("{}: {what}, whose certificate is missing", revocation.place))
            .with_hint(Hint::ImportWithCertificate),
    })
}

fn parse(revocation: &LooseRevocation) -> Result<Signature> {
    let failed = |why: String| Error::malformed(&revocation.place, why);
    match Packet::from_bytes(&revocation.octets) {
        Ok(Packet::Signature(signature)) => Ok(signature),
        Ok(_) => Err(failed("not a revocation certificate".to_owned())),
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
