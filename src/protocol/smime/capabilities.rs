//! The ciphers that a recipient's software supports: SMIMECapabilities (RFC 8551, section 2.5.2), written and read.

use std::time::{Duration, SystemTime};

use const_oid::db::rfc5911;
use der::{Decode, asn1::ObjectIdentifier};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{
    content_kind::ContentKind,
    encode::{algorithm, sequence},
};
use crate::{
    base::rfc3339,
    crypto::{Aead, Cipher},
    keys::{Announcement, Capabilities, Record},
    pki::Certificate,
};

/// The ciphers that one recipient supports, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The ciphers known to us, in the recipient's order of preference.
    ciphers: Vec<ContentKind>,
    source: Source,
}

/// How the supported ciphers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the certificate, by the extension of RFC 4262.
    Certificate,
    /// Unknown: the ciphers that every recipient is presumed to support.
    Presumed,
    /// From a message that the recipient signed at this time.
    Announced(SystemTime),
}

impl Known {
    /// The recipient's own announcement comes first, then the certificate's (RFC 8551, section 2.7.1). A list without a
    /// known cipher is ignored.
    pub fn of(certificate: &Certificate, own: Option<&Capabilities>) -> Known {
        let own = own.and_then(|own| Some((ciphers(&own.list)?, Source::Announced(own.said))));
        let in_certificate = || extension(certificate).map(|ciphers| (ciphers, Source::Certificate));
        let presumed = match certificate.public_key().encapsulation() {
            // Programs that read KEMRecipientInfo (RFC 9629) read AES-GCM too: OpenSSL since 3.6, Bouncy Castle, .NET.
            Some(_) => BEST.to_vec(),
            None => PRESUMED.to_vec(),
        };
        let (ciphers, source) = own.or_else(in_certificate).unwrap_or((presumed, Source::Presumed));
        Known { ciphers, source }
    }

    /// The ciphers presumed for a password recipient.
    pub(super) fn presumed() -> Known {
        Known { ciphers: PRESUMED.to_vec(), source: Source::Presumed }
    }

    /// How this is known.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Cipher names in the recipient's order of preference: `aes256-gcm`, `aes256-cbc`, ...
    pub fn names(&self) -> Vec<String> {
        self.ciphers.iter().map(|cipher| cipher.name()).collect()
    }

    /// `reads aes256-gcm, announced on 2026-11-24`: the best cipher by our order; `None` if nothing is announced.
    pub(super) fn words(&self) -> Option<String> {
        let best = best(std::slice::from_ref(self)).or_else(|| self.ciphers.first().copied())?.name();
        match self.source {
            Source::Certificate => Some(format!("reads {best}, according to the certificate")),
            Source::Presumed => None,
            Source::Announced(time) => {
                let day: String = rfc3339(time).chars().take_while(|c| *c != 'T').collect();
                Some(format!("reads {best}, announced on {day}"))
            }
        }
    }
}

/// The best cipher that all recipients support; `None` if they share no strong one. The order is ours, because the
/// recipients' preferences differ.
pub(super) fn best(readers: &[Known]) -> Option<ContentKind> {
    BEST.into_iter().find(|cipher| readers.iter().all(|reader| reader.ciphers.contains(cipher)))
}

/// The signer's announcement, if `record`, the signer's certificate, does not have it yet. A time in the future is not
/// accepted, because no later announcement would replace it (RFC 8551, section 2.7.1).
pub(super) fn news(announced: Capabilities, record: &Record, now: SystemTime) -> Option<Announcement> {
    let latest = now.checked_add(SKEW)?;
    let is_news =
        announced.said <= latest && ciphers(&announced.list).is_some() && announced.is_news(record.capabilities());
    is_news.then(|| Announcement { certificate: record.fingerprint().clone(), capabilities: announced })
}

/// The attribute value with the content ciphers that we read, best first.
pub(super) fn ours() -> Vec<u8> {
    let lines: Vec<Vec<u8>> = OURS.iter().filter_map(|cipher| Some(algorithm(cipher.identifier()?, &[]))).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    sequence(&lines)
}

/// The algorithm of the certificate's key, from its SubjectPublicKeyInfo.
pub(super) fn key_identifier(certificate: &Certificate) -> Option<ObjectIdentifier> {
    let key = SubjectPublicKeyInfoRef::from_der(certificate.public_key().der()).ok()?;
    Some(key.algorithm.oid)
}

/// The ciphers in the certificate's extension; `None` if there is none or it lists no known cipher.
fn extension(certificate: &Certificate) -> Option<Vec<ContentKind>> {
    ciphers(certificate.extension(&SMIME_CAPABILITIES)?)
}

/// The known content ciphers in a list; `None` if there are none.
fn ciphers(list: &[u8]) -> Option<Vec<ContentKind>> {
    let known: Vec<ContentKind> = identifiers(list)?.into_iter().filter_map(ContentKind::named).collect();
    (!known.is_empty()).then_some(known)
}

