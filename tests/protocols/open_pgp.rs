//! OpenPGP layers opened and judged: every reason why a signature does not hold, and every way to tamper with a ciphertext.
//! The messages are made here with Sequoia.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Budget, FixedClock, Kind, Limits, Result, Secret, SystemRandom, parse_rfc3339},
    crypto::{Legacy, Strength},
    keys::{Binding, Deprecated, Handle, Memory, Passphrases},
    mail::Message,
    pki::Revocation,
    protocol::{ClaimKind, Context, Opened, Protocol, pgp::Pgp, pgp::keyfile},
    verdict::{Covers, Layer, LayerKind, Signature, State, Why},
};
use proptest::prelude::*;
use sequoia_openpgp::{
    Cert, KeyID, Packet,
    armor::{Kind as Block, Writer as Armorer},
    cert::{CertBuilder, CipherSuite, SubkeyRevocationBuilder},
    crypto::KeyPair,
    packet::{
        Key,
        key::PrimaryRole,
        signature::{SignatureBuilder, subpacket::NotationDataFlags},
    },
    serialize::{
        MarshalInto,
        stream::{Compressor, Encryptor, LiteralWriter, Message as Stream, Recipient, Signer},
    },
    types::{
        AEADAlgorithm, CompressionAlgorithm, Features, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType,
        SymmetricAlgorithm,
    },
};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nThe bearer may pass.\r\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn born() -> SystemTime {
    parse_rfc3339("2024-01-01T00:00:00Z").unwrap()
}

/// Mail of the tests is signed 100 days after the keys were made, and read 200 days after.
fn signed_at() -> SystemTime {
    born() + 100 * DAY
}

fn now() -> SystemTime {
    born() + 200 * DAY
}

fn alice() -> CertBuilder<'static> {
    CertBuilder::general_purpose(Some("Alice <alice@example.org>")).set_creation_time(born())
}

fn keys(certs: &[&Cert]) -> Memory {
    let mut memory = Memory::new();
    for cert in certs {
        for mut one in keyfile::describe(&cert.as_tsk().to_vec().unwrap(), "test").unwrap().found {
            one.record.bind(Binding::UserIds);
            if let Some(secret) = one.secret {
                let locked = keyfile::LockedKeys::new(secret, Arc::new(Passphrases::default()), &Limits::default());
                memory.add_locked(one.record.secrets().to_vec(), Arc::new(locked));
            }
            memory.add(one.record);
        }
    }
    memory
}

fn public(cert: &Cert) -> Cert {
    cert.clone().strip_secret_key_material()
}

fn open_with(mail: Vec<u8>, keys: &Memory, legacy: Legacy) -> Result<Opened> {
    let mut budget = Budget::new(Limits::default());
    let message = Message::parse(mail, &mut budget)?;
    let claim = Pgp.claim(message.root()).expect("a claim");
    let clock = FixedClock(now());
    Pgp.open(
        message,
        &claim,
        Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft },
        &mut budget,
    )
}

fn open(mail: Vec<u8>, keys: &Memory) -> Result<Opened> {
    open_with(mail, keys, Legacy::Refuse)
}

fn signatures(layers: &[Layer]) -> Vec<Signature> {
    let of = |layer: &Layer| match &layer.kind {
        LayerKind::Signed { signatures } => signatures.clone(),
        _ => Vec::new(),
    };
    layers.iter().flat_map(of).collect()
}

/// The one signature of a signed mail.
fn judged(mail: Vec<u8>, certs: &[&Cert]) -> Signature {
    let mut signatures = signatures(&open(mail, &keys(certs)).unwrap().layers);
    assert_eq!(signatures.len(), 1);
    signatures.remove(0)
}

fn why(signature: &Signature) -> Why {
    match &signature.state {
        State::Invalid(why) | State::Unknown(why) => why.clone(),
        State::Valid(_) => panic!("it is valid"),
    }
}

fn is_valid(signature: &Signature) -> bool {
    matches!(signature.state, State::Valid(_))
}

fn signing_key(cert: &Cert) -> KeyPair {
    let flagged = |flags: Option<KeyFlags>| flags.is_none_or(|flags| flags.for_signing());
    let key = cert
        .keys()
        .secret()
        .find(|key| {
            let binding = key.self_signatures().next().or_else(|| cert.userids().next()?.self_signatures().next());
            flagged(binding.and_then(|binding| binding.key_flags()))
        })
        .unwrap();
    key.key().clone().into_keypair().unwrap()
}

