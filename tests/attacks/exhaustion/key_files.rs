//! Key files that cost as much as they can: bombs where keys are expected, and keys whose passphrases cost hours.

use std::io::Write as _;

use bzip2::{Compression, write::BzEncoder};

use crate::{
    exhaustion::generators::{DATA, content_info, oid, sequence, tlv, wrapped},
    support::lab::{Done, Lab},
};

/// Every way in for a key file.
const WAYS: [&str; 4] =
    ["key import file", "cert verify file", "--keys file verify message", "cert verify --intermediates file ca"];

#[test]
fn compressed_data_in_a_key_file_is_not_inflated() {
    let lab = Lab::with_keys(&["alice"]);
    let certificate = lab.run(&["key", "export", "--binary", "alice@example.org"]).code(0).stdout;
    let bomb = bomb();
    let long = |header: &[u8]| [header, &[3], &bomb].concat();
    let length = u32::try_from(bomb.len() + 1).unwrap().to_be_bytes();
    let forms = [
        // Without a length, with one of four octets, and in pieces (RFC 9580, section 4.2).
        long(&[0xa3]),
        long(&[&[0xa2][..], &length].concat()),
        long(&[&[0xc8, 0xff][..], &length].concat()),
        [&[0xc8, 0xe1, 3, bomb[0]][..], &[0xff], &(u32::try_from(bomb.len() - 1).unwrap()).to_be_bytes(), &bomb[1..]]
            .concat(),
    ];
    for form in forms {
        let armored =
            format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{}-----END PGP PUBLIC KEY BLOCK-----\n", wrapped(&form));
        let behind = [&certificate[..], &form].concat();
        let hidden = [&certificate[..], b"\xcd\xe1ab", &form].concat();
        for file in [form, armored.into_bytes(), behind, hidden] {
            refused_everywhere(&lab, &file);
        }
    }
    // Behind octets that are no packet nothing is read.
    lab.write("file", [&certificate[..], b"junk", &long(&[0xa3])].concat());
    bounded(&lab, "key import file").code(0);
}

#[test]
fn passphrases_of_a_key_file_cost_two_seconds_in_all() {
    let lab = Lab::new();
    lab.write("pass", "one\ntwo\nthree\n");
    let pbkdf2 = |iterations: u32, hash: &str| {
        pbes2(&sequence(&[
            &oid("1.2.840.113549.1.5.12"),
            &sequence(&[&tlv(4, &[b"saltsalt"]), &number(iterations.into()), &sequence(&[&oid(hash), &[5, 0]])]),
        ]))
    };
    let many = |scheme: &[u8], count: usize| pfx(&vec![bag(scheme); count].concat(), &[]);
    let pem = |scheme: &[u8], count: usize| {
        let body = wrapped(&locked(scheme));
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n")
            .repeat(count)
            .into_bytes()
    };
    let files = [
        ("one PBMAC1 of 52 blocks", pfx(&bag(&pbkdf2(1, SHA256)), &pbmac1(10_000_000, 1024))),
        ("PBMAC1 that is within the bound for one try", pfx(&bag(&pbkdf2(1, SHA256)), &pbmac1(4_000_000, 20))),
        ("the check of PKCS#12", pfx(&bag(&pbkdf2(1, SHA256)), &classic(4_000_000))),
        ("the check of PKCS#12, as often as it can be written", pfx(&bag(&pbkdf2(1, SHA256)), &classic(u32::MAX))),
        ("400 keys", many(&pbkdf2(10_000_000, SHA256), 400)),
        ("400 keys of 1/20", many(&pbkdf2(500_000, SHA256), 400)),
        ("4,000 keys of 1/200", many(&pbkdf2(50_000, SHA512), 4_000)),
        ("SHA-224, which aws-lc leaves to us", many(&pbkdf2(10_000_000, SHA224), 1)),
        ("scrypt of 2 GiB", many(&scrypt(1 << 21, 8, 1), 1)),
        ("scrypt of 16 MiB, 128 times", many(&scrypt(1 << 14, 8, 128), 1)),
        ("scrypt of 16 MiB in 100 keys", many(&scrypt(1 << 14, 8, 1), 100)),
        ("PEM, 300 keys", pem(&pbkdf2(1_000_000, SHA256), 300)),
        ("PEM, PBES1", pem(&salted("1.2.840.113549.1.5.10", 5_000_000), 100)),
        ("PEM, PKCS#12's cipher", pem(&salted("1.2.840.113549.1.12.1.3", 2_000_000), 100)),
    ];
    for (what, file) in files {
        assert!(file.len() < 1_000_000, "{what}");
        lab.write("file", file);
        for way in ["--passphrase-file pass key import file", "--passphrase-file pass --keys file verify message"] {
            let done = bounded(&lab, way);
            assert!([65, 66, 77].contains(&done.code), "{what}, {way}: {} {}", done.code, done.stderr);
        }
    }
    // RIPEM's form (RFC 8018, appendix A.3): with MD2, which is slow.
    let ripem = format!(
        "EncryptedPrivateKeyInfo:\n {}\n",
        wrapped(&locked(&salted("1.2.840.113549.1.5.1", 9_000_000))).replace("\r\n", "\n ")
    );
    lab.write("file", ripem);
    bounded(&lab, "--passphrase-file pass key import file").code(65);
}

