//! Finds `-----BEGIN ...-----` blocks in text. Their content is read by the protocols.

use memchr::{memchr, memmem};

use super::Span;

/// The type of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Label {
    /// `BEGIN PGP MESSAGE`.
    PgpMessage,
    /// `BEGIN PGP PRIVATE KEY BLOCK`.
    PgpPrivateKey,
    /// `BEGIN PGP PUBLIC KEY BLOCK`.
    PgpPublicKey,
    /// `BEGIN PGP SIGNATURE` alone.
    PgpSignature,
    /// `BEGIN PGP SIGNED MESSAGE` to `END PGP SIGNATURE`.
    PgpSigned,
}

/// One armor block, from its first dash to the line break after its last line, or to the end if that line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The type of the block.
    pub label: Label,
    /// Its position in the text.
    pub span: Span,
    /// Whether its last line is present.
    pub closed: bool,
}

/// Finds every OpenPGP block that starts at the beginning of a line, in order, lazily. Blocks do not nest (RFC 9580,
/// sections 6.2 and 7).
pub fn pgp_blocks(text: &[u8]) -> impl Iterator<Item = Block> + use<'_> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let (start, label) = next(text, from, BEGIN, Label::begun_by)?;
        let end = next(text, start, END, |line| (line == label.end()).then_some(()));
        let end = end.map(|(line, ())| after_line(text, line));
        from = end.unwrap_or(text.len());
        Some(Block { label, span: Span { start, end: from }, closed: end.is_some() })
    })
}

/// Whether `octets` start with armor of OpenPGP or PEM (RFC 1421, section 4.4; RFC 1113, section 4.4).
pub(super) fn begins(octets: &[u8]) -> bool {
    if !octets.starts_with(b"-----") {
        return false;
    }
    let line = memchr(b'\n', octets).and_then(|end| octets.get(..end)).unwrap_or(octets).trim_ascii_end();
    let pgp = line.strip_prefix(BEGIN).and_then(Label::begun_by);
    pgp.is_some() || PEM.contains(&line)
}

/// Whether `text` is exactly one block of OpenPGP or PEM armor, or one cleartext-signed text, except for blank lines
/// around it. The content of a PEM message and the signed text are checked by the protocols.
pub(super) fn is_alone(text: &[u8]) -> bool {
    let Some(first) = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end).find(|line| !line.is_empty())
    else {
        return false;
    };
    // A dash and a space before another line are removed by some readers as dash-escaping, and shown by others as a
    // bullet or minus sign.
    let is_stuffed =
        |line: &[u8]| line.strip_prefix(b"- ").is_none_or(|line| line.starts_with(b"-") || line.starts_with(b"From "));
    if !text.split(|octet| *octet == b'\n').all(is_stuffed) {
        return false;
    }
    if PEM.contains(&first) {
        let last = text.trim_ascii_end().rsplit(|octet| *octet == b'\n').next().map(<[u8]>::trim_ascii_end);
        return last.is_some_and(|last| last == PEM_END || (last == first && first != PEM[0]));
    }
    match first.strip_prefix(BEGIN).and_then(Label::begun_by) {
        Some(Label::PgpMessage) => stray_line(text, Label::PgpMessage).is_none(),
        Some(Label::PgpSigned) => {
            let signature = memmem::find_iter(text, SIGNATURE)
                .find(|at| at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\n'));
            signature.is_some_and(|at| stray_line(text.get(at..).unwrap_or_default(), Label::PgpSignature).is_none())
        }
        _ => false,
    }
}

/// The first line of `text`, counted from 1, that does not belong to one block of armor with blank lines around it; the
/// line after the last if the block does not end. Armor headers belong to it only if they hold what known programs
/// write.
pub fn stray_line(text: &[u8], label: Label) -> Option<usize> {
    let mut place = Position::Before;
    let mut count = 0;
    for (index, line) in text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end).enumerate() {
        count = index + 1;
        place = match place {
            Position::Before | Position::After if line.is_empty() => place,
            Position::Before if line.strip_prefix(BEGIN).and_then(Label::begun_by) == Some(label) => Position::Header,
            Position::Header if line.is_empty() => Position::Data,
            Position::Header if is_armor_header(line) => Position::Header,
            Position::Header | Position::Data if line.strip_prefix(END) == Some(label.end()) => Position::After,
            Position::Data if is_armor_data(line) => Position::Data,
            Position::After | Position::Before | Position::Data | Position::Header => return Some(count),
        };
    }
    (!matches!(place, Position::After)).then_some(count)
}

#[derive(Clone, Copy)]
enum Position {
    After,
    Before,
    Data,
    Header,
}

/// Whether the line is an armor header (RFC 9580, section 6.2.2) without free text: a known program's name and version.
fn is_armor_header(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    if let Some(comment) = line.strip_prefix("Comment: ") {
        return is_known_comment(comment);
    }
    let Some(value) = line.strip_prefix("Version: ") else { return false };
    let mut words = value.split(' ').peekable();
    let is_version =
        |word: &str| word.len() <= 24 && word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let product = words.next().unwrap_or_default();
    (PROGRAMS.contains(&product) || is_version(product)) && {
        words.next_if(|word| is_version(word));
        words.next_if(|word| {
            word.strip_prefix('(').and_then(|word| word.strip_suffix(')')).is_some_and(|word| SYSTEMS.contains(&word))
        });
        words.next().is_none()
    }
}