fn builder() -> SignatureBuilder {
    SignatureBuilder::new(SignatureType::Binary).set_signature_creation_time(signed_at()).unwrap()
}

fn detached(builder: SignatureBuilder, mut signer: KeyPair) -> Vec<u8> {
    Packet::from(builder.sign_message(&mut signer, TEXT).unwrap()).to_vec().unwrap()
}

fn armored(kind: Block, octets: &[u8]) -> Vec<u8> {
    let mut writer = Armorer::new(Vec::new(), kind).unwrap();
    writer.write_all(octets).unwrap();
    writer.finalize().unwrap()
}

/// multipart/signed of `part` (RFC 3156, section 5).
fn signed_mail(part: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut mail = b"From: alice@example.org\r\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n".to_vec();
    mail.extend_from_slice(part);
    mail.extend_from_slice(b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n");
    mail.extend_from_slice(&armored(Block::Signature, signature));
    mail.extend_from_slice(b"\r\n--b--\r\n");
    mail
}

fn mail_by(cert: &Cert, builder: SignatureBuilder) -> Vec<u8> {
    signed_mail(TEXT, &detached(builder, signing_key(cert)))
}

/// multipart/encrypted of a message (RFC 3156, section 4).
fn encrypted_mail(message: &[u8]) -> Vec<u8> {
    let mut mail = b"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n".to_vec();
    mail.extend_from_slice(&armored(Block::Message, message));
    mail.extend_from_slice(b"\r\n--b--\r\n");
    mail
}

#[derive(Clone, Copy, Debug)]
enum Container {
    V1,
    V2(AEADAlgorithm),
}

fn encrypted(cert: &Cert, container: Container, hidden: bool, signer: Option<KeyPair>) -> Vec<u8> {
    let key = cert.keys().subkeys().find(|key| key.key().pk_algo().for_encryption()).unwrap();
    let features = match container {
        Container::V1 => Features::empty().set_seipdv1(),
        Container::V2(_) => Features::empty().set_seipdv2(),
    };
    let recipient = Recipient::new(features, key.key().key_handle(), key.key());
    let recipient = if hidden { recipient.set_key_handle(None).unwrap() } else { recipient };
    let mut out = Vec::new();
    let stream = Stream::new(&mut out);
    let encryptor = Encryptor::for_recipients(stream, vec![recipient]).symmetric_algo(SymmetricAlgorithm::AES256);
    let encryptor = match container {
        Container::V1 => encryptor,
        Container::V2(mode) => encryptor.aead_algo(mode),
    };
    let stream = encryptor.build().unwrap();
    let stream = match signer {
        Some(signer) => {
            Signer::with_template(stream, signer, builder()).unwrap().creation_time(signed_at()).build().unwrap()
        }
        None => stream,
    };
    let mut literal = LiteralWriter::new(stream).build().unwrap();
    literal.write_all(TEXT).unwrap();
    literal.finalize().unwrap();
    out
}

#[test]
fn a_good_signature_says_who_and_what() {
    let (cert, _) = alice().generate().unwrap();
    let signature = judged(mail_by(&cert, builder()), &[&public(&cert)]);
    assert!(is_valid(&signature));
    assert_eq!(signature.reservation, None);
    assert_eq!(signature.covers, Covers::Whole);
    assert_eq!(signature.at, Some(signed_at()));
    assert_eq!(signature.algorithms, "ed25519-sha512");
    assert_eq!(signature.strength, Strength::Strong);
    assert_eq!(
        signature.authenticated.iter().map(|one| one.address().to_string()).collect::<Vec<_>>(),
        ["alice@example.org"]
    );
}

#[test]
fn mail_stored_with_bare_line_feeds_verifies() {
    let (cert, _) = alice().generate().unwrap();
    let mail = String::from_utf8(mail_by(&cert, builder())).unwrap().replace("\r\n", "\n");
    assert!(is_valid(&judged(mail.into_bytes(), &[&cert])));
}

#[test]
fn a_third_part_is_refused() {
    let (cert, _) = alice().generate().unwrap();
    let mail = String::from_utf8(mail_by(&cert, builder())).unwrap();
    let mail = mail.replace("\r\n--b--", "\r\n--b\r\n\r\nunsigned\r\n--b--").into_bytes();
    assert_eq!(open(mail, &keys(&[&cert])).unwrap_err().to_string(), "multipart/signed: has 3 parts instead of 2");
}

#[test]
fn text_beside_an_encrypted_message_is_not_covered() {
    let (cert, message) = sealed(Container::V1);
    let mail = String::from_utf8(encrypted_mail(&message)).unwrap();
    let added = mail.replace("\r\n--b--", "\r\n--b\r\n\r\nunsigned\r\n--b--");
    for (mail, covers) in [(mail, Covers::Whole), (added, Covers::Part)] {
        let opened = open(mail.into_bytes(), &keys(&[&cert])).unwrap();
        let found: Vec<_> = signatures(&opened.layers).iter().map(|signature| signature.covers).collect();
        assert_eq!(found, [covers]);
    }
}

#[test]
fn a_text_signed_without_mime_keeps_its_first_paragraph() {
    let (cert, _) = alice().generate().unwrap();
    for text in ["I do not agree to:\r\n\r\nPay Mallory.\r\n", "Never.\r\n\r\nPay Mallory.\r\n"] {
        let signature = builder().sign_message(&mut signing_key(&cert), text).unwrap();
        let packet = Packet::from(signature).to_vec().unwrap();
        let opened = open(signed_mail(text.as_bytes(), &packet), &keys(&[&cert])).unwrap();
        assert!(is_valid(&signatures(&opened.layers)[0]));
        assert_eq!(opened.payload.root().body(), text.as_bytes());
    }
}

#[test]
fn other_octets_are_a_mismatch() {
    let (cert, _) = alice().generate().unwrap();
    let mail = signed_mail(b"\r\nThe bearer may not pass.\r\n", &detached(builder(), signing_key(&cert)));
    assert_eq!(why(&judged(mail, &[&cert])), Why::Mismatch);
}

#[test]
fn a_missing_key_is_unknown() {
    let (cert, _) = alice().generate().unwrap();
    let signature = judged(mail_by(&cert, builder()), &[]);
    assert_eq!(signature.state, State::Unknown(Why::NoKey));
    assert_eq!(signature.algorithms, "eddsa-sha512");
}

#[test]
fn a_key_of_an_unknown_version() {
    let (cert, _) = alice().generate().unwrap();
    let old = Deprecated { id: Handle::parse("7D0BC10E933404C9").unwrap(), version: 3 };
    let id = KeyID::from_bytes(&[0x7d, 0x0b, 0xc1, 0x0e, 0x93, 0x34, 0x04, 0xc9]);
    let signer = signing_key(&cert);
    let named = builder().set_issuer(id).unwrap().set_issuer_fingerprint(signer.public().fingerprint()).unwrap();
    let mail = signed_mail(TEXT, &detached(named, signer));
    let found = |mut keys: Memory| {
        keys.add_deprecated(old.clone());
        signatures(&open(mail.clone(), &keys).unwrap().layers).remove(0)
    };
    assert_eq!(found(Memory::new()).state, State::Unknown(Why::KeyDeprecated(3)));
    assert!(is_valid(&found(keys(&[&public(&cert)]))));
    let other = signed_mail(TEXT, &detached(builder(), signing_key(&cert)));
    assert_eq!(signatures(&open(other, &Memory::new()).unwrap().layers)[0].state, State::Unknown(Why::NoKey));
}

#[test]
fn a_key_that_had_expired() {
    let (cert, _) = alice().set_validity_period(50 * DAY).generate().unwrap();
    assert_eq!(why(&judged(mail_by(&cert, builder()), &[&cert])), Why::KeyExpired);
}

#[test]
fn a_key_that_expired_since_was_good_at_the_time() {
    let (cert, _) = alice().set_validity_period(150 * DAY).generate().unwrap();
    assert!(is_valid(&judged(mail_by(&cert, builder()), &[&cert])));
}

#[test]
fn a_key_made_later_than_the_signature() {
    let (cert, _) = alice().generate().unwrap();
    let early = builder().set_signature_creation_time(born() - DAY).unwrap();
    assert_eq!(why(&judged(mail_by(&cert, early), &[&cert])), Why::KeyNotYetValid);
}

fn revoked(cert: &Cert, reason: ReasonForRevocation, at: SystemTime) -> Cert {
    let mut primary = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let signing = signing_key(cert).public().fingerprint();
    let subkey = cert.keys().subkeys().find(|key| key.key().fingerprint() == signing).unwrap();
    let revocation = SubkeyRevocationBuilder::new()
        .set_reason_for_revocation(reason, b"lost the laptop")
        .unwrap()
        .set_signature_creation_time(at)
        .unwrap()
        .build(&mut primary, cert, subkey.key(), None)
        .unwrap();
    cert.clone().insert_packets(vec![Packet::from(revocation)]).unwrap().0
}

#[test]
fn a_compromised_key_is_revoked_at_any_time() {
    let (cert, _) = alice().generate().unwrap();
    let later = revoked(&cert, ReasonForRevocation::KeyCompromised, signed_at() + DAY);
    let expected = Why::KeyRevoked("lost the laptop".to_owned());
    assert_eq!(why(&judged(mail_by(&cert, builder()), &[&later])), expected);
    // A copy without the revocation beside it changes nothing.
    assert_eq!(why(&judged(mail_by(&cert, builder()), &[&cert, &later])), expected);
}

#[test]
fn a_retired_key_is_revoked_from_then_on() {
    let (cert, _) = alice().generate().unwrap();
    let before = revoked(&cert, ReasonForRevocation::KeyRetired, signed_at() - DAY);
    assert_eq!(why(&judged(mail_by(&cert, builder()), &[&before])), Why::KeyRevoked("lost the laptop".to_owned()));
    let after = revoked(&cert, ReasonForRevocation::KeyRetired, signed_at() + DAY);
    assert!(is_valid(&judged(mail_by(&cert, builder()), &[&after])));
}

#[test]
fn a_key_for_authentication_does_not_sign_mail() {
    let (cert, _) = CertBuilder::new()
        .set_creation_time(born())
        .add_userid("Alice <alice@example.org>")
        .add_authentication_subkey()
        .generate()
        .unwrap();
    let key = cert.keys().subkeys().secret().next().unwrap().key().clone().into_keypair().unwrap();
    assert_eq!(why(&judged(signed_mail(TEXT, &detached(builder(), key)), &[&cert])), Why::WrongUsage);
}

#[test]
fn an_expired_signature() {
    let (cert, _) = alice().generate().unwrap();
    let short = builder().set_signature_validity_period(10 * DAY).unwrap();
    assert_eq!(why(&judged(mail_by(&cert, short), &[&cert])), Why::SignatureExpired);
}

#[test]
fn a_signature_from_the_future() {
    let (cert, _) = alice().generate().unwrap();
    let future = builder().set_signature_creation_time(now() + DAY).unwrap();
    assert_eq!(why(&judged(mail_by(&cert, future), &[&cert])), Why::SignatureNotYetValid);
}

/// A subkey without a back signature: anyone could have added it.
#[test]
fn a_subkey_without_a_cross_signature_is_not_bound() {
    let (victim, _) = alice().generate().unwrap();
    let (thief, _) =
        CertBuilder::new().set_creation_time(born()).add_userid("Thief <thief@example.org>").generate().unwrap();
    let stolen = signing_key(&victim).public().clone().role_into_subordinate();
    let mut primary = thief.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    // Without key flags Sequoia does not ask for the cross-signature; with them it drops the binding.
    for flags in [KeyFlags::empty(), KeyFlags::empty().set_signing()] {
        let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
            .set_signature_creation_time(born())
            .unwrap()
            .set_key_flags(flags)
            .unwrap()
            .sign_subkey_binding(&mut primary, thief.primary_key().key(), &stolen)
            .unwrap();
        let claimed = public(&thief).insert_packets(vec![Packet::from(stolen.clone()), binding.into()]).unwrap().0;
        assert_eq!(why(&judged(mail_by(&victim, builder()), &[&claimed])), Why::KeyNotBound);
        let both = judged(mail_by(&victim, builder()), &[&victim, &claimed]);
        assert!(is_valid(&both));
        assert_eq!(
            both.authenticated.iter().map(|one| one.address().to_string()).collect::<Vec<_>>(),
            ["alice@example.org"]
        );
    }
}

/// As gpg's export-clean and key servers hand them on: only the newest self-signatures are left.
#[test]
fn a_cleaned_certificate_speaks_for_the_time_before_its_oldest_self_signature() {
    let (cert, _) = CertBuilder::new()
        .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
        .add_userid("Alice <alice@example.org>")
        .set_creation_time(born())
        .generate()
        .unwrap();
    let mut primary = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let name = cert.userids().next().unwrap().userid().clone();
    let fresh = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(signed_at() + DAY)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_signing())
        .unwrap()
        .sign_userid_binding(&mut primary, None, &name)
        .unwrap();
    let key: Key<_, PrimaryRole> = cert.primary_key().key().clone();
    let cleaned = Cert::from_packets(vec![Packet::from(key), name.into(), fresh.into()].into_iter()).unwrap();
    let signature = judged(signed_mail(TEXT, &detached(builder(), primary)), &[&cleaned]);
    assert!(is_valid(&signature));
    assert_eq!(signature.authenticated.len(), 1);
}