/// The certificate of a private key is found with one operation, however many certificates there are.
#[test]
fn many_keys_beside_many_certificates() {
    let lab = Lab::new();
    lab.shell(
        "openssl ecparam -name brainpoolP512r1 -genkey -noout -out key && \
         openssl req -x509 -key key -subj /CN=A -days 30 -set_serial 0x1122334455667788 -outform DER -out crt",
    )
    .code(0);
    let certificate = lab.read("crt");
    let serial =
        certificate.windows(8).position(|eight| eight == [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]).unwrap();
    let certificates: Vec<u8> = (0..500_u16)
        .flat_map(|number| {
            let mut one = certificate.clone();
            one[serial + 6..serial + 8].copy_from_slice(&number.to_be_bytes());
            one
        })
        .collect();
    let key = |number: u8| {
        let scalar = [&[number; 63][..], &[1]].concat();
        sequence(&[&[2, 1, 1], &tlv(4, &[&scalar]), &tlv(0xa0, &[&oid("1.3.36.3.3.2.8.1.1.13")])])
    };
    for (keys, code) in [(100, 77), (250_usize, 65)] {
        let keys: Vec<u8> = (0..keys).flat_map(|number| key(u8::try_from(number % 100).unwrap())).collect();
        lab.write("file", [&certificates[..], &keys].concat());
        bounded(&lab, "key import file").code(code);
    }
}

/// A secret key of OpenPGP with thousands of subkeys: each is looked at by itself, and none of them anew for another.
#[test]
fn secret_subkeys_are_looked_at_once() {
    let lab = Lab::with_keys(&["alice"]);
    let secret = lab.run(&["key", "export", "--secret", "--binary", "alice@example.org"]).code(0).stdout;
    // Of version 4, made at another second each, for Ed25519: a public point, and a number in the clear that is not its secret.
    let subkey = |number: u32| {
        let public =
            [&[4][..], &(0x6000_0000 + number).to_be_bytes(), &[22, 9], ED25519, &[1, 7, 0x40], &[0x2a; 32]].concat();
        let number = [&[0, 254][..], &[0x2a; 32]].concat();
        let sum: u16 = number.iter().copied().map(u16::from).sum();
        let body = [&public[..], &[0], &number, &sum.to_be_bytes()].concat();
        [&[0xc7, u8::try_from(body.len()).unwrap()][..], &body].concat()
    };
    let subkeys: Vec<u8> = (0..9_000).flat_map(subkey).collect();
    let file = [&secret[..], &subkeys].concat();
    assert!(file.len() < 1_000_000);
    lab.write("file", file);
    bounded(&lab, "key import file").code(65);
    assert_eq!(lab.run(&["key", "list"]).code(0).text().matches("secret").count(), 1);
}

/// What honest programs write is read, with a few wrong passphrases before the right one.
#[test]
fn what_programs_write_is_within_the_bounds() {
    let lab = Lab::with_keys(&[]);
    lab.write("pass", "wrong\nwronger\nwrongest\nsecret\n");
    lab.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out crt -subj /CN=A -days 30 2>/dev/null && \
         openssl pkcs12 -export -inkey key -in crt -passout pass:secret -out plain.p12 && \
         openssl pkcs12 -export -inkey key -in crt -iter 600000 -passout pass:secret -out slow.p12 && \
         openssl pkcs8 -topk8 -in key -iter 600000 -passout pass:secret -out slow.pem && cat crt >> slow.pem && \
         openssl pkcs8 -topk8 -in key -scrypt -passout pass:secret -out scrypt.pem && cat crt >> scrypt.pem",
    )
    .code(0);
    for file in ["plain.p12", "slow.p12", "slow.pem", "scrypt.pem"] {
        let done =
            lab.run(&["--home", &format!("home-{file}"), "--passphrase-file", "pass", "key", "import", file]).code(0);
        assert!(done.text().contains("with its secret key"), "{file}: {}", done.text());
    }
}

