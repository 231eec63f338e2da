//! Project Wycheproof's vectors, read where they lie, through our own functions, with one line printed for each file.
//!
//! A vector that is "acceptable" is one where implementations differ. The rule here: what no standard of mail writes (a
//! DigestInfo without NULL, a DER integer without its zero, a wrapped key of 8 octets) is refused, and so is a point that
//! forces a shared secret to zero; every other agreement must find the published secret.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod post_quantum;

use std::{collections::BTreeMap, fs, path::PathBuf};

use postseal::{
    base::Secret,
    crypto::{
        Aead, Cipher, Curve, DsaPublic, Hash, KeyAlgorithm, KeyWrap, PublicKey, RsaComponents, Scheme, SecretKey,
        SoftwareKey, Unwrap, cbc_decrypt, cbc_encrypt, hkdf, public_of, verify,
    },
};
use serde_json::Value;

use crate::support::requirements::corpus;

/// What is read below, by the beginning of the file's name.
const READ: [&str; 18] = [
    "aes_cbc_",
    "aes_gcm_",
    "aes_kwp_",
    "aes_wrap_",
    "chacha20_",
    "dsa_",
    "ecdh_",
    "ecdsa_",
    "ed25519_",
    "ed448_",
    "hkdf_",
    "mldsa_",
    "mlkem_",
    "rsa_oaep_",
    "rsa_pkcs1_",
    "rsa_pss_",
    "rsa_signature_",
    "x",
];

#[test]
fn no_file_is_forgotten() {
    for path in files("") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let known = READ.iter().any(|prefix| name.starts_with(prefix));
        assert!(known || !name.ends_with(".json"), "{name}: nobody reads it");
    }
}

#[test]
fn aes_cbc() {
    run("aes_cbc_", |group, tally| {
        for test in tests(group) {
            let cipher = match group["keySize"].as_u64().unwrap() {
                128 => Cipher::Aes128,
                192 => Cipher::Aes192,
                _ => Cipher::Aes256,
            };
            let (key, iv) = (secret(test, "key"), octets(test, "iv"));
            let mut data = octets(test, "ct");
            let right = cbc_decrypt(cipher, &key, &iv, &mut data).is_ok() && data == octets(test, "msg");
            if right {
                cbc_encrypt(cipher, &key, &iv, &mut data).unwrap();
                assert_eq!(data, octets(test, "ct"), "{test}");
            }
            judge(test, right, tally);
        }
    });
}

#[test]
fn aes_gcm() {
    run("aes_gcm_", |group, tally| {
        let cipher = match group["keySize"].as_u64().unwrap() {
            128 => Aead::Aes128Gcm,
            192 => Aead::Aes192Gcm,
            _ => Aead::Aes256Gcm,
        };
        tests(group).iter().for_each(|test| aead(cipher, test, tally));
    });
}

#[test]
fn chacha20_poly1305() {
    run("chacha20_", |group, tally| {
        tests(group).iter().for_each(|test| aead(Aead::ChaCha20Poly1305, test, tally));
    });
}

#[test]
fn aes_key_wrap() {
    for (files, wrap) in [("aes_wrap_", KeyWrap::Aes), ("aes_kwp_", KeyWrap::AesPadded)] {
        run(files, |group, tally| {
            for test in tests(group) {
                let (kek, wrapped) = (secret(test, "key"), octets(test, "ct"));
                let opened = wrap.unwrap(&kek, &wrapped).ok();
                let right = opened.as_ref() == Some(&secret(test, "msg"));
                if right {
                    assert_eq!(wrap.wrap(&kek, &opened.unwrap()).unwrap(), wrapped, "{test}");
                }
                judge(test, right, tally);
            }
        });
    }
}

#[test]
fn hkdf_of_every_hash() {
    run("hkdf_", |group, tally| {
        for test in tests(group) {
            let hash = tally.file.split('_').nth(1).and_then(|name| Hash::parse(name).ok()).unwrap();
            let length = test["size"].as_u64().unwrap() as usize;
            let derived = hkdf(hash, &octets(test, "salt"), &secret(test, "ikm"), &octets(test, "info"), length);
            judge(test, derived.is_ok_and(|derived| derived.expose() == octets(test, "okm")), tally);
        }
    });
}

