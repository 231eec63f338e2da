//! What a format puts around a text, told apart from text: armor, CMS objects, PEM. Written here anew, and strictly, so that nothing that the
//! program takes for a part of the format is taken for one here because it is in the program.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a part that is not the signer's text consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `Version: 1` (RFC 3156, section 4).
    Version,
    /// One block of armor with this label, `PGP SIGNATURE` or `PGP MESSAGE`, or its binary form.
    Armor(&'static str),
    /// One ASN.1 object.
    Object,
    /// A PEM message (RFC 1421) that shows nothing: MIC-ONLY or ENCRYPTED.
    Pem,
    /// A text within its signature, and that text: the cleartext signature framework, or MIC-CLEAR.
    Around(String),
}

/// What `octets` are, if they are nothing but that.
pub(crate) fn carrier(octets: &[u8]) -> Option<Carrier> {
    if let Some(&first) = octets.first()
        && (first == 0x30 || first & 0x80 != 0)
    {
        return is_one_object(octets).then_some(Carrier::Object);
    }
    let text = std::str::from_utf8(octets).ok()?.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.trim_end().split('\n').map(str::trim_end).collect();
    let first = lines.iter().position(|line| !line.trim().is_empty())?;
    let lines = &lines[first..];
    match lines {
        [line] if line.trim() == "Version: 1" => Some(Carrier::Version),
        ["-----BEGIN PGP SIGNATURE-----", ..] => armor(lines, "PGP SIGNATURE"),
        ["-----BEGIN PGP MESSAGE-----", ..] => armor(lines, "PGP MESSAGE"),
        ["-----BEGIN PGP SIGNED MESSAGE-----", rest @ ..] => cleartext(rest),
        ["-----BEGIN PRIVACY-ENHANCED MESSAGE-----", rest @ .., "-----END PRIVACY-ENHANCED MESSAGE-----"] => pem(rest),
        ["-----BEGIN PKCS7-----" | "-----BEGIN CMS-----", rest @ .., "-----END PKCS7-----" | "-----END CMS-----"] => {
            is_base64(rest).then_some(Carrier::Object)
        }
        _ => is_base64(lines).then_some(Carrier::Object).filter(|_| text.starts_with('M')),
    }
}

/// RFC 9580, section 6.2, without remarks: a `Comment` says whatever its writer likes. White space among the data shows nothing.
fn armor(lines: &[&str], label: &'static str) -> Option<Carrier> {
    let [_, rest @ .., end] = lines else { return None };
    let remarks = rest.iter().take_while(|line| line.contains(": ")).count();
    let (remarks, data) = rest.split_at(remarks);
    let data: String = data.iter().flat_map(|line| line.split_whitespace()).collect();
    let summed = || data.rfind('=').filter(|at| data.len() - at == 5).map(|at| &data[..at]);
    let fits = *end == format!("-----END {label}-----")
        && remarks.iter().all(|line| is_remark(line))
        && (is_base64(&[&data]) || summed().is_some_and(|data| is_base64(&[data])));
    fits.then_some(Carrier::Armor(label))
}

/// A program and its version, which some write into the header of armor by themselves.
fn is_remark(line: &str) -> bool {
    let is_name = |word: &str| word.bytes().all(|octet| octet.is_ascii_alphabetic());
    let is_version =
        |word: &str| word.trim_start_matches('v').bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    let words = line.strip_prefix("Version: ").and_then(|program| program.split_once(' '));
    words.is_some_and(|(name, version)| is_name(name) && is_version(version))
}

/// RFC 9580, section 7.
fn cleartext(lines: &[&str]) -> Option<Carrier> {
    let blank = lines.iter().position(|line| line.is_empty())?;
    let is_hash = |line: &&str| {
        let names = line.strip_prefix("Hash: ");
        names.is_some_and(|names| {
            !names.is_empty() && names.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b',')
        })
    };
    let (hashes, rest) = lines.split_at(blank);
    let end = rest.iter().position(|line| *line == "-----BEGIN PGP SIGNATURE-----")?;
    let (text, signature) = rest.split_at(end);
    if !hashes.iter().all(is_hash) || armor(signature, "PGP SIGNATURE").is_none() {
        return None;
    }
    Some(Carrier::Around(unescaped(text.get(1..)?)?))
}