/// Whether known programs write this comment.
fn is_known_comment(comment: &str) -> bool {
    let enigmail = comment.strip_prefix("Using GnuPG with ").and_then(|rest| rest.split_once(" - "));
    let exmh = comment.strip_prefix("Exmh version ");
    enigmail.is_some_and(|(with, place)| MAILERS.contains(&with) && PLACES.contains(&place))
        || exmh.is_some_and(|rest| {
            rest.len() <= 24 && rest.bytes().all(|octet| octet.is_ascii_digit() || b"./ ".contains(&octet))
        })
        || COMMENTS.contains(&comment)
}

/// Whether the line is base64 or a checksum (RFC 9580, section 6).
fn is_armor_data(line: &[u8]) -> bool {
    let data = if line.len() == 5 { line.strip_prefix(b"=").unwrap_or(line) } else { line };
    let end = data.iter().rev().take_while(|octet| **octet == b'=').count();
    let (letters, _) = data.split_at_checked(data.len() - end).unwrap_or_default();
    !letters.is_empty()
        && end <= 2
        && letters.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
}

impl Label {
    fn begun_by(line: &[u8]) -> Option<Label> {
        match line {
            b"PGP MESSAGE-----" => Some(Label::PgpMessage),
            b"PGP PRIVATE KEY BLOCK-----" | b"PGP SECRET KEY BLOCK-----" => Some(Label::PgpPrivateKey),
            b"PGP PUBLIC KEY BLOCK-----" => Some(Label::PgpPublicKey),
            b"PGP SIGNATURE-----" => Some(Label::PgpSignature),
            b"PGP SIGNED MESSAGE-----" => Some(Label::PgpSigned),
            _ => None,
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Label::PgpMessage => b"PGP MESSAGE-----",
            Label::PgpPrivateKey => b"PGP PRIVATE KEY BLOCK-----",
            Label::PgpPublicKey => b"PGP PUBLIC KEY BLOCK-----",
            Label::PgpSignature | Label::PgpSigned => b"PGP SIGNATURE-----",
        }
    }
}

/// The first line from `from` on that is `intro` followed by something that `read` accepts, without trailing white
/// space. Also returns its start.
fn next<T>(text: &[u8], from: usize, intro: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Option<(usize, T)> {
    memmem::find_iter(text.get(from..)?, intro).find_map(|at| {
        let start = from + at;
        if start > 0 && text.get(start - 1) != Some(&b'\n') {
            return None;
        }
        let line = Span { start: start + intro.len(), end: after_line(text, start) }.of(text);
        read(line.trim_ascii_end()).map(|found| (start, found))
    })
}

fn after_line(text: &[u8], start: usize) -> usize {
    memchr(b'\n', text.get(start..).unwrap_or_default()).map_or(text.len(), |length| start + length + 1)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const PEM: [&[u8]; 2] = [b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----", b"-----PRIVACY-ENHANCED MESSAGE BOUNDARY-----"];
const PEM_END: &[u8] = b"-----END PRIVACY-ENHANCED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END ";
/// Programs that write their names into armor.
const PROGRAMS: [&str; 14] = [
    "BCPG",
    "BCPG-FIPS",
    "End-To-End",
    "FlowCrypt",
    "GNUPG",
    "GnuPG",
    "LibTMCG",
    "Mailvelope",
    "OpenPGP.js",
    "PGP",
    "PGPainless",
    "ProtonMail",
    "Sequoia-PGP",
    "rnp",
];
/// Programs with Enigmail, and the addresses in its comments.
const MAILERS: [&str; 7] =
    ["Icedove", "Mozilla", "Mozilla Thunderbird", "SeaMonkey", "Thunderbird", "Netscape", "Debian"];
const PLACES: [&str; 6] = [
    "http://enigmail.mozdev.org",
    "http://enigmail.mozdev.org/",
    "http://www.enigmail.net/",
    "https://enigmail.mozdev.org",
    "https://www.enigmail.net/",
    "https://enigmail.net/",
];
const COMMENTS: [&str; 4] = [
    "GPGTools - http://gpgtools.org",
    "GPGTools - https://gpgtools.org",
    "https://gpgtools.org",
    "https://openpgpjs.org",
];
/// Systems that GnuPG 1 and 2.0 name after their version.
const SYSTEMS: [&str; 11] =
    ["Cygwin", "Darwin", "FreeBSD", "GNU/Linux", "Linux", "MacOS", "MingW32", "NetBSD", "OpenBSD", "SunOS", "Win32"];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Label, &str, bool)> {
        let show = |block: Block| (block.label, text.get(block.span.start..block.span.end).unwrap(), block.closed);
        pgp_blocks(text.as_bytes()).map(show).collect()
    }

    #[test]
    fn blocks_in_order_none_inside_another() {
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\n\nhi\n- -----BEGIN PGP MESSAGE-----\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n";
        let message = "-----BEGIN PGP MESSAGE-----  \r\n\r\nx\r\n-----END PGP MESSAGE-----\r\n";
        let text = format!("before\n{signed}between\n{message}> {message}after");
        assert_eq!(found(&text), [(Label::PgpSigned, signed, true), (Label::PgpMessage, message, true)]);
    }

    #[test]
    fn what_is_not_closed_goes_to_the_end() {
        let text = "-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP SIGNATURE-----\n-----BEGIN PGP MESSAGE-----\n";
        assert_eq!(found(text), [(Label::PgpMessage, text, false)]);
        assert_eq!(found("-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----").len(), 1);
    }

    #[test]
    fn other_labels_are_not_ours() {
        assert_eq!(
            found("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN PGP MESSAGE----- x\n"),
            []
        );
    }
}