#[test]
fn weak_and_broken_digests_are_named() {
    let (cert, _) = alice().set_cipher_suite(CipherSuite::RSA2k).generate().unwrap();
    let sha1 = judged(mail_by(&cert, builder().set_hash_algo(HashAlgorithm::SHA1)), &[&cert]);
    assert!(is_valid(&sha1));
    assert_eq!((sha1.strength, sha1.reservation), (Strength::Broken, Some(Why::BrokenAlgorithm("sha1".to_owned()))));
    assert_eq!(sha1.algorithms, "rsa2048-sha1");
    let md5 = judged(mail_by(&cert, builder().set_hash_algo(HashAlgorithm::MD5)), &[&cert]);
    // It is not even computed.
    assert_eq!(md5.state, State::Unknown(Why::BrokenAlgorithm("md5".to_owned())));
}

#[test]
fn what_is_critical_and_not_understood_is_refused() {
    let (cert, _) = alice().generate().unwrap();
    let odd =
        builder().add_notation("odd@example.org", b"1", NotationDataFlags::empty().set_human_readable(), true).unwrap();
    let expected = Why::Malformed("its critical notation is not known".to_owned());
    assert_eq!(why(&judged(mail_by(&cert, odd), &[&cert])), expected);
}

#[test]
fn a_certification_is_no_signature_over_a_message() {
    let (cert, _) = alice().generate().unwrap();
    let binding = cert.userids().next().unwrap().self_signatures().next().unwrap().clone();
    let mail = signed_mail(TEXT, &Packet::from(binding).to_vec().unwrap());
    assert_eq!(why(&judged(mail, &[&cert])), Why::Malformed("it is not a signature over a message".to_owned()));
}

