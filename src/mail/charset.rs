//! Decodes charsets by their names in mail (RFC 2046, section 4.1.2).

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

use super::encoding::base64_decode;

/// Decodes octets by the charset name used in mail. Unknown charsets are decoded as UTF-8, or else as windows-1252.
/// This includes US-ASCII, because text with 8-bit octets that is labelled US-ASCII or not labelled is usually one of
/// the two. Invalid octets become U+FFFD.
pub fn to_unicode(octets: &[u8], charset: &str) -> String {
    if UTF_7.iter().any(|name| charset.trim().eq_ignore_ascii_case(name)) {
        return utf_7(octets);
    }
    let known = encoding(charset.trim().trim_matches('"')).filter(|encoding| *encoding != UTF_8);
    let encoding = match known {
        Some(encoding) => encoding,
        // Checked and borrowed; the most common case.
        None => match std::str::from_utf8(octets) {
            Ok(text) => return text.trim_start_matches('\u{feff}').to_owned(),
            Err(_) if is_utf8(charset) => UTF_8,
            Err(_) => WINDOWS_1252,
        },
    };
    encoding.decode_with_bom_removal(octets).0.into_owned()
}

/// The encoding for a label; `None` if unknown, for US-ASCII, and for encodings that encoding_rs refuses for browser
/// security.
fn encoding(label: &str) -> Option<&'static Encoding> {
    let label = label.to_ascii_lowercase();
    // A language may follow (RFC 2231, section 5).
    let label = label.split('*').next().unwrap_or_default();
    let label = match label {
        "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "cp367" => return None,
        // Names used by mail programs that are not in the WHATWG list.
        "cp932" | "windows-932" | "x-ms-cp932" => "shift_jis",
        "cp936" | "ms936" | "windows-936" => "gbk",
        "cp949" | "ms949" | "uhc" => "euc-kr",
        "cp950" | "ms950" | "windows-950" => "big5",
        "cp874" => "windows-874",
        "cp866" | "ibm-866" => "ibm866",
        "iso-2022-jp-1" | "iso-2022-jp-2" | "iso-2022-jp-3" | "iso-2022-jp-ms" | "cp50220" | "cp50221" => "iso-2022-jp",
        "iso-8859-8-i" => "iso-8859-8-i",
        "utf" | "utf_8" | "utf-8-mac" | "cp65001" | "utf8mb4" => "utf-8",
        other => other,
    };
    let compact = || Encoding::for_label(label.replace(['_', ' '], "-").as_bytes());
    Encoding::for_label(label.as_bytes()).or_else(compact).filter(|encoding| *encoding != REPLACEMENT)
}

fn is_utf8(charset: &str) -> bool {
    encoding(charset) == Some(UTF_8)
}

/// UTF-7 (RFC 2152): ASCII, and UTF-16 in base64 between `+` and `-`. Browsers refuse it; old Outlook wrote it.
fn utf_7(octets: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = octets;
    while let Some(plus) = memchr::memchr(b'+', rest) {
        let (plain, shifted) = rest.split_at_checked(plus).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(plain));
        let shifted = shifted.get(1..).unwrap_or_default();
        let length = shifted
            .iter()
            .position(|octet| !octet.is_ascii_alphanumeric() && !b"+/".contains(octet))
            .unwrap_or(shifted.len());
        let (base64, after) = shifted.split_at_checked(length).unwrap_or_default();
        let decoded = base64_decode(base64);
        let units = decoded.as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit));
        text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        rest = after.strip_prefix(b"-").unwrap_or(after);
        if base64.is_empty() {
            text.push('+');
        }
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

const UTF_7: [&str; 3] = ["unicode-1-1-utf-7", "utf-7", "x-unicode-2-0-utf-7"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_charsets() {
        for (octets, charset, expected) in [
            (&b"\xe9"[..], "ISO-8859-1", "\u{e9}"),
            (b"\xe9", "iso_8859-1", "\u{e9}"),
            (b"\x80", "iso-8859-1", "\u{20ac}"),
            (b"\xc3\xa9", "us-ascii", "\u{e9}"),
            (b"\xe9", "us-ascii", "\u{e9}"),
            (b"\xe9", "utf-8", "\u{fffd}"),
            (b"\xef\xbb\xbf\xc3\xa9", "UTF8", "\u{e9}"),
            (b"\xc3\xa9", "x-unheard-of", "\u{e9}"),
            (b"\xa9", "x-unheard-of", "\u{a9}"),
            (b"\x83\x65", "cp932", "\u{30c6}"),
            (b"\x1b$B%F\x1b(B", "ISO-2022-JP", "\u{30c6}"),
            (b"\xc4\xe3", "GB2312", "\u{4f60}"),
            (b"\xd0", "koi8-r", "\u{43f}"),
            (b"Fr+APY-sche +- A+ImIDkQ.", "UTF-7", "Fr\u{f6}sche + A\u{2262}\u{391}."),
            (b"~{", "hz-gb-2312", "~{"),
        ] {
            assert_eq!(to_unicode(octets, charset), expected, "{charset}");
        }
    }
}
