//! Messages that were made to hurt: those of the exhaustion tests, small enough to be many, and the cases of `../shared/findings/security`.

#[allow(dead_code, reason = "the generators of tests/attacks; some are for other sizes")]
#[path = "../../attacks/exhaustion/generators.rs"]
mod generators;

use std::fs;

use generators::{PACKETS, agreed, attached, blocks, boundaries, digests, envelopes, fields, packed, packets};

use crate::support::requirements::corpus;

/// All of them, with CRLF where they are text, dots doubled and the final dot.
pub(super) fn messages() -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = PACKETS.iter().map(|(_, packet)| packets(packet, 100_000)).collect();
    messages.extend([
        digests(1, None, 50_000),
        digests(8, None, 20_000),
        blocks(50_000),
        fields("; a=b", 20, 50_000),
        fields("=?a?q?x", 20, 100_000),
        boundaries(50_000),
        // 128 MiB in 128 KiB, and the same once more within.
        packed(11, 1),
        packed(11, 2),
        envelopes(200_000),
        agreed(1_001),
        attached(200_000, 200_000),
    ]);
    messages.extend(cases());
    messages.into_iter().map(|message| for_smtp(&message)).collect()
}

/// The mail of the findings, if they are here.
fn cases() -> Vec<Vec<u8>> {
    let Some(folder) = corpus("").map(|corpora| corpora.join("../findings/security")) else { return Vec::new() };
    let Ok(folders) = fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<_> = folders
        .flatten()
        .flat_map(|case| fs::read_dir(case.path()).into_iter().flatten().flatten())
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    files.sort();
    let cases: Vec<_> = files.iter().map(|file| fs::read(file).expect("a case")).collect();
    assert!(cases.is_empty() || cases.len() >= 20, "{} cases in {}", cases.len(), folder.display());
    cases
}

/// RFC 5321, section 4.5.2. A lone CR or LF becomes a line end: the front would refuse it.
fn for_smtp(message: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            raw.push(b'.');
        }
        raw.extend(line.iter().filter(|octet| **octet != b'\r'));
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b".\r\n");
    raw
}
