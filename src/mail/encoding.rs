//! Base64 and quoted-printable both ways, encoded words, charsets.

/// Undoes base64 (RFC 2045, 6.8); characters outside the alphabet are skipped, a missing end is forgiven.
pub fn base64_decode(encoded: &[u8]) -> Vec<u8> {
    let _ = encoded;
    todo!()
}
/// Base64 in lines of 76 characters with CRLF.
pub fn base64_encode(octets: &[u8]) -> Vec<u8> {
    let _ = octets;
    todo!()
}
/// Undoes quoted-printable (RFC 2045, 6.7).
pub fn quoted_printable_decode(encoded: &[u8]) -> Vec<u8> {
    let _ = encoded;
    todo!()
}
/// Text with any line ends as quoted-printable with CRLF, safe to sign: no trailing white space, no line starting with `From ` or `-`.
pub fn quoted_printable_encode(text: &[u8]) -> Vec<u8> {
    let _ = text;
    todo!()
}
/// The octets as Unicode, by the charset's name as mail writes it; unknown ones as UTF-8, else windows-1252.
pub fn to_unicode(octets: &[u8], charset: &str) -> String {
    let _ = (octets, charset);
    todo!()
}
/// A header value with its encoded words (RFC 2047) decoded.
pub fn decode_words(value: &str) -> String {
    let _ = value;
    todo!()
}
/// Unicode as a header value: itself when ASCII, else encoded words (RFC 2047), folded.
pub fn encode_words(text: &str) -> String {
    let _ = text;
    todo!()
}
