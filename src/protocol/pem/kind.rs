//! Whether a text is a fully encrypted PEM message, checked without a key.

use super::{
    boundary,
    header::{Header, KeyInfo, MicInfo, Originator, ProcType, Recipient},
    text,
};
use crate::{
    base::Budget,
    crypto::{Cipher, Hash},
    mail::encoding::{base64_decode, is_base64},
    pki::Certificate,
};

/// Whether `text` is exactly one ENCRYPTED message (RFC 1421, section 4.6.1.1), except for white space around it. Its
/// header must not contain free text: recipients and originators are identified by certificate, and every algorithm is
/// known.
pub fn is_ciphertext(text: &[u8], budget: &Budget) -> bool {
    // Exactly one message: `whole` checks the first and the last line.
    let mut blocks = boundary::blocks(text);
    let (Some(block), None) = (boundary::whole(text), blocks.nth(1)) else { return false };
    let Ok((header, encrypted)) = text::read(block.inside.of(text), budget) else { return false };
    let octets = base64_decode(encrypted);
    has_no_free_text(&header)
        && is_base64(encrypted)
        && !octets.is_empty()
        && !crate::protocol::kind::reads_as_text(&octets)
}

fn has_no_free_text(header: &Header) -> bool {
    let cipher = header.dek_info.as_ref().and_then(|info| Cipher::of_pem(&info.algorithm));
    header.proc_type == ProcType::Encrypted
        && cipher.is_some()
        && !header.says_more()
        && header.originators.iter().all(is_plain_originator)
        && !header.recipients.is_empty()
        && header.recipients.iter().all(is_plain_recipient)
}

fn is_plain_originator(one: &Originator) -> bool {
    let certificates = one.certificate.iter().chain(&one.issuers);
    one.name.is_none()
        && one.shared_key.is_none()
        && certificates.into_iter().all(|der| Certificate::parse(der).is_ok())
        && one.key_info.iter().all(is_known_key)
        && one.mic_info.iter().all(is_known_mic)
}

fn is_plain_recipient(one: &Recipient) -> bool {
    one.name.is_none() && one.shared_key.is_none() && one.key_info.as_ref().is_some_and(is_known_key)
}

fn is_known_key(info: &KeyInfo) -> bool {
    matches!(info, KeyInfo::Asymmetric { algorithm, .. } if algorithm == "RSA")
}

fn is_known_mic(info: &MicInfo) -> bool {
    Hash::of_pem(&info.digest).is_some() && info.algorithm == "RSA"
}
