//! Searches outbound mail for the text, in every encoding that it may have there.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use postseal::mail::encoding::quoted_printable_decode;

/// Whether the text stands in `octets`: as it is, in quoted-printable, in base64 at any alignment, in uuencode, percent-encoded, in UTF-16, and one within
/// the other. Case, white space and signs between its letters do not hide it.
pub(crate) fn shows(octets: &[u8]) -> bool {
    shows_within(octets, 3)
}

fn shows_within(octets: &[u8], depth: usize) -> bool {
    let percent = octets.iter().map(|octet| if *octet == b'%' { b'=' } else { *octet }).collect::<Vec<_>>();
    let plain = [quoted_printable_decode(octets), quoted_printable_decode(&percent)];
    if has_letters(octets) || plain.iter().any(|plain| has_letters(plain)) {
        return true;
    }
    depth > 0 && decoded(octets).chain(decoded(&plain[0])).any(|inner| shows_within(&inner, depth - 1))
}

/// Whether the letters of the text are there, one after the other; whatever is no letter does not count, which finds UTF-16 too.
fn has_letters(octets: &[u8]) -> bool {
    let letters: Vec<u8> =
        octets.iter().filter(|octet| octet.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    let has = |text: &[u8]| memchr::memmem::find(&letters, text).is_some();
    TEXTS.iter().any(|text| has(text)) || memchr::memmem::find(octets, FOREIGN.as_bytes()).is_some()
}

/// What the runs of base64 and uuencode in it come to.
fn decoded(octets: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut found = Vec::new();
    let mut run: Vec<u8> = Vec::new();
    for octet in octets.iter().copied().chain([0]) {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => run.push(octet),
            b'\r' | b'\n' | b' ' | b'\t' => {}
            _ => {
                let run = std::mem::take(&mut run);
                if run.len() >= SHORTEST {
                    found.extend((0..4).filter_map(|skip| LENIENT.decode(run.get(skip..)?).ok()));
                }
            }
        }
    }
    let uuencoded = octets.split(|octet| *octet == b'\n').filter_map(uudecoded).collect::<Vec<_>>().concat();
    found.push(uuencoded);
    found.into_iter()
}

/// A line of uuencode.
fn uudecoded(line: &[u8]) -> Option<Vec<u8>> {
    let (length, letters) = line.strip_suffix(b"\r").unwrap_or(line).split_first()?;
    let length = usize::from(length.wrapping_sub(32) & 63);
    let is_line =
        letters.len() >= length.div_ceil(3) * 4 && letters.iter().all(|letter| (b' '..=b'`').contains(letter));
    let bits = |letter: &u8| u32::from(letter.wrapping_sub(32) & 63);
    let group = |four: &[u8]| four.iter().fold(0, |sum, letter| sum << 6 | bits(letter)).to_be_bytes()[1..].to_vec();
    (is_line && length > 0).then(|| letters.chunks_exact(4).flat_map(group).take(length).collect())
}

/// What tests/support/change and oddities.rs write, in letters alone.
const TEXTS: [&[u8]; 3] = [b"paymallory", b"eurtomallory", b"mallorytoday"];
const FOREIGN: &str = "\u{41f}\u{43e}\u{436}\u{430}\u{43b}\u{443}";
/// Letters of base64 that the shortest text has.
const SHORTEST: usize = 12;
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[test]
fn the_reader_finds_the_text_however_it_is_written() {
    use base64::prelude::BASE64_STANDARD;
    let text = "Please pay Mallory.";
    let quoted: String = text.bytes().map(|octet| format!("={octet:02X}")).collect();
    let percent: String = text.bytes().map(|octet| format!("%{octet:02x}")).collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for written in [
        text.as_bytes().to_vec(),
        b"PLEASE\r\n PAY\r\n\tMALLORY".to_vec(),
        quoted.clone().into_bytes(),
        quoted.replace("=20", "=\r\n=20").into_bytes(),
        percent.into_bytes(),
        BASE64_STANDARD.encode(text).into_bytes(),
        BASE64_STANDARD.encode(format!("x{text}")).into_bytes(),
        BASE64_STANDARD.encode(format!("xy{text}")).into_bytes(),
        format!("Subject: =?utf-8?b?{}?=", BASE64_STANDARD.encode(text)).into_bytes(),
        format!("Subject: =?utf-8?q?{}?=", quoted).into_bytes(),
        BASE64_STANDARD.encode(&utf16).into_bytes(),
        BASE64_STANDARD.encode(quoted).into_bytes(),
        utf16,
        b"begin 644 x\n34&QE87-E('!A>2!-86QL;W)Y+@``\n`\nend\n".to_vec(),
    ] {
        assert!(shows(&written), "{}", String::from_utf8_lossy(&written));
    }
    assert!(!shows(b"Please pay Alice.") && !shows(&BASE64_STANDARD.encode("Please pay Alice.").into_bytes()));
}
