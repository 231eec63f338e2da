//! Whether a message is encrypted already, for mail that goes out: ciphertext from its first octet to its last, and nothing else that somebody could
//! have written.
//!
//! ```text
//! encrypted   = skeleton (mail/skeleton.rs) whose fields and margins say nothing, around an object
//! object      = multipart/encrypted of `Version: 1` and one armored ciphertext
//!             | one armored ciphertext, or one message of PEM, and blank lines
//!             | one CMS object
//!             | multipart/signed of an encrypted and a signature
//! ```
//!
//! The header of the message is its writer's, as in all mail. Whether the signature of multipart/signed holds, the verdict knows.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    base::Budget,
    mail::{
        Part,
        armor::{Label, stray_line},
        header::ContentType,
        skeleton,
    },
    protocol::{pem, pgp, smime},
};

/// Whether `root` shows nothing but ciphertext and what belongs around it by its format.
///
/// Every object is read to its end: what follows it, or stands before it, is no part of it and hides nothing.
pub(super) fn is_opaque(root: Part<'_>, budget: &Budget) -> bool {
    skeleton::deviation(root).is_none() && Place::Root.says_nothing(root) && is_object(root, budget)
}

/// Whether a file without a header is ciphertext: armor, a CMS object or OpenPGP packets.
pub(super) fn is_opaque_file(octets: &[u8], budget: &Budget) -> bool {
    is_armored(octets, Label::PgpMessage)
        || pem::kind::is_ciphertext(octets, budget)
        || pgp::kind::is_ciphertext(octets)
        || smime::ciphertext::is_ciphertext(octets.to_vec(), budget)
}

/// Whether the body of `part`, which the skeleton fits, is ciphertext.
fn is_object(part: Part<'_>, budget: &Budget) -> bool {
    let kind = part.content_type();
    let mut children = part.children();
    let children = (children.next(), children.next(), children.next());
    match children {
        (Some(content), Some(other), None) if has_usual_margins(part) => {
            if kind.is("multipart", "signed") {
                Place::Within.says_nothing(other)
                    && is_signature(other, budget)
                    && Place::Within.says_nothing(content)
                    && is_opaque(content.as_message().root(), budget)
            } else {
                // The skeleton knows that the first part is the version.
                kind.is("multipart", "encrypted")
                    && Place::Within.says_nothing(content)
                    && Place::Within.says_nothing(other)
                    && is_armored(&other.decoded(), Label::PgpMessage)
            }
        }
        (None, None, None) if kind.is("text", "plain") => {
            let text = part.decoded();
            is_armored(&text, Label::PgpMessage) || pem::kind::is_ciphertext(&text, budget)
        }
        (None, None, None) => smime::ciphertext::is_ciphertext(part.decoded().into_owned(), budget),
        _ => false,
    }
}

/// Whether `part` is a detached signature, armored or of CMS, and nothing else.
fn is_signature(part: Part<'_>, budget: &Budget) -> bool {
    match part.content_type().is("application", "pgp-signature") {
        true => is_armored(&part.decoded(), Label::PgpSignature),
        false => smime::ciphertext::is_detached_signature(part.decoded().into_owned(), budget),
    }
}

/// Whether `text` is one block of armor with that label and blank lines around it, and holds what the label says.
fn is_armored(text: &[u8], label: Label) -> bool {
    if stray_line(text, label).is_some() {
        return false;
    }
    let lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
    let lines = lines.skip_while(|line| line.is_empty()).skip_while(|line| !line.is_empty());
    let mut data: Vec<&[u8]> = lines.filter(|line| !line.is_empty() && !line.starts_with(b"-----END PGP ")).collect();
    // RFC 9580, section 6.1: a checksum of 24 bits.
    data.pop_if(|line| line.len() == CHECKSUM && line.starts_with(b"="));
    BASE64_STANDARD.decode(data.concat()).is_ok_and(|octets| match label {
        Label::PgpMessage => pgp::kind::is_ciphertext(&octets),
        Label::PgpSignature => pgp::kind::is_detached_signature(&octets),
        _ => false,
    })
}

