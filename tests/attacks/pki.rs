//! Faults of paths, revocation and algorithms in X.509, through the program: effects that foreign certificates, lists and signatures must not have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use postseal::mail::encoding::{base64_decode, base64_encode};

/// A folder below testdata, and a home.
struct Place {
    folder: PathBuf,
    home: tempfile::TempDir,
    at: &'static str,
}

/// Exit code, and what was printed.
type Said = (i32, String);

impl Place {
    fn new(folder: &str, at: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
        Place { folder, home: tempfile::tempdir().unwrap(), at }
    }

    fn run(&self, arguments: &str) -> Said {
        let mut program = Command::cargo_bin("postseal").unwrap();
        program.current_dir(&self.folder).env("POSTSEAL_HOME", self.home.path().join("home"));
        let output = program.args(["--at", self.at]).args(arguments.split_whitespace()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// `verify` over these octets.
    fn verify(&self, options: &str, mail: &[u8]) -> Said {
        let file = self.home.path().join("mail.eml");
        fs::write(&file, mail).unwrap();
        self.run(&format!("{options} verify {}", file.display()))
    }
}

const REVOKED: &str = "the key is revoked: key compromised";
const IN_FORCE: &str = "2026-11-30T00:00:00Z";

#[test]
fn an_older_list_beside_a_newer_one_undoes_no_revocation() {
    for crls in ["--crls older.crl --crls newer.crl", "--crls newer.crl --crls older.crl", "--crls newer.crl"] {
        for revocation in ["soft", "hard"] {
            let options = format!("--anchors ca.pem --revocation {revocation} {crls}");
            let place = Place::new("attack/pki", IN_FORCE);
            for mail in ["plain.eml", "with-old-crl.eml"] {
                let (code, said) = place.run(&format!("{options} verify {mail}"));
                assert!(code == 1 && said.contains(REVOKED) && said.contains("unsigned"), "{options} {mail}: {said}");
            }
            let (code, said) = place.run(&format!("{options} cert verify alice.pem"));
            assert!(code == 1 && said.contains("key compromised"), "{options}: {said}");
            let (code, said) =
                place.run(&format!("{options} --keys alice.pem encrypt -f smime --to alice@example.org to-alice.eml"));
            assert!(code == 77 && said.contains("key compromised"), "{options}: {said}");
        }
    }
    let place = Place::new("attack/pki", IN_FORCE);
    let (code, said) = place.run("--anchors ca.pem --revocation hard --crls older.crl verify plain.eml");
    assert!(code == 0 && said.contains("authentic"), "the older list alone: {said}");
    for lists in ["older.crl newer.crl", "newer.crl older.crl"] {
        for options in ["", "--anchors ca.pem"] {
            let place = Place::new("attack/pki", IN_FORCE);
            assert_eq!(place.run(&format!("{options} key import {lists} alice.pem")).0, 0);
            let (code, said) = place.run("--anchors ca.pem verify with-old-crl.eml");
            assert!(code == 1 && said.contains(REVOKED), "{lists} {options}: {said}");
        }
    }
}

#[test]
fn an_older_list_is_not_kept_beside_a_newer_one_of_the_same_signer() {
    let added = "added      revocation list of CN=Red CA\n";
    let replaced = "added      revocation list of CN=Red CA in the place of an older one\n";
    let outdated = "not kept   revocation list of CN=Red CA: a newer one is here\n";
    let imported = |options: &str, lists: &str| {
        let place = Place::new("attack/pki", IN_FORCE);
        let mut said = String::new();
        for list in lists.split(' ') {
            said.push_str(&place.run(&format!("{options} key import {list}")).1);
        }
        said
    };
    assert_eq!(imported("--anchors ca.pem", "newer.crl older.crl"), [added, outdated].concat());
    assert_eq!(imported("--anchors ca.pem", "older.crl newer.crl older.crl"), [added, replaced, outdated].concat());
    // Their signer is unknown: both are kept, and the newer one counts.
    assert_eq!(imported("", "older.crl newer.crl"), added.repeat(2));
    // A list that the issuer did not sign takes no place, however high its number.
    let place = Place::new("crl", "2026-12-08T00:00:00Z");
    let said = place.run("--anchors ca.der key import list-4.der forged.der").1;
    assert_eq!(said, "added      revocation list of CN=CA\n".repeat(2));
    assert_eq!(place.run("--anchors ca.der cert verify bob.der").0, 1);
    assert!(place.run("--anchors ca.der key import list-3.der").1.starts_with("not kept"));
}

#[test]
fn an_anchor_keeps_to_what_its_certificate_says() {
    let place = Place::new("anchors", "2026-11-30T00:00:00Z");
    let judge = |anchor: &str, rest: &str| {
        let (code, said) = place.run(&format!("cert verify --anchors {anchor}.der --intermediates inner.der {rest}"));
        assert_eq!(code, i32::from(said.starts_with("not valid")), "{anchor} {rest}: {said}");
        said
    };
    for (anchor, rest) in [
        ("plain", "leaf.der"),
        ("plain", "below-inner.der"),
        ("length-0", "leaf.der"),
        ("permits", "below-inner.der"),
        ("no-crl-sign", "leaf.der"),
        ("policy-1", "leaf.der --policy 1.2.3.1 --explicit-policy"),
        ("policy-2", "leaf.der"),
        ("any-policy", "leaf.der --policy 1.2.3.1 --explicit-policy"),
        ("policy-1", "any-leaf.der --policy 1.2.3.1 --explicit-policy"),
        ("explicit", "below-inner.der"),
        ("servers", "leaf.der --purpose any"),
        ("plain", "mapped.der --intermediates mapping-inner.der --policy 1.2.3.1 --explicit-policy"),
        ("plain", "leaf.der --revocation hard --crls list.der"),
    ] {
        let said = judge(anchor, rest);
        assert!(said.starts_with("valid"), "{anchor} {rest}: {said}");
    }
    for (anchor, rest, why) in [
        ("expired", "leaf.der", "\"CN=Root\": expired on 2026-06-01"),
        ("future", "leaf.der", "\"CN=Root\": not valid before 2030-01-01"),
        ("length-0", "below-inner.der", "too many certificates below an authority"),
        ("permits-others", "leaf.der", "is in no permitted subtree"),
        ("permits-others", "below-inner.der", "is in no permitted subtree"),
        ("excludes", "below-inner.der", "is in an excluded subtree"),
        ("no-cert-sign", "leaf.der", "no trust anchor"),
        ("policy-2", "leaf.der --explicit-policy", "no acceptable policy"),
        ("policy-2", "any-leaf.der --policy 1.2.3.1 --explicit-policy", "no acceptable policy"),
        ("explicit", "bare-leaf.der", "no acceptable policy"),
        ("explicit-policy-2", "leaf.der", "no acceptable policy"),
        ("inhibit-any", "any-leaf.der", "no acceptable policy"),
        ("inhibit-mapping", "mapped.der --intermediates mapping-inner.der", "no acceptable policy"),
        ("critical", "leaf.der", "critical extension 1.2.3.4 is not known"),
        ("servers", "leaf.der", "its extended key usage does not allow mail"),
        ("no-crl-sign", "leaf.der --revocation hard --crls list.der", "no authorized signer signed the CRL"),
    ] {
        let said = judge(anchor, rest);
        assert!(said.contains(why), "{anchor} {rest}: {said}");
    }
}

#[test]
fn an_anchor_out_of_its_bounds_makes_no_author() {
    let place = Place::new("attack/pki", "2026-06-30T00:00:00Z");
    for (anchor, mail, why) in [
        ("corp-ca.pem", "alice-of-example-org.eml", "is in no permitted subtree"),
        ("expired-ca.pem", "under-expired-anchor.eml", "\"CN=Old CA\": expired on 2026-01-01"),
    ] {
        let (code, said) = place.run(&format!("--revocation off --anchors {anchor} verify {mail}"));
        assert!(code == 1 && said.contains(why) && said.contains(": unsigned"), "{anchor}: {said}");
    }
}

#[test]
fn the_digest_of_a_pss_signature_is_the_one_that_the_signer_names() {
    let place = Place::new("attack/pki", "2026-06-30T00:00:00Z");
    let (code, said) = place.run("--revocation off --anchors pss-ca.pem verify pss-sha512-digest-sha256.eml");
    assert!(code == 1 && said.contains("unsigned"), "{said}");
    assert!(said.contains("its digest algorithm is sha256, and its signature is made with sha512"), "{said}");
    let place = Place::new("algorithms", IN_FORCE);
    let (code, said) = place.run("--anchors ca.pem verify pss-signed.eml");
    assert!(code == 0 && said.contains("authentic"), "{said}");
    let (code, said) = place.run("--anchors ca.pem verify pss-signed-mgf1-sha1.eml");
    assert!(code == 1 && said.contains("sha256 masked by mgf1 with sha1 (RFC 4055, section 3.1)"), "{said}");
}

/// RFC 4055, section 3.1; RFC 5280, section 4.1.1.2.
#[test]
fn the_parameters_of_a_certificate_signed_with_pss_agree() {
    let place = Place::new("algorithms", IN_FORCE);
    assert_eq!(place.run("--anchors ca.pem cert verify pss.pem").0, 0);
    let (code, said) = place.run("--anchors ca.pem cert verify pss-mgf1-sha1.pem");
    assert!(code == 1 && said.contains("sha256 masked by mgf1 with sha1"), "{said}");
    let pem = fs::read_to_string(place.folder.join("pss.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let good = base64_decode(body.as_bytes());
    // The last salt length stands outside of what is signed.
    let salt = good.windows(5).rposition(|octets| octets == [0xa2, 3, 2, 1, 32]).unwrap();
    let mut changed = good.clone();
    changed[salt + 4] = 33;
    let file = place.home.path().join("changed.der");
    fs::write(&file, &changed).unwrap();
    let (code, said) = place.run(&format!("--anchors ca.pem cert verify {}", file.display()));
    assert!(code == 1 && said.contains("two signature algorithms that differ"), "{said}");
}

/// The base64 in the last part of a signed mail, as `change` leaves it.
fn with_signature(mail: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).unwrap().replace("\r\n", "\n");
    let start = text.rfind("\n\nMI").unwrap() + 2;
    let end = start + text[start..].find("\n\n").unwrap();
    let mut signature = base64_decode(&text.as_bytes()[start..end]);
    change(&mut signature);
    let signature = String::from_utf8(base64_encode(&signature)).unwrap().replace("\r\n", "\n");
    format!("{}{}\n{}", &text[..start], signature.trim_end(), &text[end..]).into_bytes()
}

fn replace(octets: &mut [u8], from: &[u8], to: &[u8], which: impl Fn(usize) -> bool) {
    let found: Vec<usize> =
        octets.windows(from.len()).enumerate().filter(|(_, at)| *at == from).map(|(at, _)| at).collect();
    for (number, at) in found.into_iter().enumerate() {
        if which(number) {
            octets[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// sha256, and sha256WithRSAEncryption (RFC 4055, sections 2.1 and 5).
const SHA256: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA256_WITH_RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];

/// As openssl does: `openssl cms -verify` takes these too.
#[test]
fn a_digest_algorithm_may_be_named_as_its_signature_algorithm() {
    let place = Place::new("algorithms", IN_FORCE);
    for file in ["rsa.eml", "rsa-without-attributes.eml"] {
        let mail = fs::read(place.folder.join(file)).unwrap();
        let named = with_signature(&mail, |octets| replace(octets, SHA256, SHA256_WITH_RSA, |_| true));
        let (code, said) = place.verify("--anchors ca.pem", &named);
        assert!(code == 0 && said.contains("rsa2048-sha256 (strong)"), "{file}: {said}");
        // Another digest than that of the signature is none.
        let sha512 = [&SHA256_WITH_RSA[..10], &[0x0d]].concat();
        let other = with_signature(&mail, |octets| replace(octets, SHA256, &sha512, |_| true));
        let (code, said) = place.verify("--anchors ca.pem", &other);
        assert!(code == 1 && said.contains("unsigned"), "{file}: {said}");
    }
}

#[test]
fn what_is_unknown_is_called_unknown_and_not_broken() {
    let place = Place::new("algorithms", IN_FORCE);
    let mail = fs::read(place.folder.join("rsa.eml")).unwrap();
    // rsaEncryption in the SignerInfo becomes an algorithm that NIST has not named, of the same length; the last of both is the signature's.
    let rsa = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let unnamed = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 99];
    let unknown = with_signature(&mail, |octets| replace(octets, &rsa, &unnamed, |number| number == 1));
    let (code, said) = place.verify("--anchors ca.pem", &unknown);
    assert!(code == 1 && !said.contains("broken") && !said.contains("strong"), "{said}");
    assert!(said.contains("2.16.840.1.101.3.4.3.99 (unknown)"), "{said}");
    let (_, legacy) = place.verify("--legacy --anchors ca.pem", &unknown);
    assert!(!legacy.contains("authentic"), "{legacy}");
    let digest = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 99];
    let unknown = with_signature(&mail, |octets| replace(octets, SHA256, &digest, |_| true));
    let (code, said) = place.verify("--anchors ca.pem", &unknown);
    assert!(code == 1 && said.contains("2.16.840.1.101.3.4.2.99 (unknown)") && !said.contains("broken"), "{said}");
}

#[test]
fn broken_parameters_of_oaep_are_the_reason_that_is_given() {
    let place = Place::new("attack/pki", IN_FORCE);
    let reason = "the parameters of RSAES-OAEP cannot be read (RFC 4055, section 4)";
    let with_key = place.run("decrypt --keys oaep-bob.pem oaep.eml");
    assert!(with_key.0 == 77 && with_key.1.contains(reason), "{with_key:?}");
    // The same answer whether the key is available or not.
    assert_eq!(place.run("decrypt oaep.eml"), with_key);
}
