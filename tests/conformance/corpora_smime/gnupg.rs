//! Certificates and keys out of GnuPG's own files, as some suites keep them.

use std::{fs, path::Path};

use postseal::{
    base::Secret,
    crypto::{PublicKey, RsaComponents, SoftwareKey},
    keys::Handle,
    pki::Certificate,
};

/// The certificates of a keybox: blobs of kind 3, each of which says where in it the certificate is (GnuPG, kbx/keybox-blob.c).
pub(crate) fn certificates(keybox: &Path) -> Vec<Vec<u8>> {
    let octets = fs::read(keybox).unwrap();
    let number = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap()) as usize;
    let (mut certificates, mut at) = (Vec::new(), 0);
    while at < octets.len() {
        if octets[at + 4] == 3 {
            let start = at + number(at + 8);
            certificates.push(octets[start..start + number(at + 12)].to_vec());
        }
        at += number(at);
    }
    certificates
}

/// gpg-agent's file of an RSA key without a passphrase: `(11:private-key(3:rsa(1:n129:...)(1:e3:...)...` (GnuPG, agent/keyformat.txt).
pub(crate) struct AgentKey(RsaComponents);

impl AgentKey {
    pub(crate) fn read(file: &Path) -> AgentKey {
        let octets = fs::read(file).unwrap();
        let number = |name: &str| {
            let start = format!("(1:{name}");
            let at = octets.windows(start.len()).position(|window| window == start.as_bytes()).unwrap() + start.len();
            let colon = at + octets[at..].iter().position(|octet| *octet == b':').unwrap();
            let length: usize = std::str::from_utf8(&octets[at..colon]).unwrap().parse().unwrap();
            octets[colon + 1..][..length].to_vec()
        };
        let secret = |name| Secret::new(number(name));
        AgentKey(RsaComponents {
            n: number("n"),
            e: number("e"),
            d: secret("d"),
            p: secret("p"),
            q: secret("q"),
            q_inverse: None,
        })
    }

    pub(crate) fn belongs_to(&self, certificate: &Certificate) -> bool {
        let trimmed = |n: &[u8]| Handle::from_octets(&n[n.iter().take_while(|octet| **octet == 0).count()..]);
        let key = certificate.public_key().as_crypto();
        matches!(key, Ok(PublicKey::Rsa { n, .. }) if trimmed(n) == trimmed(&self.0.n))
    }

    pub(crate) fn software(&self) -> SoftwareKey {
        SoftwareKey::rsa(&self.0).unwrap()
    }
}