#[test]
fn a_signature_of_an_unknown_version_is_unknown() {
    let (cert, _) = alice().generate().unwrap();
    let mut packet = detached(builder(), signing_key(&cert));
    packet[2] = 9;
    let signature = judged(signed_mail(TEXT, &packet), &[&cert]);
    assert_eq!(signature.state, State::Unknown(Why::UnknownAlgorithm("signature version 9".to_owned())));
}

#[test]
fn a_garbled_signature_is_an_answer_and_the_text_is_there() {
    let mail = b"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\n????\r\n-----END PGP SIGNATURE-----\r\n--b--\r\n";
    let opened = open(mail.to_vec(), &Memory::new()).unwrap();
    assert_eq!(why(&signatures(&opened.layers)[0]), Why::Malformed("armor, line 3: not base64".to_owned()));
    assert_eq!(opened.payload.octets(), b"\r\ntext");
}

#[test]
fn more_signatures_than_the_limit_are_refused_together() {
    let (cert, _) = alice().generate().unwrap();
    let flood = detached(builder(), signing_key(&cert)).repeat(33);
    let error = open(signed_mail(TEXT, &flood), &keys(&[&cert])).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Malformed, "layer: more than 32 signatures"));
}

/// The key is strong and so is the signature, but what binds the key is not: weak while it could not be forged, broken since 2023-02-01.
#[test]
fn a_certificate_bound_with_sha1_counts_by_its_date() {
    let name = || "the certificate's sha1 self-signature".to_owned();
    let weak = (Strength::Weak, Some(Why::WeakAlgorithm(name())));
    let broken = (Strength::Broken, Some(Why::BrokenAlgorithm(name())));
    assert_eq!(bound_with_sha1("2012-05-01T00:00:00Z"), weak);
    assert_eq!(bound_with_sha1("2023-01-31T23:59:59Z"), weak);
    assert_eq!(bound_with_sha1("2023-02-01T00:00:00Z"), broken);
    assert_eq!(bound_with_sha1("2024-01-01T00:00:00Z"), broken);
}

