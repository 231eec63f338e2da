//! Tests of the grammar, rule by rule.

use super::*;
use crate::{
    base::{Budget, Limits},
    mail::Message,
};

const HEADER: &str = "From: a@example.org\nSubject: x\nMIME-Version: 1.0\n";
const SIGNED: &str =
    "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=\"=_b\"\n";
const PARTS: &str = "--=_b\nContent-Type: text/plain\n\none\n\n--=_b\nContent-Type: application/pgp-signature; name=\"a.asc\"\n\n\
                     -----BEGIN PGP SIGNATURE-----\nVersion: GnuPG v1.4.10 (GNU/Linux)\n\niQEz\n=aB3d\n-----END PGP SIGNATURE-----\n\n--=_b--\n";

const CLEARTEXT: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nany text: \u{e4}\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n\
                         -----END PGP SIGNATURE-----\n";

fn found(message: &str) -> Option<String> {
    let message = Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap();
    deviation(message.root()).map(|found| found.to_string())
}

fn signed(header: &str, content_type: &str, body: &str) -> String {
    format!("{header}{content_type}\n{body}")
}

#[test]
fn canonical_forms_have_no_deviation() {
    let signed = signed(HEADER, SIGNED, PARTS);
    let encrypted = "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n\
        This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\n\
        Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n+/8=\n-----END PGP MESSAGE-----\n\n--b--\n\n";
    let cms = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\nMAMC\nAf8=\n";
    let cleartext = format!("Content-Type: text/plain; charset=utf-8\n\n{CLEARTEXT}");
    for message in [
        signed.clone(),
        signed.replace('\n', "\r\n"),
        format!("From a@example.org Mon Nov 23 12:00:00 2026\n{signed}"),
        format!("{HEADER}{encrypted}"),
        format!("{HEADER}{cms}"),
        format!("{HEADER}{cleartext}"),
        format!("Subject: \u{e9}\nReceived: from a\n\tby b\nX-Empty:\n{signed}").replacen("Subject: x\n", "", 1),
        signed.replacen("--=_b\n", "A word for old readers\n\n--=_b\n", 1),
        format!("{signed}A word after the last boundary\n"),
    ] {
        assert_eq!(found(&message), None, "{message}");
    }
}

#[test]
fn header_lines_that_end_a_header_for_some() {
    for (line, reason) in [
        ("Pay Mallory.\n", "a line that is not a header field"),
        ("Pay Mallory: now\n", "a line that is not a header field"),
        ("From : a\n", "a line that is not a header field"),
        ("Content-Transfer-Encoding:\n 7bit\n", "a transfer encoding on a line of its own"),
        ("Content-Transfer-Encoding: 7bit \n", "a transfer encoding that is not one of the five names"),
        (": x\n", "a line that is not a header field"),
        ("X: y\n \n Pay Mallory.\n", "a continuation line of only white space"),
        ("X: y\r\rPay Mallory.\n", "a line that does not end like the first one"),
        ("X: y\r\n", "a line that does not end like the first one"),
        ("X: y\0\n", "a control character in the x field"),
        ("X: y\u{85}z\n", "a control character in the x field"),
        ("X: y\u{2028}z\n", "a control character in the x field"),
        ("\u{e9}: x\n", "a line that is not a header field"),
        ("X: y\nFrom x Mon\n", "a line that is not a header field"),
        ("Subject: again\n", "a second subject field"),
        ("sUBJECT: again\n", "a second subject field"),
        ("Content-Transfer-Encoding: \"base64\"\n", "a transfer encoding that is not one of the five names"),
        ("Content-Transfer-Encoding: base64\n", "a multipart with a transfer encoding"),
        (
            "Content-Disposition: inline; filename=a; filename=b\n",
            "the parameter filename of the content disposition twice",
        ),
    ] {
        let message = signed(&format!("{HEADER}{line}"), SIGNED, PARTS);
        assert!(found(&message).is_some_and(|found| found.ends_with(reason)), "{line:?}: {:?}", found(&message));
    }
}

#[test]
fn a_content_type_has_one_spelling() {
    for (content_type, reason) in [
        (SIGNED.replace("/signed", "/signed/x"), "a content type that is not exactly type/subtype"),
        (SIGNED.replace("/signed", "(c)/signed"), "a content type that is not exactly type/subtype"),
        (SIGNED.replace("multipart/", "multipart /"), "a content type that is not exactly type/subtype"),
        (SIGNED.replace('\n', "; boundary=c\n"), "the parameter boundary of the content type twice"),
        (SIGNED.replace("boundary=", "boundary*="), "whose name is not a plain word"),
        (SIGNED.replace("boundary=", "boundary ="), "whose name is not a plain word"),
        (SIGNED.replace("; boundary", "; boundary; boundary"), "without a value"),
        (SIGNED.replace("\"=_b\"", "\"\\=_b\""), "that readers parse differently"),
        (SIGNED.replace("\"=_b\"", "\"=_b\" (c)"), "that ends without a semicolon"),
        (format!("{SIGNED}{SIGNED}"), "a second content-type field"),
        (SIGNED.replace("pgp-signature", "pkcs7-signature"), "which the parameter protocol does not name"),
    ] {
        let message = signed(HEADER, &content_type, PARTS);
        assert!(
            found(&message).is_some_and(|found| found.ends_with(reason)),
            "{content_type:?}: {:?}",
            found(&message)
        );
    }
}

