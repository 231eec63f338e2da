//! Whether anything in the body of an encrypted message can be read by whoever sees it pass: text beside the ciphertext.

use memchr::memchr;

use crate::mail::Part;

/// Whether `part` shows nothing but ciphertext and what belongs around it by its format. Field bodies, one line of a preamble and a few
/// armour headers are not looked into: programs write all of these, and whoever writes the message has its subject anyway.
pub(super) fn is_opaque(part: Part<'_>) -> bool {
    if part.children().len() > 0 {
        let is_margin_harmless = part.preamble().trim_ascii().len() <= PREAMBLE && is_blank(part.epilogue());
        // A second block of armour may pack and not encrypt: its reader did not look at it.
        let contents = part.children().filter(|child| !is_blank(child.body()) && !is_companion(*child)).count();
        return is_margin_harmless && contents <= 1 && part.children().all(is_opaque);
    }
    let (raw, decoded) = (part.body(), part.decoded());
    if is_blank(raw) {
        return true;
    }
    if part.content_type().is("application", "pgp-encrypted") && !decoded.starts_with(BEGIN) {
        return decoded.len() <= PREAMBLE
            && lines(&decoded).all(|line| line.is_empty() || line.starts_with(b"Version:"));
    }
    let is_clean = part.transfer_encoding() != "base64" || lines(raw).all(is_base64);
    is_clean && if decoded.is_ascii() { is_armor(&decoded) } else { ends_with_its_object(&decoded) }
}

/// Whether it is what RFC 1847 puts beside a content: a version, or a signature.
fn is_companion(part: Part<'_>) -> bool {
    let content = part.content_type();
    content.kind == "application" && COMPANIONS.contains(&content.subtype.as_str())
}

/// Whether a text is blocks of armour, of OpenPGP or PEM, and blank lines around them.
fn is_armor(text: &[u8]) -> bool {
    let mut place = Place::Outside;
    let mut remarks = 0;
    for line in lines(text) {
        let is_fitting = match place {
            Place::Outside if line.is_empty() => true,
            Place::Outside => {
                place = Place::Header;
                line.starts_with(BEGIN) && is_label(line)
            }
            Place::Header if line.is_empty() => {
                place = Place::Data;
                true
            }
            Place::Header if line.contains(&b':') => {
                let (name, value) = line.split_at(memchr(b':', line).unwrap_or_default());
                let is_remark = REMARKS.contains(&name) && line.len() <= PREAMBLE;
                let is_of_pem = PEM_FIELDS.iter().any(|one| name.starts_with(one));
                remarks += usize::from(is_remark);
                let has_words =
                    value.trim_ascii_start().strip_prefix(b":").unwrap_or(value).trim_ascii().contains(&b' ');
                is_remark && remarks <= MOST_REMARKS || is_of_pem && !has_words
            }
            Place::Header | Place::Data if line.starts_with(END) => {
                place = Place::Outside;
                is_label(line)
            }
            // The header of PEM is folded; OpenPGP's may be missing.
            Place::Header if line.starts_with(b" ") => !line.trim_ascii().contains(&b' '),
            Place::Header | Place::Data => is_base64(line),
        };
        if !is_fitting {
            return false;
        }
    }
    place == Place::Outside
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Data,
    Header,
    Outside,
}

/// Whether nothing follows the one ASN.1 object that binary data begins with; of OpenPGP, its own reader takes care.
fn ends_with_its_object(octets: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const INDEFINITE: u8 = 0x80;
    let (Some(&SEQUENCE), Some(&first)) = (octets.first(), octets.get(1)) else { return true };
    if first == INDEFINITE {
        return octets.trim_ascii_end().ends_with(&[0, 0]);
    }
    let count = if first < INDEFINITE { 0 } else { usize::from(first - INDEFINITE) };
    let Some(length) = octets.get(2..2 + count) else { return false };
    let length = length.iter().fold(0_usize, |sum, octet| sum.saturating_mul(256).saturating_add(usize::from(*octet)));
    let length = if count == 0 { usize::from(first) } else { length };
    octets.get((2 + count).saturating_add(length)..).is_none_or(is_blank)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end)
}