fn bound_with_sha1(at: &str) -> (Strength, Option<Why>) {
    let at = parse_rfc3339(at).unwrap();
    let (cert, _) = alice().set_creation_time(at).generate().unwrap();
    let mut primary = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let name = cert.userids().next().unwrap().userid().clone();
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(HashAlgorithm::SHA1)
        .set_signature_creation_time(at)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_signing())
        .unwrap()
        .sign_userid_binding(&mut primary, None, &name)
        .unwrap();
    let key: Key<_, PrimaryRole> = cert.primary_key().key().clone();
    let bound = Cert::from_packets(vec![Packet::from(key), name.into(), binding.into()].into_iter()).unwrap();
    let signature = judged(signed_mail(TEXT, &detached(builder(), primary)), &[&bound]);
    assert!(is_valid(&signature));
    (signature.strength, signature.reservation)
}

#[test]
fn cleartext_is_unescaped_and_trailing_white_space_is_not_signed() {
    let (cert, _) = alice().generate().unwrap();
    let mut out = Vec::new();
    let signer =
        Signer::with_template(Stream::new(&mut out), signing_key(&cert), SignatureBuilder::new(SignatureType::Text));
    let mut signer = signer.unwrap().creation_time(signed_at()).cleartext().build().unwrap();
    signer.write_all(b"- one\n-- \ntwo  \n").unwrap();
    signer.finalize().unwrap();
    let mut mail = b"Content-Type: text/plain\r\n\r\n".to_vec();
    mail.extend_from_slice(&out);
    let opened = open(mail.clone(), &keys(&[&cert])).unwrap();
    assert!(is_valid(&signatures(&opened.layers)[0]));
    assert_eq!(signatures(&opened.layers)[0].covers, Covers::Whole);
    let body = String::from_utf8(opened.payload.root().body().to_vec()).unwrap();
    assert!(body.starts_with("- one\n--"), "{body:?}");
    // White space at line ends may come and go.
    let spaced = String::from_utf8(mail.clone()).unwrap().replace("two", "two\t \t");
    assert!(is_valid(&judged(spaced.into_bytes(), &[&cert])));
    // Text before the block is not signed.
    let beside = String::from_utf8(mail).unwrap().replacen("-----BEGIN", "Hello!\n-----BEGIN", 1);
    assert_eq!(judged(beside.into_bytes(), &[&cert]).covers, Covers::Part);
}