/// RFC 1421, section 4.4.
fn pem(lines: &[&str]) -> Option<Carrier> {
    let blank = lines.iter().position(|line| line.is_empty())?;
    let (header, text) = (&lines[..blank], &lines[blank + 1..]);
    let header = header.iter().fold(String::new(), |all, line| match line.strip_prefix(' ') {
        Some(more) => all + more.trim_start(),
        None => all + "\n" + line,
    });
    let mut kind = None;
    for field in header.trim_start().split('\n') {
        let (name, value) = field.split_once(':')?;
        let value = value.trim_start();
        // Names of people may stand in the identifiers, and they are what is verified: everything else is words and base64.
        let is_word = |c: char| c.is_ascii_alphanumeric() || "+/=,.-@:".contains(c);
        if !PEM_FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name)) || !value.chars().all(is_word) {
            return None;
        }
        if name.eq_ignore_ascii_case("Proc-Type") {
            kind = value.split_once(',').map(|(_, kind)| kind.trim().to_uppercase());
        }
    }
    match kind?.as_str() {
        "MIC-CLEAR" => Some(Carrier::Around(unescaped(text)?)),
        "MIC-ONLY" | "ENCRYPTED" => is_base64(text).then_some(Carrier::Pem),
        _ => None,
    }
}

const PEM_FIELDS: [&str; 12] = [
    "Proc-Type",
    "Content-Domain",
    "DEK-Info",
    "Originator-ID-Asymmetric",
    "Originator-Certificate",
    "Issuer-Certificate",
    "MIC-Info",
    "Recipient-ID-Asymmetric",
    "Recipient-Certificate",
    "Key-Info",
    "Originator-Name",
    "Originator-Key-Asymmetric",
];

/// A text whose lines that begin with a dash were written with `- ` before them; `None` when one was not.
fn unescaped(lines: &[&str]) -> Option<String> {
    let lines: Option<Vec<&str>> = lines
        .iter()
        .map(|line| match line.strip_prefix("- ") {
            Some(rest) => Some(rest),
            None => (!line.starts_with('-')).then_some(*line),
        })
        .collect();
    Some(lines?.join("\n"))
}

/// Whether the lines are base64 and nothing else, with its end at the end.
fn is_base64(lines: &[&str]) -> bool {
    let text: String = lines.iter().flat_map(|line| line.split_whitespace()).collect();
    !text.is_empty() && STANDARD.decode(text).is_ok()
}

/// Whether BER octets are one object (X.690, section 8.1), or a row of OpenPGP packets as long as they say.
fn is_one_object(octets: &[u8]) -> bool {
    match octets.first() {
        Some(0x30) => object_end(octets, 0) == Some(octets.len()),
        _ => packets_fit(octets),
    }
}

/// Where the object that starts at the start of `octets` ends.
fn object_end(octets: &[u8], depth: usize) -> Option<usize> {
    let (tag, first) = (octets.first()?, *octets.get(1)?);
    if depth > 32 || tag & 0x1f == 0x1f {
        return None;
    }
    if first != 0x80 {
        let count = usize::from(first & 0x7f);
        let (length, start) = match first & 0x80 {
            0 => (count, 2),
            _ => (octets.get(2..2 + count)?.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), 2 + count),
        };
        return Some(start + length).filter(|end| *end <= octets.len());
    }
    let mut at = 2;
    while octets.get(at..at + 2)? != [0, 0] {
        at += object_end(&octets[at..], depth + 1)?;
    }
    Some(at + 2)
}

/// RFC 9580, section 4.2.1, definite lengths; a partial length is a part of a message that is looked at no further.
fn packets_fit(octets: &[u8]) -> bool {
    let mut at = 0;
    while at < octets.len() {
        let Some(&[head, first]) = octets.get(at..at + 2).and_then(|octets| octets.first_chunk()) else { return false };
        if head & 0xc0 != 0xc0 || (224..255).contains(&first) {
            return head & 0x80 != 0 && at + 2 < octets.len();
        }
        let more = |count: usize| {
            octets
                .get(at + 2..at + 2 + count)
                .map(|octets| octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        };
        let Some((length, start)) = (match first {
            0..192 => Some((usize::from(first), 2)),
            192..224 => more(1).map(|low| ((usize::from(first) - 192) * 256 + low + 192, 3)),
            _ => more(4).map(|length| (length, 6)),
        }) else {
            return false;
        };
        at += start + length;
    }
    at == octets.len()
}
