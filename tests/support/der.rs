//! Envelopes that no program at hand writes, put together octet by octet.

use postseal::{
    base::Secret,
    crypto::{Aead, KeyWrap},
};

/// The key that every envelope here is wrapped with, as its reader gives it: a password in hexadecimal.
pub(crate) const KEK: &str = "000102030405060708090a0b0c0d0e0f";

/// An element.
pub(crate) fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = content.len().to_be_bytes();
    let mut element = vec![tag];
    match content.len() {
        0..=127 => element.push(content.len() as u8),
        _ => {
            element.push(0x84);
            element.extend_from_slice(&length[4..]);
        }
    }
    [element, content].concat()
}

pub(crate) fn sequence(content: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, content)
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, &[content])
}

/// An object identifier of arcs that all fit two octets but for 840 and 113549 at their usual places.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let digits: Vec<u8> = (0..5).map(|at| (arc >> (7 * at)) as u8 & 0x7f).collect();
        let length = digits.iter().rposition(|digit| *digit != 0).unwrap_or(0);
        content.extend((0..=length).rev().map(|at| digits[at] | if at > 0 { 0x80 } else { 0 }));
    }
    tlv(0x06, &[&content])
}

pub(crate) fn content_info(kind: &str, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &tlv(0xa0, &[content])])
}

/// RecipientInfos with one KEKRecipientInfo that wraps `key` under [`KEK`].
pub(crate) fn kek_recipients(key: &Secret) -> Vec<u8> {
    let kek = Secret::new((0..16).collect());
    let wrapped = KeyWrap::Aes.wrap(&kek, key).unwrap();
    let info = tlv(
        0xa2,
        &[
            &[2, 1, 4],
            &sequence(&[&octets(b"shared")]),
            &sequence(&[&oid("2.16.840.1.101.3.4.1.5")]),
            &octets(&wrapped),
        ],
    );
    tlv(0x31, &[&info])
}

/// What an AuthEnvelopedData is made of.
pub(crate) struct Sealed<'a> {
    pub(crate) cipher: Aead,
    pub(crate) identifier: &'a str,
    /// Parameters of the content encryption algorithm.
    pub(crate) parameters: Vec<u8>,
    /// Attributes, each a whole element, in the order in which they are written.
    pub(crate) attributes: &'a [&'a [u8]],
    /// What is authenticated with the content.
    pub(crate) aad: Vec<u8>,
    /// How many octets of the tag are written.
    pub(crate) tag: usize,
}

pub(crate) const NONCE: [u8; 12] = [9; 12];

impl Sealed<'_> {
    /// The ContentInfo.
    pub(crate) fn around(&self, content: &[u8]) -> Vec<u8> {
        let key = Secret::new(vec![3; self.cipher.key_length()]);
        let mut data = content.to_vec();
        let tag = self.cipher.seal(&key, NONCE, &self.aad, &mut data).unwrap();
        let algorithm = sequence(&[&oid(self.identifier), &self.parameters]);
        let info = sequence(&[&oid("1.2.840.113549.1.7.1"), &algorithm, &tlv(0x80, &[&data])]);
        let attributes = if self.attributes.is_empty() { Vec::new() } else { tlv(0xa1, self.attributes) };
        let fields = [&[2, 1, 0][..], &kek_recipients(&key), &info, &attributes, &octets(&tag[..self.tag])];
        content_info("1.2.840.113549.1.9.16.1.23", &sequence(&fields))
    }
}