#[test]
fn rsa_pkcs1_signatures() {
    run("rsa_signature_", |group, tally| {
        let hash = Hash::parse(text(group, "sha")).unwrap();
        signatures(group, tally, Scheme::RsaPkcs1(hash), hash);
    });
}

#[test]
fn rsa_pss_signatures() {
    run("rsa_pss_", |group, tally| {
        let hash = Hash::parse(text(group, "sha")).unwrap();
        // SHAKE is its own mask generation function (RFC 8702).
        let mgf = Hash::parse(text(group, "mgfSha")).unwrap_or(hash);
        let salt = group["sLen"].as_u64().unwrap() as usize;
        signatures(group, tally, Scheme::RsaPss { hash, mgf, salt }, hash);
    });
}

#[test]
fn rsa_pkcs1_decryption() {
    run("rsa_pkcs1_", |group, tally| {
        let key = SoftwareKey::rsa(&rsa_private(group)).unwrap();
        for test in tests(group) {
            let (wrapped, message) = (octets(test, "ct"), octets(test, "msg"));
            let answer = key.decrypt(Unwrap::RsaPkcs1, &wrapped);
            // Wrong padding is answered by a substitute, never by an error that tells of it.
            let right_length = wrapped.len() * 8 == group["keySize"].as_u64().unwrap() as usize;
            assert_eq!(answer.is_ok(), right_length, "{test}");
            let opened = answer.is_ok_and(|plain| plain.expose() == message);
            assert!(opened == (text(test, "result") == "valid") || message.is_empty(), "{test}");
            tally.count();
        }
    });
}

#[test]
fn rsa_oaep_decryption() {
    run("rsa_oaep_", |group, tally| {
        let [hash, mgf] = ["sha", "mgfSha"].map(|name| Hash::parse(text(group, name)).unwrap());
        let key = SoftwareKey::rsa(&rsa_private(group)).unwrap();
        for test in tests(group) {
            let label = octets(test, "label");
            let opened = key.decrypt(Unwrap::RsaOaep { hash, mgf, label: &label }, &octets(test, "ct"));
            judge(test, opened.is_ok_and(|plain| plain.expose() == octets(test, "msg")), tally);
        }
    });
}

#[test]
fn dsa_signatures() {
    run("dsa_", |group, tally| {
        let hash = Hash::parse(text(group, "sha")).unwrap();
        let [p, q, g, y] = ["p", "q", "g", "y"].map(|name| octets(&group["publicKey"], name));
        let key = PublicKey::Dsa(DsaPublic { p: &p, q: &q, g: &g, y: &y });
        let length = group["publicKey"]["q"].as_str().unwrap().trim_start_matches('0').len().div_ceil(2);
        for test in tests(group) {
            let digest = hash.digest(&octets(test, "msg"));
            let signature = fixed(&octets(test, "sig"), length);
            let right = signature.is_some_and(|fixed| verify(key, Scheme::Dsa, &digest, &fixed).is_ok());
            judge(test, right, tally);
        }
    });
}

#[test]
fn ecdsa_signatures() {
    run("ecdsa_", |group, tally| {
        let curve = curve(text(&group["publicKey"], "curve")).unwrap();
        let hash = Hash::parse(text(group, "sha")).unwrap();
        let point = octets(&group["publicKey"], "uncompressed");
        for test in tests(group) {
            let key = PublicKey::Ecdsa { curve, point: &point };
            let digest = hash.digest(&octets(test, "msg"));
            // The vectors are DER; what is not strict DER never becomes `r || s`.
            let signature = fixed(&octets(test, "sig"), curve.length());
            let right = signature.is_some_and(|fixed| verify(key, Scheme::Ecdsa(hash), &digest, &fixed).is_ok());
            judge(test, right, tally);
        }
    });
}

