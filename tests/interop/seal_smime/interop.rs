//! Ours to theirs and theirs to ours: gpgsm, NSS, GnuTLS and openssl.

use std::process::Command;

use der::{Decode as _, Reader as _, SliceReader, asn1::AnyRef};
use postseal::{
    base::{Budget, Limits},
    crypto::Legacy,
    mail::Message,
    protocol::{Padding, Seal, Shape},
    verdict::Standing,
};

use super::{
    LAB, TEXT, by, everybody, opened,
    peers::{Gpgsm, Nss, path},
    seal, sealed, text, to,
};

use crate::support::requirements::present;

/// The CMS object of a message, and the part that it signs when it stands beside it.
pub(crate) fn cms(message: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    let message = parsed(message);
    let parts: Vec<_> = message.root().children().collect();
    match parts.as_slice() {
        [content, signature] => (signature.decoded().into_owned(), Some(content.span().of(message.octets()).to_vec())),
        _ => (message.root().decoded().into_owned(), None),
    }
}

/// The elements within an element of DER.
pub(crate) fn within(element: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = SliceReader::new(AnyRef::from_der(element).unwrap().value()).unwrap();
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.tlv_bytes().unwrap().to_vec());
    }
    elements
}

fn parsed(message: &str) -> Message {
    Message::parse(message.as_bytes().to_vec(), &mut Budget::new(Limits::default())).unwrap()
}

const GPGSM: &[&str] = &["openssl", "gpgsm", "gpgconf", "gpg-agent"];
const NSS: &[&str] = &["openssl", "cmsutil", "certutil", "pk12util"];

/// What a peer gives us to open: a part, its signature, and around them a message.
const PART: &str = "Content-Type: text/plain\r\n\r\nHello from the other side\r\n";

fn pkcs7(smime_type: &str, object: &[u8]) -> String {
    let body = text(&postseal::mail::encoding::base64_encode(object));
    format!(
        "From: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type={smime_type};\r\n \
         name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"
    )
}

fn opaque(object: &[u8]) -> String {
    pkcs7("signed-data", object)
}

fn clear_signed(signature: &[u8]) -> String {
    let signature = text(&postseal::mail::encoding::base64_encode(signature));
    format!(
        "From: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=sha-256; boundary=b;\r\n \
         protocol=\"application/pkcs7-signature\"\r\n\r\n--b\r\n{PART}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--b--\r\n"
    )
}

