//! Another person's ciphertext with a recipient added, who has a content key of their own for it.

use std::sync::Arc;

use postseal::{
    base::{Limits, Secret, SystemClock, SystemRandom},
    crypto::{self, Cipher, Unwrap, cbc_decrypt, cbc_encrypt, encrypt_to_rsa},
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Passphrases, ProtocolName},
    mail::{Submitter, encoding::base64_encode},
    pki::Certificate,
    protocol::{Seal, Signer, smime},
    store,
};

use crate::support::{
    der::{content_info, octets, oid, sequence, tlv},
    handler::{address, hook, keys, mail, parse, text},
};

/// RSA keys of these, and a hook that has them beside the usual ones.
fn generated(names: &[&str]) -> (Vec<Certificate>, ReloadableHandler) {
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut certificates = Vec::new();
    for name in names {
        let mut request = smime::generate::Request::new(address(name));
        request.algorithm = smime::generate::Algorithm::Rsa2048;
        let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
        certificates.push(Certificate::parse(described.record.bytes()).unwrap());
        files.push(described.record.bytes().to_vec());
        files.push(described.secret.unwrap().expose().to_vec());
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("generated", file.as_slice())).collect();
    let rsa = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
    let keys = postseal::keys::Chain::new(vec![Arc::new(rsa), Arc::new(keys())], store::merge);
    let setup = HandlerConfig { keys: Arc::new(keys), ..HandlerConfig::clone(&hook().config()) };
    (certificates, ReloadableHandler::new(setup))
}

/// A KeyTransRecipientInfo.
fn recipient(certificate: &Certificate, key: &Secret) -> Vec<u8> {
    let Ok(crypto::PublicKey::Rsa { n, e }) = certificate.public_key().as_crypto() else { panic!("not RSA") };
    let wrapped = encrypt_to_rsa(n, e, Unwrap::RsaPkcs1, key).unwrap();
    let name = sequence(&[certificate.issuer().der(), &tlv(2, &[certificate.serial()])]);
    let algorithm = sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]);
    sequence(&[&[2, 1, 0], &name, &algorithm, &octets(&wrapped)])
}

/// CBC decrypts under a wrong key too, to noise, once in 256 keys with a padding that fits.
#[test]
fn a_second_content_key_makes_no_reader_of_the_first() {
    let (certificates, hook) = generated(&["alice@example.org", "mallory@example.org"]);
    let letter = "From: alice@example.org\r\nTo: alice@example.org\r\nSubject: s\r\nContent-Type: text/plain\r\n\r\nthe number is forty-two\r\n";
    let mut data = Vec::new();
    let how = Seal { sign: vec![Signer::Author], ..Seal::default() };
    hook.config().engine().seal(ProtocolName::Pgp, &parse(letter), &how, &mut data).unwrap();
    let (iv, key) = ([7; 16], Secret::new(vec![9; 32]));
    cbc_encrypt(Cipher::Aes256, &key, &iv, &mut data).unwrap();
    let fits = |key: &Secret| cbc_decrypt(Cipher::Aes256, key, &iv, &mut data.clone()).is_ok();
    let noise = (0..=u16::MAX).map(|number| Secret::new([&number.to_be_bytes()[..], &[0; 30]].concat())).find(fits);
    let noise = noise.expect("one in 256 keys fits");

    let infos = [recipient(&certificates[0], &key), recipient(&certificates[1], &noise)];
    let algorithm = sequence(&[&oid("2.16.840.1.101.3.4.1.42"), &octets(&iv)]);
    let content = sequence(&[&oid("1.2.840.113549.1.7.1"), &algorithm, &tlv(0x80, &[&data])]);
    let enveloped = sequence(&[&[2, 1, 0], &tlv(0x31, &[&infos[0], &infos[1]]), &content]);
    let object = String::from_utf8(base64_encode(&content_info("1.2.840.113549.1.7.3", &enveloped))).unwrap();
    let stolen = format!(
        "From: alice@example.org\r\nTo: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{object}"
    );
    let both = ["alice@example.org", "mallory@example.org"];
    let outcome = hook.handle(mail(Submitter::Unknown, &both, stolen)).unwrap();
    let [alice, mallory] = outcome.mails.as_slice() else { panic!("{:?}", outcome.decision) };
    assert!(text(alice).contains("forty-two"), "{}", text(alice));
    assert!(!text(mallory).contains("forty-two"), "{}", text(mallory));
}
