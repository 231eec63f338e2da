//! Reads and writes PEM (RFC 7468): labelled base64 blocks in text, also with an encapsulated header (RFC 1421) as in
//! OpenSSL's traditional private keys.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::memmem;

use crate::base::Secret;

/// One PEM block.
#[derive(Debug)]
pub(super) struct PemBlock<'a> {
    /// Its label: `CERTIFICATE`.
    pub(super) label: &'a str,
    /// Its encapsulated header; empty without one.
    pub(super) header: &'a str,
    /// Its octets; `None` if they are not base64 or the last line is missing.
    pub(super) octets: Option<Secret>,
}

/// All blocks of `text`, in order, each decoded when it is reached. Text between them is explanatory text (RFC 7468, section 5.2). OpenPGP armor is
/// ignored too.
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = PemBlock<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || next(&mut rest)).flatten()
}

/// The labels of all blocks, none of which is decoded.
pub(super) fn labels(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    memmem::find_iter(text, BEGIN)
        .map(|start| line(text.get(start + BEGIN.len()..).unwrap_or_default()).0.trim_ascii_end())
}

/// Writes a block in lines of 64 characters (RFC 7468, section 2). The buffer is sized once, so that reallocation
/// leaves no copy of a secret behind.
pub(super) fn write(label: &str, octets: &[u8]) -> Secret {
    let mut text = Vec::with_capacity(octets.len() / 48 * 65 + 2 * label.len() + 128);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in octets.chunks(48) {
        text.extend_from_slice(LENIENT.encode(line).as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    Secret::new(text)
}

/// Takes the next block off `rest`. The inner `None` is a block that is not PEM.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Option<PemBlock<'a>>> {
    let start = memmem::find(rest, BEGIN)?;
    let (first, body) = line(rest.get(start + BEGIN.len()..)?);
    *rest = body;
    let label = first.trim_ascii_end().strip_suffix(DASHES).and_then(|label| std::str::from_utf8(label).ok());
    let Some(label) = label.filter(|label| !label.starts_with("PGP ")) else { return Some(None) };
    let end = memmem::find(body, format!("-----END {label}-----").as_bytes());
    let inside = body.get(..end.unwrap_or(body.len())).unwrap_or_default();
    *rest = body.get(inside.len()..).unwrap_or_default();
    let (header, base64) = split_header(inside);
    let octets = end.and_then(|_| decode(base64));
    Some(Some(PemBlock { label, header: std::str::from_utf8(header).unwrap_or_default(), octets }))
}

/// Splits off the header. It ends with an empty line and contains a colon, which base64 does not.
fn split_header(inside: &[u8]) -> (&[u8], &[u8]) {
    if !line(inside).0.contains(&b':') {
        return (&[], inside);
    }
    let mut rest = inside;
    while !rest.is_empty() {
        let (this, after) = line(rest);
        if this.trim_ascii().is_empty() {
            let header = inside.get(..inside.len() - rest.len()).unwrap_or_default();
            return (header, after);
        }
        rest = after;
    }
    (inside, &[])
}

/// Splits off the first line, without its line feed.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', text).and_then(|end| text.split_at_checked(end)) {
        Some((first, rest)) => (first, rest.get(1..).unwrap_or_default()),
        None => (text, &[]),
    }
}

fn decode(base64: &[u8]) -> Option<Secret> {
    let mut letters = Vec::with_capacity(base64.len());
    letters.extend(base64.iter().filter(|octet| !octet.is_ascii_whitespace()));
    let letters = Secret::new(letters);
    LENIENT.decode(letters.expose()).ok().map(Secret::new)
}

/// Some writers omit the padding, or leave bits after the last octet.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &str, Option<Vec<u8>>)> {
        let octets = |block: &PemBlock<'_>| block.octets.as_ref().map(|octets| octets.expose().to_vec());
        blocks(text.as_bytes()).map(|block| (block.label, block.header, octets(&block))).collect()
    }

    #[test]
    fn blocks_among_text_in_order() {
        let text = "subject=a\n-----BEGIN X509 CRL-----\r\nAQ\r\n-----END X509 CRL-----\r\nbetween\n\
                    -----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,B\n\nAgM=\n-----END RSA PRIVATE KEY-----";
        let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: A,B\n";
        assert_eq!(found(text), [("X509 CRL", "", Some(vec![1])), ("RSA PRIVATE KEY", header, Some(vec![2, 3]))]);
    }

    #[test]
    fn what_is_cut_short_or_no_base64_holds_nothing() {
        assert_eq!(found("-----BEGIN A-----\nAQ==\n-----END B-----\n"), [("A", "", None)]);
        assert_eq!(found("-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN "), [("A", "", None)]);
        assert_eq!(found("-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----\n"), []);
    }

    #[test]
    fn what_is_written_is_read() {
        let octets: Vec<u8> = (0..=255).collect();
        let text = write("A", &octets);
        let text = std::str::from_utf8(text.expose()).unwrap();
        assert_eq!(found(text), [("A", "", Some(octets))]);
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