#[test]
fn every_container_opens_and_says_how_it_was_sealed() {
    let (cert, _) = alice().generate().unwrap();
    let modes = [AEADAlgorithm::EAX, AEADAlgorithm::OCB, AEADAlgorithm::GCM].map(Container::V2);
    for (container, name) in
        [Container::V1].into_iter().chain(modes).zip(["aes256", "aes256-eax", "aes256-ocb", "aes256-gcm"])
    {
        let mail = encrypted_mail(&encrypted(&cert, container, false, Some(signing_key(&cert))));
        let opened = open(mail, &keys(&[&cert])).unwrap();
        assert_eq!(opened.payload.octets(), TEXT, "{container:?}");
        let LayerKind::Encrypted { cipher, authenticated, .. } = &opened.layers[0].kind else {
            panic!("{container:?}")
        };
        assert_eq!((cipher.as_str(), *authenticated), (name, true));
        assert!(is_valid(&signatures(&opened.layers)[0]), "{container:?}");
    }
}

#[test]
fn a_hidden_recipient_tries_every_secret_key() {
    let (cert, _) = alice().generate().unwrap();
    let (other, _) =
        CertBuilder::general_purpose(Some("Bob <bob@example.org>")).set_creation_time(born()).generate().unwrap();
    let mail = encrypted_mail(&encrypted(&cert, Container::V1, true, None));
    let opened = open(mail, &keys(&[&other, &cert])).unwrap();
    let LayerKind::Encrypted { recipients, .. } = &opened.layers[0].kind else { panic!("not encrypted") };
    assert_eq!(recipients, &["hidden"]);
    assert_eq!(opened.payload.octets(), TEXT);
}