#[test]
fn there_are_two_parts_and_nothing_else() {
    let part = "\n--=_b\nContent-Type: text/plain\n\nPay Mallory.\n";
    let signature = "application/pgp-signature; name=\"a.asc\"\n\n";
    for (body, reason) in [
        (PARTS.replacen("\n--=_b--", &format!("{part}--=_b--"), 1), "more than 3 times instead of 3"),
        (PARTS.replacen("one\n", "one\n--=_bee\n", 1), "more than 3 times instead of 3"),
        (PARTS.replacen("one\n", "one\nx--=_b\n", 1), "more than 3 times instead of 3"),
        (PARTS.replacen("--=_b--", "--=_b", 1), "a line that starts like a boundary"),
        (PARTS.replacen("--=_b--", "--=_b--x", 1), "a line that starts like a boundary"),
        (PARTS.replacen("--=_b\n", "--=_b \n", 1), "a line that starts like a boundary"),
        (PARTS.replacen("--=_b--\n", "", 1), "2 times instead of 3"),
        (PARTS.replacen("text/plain", "multipart/mixed; boundary=\"=_b\"", 1), "not the two parts of this form"),
        (PARTS.replacen("application/pgp-signature", "text/plain", 1), "which the parameter protocol does not name"),
        (
            PARTS.replacen(signature, &format!("{signature}Pay Mallory.\n"), 1),
            "line 1 of the part does not belong to its armor",
        ),
        (PARTS.replacen("=aB3d", "Pay Mallory.", 1), "line 5 of the part does not belong to its armor"),
        (PARTS.replacen("(GNU/Linux)", "(Pay Mallory)", 1), "line 2 of the part does not belong to its armor"),
        (PARTS.replacen("-----\n\n--=_b--", "-----\n\nPay.\n\n--=_b--", 1), "of the part does not belong to its armor"),
        (PARTS.replacen("; name", "\nPay Mallory.\nX: y; name", 1), "a line that is not a header field"),
        (format!("\u{e9}\n{PARTS}"), "octets that are not printable outside the parts"),
    ] {
        assert_ne!(body, PARTS);
        let message = signed(HEADER, SIGNED, &body);
        assert!(found(&message).is_some_and(|found| found.ends_with(reason)), "{body}: {:?}", found(&message));
    }
}

#[test]
fn leaves_hold_what_they_say() {
    let armor = "-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n";
    for (message, reason) in [
        (
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAMC\nPay\nAf8=\n".to_owned(),
            "octets that are not base64",
        ),
        (
            "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAMC\nAf8=\nPaid\n".to_owned(),
            "octets that are not base64",
        ),
        (
            "Content-Type: application/pkcs7-mime\n\nMAMC\nAf8=\n".to_owned(),
            "something other than a CMS object in base64",
        ),
        (format!("Content-Type: text/plain; charset=utf-7\n\n{armor}"), "that gives the text another reading"),
        (format!("Content-Type: text/plain; charset=koi8-r\n\n{CLEARTEXT}"), "that gives the text another reading"),
        (format!("Content-Disposition: attachment\n\n{armor}"), "a text that is an attachment"),
        (
            format!("Content-Type: text/plain; format=flowed\n\n{}", armor.replacen("hQEM", "hQEM ", 1)),
            "lets readers join lines",
        ),
        (format!("Content-Type: text/plain; format=flowed; delsp=yes\n\n{armor}"), "lets readers join lines"),
        (format!("Content-Type: text/plain; format=x\n\n{armor}"), "lets readers join lines"),
        (
            format!("Content-Type: text/plain; charset=utf-8\n\n{}", CLEARTEXT.replace("any", "a\rny")),
            "a control character in the text",
        ),
        (format!("\nPay Mallory.\n{armor}"), "text outside the armor"),
        (format!("\n{armor}{armor}"), "text outside the armor"),
        (format!("Content-Type: text/html\n\n{armor}"), "text/html is not a form of a signed or encrypted message"),
        (
            format!("Content-Transfer-Encoding: quoted-printable\n\n{armor}=4"),
            "quoted-printable that does not follow RFC 2045",
        ),
        (armor.to_owned(), "armor in place of a header"),
    ] {
        let message = if message.starts_with('-') { message } else { format!("{HEADER}{message}") };
        assert!(found(&message).is_some_and(|found| found.ends_with(reason)), "{message}: {:?}", found(&message));
    }
}

#[test]
fn what_has_no_header_is_no_message() {
    for (octets, reason) in [
        (b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02".as_slice(), "a CMS object in place of a header"),
        (b"-----BEGIN CMS-----\nMIAG\n-----END CMS-----\n", "a CMS object in place of a header"),
        (b"\x84\x8c\x03abcdefgh\nFrom: a@example.org\n\n", "OpenPGP packets in place of a header"),
        (b"\xef\xbb\xbf-----BEGIN PGP MESSAGE-----\n\n", "armor in place of a header"),
    ] {
        let message = Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).unwrap();
        assert_eq!(deviation(message.root()).map(|found| found.reason).as_deref(), Some(reason), "{octets:?}");
    }
}

#[test]
fn a_from_field_is_no_mbox_line() {
    let message = signed("From : a@example.org\n", SIGNED, PARTS);
    assert_eq!(found(&message).as_deref(), Some("line 1: an mbox line of another form"));
}

#[test]
fn the_line_is_named() {
    assert_eq!(
        found(&signed(&format!("{HEADER}Pay.\n"), SIGNED, PARTS)).as_deref(),
        Some("line 4: a line that is not a header field")
    );
}
