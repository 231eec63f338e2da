//! Whether anything in the body of an encrypted message can be read by whoever sees it pass: text beside the ciphertext.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
use memchr::{memchr, memrchr};

use crate::{
    base::Budget,
    mail::Part,
    protocol::{pgp, smime},
};

/// Whether `part` shows nothing but ciphertext and what belongs around it by its format. Field bodies and a few armour headers are not
/// looked into: programs write all of these, and the writer of the message chooses its subject anyway.
///
/// Every object is read to its true end: what follows it, or stands before it, is no part of it and hides nothing.
pub(super) fn is_opaque(part: Part<'_>, budget: &Budget) -> bool {
    if part.children().len() > 0 {
        let is_margin_harmless = is_usual_preamble(part.preamble()) && is_blank(part.epilogue());
        // A second block of armour may pack and not encrypt: its reader did not look at it.
        let contents = part.children().filter(|child| !is_blank(child.body()) && !is_companion(*child)).count();
        return is_margin_harmless && contents <= 1 && part.children().all(|child| is_opaque(child, budget));
    }
    let (raw, decoded) = (part.body(), part.decoded());
    if is_blank(raw) {
        return true;
    }
    if part.content_type().is("application", "pgp-encrypted") && !decoded.starts_with(BEGIN) {
        return lines(&decoded).all(|line| line.is_empty() || line == b"Version: 1");
    }
    if part.transfer_encoding() == "base64" && !lines(raw).all(is_base64) {
        return false;
    }
    match (is_companion(part), decoded.is_ascii()) {
        (is_companion, true) => is_armor(&decoded, if is_companion { SIGNATURE } else { MESSAGE }),
        (true, false) => {
            pgp::kind::is_detached_signature(&decoded)
                || smime::ciphertext::is_detached_signature(decoded.into_owned(), budget)
        }
        (false, false) => {
            pgp::kind::is_ciphertext(&decoded) || smime::ciphertext::is_ciphertext(decoded.into_owned(), budget)
        }
    }
}

/// Whether it is what RFC 1847 puts beside a content: a version, or a signature.
fn is_companion(part: Part<'_>) -> bool {
    let content = part.content_type();
    content.kind == "application" && COMPANIONS.contains(&content.subtype.as_str())
}

/// Whether it is what programs write above the first boundary for readers that know no MIME: `This is an OpenPGP/MIME encrypted message (RFC
/// 4880 and 3156)`.
fn is_usual_preamble(preamble: &[u8]) -> bool {
    let line = preamble.trim_ascii();
    let line = line.strip_suffix(b".").unwrap_or(line);
    let said = match line.strip_suffix(b" and 3156)") {
        Some(line) => line.get(..line.len().saturating_sub(b" (RFC 4880".len())).unwrap_or_default(),
        None => line,
    };
    line.is_empty() || PREAMBLES.contains(&said)
}

/// Whether a text is blocks of armour with that label, each of which hides all that it holds, or messages of PEM that are encrypted, and
/// blank lines around them.
fn is_armor(text: &[u8], label: &[u8]) -> bool {
    let mut block: Option<Block<'_>> = None;
    for line in lines(text) {
        let is_fitting = match &mut block {
            None if line.is_empty() => true,
            None => {
                block = Block::begun_by(line, label);
                block.is_some()
            }
            Some(open) => match line.strip_prefix(END) {
                Some(end) => {
                    let is_hidden = end.strip_suffix(DASHES) == Some(open.label) && open.is_hidden();
                    block = None;
                    is_hidden
                }
                None => open.takes(line),
            },
        };
        if !is_fitting {
            return false;
        }
    }
    block.is_none()
}

/// A block of armour as far as it was read.
struct Block<'a> {
    label: &'a [u8],
    /// Whether the header is over.
    is_data: bool,
    remarks: usize,
    /// Whether a field of PEM says that the text is encrypted (RFC 1421, section 4.6.1.1).
    is_encrypted: bool,
    base64: Vec<u8>,
}

impl<'a> Block<'a> {
    /// The block that `line` begins, with that label or PEM's.
    fn begun_by(line: &'a [u8], label: &[u8]) -> Option<Block<'a>> {
        let own = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES))?;
        let is_known = own == label || own == PEM && label == MESSAGE;
        let block = Block { label: own, is_data: false, remarks: 0, is_encrypted: false, base64: Vec::new() };
        is_known.then_some(block)
    }

    /// Takes the next line; whether it belongs in such a block.
    fn takes(&mut self, line: &[u8]) -> bool {
        if self.is_data {
            self.base64.extend_from_slice(line);
            self.base64.push(b'\n');
            return is_base64(line);
        }
        if line.is_empty() {
            self.is_data = true;
            return true;
        }
        if line.contains(&b':') {
            let (name, value) = line.split_at(memchr(b':', line).unwrap_or_default());
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            if self.label == PEM {
                let is_known = PEM_FIELDS.iter().any(|one| name.starts_with(one));
                self.is_encrypted |= name == b"Proc-Type" && value.ends_with(b",ENCRYPTED");
                return is_known && !value.contains(&b' ');
            }
            self.remarks += 1;
            return REMARKS.contains(&name) && line.len() <= LONGEST_REMARK && self.remarks <= MOST_REMARKS;
        }
        if line.starts_with(b" ") && self.label == PEM {
            // Its header is folded.
            return !line.trim_ascii().contains(&b' ');
        }
        // The empty line may be missing.
        self.is_data = true;
        self.takes(line)
    }

    /// Whether nothing in it can be read without a key.
    fn is_hidden(&self) -> bool {
        let Some(octets) = unarmored(&self.base64) else { return false };
        match self.label {
            PEM => self.is_encrypted,
            SIGNATURE => pgp::kind::is_detached_signature(&octets),
            _ => pgp::kind::is_ciphertext(&octets),
        }
    }
}

