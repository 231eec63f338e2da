//! Classifies OpenPGP octets without a key: fully encrypted messages, signatures, keys.

use super::{
    armor,
    framing::{AED, MARKER, PKESK, Packet, Packets, SED, SEIP, SIGNATURE, SKESK},
    session_key,
};
use crate::{
    mail::armor::{Label, pgp_blocks},
    protocol::kind::reads_as_text,
};

/// Whether `octets`, without armor, are exactly one message encrypted to a public key (RFC 9580, section 10.3):
/// encrypted session keys, at least one of them for a public key, then one container of known length. All must be of a
/// form that cannot carry readable text. Padding packets are refused, because they can hold anything. Messages for
/// passwords alone are refused, because their recipient is unknown.
pub fn is_ciphertext(octets: &[u8]) -> bool {
    let (mut is_closed, mut readers) = (false, 0);
    for packet in Packets::new(octets) {
        let is_fitting = match packet.map(|packet| (packet.tag, packet.body)) {
            _ if is_closed => false,
            Some((MARKER, b"PGP")) => true,
            Some((PKESK, body)) => {
                readers += 1;
                session_key::is_for_a_key(body)
            }
            Some((SKESK, body)) => session_key::is_for_a_password(body),
            Some((SED | SEIP | AED, body)) => {
                let tag = packet.map(|packet| packet.tag);
                is_closed = true;
                readers > 0 && tag.is_some_and(|tag| is_container(tag, body))
            }
            _ => false,
        };
        if !is_fitting {
            return false;
        }
    }
    is_closed && !reads_as_text(octets)
}

/// Whether the start of a container names a known cipher, where the format names one (RFC 9580, sections 5.7 and 5.13;
/// draft-koch-librepgp, section 5.16).
fn is_container(tag: u8, body: &[u8]) -> bool {
    match (tag, body) {
        (SEIP, [1, rest @ ..]) => rest.len() >= LEAST_PREFIX + MDC,
        (SEIP, [2, cipher, aead, chunk, rest @ ..]) => {
            session_key::CIPHERS.contains(cipher)
                && session_key::AEADS.contains(aead)
                && *chunk <= 16
                && rest.len() >= SALT + TAG
        }
        (AED, [1, cipher, aead, chunk, rest @ ..]) => {
            session_key::CIPHERS.contains(cipher)
                && session_key::AEADS.contains(aead)
                && *chunk <= 56
                && rest.len() >= TAG
        }
        (SED, rest) => rest.len() >= LEAST_PREFIX,
        _ => false,
    }
}

/// Whether `octets`, without armor, are only signatures (RFC 9580, section 10.4) whose unhashed areas hold nothing but
/// the issuer.
pub fn is_detached_signature(octets: &[u8]) -> bool {
    let is_plain =
        |packet: Option<Packet<'_>>| packet.is_some_and(|one| one.tag == SIGNATURE && names_its_key(one.body));
    !octets.is_empty() && Packets::new(octets).all(is_plain)
}

/// Whether the unhashed area of a signature holds only issuer subpackets (RFC 9580, sections 5.2.3.12 and 5.2.3.35).
/// Version 3 has no such area.
fn names_its_key(body: &[u8]) -> bool {
    let Some((version, rest)) = body.split_first() else { return false };
    let length_octets = match version {
        3 => return true,
        4 => 2,
        6 => 4,
        _ => return false,
    };
    let area = |octets: &'_ [u8]| -> Option<(usize, usize)> {
        let length = octets.get(..length_octets)?.iter().fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet));
        Some((length_octets, length_octets.checked_add(length)?))
    };
    // Type, public-key algorithm, hash algorithm, then the hashed area.
    let unhashed = rest.get(3..).and_then(|rest| {
        let (_, end) = area(rest)?;
        let rest = rest.get(end..)?;
        let (start, end) = area(rest)?;
        rest.get(start..end)
    });
    let Some(mut unhashed) = unhashed else { return false };
    while let Some((length, rest)) = unhashed.split_first() {
        // Longer issuers could carry readable text.
        let subpacket = rest.split_at_checked(usize::from(*length));
        match subpacket {
            Some(([ISSUER, id @ ..], after)) if id.len() == 8 => unhashed = after,
            Some(([ISSUER_FINGERPRINT, 4, fingerprint @ ..], after)) if fingerprint.len() == 20 => unhashed = after,
            Some(([ISSUER_FINGERPRINT, 6, fingerprint @ ..], after)) if fingerprint.len() == 32 => unhashed = after,
            _ => return false,
        }
    }
    true
}