/// A line of base64, or an OpenPGP checksum.
fn is_base64(line: &[u8]) -> bool {
    let padding = line.iter().rev().take_while(|octet| **octet == b'=').count();
    let data = line.get(..line.len() - padding).unwrap_or_default();
    let data = if data.len() == CHECKSUM { data.strip_prefix(b"=").unwrap_or(data) } else { data };
    data.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
}

fn is_label(line: &[u8]) -> bool {
    let label =
        line.strip_prefix(BEGIN).or_else(|| line.strip_prefix(END)).and_then(|rest| rest.strip_suffix(b"-----"));
    label.is_some_and(|label| LABELS.contains(&label))
}

fn is_blank(octets: &[u8]) -> bool {
    octets.trim_ascii().is_empty()
}

const COMPANIONS: [&str; 4] = ["pgp-encrypted", "pgp-signature", "pkcs7-signature", "x-pkcs7-signature"];
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const LABELS: [&[u8]; 3] = [b"PGP MESSAGE", b"PGP SIGNATURE", b"PRIVACY-ENHANCED MESSAGE"];
/// RFC 9580, section 6.2.2.
const REMARKS: [&[u8]; 5] = [b"Version", b"Comment", b"Hash", b"Charset", b"MessageID"];
/// One of each.
const MOST_REMARKS: usize = 5;
/// RFC 1421, section 4.6, by how their names begin.
const PEM_FIELDS: [&[u8]; 9] = [
    b"CRL",
    b"Content-Domain",
    b"DEK-Info",
    b"Issuer-Certificate",
    b"Key-Info",
    b"MIC-Info",
    b"Originator-",
    b"Proc-Type",
    b"Recipient-",
];
/// Octets of `=` and a checksum of 24 bits.
const CHECKSUM: usize = 5;
/// Octets of the line that programs write above the first boundary. Source: Enigmail's has 65.
const PREAMBLE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn opaque(message: &str) -> bool {
        is_opaque(Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap().root())
    }

    const ARMOR: &str = "-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\nComment: made by hand\n\nhQEMA\n+/8=\n=aB3d\n-----END PGP MESSAGE-----\n";

    #[test]
    fn what_other_programs_encrypt_is_opaque() {
        let mime = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n";
        let version = "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n";
        let enigmail = "This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n";
        let exchange = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\n";
        for message in [
            format!("{mime}{enigmail}{version}\n{ARMOR}\n--b--\n"),
            format!("{exchange}{version}\n{ARMOR}\n--b--\n"),
            format!("A: 1\n\n\n{ARMOR}\n"),
            format!("Content-Transfer-Encoding: quoted-printable\n\n{}", ARMOR.replace('=', "=3D")),
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAMC\nAf8=\n".to_owned(),
            "Content-Type: application/pkcs7-mime\n\n0\u{4}\u{4}\u{2}\u{ff}".to_owned(),
            "\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,ENCRYPTED\nRecipient-ID-Asymmetric:\n MFEx,\n 66\n\nAAAA\n\
             -----END PRIVACY-ENHANCED MESSAGE-----\n"
                .to_owned(),
        ] {
            assert!(opaque(&message), "{message}");
        }
    }

    #[test]
    fn words_are_not() {
        for message in [
            format!("\nfortytwo\n{ARMOR}"),
            format!("\n{ARMOR}fortytwo\n"),
            format!("\n{}", ARMOR.replace("+/8=", "forty two")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Subject: forty two")),
            format!("\n{}", ARMOR.replace("made by hand", &"forty two ".repeat(30))),
            format!("\n{}", ARMOR.replace("PGP MESSAGE", "FORTY TWO")),
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAMC\nAf8=\nforty two\n"
                .to_owned(),
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAMCAQDffm9ydHl0d28=\n"
                .to_owned(),
        ] {
            assert!(!opaque(&message), "{message}");
        }
    }
}