fn refused_everywhere(lab: &Lab, file: &[u8]) {
    lab.write("file", file).write("message", "From: a@example.org\n\nhi\n").write("ca", file);
    for way in WAYS {
        let done = bounded(lab, way);
        assert_eq!(done.code, 65, "{way}: {}{}", done.text(), done.stderr);
    }
}

/// Half a gigabyte of zeros, packed by bzip2 into a few hundred octets.
fn bomb() -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..32 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let one = encoder.finish().unwrap();
    // A bzip2 stream may follow another.
    one.repeat(16)
}

/// An EncryptedPrivateKeyInfo (RFC 5958, section 3) that nothing opens.
fn locked(scheme: &[u8]) -> Vec<u8> {
    sequence(&[scheme, &tlv(4, &[&[0x5a; 64]])])
}

/// A PKCS8ShroudedKeyBag (RFC 7292, section 4.2.2).
fn bag(scheme: &[u8]) -> Vec<u8> {
    sequence(&[&oid("1.2.840.113549.1.12.10.1.2"), &tlv(0xa0, &[&locked(scheme)])])
}

/// RFC 7292, section 4; `mac` is its MacData, or nothing.
fn pfx(bags: &[u8], mac: &[u8]) -> Vec<u8> {
    let octets = |content: &[u8]| content_info(DATA, &tlv(4, &[content]));
    let safe = sequence(&[&octets(&sequence(&[bags]))]);
    sequence(&[&[2, 1, 3], &octets(&safe), mac])
}

fn pbes2(derivation: &[u8]) -> Vec<u8> {
    let cipher = sequence(&[&oid("2.16.840.1.101.3.4.1.42"), &tlv(4, &[&[7; 16]])]);
    sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[derivation, &cipher])])
}

fn scrypt(cost: u64, block: u64, parallel: u64) -> Vec<u8> {
    let parameters = sequence(&[&tlv(4, &[b"saltsalt"]), &number(cost), &number(block), &number(parallel)]);
    pbes2(&sequence(&[&oid("1.3.6.1.4.1.11591.4.11"), &parameters]))
}

fn salted(scheme: &str, iterations: u32) -> Vec<u8> {
    sequence(&[&oid(scheme), &sequence(&[&tlv(4, &[b"saltsalt"]), &number(iterations.into())])])
}

/// MacData with PBMAC1 (RFC 9579, section 4).
fn pbmac1(iterations: u32, length: u64) -> Vec<u8> {
    let hmac = sequence(&[&oid(SHA256), &[5, 0]]);
    let parameters = sequence(&[&tlv(4, &[b"saltsalt"]), &number(iterations.into()), &number(length), &hmac]);
    let derivation = sequence(&[&oid("1.2.840.113549.1.5.12"), &parameters]);
    let algorithm = sequence(&[&oid("1.2.840.113549.1.5.14"), &sequence(&[&derivation, &hmac])]);
    sequence(&[&sequence(&[&algorithm, &tlv(4, &[&[0; 32]])]), &tlv(4, &[b"unused"]), &[2, 1, 1]])
}

/// MacData of RFC 7292 with SHA-1.
fn classic(iterations: u32) -> Vec<u8> {
    let algorithm = sequence(&[&oid("1.3.14.3.2.26"), &[5, 0]]);
    sequence(&[&sequence(&[&algorithm, &tlv(4, &[&[0; 20]])]), &tlv(4, &[b"saltsalt"]), &number(iterations.into())])
}

/// An INTEGER.
fn number(number: u64) -> Vec<u8> {
    let octets: Vec<u8> = [&[0][..], &number.to_be_bytes()].concat();
    let zeros = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 128).count();
    tlv(2, &[&octets[zeros..]])
}

/// In ten seconds of processor time: without optimization the program takes several times as long as the two that it may with it.
fn bounded(lab: &Lab, arguments: &str) -> Done {
    lab.shell(&format!("ulimit -c 0; ulimit -v 819200; ulimit -t 10; exec \"$0\" {arguments}"))
}

/// The curve's name (RFC 9580, section 9.2).
const ED25519: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];
const SHA224: &str = "1.2.840.113549.2.8";
const SHA256: &str = "1.2.840.113549.2.9";
const SHA512: &str = "1.2.840.113549.2.11";