#[test]
fn without_the_key_the_error_names_the_recipients() {
    let (cert, _) = alice().generate().unwrap();
    let error =
        open(encrypted_mail(&encrypted(&cert, Container::V1, false, None)), &keys(&[&public(&cert)])).unwrap_err();
    assert_eq!(error.kind(), Kind::NoKey);
    let key = cert.keys().subkeys().find(|key| key.key().pk_algo().for_encryption()).unwrap().key().keyid();
    assert_eq!(error.to_string(), format!("openpgp message: no secret key for any recipient ({key:X})"));
    assert!(error.hint().is_some());
}

fn with_password(password: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let stream = Encryptor::with_passwords(Stream::new(&mut out), Some(password)).build().unwrap();
    let mut literal = LiteralWriter::new(stream).build().unwrap();
    literal.write_all(TEXT).unwrap();
    literal.finalize().unwrap();
    out
}

#[test]
fn a_password_opens_and_a_wrong_one_does_not() {
    let mail = encrypted_mail(&with_password("sesame"));
    let mut memory = Memory::new();
    memory.add_password(Secret::from("wrong"));
    assert_eq!(open(mail.clone(), &memory).unwrap_err().kind(), Kind::NoKey);
    memory.add_password(Secret::from("sesame"));
    assert_eq!(open(mail, &memory).unwrap().payload.octets(), TEXT);
}

/// The grammar of RFC 9580, section 10.3: nothing unsigned beside what is signed.
#[test]
fn a_second_text_in_one_message_is_refused() {
    let (cert, _) = alice().generate().unwrap();
    let mut out = Vec::new();
    let stream = Signer::with_template(Stream::new(&mut out), signing_key(&cert), builder()).unwrap().build().unwrap();
    let mut literal = LiteralWriter::new(stream).build().unwrap();
    literal.write_all(TEXT).unwrap();
    literal.finalize().unwrap();
    let smuggled = [0xcb, 9, b'b', 0, 0, 0, 0, 0, b'e', b'v', b'l'];
    for message in [[out.as_slice(), &smuggled].concat(), [smuggled.as_slice(), &out].concat()] {
        let mut mail = b"Content-Type: application/octet-stream; name=x.pgp\r\n\r\n".to_vec();
        mail.extend_from_slice(&armored(Block::Message, &message));
        assert_eq!(open(mail, &keys(&[&cert])).unwrap_err().kind(), Kind::Malformed);
    }
}

/// Made with `gpg --rfc2440 --disable-mdc --cipher-algo CAST5 -z 0 --passphrase sesame -c` (GnuPG 2.2.40) of `unprotected` and a line feed.
#[test]
fn unprotected_data_is_opened_on_request_only() {
    let sealed = include_bytes!("open_pgp/unprotected.pgp");
    let mut memory = Memory::new();
    memory.add_password(Secret::from("sesame"));
    let error = open(encrypted_mail(sealed), &memory).unwrap_err();
    assert_eq!(error.to_string(), "openpgp message: encrypted without any protection against changes");
    let opened = open_with(encrypted_mail(sealed), &memory, Legacy::Admit).unwrap();
    assert!(matches!(opened.layers[0].kind, LayerKind::Encrypted { authenticated: false, .. }));
    assert_eq!(opened.payload.root().body(), b"unprotected\n");
}

#[test]
fn armor_that_is_cut_short_is_malformed() {
    let mail = String::from_utf8(encrypted_mail(&with_password("sesame"))).unwrap();
    let cut = mail.replace("-----END PGP MESSAGE-----", "");
    let error = open(cut.into_bytes(), &Memory::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert_eq!(error.to_string(), "armor: ends without its last line, -----END PGP");
}

/// 1 GiB of zeros in some kilobytes.
#[test]
fn a_decompression_bomb_is_refused_before_it_goes_off() {
    let mut out = Vec::new();
    let inner = Compressor::new(Stream::new(&mut out)).algo(CompressionAlgorithm::BZip2).build().unwrap();
    let mut literal = LiteralWriter::new(inner).build().unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        literal.write_all(&zeros).unwrap();
    }
    literal.finalize().unwrap();
    assert!(out.len() < 64 * 1024, "{}", out.len());
    let mut mail = b"Content-Type: application/octet-stream; name=x.pgp\r\n\r\n".to_vec();
    mail.extend_from_slice(&armored(Block::Message, &out));
    let error = open(mail, &Memory::new()).unwrap_err();
    assert!(error.to_string().starts_with("decompressed data: more than "), "{error}");
}