#[test]
fn gpgsm_and_we_read_each_other() {
    if !present(GPGSM) {
        return;
    }
    let (keys, gpgsm) = (everybody(), Gpgsm::new(&LAB, &["alice", "bob"]));
    for (signer, shape, padding) in [
        ("alice", Shape::Mime, Padding::Pkcs1),
        ("alice", Shape::Opaque, Padding::Pkcs1),
        ("alice", Shape::Mime, Padding::PssOaep),
        ("alice", Shape::Opaque, Padding::PssOaep),
        ("carol", Shape::Mime, Padding::Pkcs1),
        ("carol", Shape::Opaque, Padding::Pkcs1),
    ] {
        let (object, content) = cms(&sealed(&keys, &Seal { sign: by(signer), shape, padding, ..Seal::default() }));
        gpgsm.verify(&LAB, &object, content.as_deref());
    }
    // Its version 2.2.40 knows neither OAEP nor RC2, and stops at openssl's GCM as at ours.
    for cipher in ["aes256", "aes128", "3des"] {
        let how =
            Seal { sign: by("alice"), to: to(&["bob", "alice"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
        let (object, _) = cms(&seal(&keys, &how, Legacy::Admit).unwrap().0);
        let object = path(&LAB.path(&LAB.fresh(object)));
        let (read, status) = gpgsm.run(&["--decrypt", &object]);
        assert!(status.contains("[GNUPG:] DECRYPTION_OKAY"), "{cipher}: {status}");
        LAB.verified(&read);
    }

    let part = path(&LAB.path(&LAB.fresh(PART)));
    for (form, wrap) in [("--detach-sign", clear_signed as fn(&[u8]) -> String), ("--sign", opaque)] {
        let (signature, _) = gpgsm.run(&[form, "-u", "alice@example.org", "-o", "-", &part]);
        let (written, opening) = opened(&keys, wrap(&signature), Legacy::Refuse);
        assert!(written.contains("Hello from the other side"), "{form}");
        assert_eq!(opening.verdict().standing(), Standing::Authentic, "{form}");
    }
    let (object, _) = gpgsm.run(&["--encrypt", "-r", "bob@example.org", "-o", "-", &part]);
    let (written, opening) = opened(&keys, pkcs7("enveloped-data", &object), Legacy::Refuse);
    assert!(written.contains("Hello from the other side"));
    assert!(opening.verdict().is_confidential());
}

#[test]
fn nss_and_we_read_each_other() {
    if !present(NSS) {
        return;
    }
    let (keys, nss) = (everybody(), Nss::new(&LAB, &["alice", "bob", "carol"]));
    for (signer, shape, padding) in [
        ("alice", Shape::Mime, Padding::Pkcs1),
        ("alice", Shape::Opaque, Padding::Pkcs1),
        ("alice", Shape::Mime, Padding::PssOaep),
        ("alice", Shape::Opaque, Padding::PssOaep),
        ("carol", Shape::Mime, Padding::Pkcs1),
        ("carol", Shape::Opaque, Padding::Pkcs1),
    ] {
        let message = sealed(&keys, &Seal { sign: by(signer), shape, padding, ..Seal::default() });
        let (object, content) = cms(&message);
        let read = text(&nss.decode(&LAB, &object, content.as_deref()));
        assert!(read.contains(TEXT), "{signer} {shape:?} {padding:?}");
    }
    // Its version 3.87 knows neither GCM nor OAEP, nor key agreement, of openssl's making as of ours.
    for cipher in ["aes256", "aes128", "3des", "rc2-40", "rc2-128"] {
        let how = Seal { to: to(&["bob"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
        let (object, _) = cms(&seal(&keys, &how, Legacy::Admit).unwrap().0);
        assert!(text(&nss.decode(&LAB, &object, None)).contains("Gr\u{fc}\u{df}e aus"), "{cipher}");
    }

    let part = path(&LAB.path(&LAB.fresh(PART)));
    for (signer, form, wrap, expected) in [
        ("alice", &["-T"][..], clear_signed as fn(&[u8]) -> String, Standing::Authentic),
        ("alice", &[], opaque, Standing::Authentic),
        ("carol", &["-T"], clear_signed, Standing::Signed),
        ("carol", &[], opaque, Standing::Signed),
    ] {
        let arguments = [&["-S", "-N", signer, "-G", "-H", "SHA256", "-i", &part], form].concat();
        let (_, opening) = opened(&keys, wrap(&nss.run("cmsutil", &arguments).0), Legacy::Refuse);
        assert_eq!(opening.verdict().standing(), expected, "{signer} {form:?}: {:?}", opening.verdict().layers());
    }
    let (object, _) = nss.run("cmsutil", &["-E", "-r", "bob@example.org", "-i", &part]);
    let (written, _) = opened(&keys, pkcs7("enveloped-data", &object), Legacy::Admit);
    assert!(written.contains("Hello from the other side"));
}

/// The one here that knows Ed25519 in CMS.
#[test]
fn gnutls_and_we_read_each_other() {
    if !present(&["openssl", "certtool"]) {
        return;
    }
    let (keys, root) = (everybody(), path(&LAB.path("root.crt")));
    for (signer, digest, expected) in [
        ("alice", "SHA256", Standing::Authentic),
        ("carol", "SHA256", Standing::Signed),
        ("frank", "SHA512", Standing::Signed),
    ] {
        for (shape, form, wrap) in [
            (Shape::Mime, "--p7-detached-sign", clear_signed as fn(&[u8]) -> String),
            (Shape::Opaque, "--p7-sign", opaque),
        ] {
            let (object, content) = cms(&sealed(&keys, &Seal { sign: by(signer), shape, ..Seal::default() }));
            let files = [Some(object), content].map(|octets| octets.map(|octets| path(&LAB.path(&LAB.fresh(octets)))));
            let mut arguments = vec!["--p7-verify", "--inder", "--load-ca-certificate", &root];
            for (option, file) in ["--infile", "--load-data"].iter().zip(&files) {
                arguments.extend(file.iter().flat_map(|file| [*option, file]));
            }
            certtool(&arguments);

            let part = path(&LAB.path(&LAB.fresh(PART)));
            let [crt, key] = ["crt", "key"].map(|ending| path(&LAB.path(&format!("{signer}.{ending}"))));
            let object = certtool(&[
                form,
                "--outder",
                "--p7-time",
                "--hash",
                digest,
                "--load-certificate",
                &crt,
                "--load-privkey",
                &key,
                "--infile",
                &part,
            ]);
            let (written, opening) = opened(&keys, wrap(&object), Legacy::Refuse);
            assert!(written.contains("Hello from the other side"), "{signer} {form}");
            assert_eq!(opening.verdict().standing(), expected, "{signer} {form}: {:?}", opening.verdict().layers());
        }
    }
}

fn certtool(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("certtool").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}

#[test]
fn what_openssl_seals_we_open() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let part = LAB.fresh(PART);
    let head = "From: alice@example.org\r\n";
    for more in [
        &["-signer", "alice.crt", "-inkey", "alice.key"][..],
        &["-signer", "alice.crt", "-inkey", "alice.key", "-stream"],
        &["-signer", "alice.crt", "-inkey", "alice.key", "-nodetach"],
        &["-signer", "alice.crt", "-inkey", "alice.key", "-nodetach", "-stream"],
        &["-signer", "alice.crt", "-inkey", "alice.key", "-keyopt", "rsa_padding_mode:pss"],
        // With -stream openssl 3.0 fails here.
        &["-signer", "alice.crt", "-inkey", "alice.key", "-keyopt", "rsa_padding_mode:pss", "-nodetach"],
        &["-signer", "carol.crt", "-inkey", "carol.key"],
        &["-signer", "carol.crt", "-inkey", "carol.key", "-nodetach", "-stream"],
        &["-signer", "dave.crt", "-inkey", "dave.key", "-md", "sha384", "-stream"],
        // Unless told, openssl 3.0 signs with PSS and says that it is PKCS#1 v1.5.
        &["-signer", "grace.crt", "-inkey", "grace.key", "-keyopt", "rsa_padding_mode:pss"],
    ] {
        let arguments = [&["cms", "-sign", "-in", &part, "-certfile", "ca.crt", "-binary", "-crlfeol"], more].concat();
        let message = [head.as_bytes(), &LAB.run(&arguments)].concat();
        let (written, opening) = opened(&keys, message, Legacy::Refuse);
        assert!(written.contains("Hello from the other side"), "{more:?}: {written}");
        let expected = if more[1] == "alice.crt" { Standing::Authentic } else { Standing::Signed };
        assert_eq!(opening.verdict().standing(), expected, "{more:?}: {:?}", opening.verdict().layers());
    }
    for more in [
        &["-aes256", "-recip", "bob.crt"][..],
        &["-aes256", "-stream", "-recip", "bob.crt"],
        &["-aes-256-gcm", "-recip", "bob.crt"],
        &["-aes128", "-recip", "bob.crt", "-keyopt", "rsa_padding_mode:oaep"],
        &["-aes128", "-recip", "bob.crt", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
        &["-aes256", "-recip", "carol.crt", "-recip", "bob.crt"],
        &["-aes-256-gcm", "-recip", "erin.crt", "-stream"],
        &["-aes256", "-recip", "carol.crt", "-stream"],
        &["-des3", "-recip", "bob.crt"],
        &["-des3", "-stream", "-recip", "carol.crt"],
        &["-rc2-40", "-provider", "legacy", "-provider", "default", "-recip", "bob.crt"],
        &["-rc2-64", "-provider", "legacy", "-provider", "default", "-recip", "bob.crt", "-stream"],
        &["-rc2-128", "-provider", "legacy", "-provider", "default", "-recip", "bob.crt"],
    ] {
        let arguments = [&["cms", "-encrypt", "-in", &part, "-binary"], more].concat();
        let message = [head.as_bytes(), &LAB.run(&arguments)].concat();
        let (written, opening) = opened(&keys, message, Legacy::Admit);
        assert!(written.contains("Hello from the other side"), "{more:?}: {written}");
        assert!(opening.verdict().is_confidential(), "{more:?}");
    }
}
