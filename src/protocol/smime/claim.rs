//! The S/MIME form that a part claims to have: RFC 8551, section 3.9, and variants of other programs.

use memchr::memmem;

use crate::{
    keys::ProtocolName,
    mail::{Part, header::ContentType},
    protocol::{Claim, ClaimKind},
};

/// The claim that `part` itself makes.
pub(super) fn claim(part: Part<'_>) -> Option<Claim> {
    let kind = if is_signed(part) {
        ClaimKind::Signed
    } else if is_wrapped(part) {
        ClaimKind::Opaque
    } else {
        enclosed(part)?
    };
    Some(Claim { protocol: ProtocolName::Smime, kind, span: part.span() })
}

/// Whether it is multipart/signed with an S/MIME signature: by its parameter, or by the second part's type (RFC 8551,
/// section 3.5.3.2).
pub(super) fn is_signed(part: Part<'_>) -> bool {
    let content = part.content_type();
    if !content.is("multipart", "signed") {
        return false;
    }
    let protocol = content.parameter("protocol").map(ContentType::parse);
    protocol.is_some_and(|protocol| is_signature(&protocol))
        || part.children().nth(1).is_some_and(|second| is_signature(second.content_type()) || named_signature(second))
}

/// Whether an Exchange server converted an S/MIME message to its own format (\[MS-OXTNEF\]), alone or next to a text.
pub(super) fn is_wrapped(part: Part<'_>) -> bool {
    let wrapped = |part: Part<'_>| {
        let is_tnef = part.content_type().is("application", "ms-tnef")
            || part.content_type().is("application", "vnd.ms-tnef")
            || name(part).is_some_and(|name| name == "winmail.dat");
        is_tnef && {
            let octets = part.decoded();
            TNEF_SIGNS.iter().any(|sign| memmem::find(&octets, sign).is_some())
        }
    };
    match part.content_type().is("multipart", "mixed") {
        true => part.children().len() <= 2 && part.children().any(wrapped),
        false => part.children().len() == 0 && wrapped(part),
    }
}

/// The claim of application/pkcs7-mime, or of an attachment with such a name (RFC 8551, section 3.2.1).
fn enclosed(part: Part<'_>) -> Option<ClaimKind> {
    let content = part.content_type();
    let name = name(part);
    let ending = name.as_deref().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    let by_name = match ending {
        "p7c" => Some(ClaimKind::Certificates),
        "p7m" => Some(ClaimKind::Opaque),
        "p7s" => Some(ClaimKind::Signed),
        "p7z" => Some(ClaimKind::Compressed),
        _ => None,
    };
    if is_pkcs7(content, "mime") {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
        return Some(match plain(content.parameter("smime-type").unwrap_or_default()).as_str() {
            "authenvelopeddata" | "encrypteddata" | "envelopeddata" => ClaimKind::Encrypted,
            "certsonly" => ClaimKind::Certificates,
            "compresseddata" => ClaimKind::Compressed,
            "signeddata" | "signedreceipt" => ClaimKind::Signed,
            _ => by_name.unwrap_or(ClaimKind::Opaque),
        });
    }
    by_name.filter(|_| content.is("application", "octet-stream"))
}

fn is_signature(content: &ContentType) -> bool {
    is_pkcs7(content, "signature")
}

fn named_signature(part: Part<'_>) -> bool {
    part.content_type().kind == "application" && name(part).is_some_and(|name| name.ends_with(".p7s"))
}

/// Whether the type is `application/pkcs7-...`, with or without the `x-` of RFC 2311.
fn is_pkcs7(content: &ContentType, what: &str) -> bool {
    let subtype = content.subtype.strip_prefix("x-").unwrap_or(&content.subtype);
    content.kind == "application" && subtype.strip_prefix("pkcs7-") == Some(what)
}

/// The file name in lower case.
fn name(part: Part<'_>) -> Option<String> {
    let disposition = part.header("Content-Disposition").map(|value| ContentType::disposition(&value));
    let name = disposition.as_ref().and_then(|value| value.parameter("filename"));
    name.or(part.content_type().parameter("name")).map(|name| name.trim().to_lowercase())
}

