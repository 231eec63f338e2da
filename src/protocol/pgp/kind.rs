//! What octets of OpenPGP are, without any key: a message that hides everything, signatures, keys.

use super::{
    armor,
    framing::{AED, MARKER, PKESK, Packets, SED, SEIP, SIGNATURE, SKESK},
};
use crate::mail::armor::{Label, pgp_blocks};

/// Whether `octets`, without armour, are one encrypted message (RFC 9580, section 10.3) and nothing else: encrypted session keys, and one
/// container of a length that is written down. Padding is none of it, because anything can stand in it.
pub fn is_ciphertext(octets: &[u8]) -> bool {
    let mut is_closed = false;
    for packet in Packets::new(octets) {
        match packet.map(|packet| (packet.tag, packet.body)) {
            Some((MARKER, b"PGP")) => {}
            Some((PKESK | SKESK, _)) if !is_closed => {}
            Some((SED | SEIP | AED, _)) if !is_closed => is_closed = true,
            _ => return false,
        }
    }
    is_closed
}

/// Whether `octets`, without armour, are signatures and nothing else (RFC 9580, section 10.4).
pub fn is_detached_signature(octets: &[u8]) -> bool {
    !octets.is_empty() && Packets::new(octets).all(|packet| packet.is_some_and(|packet| packet.tag == SIGNATURE))
}

/// Whether `octets`, without armour, begin with a public or secret key (RFC 9580, section 10.1).
pub fn is_key(octets: &[u8]) -> bool {
    Packets::new(octets).next().flatten().is_some_and(|first| KEYS.contains(&first.tag))
}

/// What `octets`, armoured or not, are when they are no message: `a detached signature`, `an OpenPGP key`.
pub fn no_message(octets: &[u8]) -> Option<&'static str> {
    if !armor::is_armored(octets) {
        return match octets {
            _ if is_detached_signature(octets) => Some("a detached signature"),
            _ => is_key(octets).then_some("an OpenPGP key"),
        };
    }
    match pgp_blocks(octets).next()?.label {
        Label::PgpPrivateKey | Label::PgpPublicKey => Some("an OpenPGP key"),
        Label::PgpSignature => Some("a detached signature"),
        Label::PgpMessage | Label::PgpSigned => None,
    }
}

/// Public and secret primary keys (RFC 9580, sections 5.5.1.1 and 5.5.1.3).
const KEYS: [u8; 2] = [6, 5];

#[cfg(test)]
mod tests {
    use super::*;

    const ESK: &[u8] = b"\x85\x00\x03\x03ab";
    const SEALED: &[u8] = b"\xd2\xe1ab\x02cd";
    const WORDS: &[u8] = b"The secret is 42.";

    #[test]
    fn an_encrypted_message_hides_everything() {
        for message in [[ESK, SEALED], [SEALED, b""], [b"\xa8\x03PGP", SEALED]] {
            assert!(is_ciphertext(&message.concat()), "{message:?}");
        }
        let literal = [b"\xcb\x17b\0\0\0\0\0".as_slice(), WORDS].concat();
        let padding = [b"\xd5\x11".as_slice(), WORDS].concat();
        let marker = [b"\xca\x11".as_slice(), WORDS].concat();
        let unknown = [b"\xfc\x11".as_slice(), WORDS].concat();
        let endless = [b"\xa7".as_slice(), WORDS].concat();
        for words in [WORDS, &literal, &padding, &marker, &unknown, &endless, SEALED, ESK, b"\0\0", b"\n"] {
            assert!(!is_ciphertext(&[ESK, SEALED, words].concat()), "{words:?}");
        }
        for words in [WORDS, &literal, &padding, &marker, &unknown, &endless] {
            assert!(!is_ciphertext(&[words, ESK, SEALED].concat()), "{words:?}");
            assert!(!is_ciphertext(&[ESK, words].concat()), "{words:?}");
        }
        assert!(!is_ciphertext(b"") && !is_ciphertext(ESK));
        // A packed message hides nothing.
        assert!(!is_ciphertext(b"\xc8\x03\x00ab"));
    }
}
