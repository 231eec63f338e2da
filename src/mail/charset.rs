//! Charsets by the names that mail has for them (RFC 2046, section 4.1.2).

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

/// The octets as Unicode, by the charset's name as mail writes it; unknown ones as UTF-8, else windows-1252.
///
/// So is US-ASCII, because what is labelled so, or not at all, and has the eighth bit set is one of the two. What does not belong to the
/// charset becomes U+FFFD.
pub fn to_unicode(octets: &[u8], charset: &str) -> String {
    let known = encoding(charset.trim().trim_matches('"')).filter(|encoding| *encoding != UTF_8);
    let encoding = match known {
        Some(encoding) => encoding,
        // Borrowed and checked at once; the usual case.
        None => match std::str::from_utf8(octets) {
            Ok(text) => return text.trim_start_matches('\u{feff}').to_owned(),
            Err(_) if is_utf8(charset) => UTF_8,
            Err(_) => WINDOWS_1252,
        },
    };
    encoding.decode_with_bom_removal(octets).0.into_owned()
}

/// By label; `None` for unknown ones, US-ASCII, and those that encoding_rs refuses to decode because browsers must not.
fn encoding(label: &str) -> Option<&'static Encoding> {
    let label = label.to_ascii_lowercase();
    // RFC 2231, section 5: a language may follow.
    let label = label.split('*').next().unwrap_or_default();
    let label = match label {
        "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "cp367" => return None,
        // Names outside of the WHATWG's list that mailers write.
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
            (b"~{", "hz-gb-2312", "~{"),
        ] {
            assert_eq!(to_unicode(octets, charset), expected, "{charset}");
        }
    }
}