#[test]
fn what_claims_and_what_does_not() {
    let claim = |mail: &str| {
        let message =
            Message::parse(mail.replace('\n', "\r\n").into_bytes(), &mut Budget::new(Limits::default())).unwrap();
        Pgp.claim(message.root()).map(|claim| (claim.kind, claim.is_whole(message.root())))
    };
    let block = "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n";
    assert_eq!(claim(&format!("Subject: x\n\n{block}")), Some((ClaimKind::Inline, true)));
    assert_eq!(claim(&format!("Subject: x\n\n \n{block}\n\n")), Some((ClaimKind::Inline, true)));
    assert_eq!(claim(&format!("Subject: x\n\nHello\n{block}")), Some((ClaimKind::Inline, false)));
    assert_eq!(claim(&format!("Content-Type: text/html\n\n{block}")), None);
    assert_eq!(
        claim(&format!("Content-Type: application/pgp; x-action=encrypt\n\n{block}")),
        Some((ClaimKind::Inline, true))
    );
    assert_eq!(claim(&format!("Content-Type: application/pgp-keys\n\n{block}")), None);
    assert_eq!(claim("Subject: x\n\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"), None);
    assert_eq!(
        claim("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nwcBMA9Q=\n"),
        Some((ClaimKind::Inline, true))
    );
    assert_eq!(claim("Content-Type: application/octet-stream\n\nPK\x03\x04\n"), None);
    assert_eq!(
        claim(
            "Content-Type: multipart/signed; boundary=b; protocol=\"application/pkcs7-signature\"\n\n--b\n\nx\n--b\nContent-Type: application/pkcs7-signature\n\n--b--\n"
        ),
        None
    );
    let mixed_up = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n\n{block}--b--\n"
    );
    assert_eq!(claim(&mixed_up), Some((ClaimKind::Encrypted, true)));
    assert_eq!(claim(&mixed_up.replacen("\n\n\n--b", "\n\nHello\n--b", 1)), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A flipped bit anywhere in the packets never yields plaintext other than the whole, unchanged one.
    #[test]
    fn a_flipped_bit_in_a_ciphertext_never_yields_other_text(at in any::<prop::sample::Index>(), bit in 0..8_u32, aead in any::<bool>()) {
        let (cert, message) = if aead { &*SEALED_V2 } else { &*SEALED_V1 };
        let mut message = message.clone();
        let at = at.index(message.len());
        message[at] ^= 1 << bit;
        if let Ok(opened) = open(encrypted_mail(&message), &keys(&[cert])) {
            prop_assert_eq!(opened.payload.octets(), TEXT, "octet {}", at);
        }
    }

    #[test]
    fn a_ciphertext_cut_short_yields_nothing(at in any::<prop::sample::Index>(), aead in any::<bool>()) {
        let (cert, message) = if aead { &*SEALED_V2 } else { &*SEALED_V1 };
        let cut = &message[..at.index(message.len())];
        prop_assert!(open(encrypted_mail(cut), &keys(&[cert])).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_signed_part_is_never_valid(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let cert = &SEALED_V1.0;
        let mut part = TEXT.to_vec();
        let at = at.index(part.len());
        part[at] ^= 1 << bit;
        let mail = signed_mail(&part, &detached(builder(), signing_key(cert)));
        for signature in signatures(&open(mail, &keys(&[cert])).unwrap().layers) {
            prop_assert!(!is_valid(&signature), "octet {}", at);
        }
    }
}

static SEALED_V1: std::sync::LazyLock<(Cert, Vec<u8>)> = std::sync::LazyLock::new(|| sealed(Container::V1));
static SEALED_V2: std::sync::LazyLock<(Cert, Vec<u8>)> =
    std::sync::LazyLock::new(|| sealed(Container::V2(AEADAlgorithm::OCB)));

fn sealed(container: Container) -> (Cert, Vec<u8>) {
    let (cert, _) = alice().generate().unwrap();
    let message = encrypted(&cert, container, false, Some(signing_key(&cert)));
    (cert, message)
}