/// Message classes of S/MIME (\[MS-OXOSMIME\], section 2.1.2.1), and the name of the attachment.
const TNEF_SIGNS: [&[u8]; 3] = [b"IPM.Note.SMIME", b"IPM.Note.Secure", b"smime.p7m"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn claimed(text: &str) -> Option<ClaimKind> {
        let message = Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap();
        claim(message.root()).map(|claim| claim.kind)
    }

    #[test]
    fn what_is_enclosed_goes_by_type_or_name() {
        for (header, kind) in [
            ("application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", Some(ClaimKind::Signed)),
            ("application/x-pkcs7-mime; smime-type=\"Enveloped-Data\"", Some(ClaimKind::Encrypted)),
            ("application/pkcs7-mime; smime-type=authEnveloped-data", Some(ClaimKind::Encrypted)),
            ("APPLICATION/PKCS7-MIME; smime-type=compressed-data; name=smime.p7z", Some(ClaimKind::Compressed)),
            ("application/pkcs7-mime; smime-type=certs-only; name=smime.p7c", Some(ClaimKind::Certificates)),
            ("application/pkcs7-mime; name=smime.p7c", Some(ClaimKind::Certificates)),
            ("application/pkcs7-mime; name=smime.p7m", Some(ClaimKind::Opaque)),
            ("application/pkcs7-mime; smime-type=x-new", Some(ClaimKind::Opaque)),
            ("application/pkcs7-mime", Some(ClaimKind::Opaque)),
            ("application/octet-stream; name=\"SMIME.P7M\"", Some(ClaimKind::Opaque)),
            (
                "application/octet-stream\nContent-Disposition: attachment; filename=smime.p7z",
                Some(ClaimKind::Compressed),
            ),
            (
                "application/octet-stream\nContent-Disposition: attachment; filename=a.p7c",
                Some(ClaimKind::Certificates),
            ),
            ("application/octet-stream; name=a.pdf", None),
            ("application/pkcs7-signature; name=smime.p7s", None),
            ("text/plain; name=smime.p7m", None),
        ] {
            assert_eq!(claimed(&format!("Content-Type: {header}\n\nMIAGCSqG\n")), kind, "{header}");
        }
    }

    #[test]
    fn multipart_signed_goes_by_its_parameter_or_its_second_part() {
        let message = |parameter: &str, second: &str| {
            format!(
                "Content-Type: multipart/signed; {parameter}boundary=b\n\n--b\n\nhi\n--b\nContent-Type: {second}\n\nMIAG\n--b--\n"
            )
        };
        for (parameter, second, is_ours) in [
            ("protocol=\"application/pkcs7-signature\"; ", "text/plain", true),
            ("protocol=\"application/X-PKCS7-Signature\"; ", "text/plain", true),
            ("", "application/pkcs7-signature", true),
            ("protocol=\"application/octet-stream\"; ", "application/x-pkcs7-signature", true),
            ("", "application/octet-stream; name=smime.p7s", true),
            ("protocol=\"application/pgp-signature\"; ", "application/pgp-signature", false),
            ("", "text/plain", false),
        ] {
            let claim = claimed(&message(parameter, second));
            assert_eq!(claim, is_ours.then_some(ClaimKind::Signed), "{parameter} {second}");
        }
    }

    #[test]
    fn wrapped_messages_are_recognised() {
        let tnef = |body: &str| format!("Content-Type: application/ms-tnef; name=winmail.dat\n\n{body}\n");
        assert_eq!(claimed(&tnef("x\u{9f}>\"IPM.Note.SMIME.MultipartSigned\0")), Some(ClaimKind::Opaque));
        assert_eq!(claimed(&tnef("x\u{9f}>\"IPM.Microsoft Mail.Note\0")), None);
        let beside =
            format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\n--b\n{}--b--\n", tnef("IPM.Note.SMIME"));
        assert_eq!(claimed(&beside), Some(ClaimKind::Opaque));
    }
}
