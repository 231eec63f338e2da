//! Finding armour in text: where `-----BEGIN ...-----` blocks start and end, by span. What is in them is the protocols' matter.

use memchr::{memchr, memmem};

use super::Span;

/// What a block says of itself.
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

/// One block of armour, from its first dash to the line break after its last line; or to the end when the last line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its label.
    pub label: Label,
    /// Where it lies in the text searched.
    pub span: Span,
    /// Whether its last line is there.
    pub closed: bool,
}

/// Every OpenPGP block that starts at the beginning of a line, in order, none inside another (RFC 9580, sections 6.2 and 7). Each is looked for
/// when it is asked for.
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

/// Whether `octets` begin with armour of mail security, OpenPGP's or PEM's (RFC 1421, section 4.4; RFC 1113, section 4.4).
pub(super) fn begins(octets: &[u8]) -> bool {
    if !octets.starts_with(b"-----") {
        return false;
    }
    let line = memchr(b'\n', octets).and_then(|end| octets.get(..end)).unwrap_or(octets).trim_ascii_end();
    let pgp = line.strip_prefix(BEGIN).and_then(Label::begun_by);
    pgp.is_some() || PEM.contains(&line)
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

/// The first line from `from` on that is `intro` and then something that `read` knows, trailing white space aside; and where it starts.
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
const END: &[u8] = b"-----END ";

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