#[test]
fn ed25519_and_ed448_signatures() {
    for files in ["ed25519_", "ed448_"] {
        run(files, |group, tally| {
            let point = octets(&group["publicKey"], "pk");
            let key = match files {
                "ed25519_" => PublicKey::Ed25519(&point),
                _ => PublicKey::Ed448(&point),
            };
            for test in tests(group) {
                let right = verify(key, Scheme::EdDsa, &octets(test, "msg"), &octets(test, "sig")).is_ok();
                judge(test, right, tally);
            }
        });
    }
}

#[test]
fn ecdh_agreements() {
    run("ecdh_", |group, tally| {
        let curve = curve(text(group, "curve")).unwrap();
        for test in tests(group) {
            let peer = octets(test, "public");
            let point = if text(group, "encoding") == "asn" { point_of(&peer, curve) } else { Some(peer.as_slice()) };
            let Some(point) = point else {
                assert_ne!(text(test, "result"), "valid", "{test}");
                tally.skip("no SubjectPublicKeyInfo of a named curve");
                continue;
            };
            let scalar = secret(test, "private");
            let own = public_of(KeyAlgorithm::Ecdh(curve), &scalar).unwrap();
            let key = SoftwareKey::ecdh(curve, &scalar, &own).unwrap();
            agreed(test, &key, point, tally);
        }
    });
}

#[test]
fn x25519_and_x448_agreements() {
    type Make = fn(&Secret, &[u8]) -> postseal::base::Result<SoftwareKey>;
    for (files, algorithm, make) in [
        ("x25519_", KeyAlgorithm::X25519, SoftwareKey::x25519 as Make),
        ("x448_", KeyAlgorithm::X448, SoftwareKey::x448),
    ] {
        run(files, |group, tally| {
            for test in tests(group) {
                let scalar = secret(test, "private");
                let key = make(&scalar, &public_of(algorithm, &scalar).unwrap()).unwrap();
                agreed(test, &key, &octets(test, "public"), tally);
            }
        });
    }
}

fn aead(cipher: Aead, test: &Value, tally: &mut Tally) {
    let (key, nonce, aad) = (secret(test, "key"), octets(test, "iv"), octets(test, "aad"));
    let (message, tag) = (octets(test, "msg"), octets(test, "tag"));
    let mut data = octets(test, "ct");
    let right = cipher.open(&key, &nonce, &aad, &mut data, &tag).is_ok() && data == message;
    if let Some(nonce) = nonce.as_slice().try_into().ok().filter(|_| right) {
        assert_eq!(cipher.seal(&key, nonce, &aad, &mut data).unwrap().as_slice(), tag, "{test}");
        assert_eq!(data, octets(test, "ct"), "{test}");
    }
    judge(test, right, tally);
}

fn signatures(group: &Value, tally: &mut Tally, scheme: Scheme, hash: Hash) {
    let (n, e) = (octets(&group["publicKey"], "modulus"), octets(&group["publicKey"], "publicExponent"));
    for test in tests(group) {
        let digest = hash.digest(&octets(test, "msg"));
        let right = verify(PublicKey::Rsa { n: &n, e: &e }, scheme, &digest, &octets(test, "sig")).is_ok();
        judge(test, right, tally);
    }
}

fn agreed(test: &Value, key: &SoftwareKey, peer: &[u8], tally: &mut Tally) {
    let flagged = |flag: &str| test["flags"].as_array().unwrap().iter().any(|found| found == flag);
    let right = match key.agree(peer) {
        Ok(shared) => {
            assert_eq!(shared.expose(), octets(test, "shared"), "{test}");
            true
        }
        Err(_) => false,
    };
    match text(test, "result") {
        "acceptable" => {
            assert_eq!(right, !flagged("ZeroSharedSecret") && !flagged("InvalidAsn"), "{test}");
        }
        result => assert_eq!(right, result == "valid", "{test}"),
    }
    tally.count();
}

/// "Acceptable" is refused: see above.
fn judge(test: &Value, right: bool, tally: &mut Tally) {
    assert_eq!(right, text(test, "result") == "valid", "{}: {test}", tally.file);
    tally.count();
}

