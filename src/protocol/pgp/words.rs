//! Words Sequoia's errors in our terms. Its own texts use parser terms and change between versions.

use std::io;

use sequoia_openpgp::{Error as PgpError, anyhow};

use super::suite;
use crate::base::Error;

/// The reason, in lower case, to end a line.
pub(super) fn reason(error: &anyhow::Error) -> String {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(ours) = ours {
        return ours.to_string();
    }
    let theirs = error.chain().find_map(|cause| cause.downcast_ref::<PgpError>());
    if let Some(theirs) = theirs {
        return of(theirs);
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof) => "it is cut short".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}

/// Our own error in it, if this machine is at fault: a token is not plugged in, and the next try may succeed.
pub(super) fn of_machine(error: &anyhow::Error) -> Option<Error> {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    ours.filter(|error| error.is_of_machine()).cloned()
}

fn of(error: &PgpError) -> String {
    match error {
        PgpError::BadSignature(_) => "a signature in it is not valid".to_owned(),
        PgpError::Expired(_) => "it has expired".to_owned(),
        PgpError::InvalidSessionKey(_) | PgpError::MissingSessionKey(_) => "its session key is missing".to_owned(),
        PgpError::MalformedCert(_) => "its packets are not a certificate (RFC 9580, section 10.1)".to_owned(),
        PgpError::MalformedMPI(_) => "a number in it is malformed".to_owned(),
        PgpError::MalformedMessage(_) => "its packets are not a message (RFC 9580, section 10.3)".to_owned(),
        PgpError::MalformedPacket(_) => "a packet is malformed".to_owned(),
        PgpError::ManipulatedMessage => "it was changed".to_owned(),
        PgpError::NoBindingSignature(_) => "it has no valid self-signature".to_owned(),
        PgpError::NotYetLive(_) => "it is not valid yet".to_owned(),
        PgpError::PacketTooLarge(..) => "a packet is too large".to_owned(),
        PgpError::PolicyViolation(what, _) => weak(what),
        PgpError::UnsupportedAEADAlgorithm(algorithm) => {
            format!("aead algorithm {} is not known", u8::from(*algorithm))
        }
        PgpError::UnsupportedCert(..) => "it has packets that do not belong in a certificate".to_owned(),
        PgpError::UnsupportedCompressionAlgorithm(algorithm) => {
            format!("compression algorithm {} is not known", u8::from(*algorithm))
        }
        PgpError::UnsupportedEllipticCurve(_) => "its elliptic curve is not known".to_owned(),
        PgpError::UnsupportedHashAlgorithm(algorithm) => format!("{} is not known", suite::hash_name(*algorithm)),
        PgpError::UnsupportedPacketType(tag) => format!("a packet of type {} is not known", u8::from(*tag)),
        PgpError::UnsupportedPublicKeyAlgorithm(algorithm) => {
            format!("public-key algorithm {} is not known", u8::from(*algorithm))
        }
        PgpError::UnsupportedSignatureType(kind) => {
            format!("a signature of type {:#04x} is not known", u8::from(*kind))
        }
        PgpError::UnsupportedSymmetricAlgorithm(algorithm) => format!("cipher {} is not known", u8::from(*algorithm)),
        _ => "it cannot be read".to_owned(),
    }
}

/// Names what Sequoia's policy refuses: `SHA1`, `RSA1024`, or a sentence about a property of the digest.
pub(super) fn weak(what: &str) -> String {
    match what.contains(char::is_whitespace) {
        true => "weak: its digest".to_owned(),
        false => format!("weak: {}", what.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_dependency_is_handed_on() {
        let theirs = [
            PgpError::MalformedCert("unrecognized token `SIGNATURE packet` found at 0:0".to_owned()),
            PgpError::MalformedPacket("Invalid packet".to_owned()),
            PgpError::InvalidOperation("Oops".to_owned()),
        ];
        for error in theirs {
            let words = reason(&error.clone().into());
            assert!(!error.to_string().to_lowercase().contains(&words), "{words}");
            assert!(!["token", "invalid packet", "oops"].iter().any(|theirs| words.contains(theirs)), "{words}");
        }
        assert_eq!(reason(&io::Error::new(io::ErrorKind::UnexpectedEof, "EOF").into()), "it is cut short");
        assert_eq!(reason(&Error::no_key("key A: locked").into()), "key A: locked");
        assert_eq!(reason(&PgpError::PolicyViolation("SHA1".to_owned(), None).into()), "weak: sha1");
        assert_eq!(reason(&PgpError::PolicyViolation("Policy rejected x".to_owned(), None).into()), "weak: its digest");
    }
}