/// Whether outside of its parts a multipart has nothing but what programs write there.
fn has_usual_margins(part: Part<'_>) -> bool {
    let preamble = part.preamble().trim_ascii();
    let preamble = preamble.strip_suffix(b".").unwrap_or(preamble);
    (preamble.is_empty() || PREAMBLES.contains(&preamble)) && part.epilogue().trim_ascii().is_empty()
}

/// Whose header it is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The message's: its writer chooses it, as in all mail, but for what is about the content.
    Root,
    /// A part's, which no user writes.
    Within,
}

impl Place {
    /// Whether the fields of `part` hold no words but those that programs write by themselves.
    fn says_nothing(self, part: Part<'_>) -> bool {
        part.fields().all(|field| {
            let name = field.name.to_ascii_lowercase();
            match name.as_str() {
                "content-type" => part.content_type().parameters.iter().all(is_usual),
                "content-disposition" => ContentType::disposition(&field.unfolded()).parameters.iter().all(is_usual),
                "content-transfer-encoding" => true,
                "content-description" => DESCRIPTIONS.contains(&field.unfolded().trim_end_matches('.')),
                "mime-version" if self == Place::Within => field.unfolded() == "1.0",
                "content-language" => is_word(&field.unfolded(), LONGEST_LANGUAGE),
                _ => self == Place::Root && !name.starts_with("content-"),
            }
        })
    }
}

/// Whether a parameter's value is one that programs write by themselves.
fn is_usual((name, value): &(String, String)) -> bool {
    let value = value.as_str();
    match name.as_str() {
        // The skeleton bounds it, and most programs make it out of random letters.
        "boundary" => true,
        "charset" => is_word(value, LONGEST_CHARSET),
        "delsp" => ["yes", "no"].contains(&value),
        "filename" | "name" => FILES.contains(&value),
        "format" => ["fixed", "flowed"].contains(&value),
        "micalg" => is_word(value, LONGEST_MICALG),
        "protocol" => PROTOCOLS.contains(&value.to_ascii_lowercase().as_str()),
        "smime-type" => SMIME_TYPES.contains(&value.to_ascii_lowercase().as_str()),
        _ => false,
    }
}

