//! Text of strangers, for a terminal or a text of ours.

/// `text` with control characters escaped, so that text from a message cannot control a terminal.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Bidirectional overrides reorder displayed text: U+202A to U+202E and U+2066 to U+2069.
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