/// The octets of lines of base64, the last of which may be a checksum (RFC 9580, section 6.1); `None` for anything else among them.
fn unarmored(lines: &[u8]) -> Option<Vec<u8>> {
    let lines = lines.trim_ascii_end();
    let last = memrchr(b'\n', lines).map_or(0, |end| end + 1);
    let is_checksum = lines.get(last..).is_some_and(|line| line.len() == CHECKSUM && line.starts_with(b"="));
    let data = if is_checksum { lines.get(..last).unwrap_or_default() } else { lines };
    let mut letters: Vec<u8> = data.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    while letters.last() == Some(&b'=') {
        letters.pop();
    }
    STANDARD_NO_PAD.decode(&letters).ok()
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

fn is_blank(octets: &[u8]) -> bool {
    octets.trim_ascii().is_empty()
}

const COMPANIONS: [&str; 4] = ["pgp-encrypted", "pgp-signature", "pkcs7-signature", "x-pkcs7-signature"];
/// What Enigmail, GPGMail, Thunderbird, Outlook and most others write.
const PREAMBLES: [&[u8]; 6] = [
    b"This is a MIME-encapsulated message",
    b"This is a cryptographically signed message in MIME format",
    b"This is a multi-part message in MIME format",
    b"This is a multipart message in MIME format",
    b"This is an OpenPGP/MIME encrypted message",
    b"This is an OpenPGP/MIME signed message",
];
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const MESSAGE: &[u8] = b"PGP MESSAGE";
const PEM: &[u8] = b"PRIVACY-ENHANCED MESSAGE";
const SIGNATURE: &[u8] = b"PGP SIGNATURE";
/// RFC 9580, section 6.2.2.
const REMARKS: [&[u8]; 5] = [b"Version", b"Comment", b"Hash", b"Charset", b"MessageID"];
/// One of each.
const MOST_REMARKS: usize = 5;
/// Octets of a remark. Source: the longest in the corpora have 79.
const LONGEST_REMARK: usize = 200;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Limits, mail::Message};

    fn opaque(message: &str) -> bool {
        let mut budget = Budget::new(Limits::default());
        is_opaque(Message::parse(message.into(), &mut budget).unwrap().root(), &budget)
    }

    /// An encrypted session key and a container, four octets each.
    const ARMOR: &str = "-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\nComment: made by hand\n\nhAQDAAAA\n0gQB/wEC\n=aB3d\n-----END PGP MESSAGE-----\n";
    /// EnvelopedData without recipients, and four octets of content.
    const ENVELOPE: &str = "MCkGCSqGSIb3DQEHA6AcMBoCAQAxADATBgkqhkiG9w0BBwEwAIAEYWJjZA==\n";

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
            format!("Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{ENVELOPE}"),
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
            format!("\n{}", ARMOR.replace("hAQD", "forty two hAQD")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Subject: forty two")),
            format!("\n{}", ARMOR.replace("made by hand", &"forty two ".repeat(30))),
            format!("\n{}", ARMOR.replace("PGP MESSAGE", "FORTY TWO")),
            // Words that could be base64, at the end of the data and behind the checksum.
            format!("\n{}", ARMOR.replace("/wEC", "/wEC\nfortytwo")),
            format!("\n{}", ARMOR.replace("=aB3d", "=aB3d\nfortytwo")),
            format!("\n{}", ARMOR.replace("=aB3d", "forty=\n=aB3d")),
            // A signature, and a signed message, hide nothing.
            format!("\n{}", ARMOR.replace("PGP MESSAGE", "PGP SIGNATURE")),
            format!("\n{}", ARMOR.replace("0gQB/wEC", "ywpiAGEAAAAAaGkK")),
            format!("\n{ARMOR}{}", ARMOR.replace("hAQDAAAA\n0gQB/wEC", "ywpiAGEAAAAAaGkK")),
            format!("Content-Type: multipart/encrypted; boundary=b\n\nforty two\n--b\n\n{ARMOR}\n--b--\n"),
            format!(
                "Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n\
                 Version: forty two\n--b\n\n{ARMOR}\n--b--\n"
            ),
            "\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,MIC-ONLY\nMIC-Info: a,b\n\nAAAA\n\
             -----END PRIVACY-ENHANCED MESSAGE-----\n"
                .to_owned(),
            format!("Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{ENVELOPE}forty two\n"),
            format!("Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{ENVELOPE}fortytwo\n"),
            format!("Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{ENVELOPE}AAA=\n"),
        ] {
            assert!(!opaque(&message), "{message}");
        }
    }
}