/// Whether it is one short word of letters, digits and hyphens.
fn is_word(value: &str, most: usize) -> bool {
    value.len() <= most && value.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// Octets of `=` and a checksum of 24 bits.
const CHECKSUM: usize = 5;
/// What Enigmail, GPGMail, Thunderbird, Outlook and most others write above the first boundary for readers that know no MIME.
const PREAMBLES: [&[u8]; 6] = [
    b"This is a MIME-encapsulated message",
    b"This is a cryptographically signed message in MIME format",
    b"This is a multi-part message in MIME format",
    b"This is a multipart message in MIME format",
    b"This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)",
    b"This is an OpenPGP/MIME signed message (RFC 4880 and 3156)",
];
/// What programs say of parts by themselves, without a full stop. Source: the corpora, with the programs that wrote them.
const DESCRIPTIONS: [&str; 12] = [
    "Digital signature",
    "Message encrypted with OpenPGP",
    "OpenPGP digital signature",
    "OpenPGP encrypted message",
    "PGP/MIME Versions Identification",
    "PGP/MIME version identification",
    "S/MIME Cryptographic Signature",
    "S/MIME Encrypted Message",
    "S/MIME cryptographic signature",
    "S/MIME message",
    "This is a digitally signed message part",
    "Version Identification",
];
/// How programs call parts by themselves. Source: as above.
const FILES: [&str; 14] = [
    "OpenPGP_signature",
    "OpenPGP_signature.asc",
    "encrypted.asc",
    "message.asc",
    "msg.asc",
    "openpgp-digital-signature.asc",
    "openpgp-encrypted-message.asc",
    "pgp-encrypted.asc",
    "pgpmime.asc",
    "signature",
    "signature.asc",
    "smime.p7m",
    "smime.p7s",
    "version.txt",
];
const PROTOCOLS: [&str; 4] = [
    "application/pgp-encrypted",
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
];
/// Of what is encrypted: RFC 8551, section 3.2.2.
const SMIME_TYPES: [&str; 2] = ["authenveloped-data", "enveloped-data"];
/// Octets of a name in micalg: `pgp-ripemd160`.
const LONGEST_MICALG: usize = 13;
/// Octets of a charset's name: `windows-1252`.
const LONGEST_CHARSET: usize = 12;
/// Octets of a language's: `zh-Hans-CN`.
const LONGEST_LANGUAGE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Limits, mail::Message};

    fn opaque(message: &str) -> bool {
        let mut budget = Budget::new(Limits::default());
        is_opaque(Message::parse(message.into(), &mut budget).unwrap().root(), &budget)
    }

    /// By gpg 2.2.40, for Curve25519; the first field is that of older versions.
    const ARMOR: &str = "-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\n\n\
        hF4DF+Q6mjKkmb0SAQdA6MgujTtof+FJ6+LdgUQTrRCdhCCJND2bmyd9PALFV1ow\nbaaj/L3y7cvrPVk0SD9Kp4QasxpTU0AWGMCXkw8ox3bxXHfM2AuZ19vzCJs5wUBo\n\
        0k4B27FHphaP+labPSMznR8lzL4aJGfvDgmrwZvjFhrlAuf4sywH2CfSZXNkga/5\nXol44UM58Fk9yG8sOV6wGX0Otmps4QSJQhu2TK41ovY=\n=slDT\n\
        -----END PGP MESSAGE-----\n";
    /// By OpenSSL 3.0: AuthEnvelopedData for a key on P-256.
    const ENVELOPE: &str = "MIIBPQYLKoZIhvcNAQkQARegggEsMIIBKAIBADGBzqGBywIBA6BRoU8wCQYHKoZIzj0CAQNCAATN\nEMez8z9jMRbmTpUs6RjQUQRmbQnOUInyvqmp5mKCw6IgdYYucGJjtOTr9YjLOw9C2uXKRDGPvcby\nAnz431gpMBgGCSuBBRCGSD8AAjALBglghkgBZQMEAS0wWTBXMCswEzERMA8GA1UEAwwIU3RyYW5n\nZXICFD7QrGzM9mCP6iIDdqhIMtvAA197BChidCL24SNGrn6tcFPOxpaCxSl3Xo0Mp4vXZvPdaBjk\n6guvCWOH1EX0MEAGCSqGSIb3DQEHATAeBglghkgBZQMEAS4wEQQMZwxTgme+PabXl3xXAgEQgBPY\nlAFv6Zm3lR7omizjwQzbV/1CBBCcZpbeNaDH8gLSsyjPqmLs\n";
    const CMS: &str = "Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n";
    /// RFC 1421, section 4.6, with the fields of its figure that serve to decrypt.
    const PEM: &str = "-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,BFF968AA74691AC1\n\
        Recipient-ID-Asymmetric:\n MFExCzAJBgNVBAYTAlVTMSAwHgYDVQQKExdSU0EgRGF0YSBTZWN1cml0eSwgSW5j\n LjEPMA0GA1UECxMGQmV0YSAxMQ8wDQYDVQQLEwZOT1RBUlk=,\n 66\n\
        Key-Info: RSA,\n O6BS1ww9CTyHPtS3bMLD+L0hejdvX6Qv1HK2ds2sQPEaXhX8EhvVphHYTjwekdWv\n 7x0Z3Jx2vTAhOYHMcqqCjA==\n\n\
        qeWlj/YJ2Uf5ng9yznPbtD0mYloSwIuV9FRYx+gzY+8iXd/NQrXHfi6/MhPfPF3d\njIqCJAxvld2xgqQimUzoS1a4r7kQQ5c/Iua4LqKeq3ciFzEv/MbZhA==\n\
        -----END PRIVACY-ENHANCED MESSAGE-----\n";

    #[test]
    fn what_other_programs_encrypt_is_opaque() {
        let mime = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n";
        let version = "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n";
        let enigmail = "This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n";
        for message in [
            format!("{mime}{enigmail}{version}\n{ARMOR}\n--b--\n"),
            format!("A: 1\n\n\n{ARMOR}\n"),
            format!("Content-Transfer-Encoding: quoted-printable\n\n{}", ARMOR.replace('=', "=3D")),
            format!("{CMS}{ENVELOPE}"),
            format!("A: 1\n\n{PEM}"),
        ] {
            assert!(opaque(&message), "{message}");
        }
    }

    #[test]
    fn words_are_not() {
        for message in [
            format!("\nfortytwo\n{ARMOR}"),
            format!("\n{ARMOR}fortytwo\n"),
            format!("\n{}", ARMOR.replace("hF4D", "forty two hF4D")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Subject: forty two")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Comment: forty two")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Version: forty two")),
            format!("\n{}", ARMOR.replace("Version: GnuPG v2", "Hash: fortytwo")),
            format!("\n{}", ARMOR.replace("PGP MESSAGE", "FORTY TWO")),
            // Words that could be base64, at the end of the data and behind the checksum.
            format!("\n{}", ARMOR.replace("ovY=", "ovY=\nfortytwo")),
            format!("\n{}", ARMOR.replace("=slDT", "=slDT\nfortytwo")),
            format!("\n{}", ARMOR.replace("=slDT", "=fort\n=ytwo\n=slDT")),
            // A signature, and a signed message, hide nothing.
            format!("\n{}", ARMOR.replace("PGP MESSAGE", "PGP SIGNATURE")),
            format!("\n{}", ARMOR.replace("0k4B", "ywpiAGEAAAAAaGkK0k4B")),
            format!("\n{ARMOR}{ARMOR}"),
            format!("Content-Type: multipart/encrypted; boundary=b\n\nforty two\n--b\n\n{ARMOR}\n--b--\n"),
            format!(
                "Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n\
                 Version: forty two\n--b\n\n{ARMOR}\n--b--\n"
            ),
            "\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,MIC-ONLY\nMIC-Info: a,b\n\nAAAA\n\
             -----END PRIVACY-ENHANCED MESSAGE-----\n"
                .to_owned(),
            format!("{CMS}{ENVELOPE}forty two\n"),
            format!("{CMS}{ENVELOPE}fortytwo\n"),
            format!("{CMS}{ENVELOPE}AAA=\n"),
            format!("Content-Description: forty two\n{CMS}{ENVELOPE}"),
            format!("{CMS}{ENVELOPE}").replace("smime.p7m", "forty-two"),
            format!("{CMS}{ENVELOPE}").replace("smime-type", "x-forty=two; smime-type"),
            format!("A: 1\n\n{PEM}").replace("DES-CBC", "FORTY-TWO"),
            format!("A: 1\n\n{PEM}").replace("Recipient-ID", "Recipient-Name: forty two\nRecipient-ID"),
            format!("A: 1\n\n{PEM}").replace("DEK-Info", "Content-Domain: FORTYTWO\nDEK-Info"),
            format!("A: 1\n\n{PEM}{PEM}"),
        ] {
            assert!(!opaque(&message), "{message}");
        }
        let parts = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\n\
            Content-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\n\n";
        let whole = format!("{parts}{ARMOR}\n--b--\n");
        assert!(opaque(&whole), "{whole}");
        for (from, to) in [
            ("\n--b\nContent-Type: application/pgp", "\nforty two\n--b\nContent-Type: application/pgp"),
            ("--b--\n", "--b--\nforty two\n"),
            ("Version: 1\n", "Version: 1\nforty: two\n"),
            ("Version: 1", "Version: 42"),
            ("encrypted.asc", "forty two"),
            ("application/octet-stream", "application/octet-stream\nContent-Description: forty two"),
            ("application/octet-stream", "application/octet-stream\nX-Forty: two"),
            ("application/octet-stream", "application/octet-stream\nContent-Id: <forty@two>"),
            ("application/pgp-encrypted\n\nVersion", "application/pgp-encrypted (forty two)\n\nVersion"),
            ("application/pgp-encrypted\n\nVersion", "application/pgp-encrypted; forty=two\n\nVersion"),
            ("\n--b--", "\n--b\n\nforty two\n--b--"),
            ("octet-stream", "pgp-signature"),
            ("protocol", "charset=\"forty two\"; protocol"),
        ] {
            let message = whole.replacen(from, to, 1);
            assert_ne!(message, whole, "{from}");
            assert!(!opaque(&message), "{message}");
        }
    }
}