/// Whether `octets`, without armor, start with a public or secret key (RFC 9580, section 10.1).
pub fn is_key(octets: &[u8]) -> bool {
    Packets::new(octets).next().flatten().is_some_and(|first| KEYS.contains(&first.tag))
}

/// Describes `octets`, armored or not, if they are not a message: `a detached signature`, `an OpenPGP key`.
pub fn no_message(octets: &[u8]) -> Option<&'static str> {
    if !armor::is_armored(octets) {
        let are_signatures = || Packets::new(octets).all(|one| one.is_some_and(|one| one.tag == SIGNATURE));
        return match octets {
            [_, ..] if are_signatures() => Some("a detached signature"),
            _ => is_key(octets).then_some("an OpenPGP key"),
        };
    }
    match pgp_blocks(octets).next()?.label {
        Label::PgpPrivateKey | Label::PgpPublicKey => Some("an OpenPGP key"),
        Label::PgpSignature => Some("a detached signature"),
        Label::PgpMessage | Label::PgpSigned => None,
    }
}

/// Packet types of public and secret primary keys (RFC 9580, sections 5.5.1.1 and 5.5.1.3).
const KEYS: [u8; 2] = [6, 5];
/// Random octets and the two repeated ones, for a cipher with blocks of 64 bits.
const LEAST_PREFIX: usize = 10;
/// The modification detection code: tag, length, SHA-1.
const MDC: usize = 22;
const SALT: usize = 32;
/// The AEAD tag.
const TAG: usize = 16;
/// Issuer Key ID (section 5.2.3.12).
const ISSUER: u8 = 16;
/// Issuer Fingerprint (section 5.2.3.35).
const ISSUER_FINGERPRINT: u8 = 33;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::encoding::base64_decode;

    /// An encrypted session key for Curve25519, and a container. Written by gpg 2.2.40.
    const ESK: &str = "hF4DF+Q6mjKkmb0SAQdA6MgujTtof+FJ6+LdgUQTrRCdhCCJND2bmyd9PALFV1owbaaj/L3y7cvrPVk0SD9Kp4QasxpTU0AWGMCXkw8ox3bxXHfM2AuZ19vzCJs5wUBo";
    const SEALED: &str =
        "0k4B27FHphaP+labPSMznR8lzL4aJGfvDgmrwZvjFhrlAuf4sywH2CfSZXNkga/5Xol44UM58Fk9yG8sOV6wGX0Otmps4QSJQhu2TK41ovY=";
    /// A session key encrypted to a password, written by the same program.
    const PASSWORD: &str = "jA0ECQMCvKBDsyGwD5j/";
    const WORDS: &[u8] = b"The secret is 42.";

    #[test]
    fn an_encrypted_message_hides_everything() {
        let [esk, sealed, password] = [ESK, SEALED, PASSWORD].map(|text| base64_decode(text.as_bytes()));
        let (esk, sealed, password) = (esk.as_slice(), sealed.as_slice(), password.as_slice());
        for message in [[esk, sealed].concat(), [b"\xa8\x03PGP", esk, esk, password, sealed].concat()] {
            assert!(is_ciphertext(&message), "{message:?}");
        }
        // Without a public key.
        for message in [[b"".as_slice(), sealed].concat(), [password, sealed].concat()] {
            assert!(!is_ciphertext(&message), "{message:?}");
        }
        // Another algorithm, one octet too many, an unknown cipher, a container with readable text.
        for (place, octet) in [(1, 0x5f), (2, 9), (11, 17), (11, 0)] {
            let mut changed = [esk, b"x", sealed].concat();
            changed[place] = octet;
            assert!(!is_ciphertext(&changed), "{place}");
        }
        let plain = [esk, b"\x8c\x0d\x04\x00\x03\x02saltsalt\xff", sealed].concat();
        assert!(!is_ciphertext(&plain), "cipher 0");
        for container in
            [b"\xd2\x3e\x02\x00\x02\x06".as_slice(), b"\xd2\x3e\x02\x09\x00\x06", b"\xd2\x3e\x03\x09\x02\x06"]
        {
            assert!(!is_ciphertext(&[esk, container, &[0xa7; 58]].concat()), "{container:?}");
        }
        assert!(is_ciphertext(&[esk, b"\xd2\x3e\x02\x09\x02\x06", &[0xa7; 58]].concat()));
        assert!(!is_ciphertext(&[esk, b"\xd2\x34\x01", &WORDS.repeat(3)].concat()));
        let literal = [b"\xcb\x17b\0\0\0\0\0".as_slice(), WORDS].concat();
        let padding = [b"\xd5\x11".as_slice(), WORDS].concat();
        let marker = [b"\xca\x11".as_slice(), WORDS].concat();
        let unknown = [b"\xfc\x11".as_slice(), WORDS].concat();
        let endless = [b"\xa7".as_slice(), WORDS].concat();
        for words in [WORDS, &literal, &padding, &marker, &unknown, &endless, sealed, esk, b"\0\0", b"\n"] {
            assert!(!is_ciphertext(&[esk, sealed, words].concat()), "{words:?}");
        }
        for words in [WORDS, &literal, &padding, &marker, &unknown, &endless] {
            assert!(!is_ciphertext(&[words, esk, sealed].concat()), "{words:?}");
            assert!(!is_ciphertext(&[esk, words].concat()), "{words:?}");
        }
        assert!(!is_ciphertext(b"") && !is_ciphertext(esk));
        // A compressed message is not encrypted.
        assert!(!is_ciphertext(b"\xc8\x03\x00ab"));
    }

    /// By gpg 2.2.40, EdDSA.
    const DETACHED: &str = "iJEEABYIADkWIQSDeTU0wuz/lRRp6S75FthJkkKBvwUCawxfGRscc3RyYW5nZXJAZWxzZXdoZXJlLmV4YW1wbGUACgkQ+RbYSZJCgb80MAD/btt2Mvu2scgLKSmxaTmHOyM6g+dEM2ZR1A+UXnyyVPwA/0eMthOPzy6NtAA7wLWWUWRQIMI4JEJ97WKTxclpQ5oB";

    #[test]
    fn a_signature_has_no_words_beside_what_it_hashes() {
        let signature = base64_decode(DETACHED.as_bytes());
        assert!(is_detached_signature(&signature) && is_detached_signature(&signature.repeat(2)));
        // The unhashed area begins behind 8 and 57 octets, and has an issuer of 10.
        assert_eq!(signature[65..69], [0, 10, 9, 16]);
        let with = |subpacket: &[u8]| {
            let mut changed = signature.clone();
            changed.splice(67..67, subpacket.iter().copied());
            changed[66] += u8::try_from(subpacket.len()).unwrap();
            changed[1] += u8::try_from(subpacket.len()).unwrap();
            is_detached_signature(&changed)
        };
        assert!(with(b"\x09\x1012345678"));
        assert!(with(&[b"\x16\x21\x04".as_slice(), &[0xa5; 20]].concat()));
        assert!(!with(b"\x12\x10The secret is 42."), "an issuer of words");
        assert!(!with(b"\x13\x21\x04The secret is 42."), "a fingerprint of words");
        assert!(!with(b"\x12\x14The secret is 42."), "a notation");
        assert!(!with(b"\x12\x65The secret is 42."), "a private subpacket");
        assert!(!is_detached_signature(&[signature.as_slice(), b"\xcb\x17b\0\0\0\0\0The secret is 42."].concat()));
    }
}