fn identifiers(list: &[u8]) -> Option<Vec<ObjectIdentifier>> {
    let lines = Vec::<AlgorithmIdentifierRef<'_>>::from_der(list).ok()?;
    Some(lines.into_iter().map(|line| line.oid).collect())
}

/// The attribute (RFC 8551, section 2.5.2) and the extension (RFC 4262, section 2).
pub(super) const SMIME_CAPABILITIES: ObjectIdentifier = rfc5911::SMIME_CAPABILITIES;

/// Ciphers that we choose ourselves, best first: authenticated ones before CBC.
const BEST: [ContentKind; 4] = [
    ContentKind::Aead(Aead::Aes256Gcm),
    ContentKind::Aead(Aead::Aes128Gcm),
    ContentKind::Cbc(Cipher::Aes256),
    ContentKind::Cbc(Cipher::Aes128),
];

/// The ciphers presumed if nothing is known (RFC 8551, section 2.7.1.2, for software from before 2019).
const PRESUMED: [ContentKind; 2] = [ContentKind::Cbc(Cipher::Aes256), ContentKind::Cbc(Cipher::Aes128)];

/// How far another clock may be ahead of ours. Source: as in Kerberos.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// RFC 8551, section 2.7. Authenticated ciphers come first.
const OURS: [ContentKind; 6] = [
    ContentKind::Aead(Aead::Aes256Gcm),
    ContentKind::Aead(Aead::Aes128Gcm),
    ContentKind::Aead(Aead::ChaCha20Poly1305),
    ContentKind::Cbc(Cipher::Aes256),
    ContentKind::Cbc(Cipher::Aes192),
    ContentKind::Cbc(Cipher::Aes128),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn list(identifiers: &[&str]) -> Vec<u8> {
        let lines: Vec<Vec<u8>> =
            identifiers.iter().map(|one| algorithm(ObjectIdentifier::new_unwrap(one), &[])).collect();
        sequence(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn known(identifiers: &[&str]) -> Known {
        Known { ciphers: ciphers(&list(identifiers)).unwrap(), source: Source::Announced(SystemTime::UNIX_EPOCH) }
    }

    #[test]
    fn what_we_write_we_read() {
        assert_eq!(ciphers(&ours()).unwrap(), OURS);
    }

    /// RFC 8551, section 2.5.2 leaves the parameters to each capability: here RC2 with a key of 128 bits.
    #[test]
    fn parameters_do_no_harm() {
        let gcm = OURS[0].identifier().unwrap();
        let rc2 = [0x30, 0x0e, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x02, 0x02, 0x02, 0x00, 0x80];
        let read = identifiers(&sequence(&[&rc2, &algorithm(gcm, &[])])).unwrap();
        assert_eq!(read, [ObjectIdentifier::new_unwrap("1.2.840.113549.3.2"), gcm]);
        assert_eq!(identifiers(&[0x30, 0x01]), None);
        // No cipher in it: sha256WithRSAEncryption.
        assert_eq!(ciphers(&list(&["1.2.840.113549.1.1.11"])), None);
    }

    #[test]
    fn the_best_is_what_all_read_and_never_a_weak_one() {
        let (gcm, cbc, small, weak) = (
            known(&[AES128_CBC, AES128_GCM, AES256_GCM]),
            known(&[AES256_CBC, AES128_CBC, TRIPLE_DES]),
            known(&[AES128_CBC, TRIPLE_DES]),
            known(&[TRIPLE_DES]),
        );
        let name = |readers: &[&Known]| {
            let readers: Vec<Known> = readers.iter().copied().cloned().collect();
            best(&readers).map(|cipher| cipher.name())
        };
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(name(&[&gcm]), is("aes256-gcm"));
        assert_eq!(name(&[&gcm, &known(&[AES128_GCM])]), is("aes128-gcm"));
        assert_eq!(name(&[&cbc]), is("aes256-cbc"));
        assert_eq!(name(&[&Known::presumed(), &cbc]), is("aes256-cbc"));
        assert_eq!(name(&[&Known::presumed(), &gcm]), is("aes128-cbc"));
        assert_eq!(name(&[&cbc, &small]), is("aes128-cbc"));
        assert_eq!(name(&[&weak]), None);
        assert_eq!(name(&[&weak, &gcm]), None);
        assert_eq!(gcm.words(), is("reads aes256-gcm, announced on 1970-01-01"));
        assert_eq!(weak.words(), is("reads 3des-cbc, announced on 1970-01-01"));
        assert_eq!(Known::presumed().words(), None);
    }

    const AES256_GCM: &str = "2.16.840.1.101.3.4.1.46";
    const AES128_GCM: &str = "2.16.840.1.101.3.4.1.6";
    const AES256_CBC: &str = "2.16.840.1.101.3.4.1.42";
    const AES128_CBC: &str = "2.16.840.1.101.3.4.1.2";
    const TRIPLE_DES: &str = "1.2.840.113549.3.7";
}