/// Runs every group of the files whose name begins with `prefix`, and prints for each what was run and what was not.
fn run(prefix: &str, mut check: impl FnMut(&Value, &mut Tally)) {
    for path in files(prefix) {
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let mut tally = Tally { file: name.to_owned(), run: 0, skipped: BTreeMap::new() };
        file["testGroups"].as_array().unwrap().iter().for_each(|group| check(group, &mut tally));
        let skipped: usize = tally.skipped.values().sum();
        assert_eq!(tally.run + skipped, file["numberOfTests"].as_u64().unwrap() as usize, "{name}");
        assert!(tally.run > 0, "{name}: nothing was run");
        println!("wycheproof {name}: {} run, skipped {:?}", tally.run, tally.skipped);
    }
}

/// The files whose name begins with `prefix`; none, loudly, when the suite is absent.
fn files(prefix: &str) -> Vec<PathBuf> {
    let Some(suite) = corpus("wycheproof") else { return Vec::new() };
    let entries = fs::read_dir(suite).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    paths.sort();
    assert!(!paths.is_empty(), "{prefix}: no such file");
    paths
}

struct Tally {
    file: String,
    run: usize,
    /// Tests, by reason.
    skipped: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn count(&mut self) {
        self.run += 1;
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }
}

fn tests(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn octets(value: &Value, name: &str) -> Vec<u8> {
    let hex = text(value, name);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn secret(value: &Value, name: &str) -> Secret {
    Secret::new(octets(value, name))
}

fn rsa_private(group: &Value) -> RsaComponents {
    let key = &group["privateKey"];
    let secret = |name| Secret::new(octets(key, name));
    RsaComponents {
        n: octets(key, "modulus"),
        e: octets(key, "publicExponent"),
        d: secret("privateExponent"),
        p: secret("prime1"),
        q: secret("prime2"),
        q_inverse: None,
    }
}

fn curve(name: &str) -> Option<Curve> {
    match name {
        "brainpoolP256r1" => Some(Curve::BrainpoolP256),
        "secp256r1" => Some(Curve::P256),
        "secp384r1" => Some(Curve::P384),
        "secp521r1" => Some(Curve::P521),
        _ => None,
    }
}

/// The point of a SubjectPublicKeyInfo that names its curve, as RFC 5480 has it.
fn point_of(spki: &[u8], curve: Curve) -> Option<&[u8]> {
    let named: &[u8] = match curve {
        Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
        _ => &[0x2b, 0x81, 0x04, 0x00, 0x23],
    };
    let (body, rest) = element(spki, 0x30)?;
    let (algorithm, body) = element(body, 0x30)?;
    let (identifier, parameters) = element(algorithm, 0x06)?;
    let (parameters, after) = element(parameters, 0x06)?;
    let (bits, end) = element(body, 0x03)?;
    let exact = rest.is_empty() && after.is_empty() && end.is_empty();
    let elliptic = identifier == [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] && parameters == named;
    bits.strip_prefix(&[0]).filter(|_| exact && elliptic)
}

fn padded(number: &[u8], length: usize) -> Vec<u8> {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let number = &number[zeros..];
    [vec![0; length - number.len()], number.to_vec()].concat()
}

/// `r || s` out of a DER SEQUENCE of two positive INTEGERs.
fn fixed(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (body, rest) = element(der, 0x30)?;
    let (r, body) = element(body, 0x02)?;
    let (s, end) = element(body, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    Some([coordinate(r, length)?, coordinate(s, length)?].concat())
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, mut der) = der.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81 => {
            let (&second, rest) = der.split_first()?;
            der = rest;
            usize::from(second)
        }
        _ => return None,
    };
    let shortest = first < 0x80 || length >= 0x80;
    (found == tag && shortest).then(|| der.split_at_checked(length)).flatten()
}

fn coordinate(integer: &[u8], length: usize) -> Option<Vec<u8>> {
    let strict = match integer {
        [0] => true,
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80,
        [] => false,
    };
    let number = integer.strip_prefix(&[0]).unwrap_or(integer);
    (strict && number.len() <= length).then(|| padded(number, length))
}
