//! Any header: no Authentication-Results field stays whose authserv-id, in a reading more lenient than that of any program, is our name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, Limits},
    mail::Message,
    report::authserv::Believed,
};

const OWN: &str = "mx.example.org";

fuzz_target!(|octets: &[u8]| {
    let header = [octets, b"\r\n\r\n"].concat();
    let Ok(message) = Message::parse(header, &mut Budget::new(Limits::default())) else { return };
    let hosts = ["dkim.example.org".to_owned(), "example.org".to_owned()];
    let believed = Believed { own: OWN, hosts: &hosts };
    for field in message.root().fields().filter(|field| !believed.removes(field)) {
        for line in lines(field.raw) {
            assert!(!claims(&line), "{:?} stays", String::from_utf8_lossy(field.raw));
        }
    }
});

/// What a reader may take for lines of the header: any control ends one, and white space goes on with the one before.
fn lines(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in raw.split(|octet| matches!(octet, b'\r' | b'\n')).filter(|line| !line.is_empty()) {
        match lines.last_mut() {
            Some(last) if matches!(line[0], b' ' | b'\t') => last.extend_from_slice(line),
            _ => lines.push(line.to_vec()),
        }
    }
    lines
}

/// Whether a line is an Authentication-Results field of ours to a reader that drops comments, white space, quotes, escapes, controls and all
/// that is not ASCII.
fn claims(line: &[u8]) -> bool {
    let graphic = |octets: &[u8]| octets.iter().filter(|octet| octet.is_ascii_graphic()).copied().collect::<Vec<u8>>();
    let Some(colon) = line.iter().position(|octet| *octet == b':') else { return false };
    if !graphic(&line[..colon]).eq_ignore_ascii_case(b"Authentication-Results") {
        return false;
    }
    let (mut depth, mut is_escaped) = (0_usize, false);
    let mut claimed = Vec::new();
    for octet in graphic(&line[colon + 1..]) {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = depth > 0,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => break,
            b'"' => {}
            _ if depth == 0 => claimed.push(octet.to_ascii_lowercase()),
            _ => {}
        }
    }
    let claimed = claimed.strip_suffix(b"1").unwrap_or(&claimed);
    let claimed = claimed.strip_suffix(b"/").unwrap_or(claimed);
    claimed.strip_suffix(b".").unwrap_or(claimed) == OWN.as_bytes()
}
