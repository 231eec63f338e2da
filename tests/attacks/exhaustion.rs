//! What a stranger can exhaust: messages that cost as much as they can, given to the program with little time and memory.
//!
//! `EXHAUSTION=FOLDER cargo test --test attacks exhaustion -- --ignored` writes the same messages in the largest sizes, to be measured with a release binary.

mod generators;
mod key_files;
mod passwords;
mod service;

use std::{env, fs, path::Path};

use crate::support::lab::{Done, Lab};
use base64::{Engine, engine::general_purpose::STANDARD};
use generators::PACKETS;

const MB: usize = 1_000_000;

#[test]
fn packets_that_mean_nothing_are_counted() {
    let lab = Lab::new();
    for (_, packet) in PACKETS {
        lab.write("message", generators::packets(packet, 8 * MB));
        stopped(verify(&lab), "signature: more than 1000 packets");
        // In armor too, and of a size that honest signatures have.
        lab.write("message", generators::packets(packet, 100));
        verify(&lab).code(1);
    }
}

#[test]
fn digests_of_a_signature_without_a_certificate_are_not_computed() {
    let lab = Lab::new();
    for layers in [1, 8] {
        lab.write("message", generators::digests(layers, None, 6 * MB));
        let done = verify(&lab).code(1);
        assert!(done.text().starts_with("message: unsigned"), "{}", done.text());
    }
}

#[test]
fn digests_of_all_layers_together_are_bounded() {
    let lab = Lab::new();
    let certificate = certificate(&lab);
    lab.write("message", generators::digests(8, Some(&certificate), 5 * MB));
    stopped(verify(&lab), "signatures: more than 4 times the message to hash");
    // Eight layers of a small text with all hash functions are within what a short message may cost.
    lab.write("message", generators::digests(8, Some(&certificate), 10_000));
    let done = verify(&lab).code(1);
    assert!(
        done.text().contains("md5 is broken") && done.text().contains("not those that were signed"),
        "{}",
        done.text()
    );
}

#[test]
fn blocks_are_found_where_they_lie() {
    let lab = Lab::new();
    lab.write("message", generators::blocks(8 * MB));
    verify(&lab).code(1);
    bounded(&lab, "inspect message").code(0);
}

#[test]
fn parameters_of_a_field_are_counted() {
    let lab = Lab::new();
    for pattern in ["; a=b", "; a*0=b", "; a"] {
        lab.write("message", generators::fields(pattern, 500, 12 * MB));
        let done = verify(&lab);
        let is_word = pattern == "; a";
        assert_eq!(done.code, if is_word { 1 } else { 65 }, "{pattern}: {}", done.stderr);
        assert!(
            is_word || done.stderr.contains("header field \"Content-Type\": more than 128 parameters"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn headers_of_parts_are_counted_together() {
    let lab = Lab::new();
    lab.write("message", generators::fields("=?a?q?x", 80, 18 * MB));
    for arguments in ["verify", "decrypt --parts", "inspect"] {
        let done = bounded(&lab, &format!("{arguments} message"));
        assert_eq!(done.code, 65, "{arguments}: {}", done.stderr);
        assert!(done.stderr.contains("message: more than 16777216 octets of header in its parts"), "{}", done.stderr);
    }
}

#[test]
fn encoded_words_without_an_end_are_looked_at_once() {
    let lab = Lab::new();
    for pattern in ["=?a?q?x", "=?a?z?x"] {
        lab.write("message", generators::fields(pattern, 24, 6 * MB));
        verify(&lab).code(1);
    }
}

#[test]
fn lines_that_begin_like_boundaries() {
    let lab = Lab::new();
    lab.write("message", generators::boundaries(2 * MB));
    verify(&lab).code(1);
}

#[test]
fn what_comes_out_of_compression_is_counted_whatever_it_is() {
    let lab = Lab::new();
    // Text, a signature of no known version, padding, an unknown packet, an encrypted session key.
    for tag in [11, 2, 21, 60, 1] {
        lab.write("message", generators::packed(tag, 1));
        stopped(verify(&lab), "decompressed data: more than");
    }
    // A container, which is moved in the memory of the message.
    lab.write("message", generators::packed(18, 1));
    stopped(verify(&lab), "openpgp message: its encrypted data is longer than the message");
    lab.write("message", generators::packed(11, 2));
    stopped(verify(&lab), "openpgp message: compressed twice");
}

#[test]
fn envelopes_below_the_root_are_opened_a_few_times() {
    let lab = Lab::new();
    lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", "bob@example.org"]).code(0);
    lab.write("message", generators::envelopes(20 * MB));
    verify(&lab).code(1);
}

#[test]
fn readers_of_one_key_agreement_are_counted() {
    let lab = Lab::new();
    lab.write("message", generators::agreed(1_001));
    stopped(verify(&lab), "layer: more than 1000 encrypted session keys");
}

#[test]
fn certificates_and_lists_of_a_signature_are_bounded() {
    let lab = Lab::new();
    for (certificates, revocations, why) in [
        (2 * MB, 0, "more than 1048576 octets of certificates"),
        (0, 17 * MB, "more than 16777216 octets of revocation lists"),
    ] {
        lab.write("message", generators::attached(certificates, revocations));
        let done = verify(&lab).code(1);
        assert!(done.text().contains(why), "{}", done.text());
    }
}

/// What `decrypt` strips of a text (RFC 9788, section 4.5.3) is found in one pass, however elements are nested, repeated or left open.
#[test]
fn html_with_a_display_element_is_read_once() {
    let lab = Lab::with_keys(&["alice"]);
    let open = "<div class=\"header-protection-legacy-display\">";
    for html in [
        generators::nested(open, "<div>", "</div>", 4 * MB),
        generators::nested("", &format!("{open}</div>"), "", 4 * MB),
        generators::nested("", open, "", 4 * MB),
        generators::nested("", "<div ", "", 4 * MB),
        generators::nested("", "<div title='", "", 4 * MB),
        generators::nested(open, "<!-- <div> -->", "", 4 * MB),
        generators::nested(open, "<!--", "", 4 * MB),
        generators::nested("", "<div = / = /", ">", 4 * MB),
    ] {
        let kind = "MIME-Version: 1.0\nContent-Type: text/html; hp-legacy-display=1\n";
        lab.write("message", format!("From: alice@example.org\nTo: alice@example.org\nSubject: s\n{kind}\n{html}\n"));
        lab.run(&["encrypt", "--sign", "--to", "alice@example.org", "-o", "sealed", "message"]).code(0);
        bounded(&lab, "decrypt -o opened sealed").code(0);
    }
}

/// Writes the messages in sizes up to the limit.
#[test]
#[ignore = "writes files of 60 MB for figures"]
fn written_for_figures() {
    let folder = env::var("EXHAUSTION").expect("EXHAUSTION names a folder");
    let lab = Lab::new();
    let certificate = certificate(&lab);
    let write = |name: &str, octets: &[u8]| fs::write(Path::new(&folder).join(name), octets).unwrap();
    for size in [4, 16, 60] {
        let octets = size * MB;
        for (name, packet) in PACKETS {
            write(&format!("packets-{name}-{size}.eml"), &generators::packets(packet, octets));
        }
        for layers in [1, 8] {
            write(&format!("digests-{layers}-{size}.eml"), &generators::digests(layers, None, octets));
            write(
                &format!("digests-certificate-{layers}-{size}.eml"),
                &generators::digests(layers, Some(&certificate), octets),
            );
        }
        write(&format!("blocks-{size}.eml"), &generators::blocks(octets));
        for (name, pattern) in [("parameters", "; a=b"), ("words", "; a"), ("encoded-words", "=?a?q?x")] {
            write(&format!("fields-{name}-{size}.eml"), &generators::fields(pattern, octets / 250_000, octets));
        }
        write(&format!("boundaries-{size}.eml"), &generators::boundaries(octets));
        write(&format!("envelopes-{size}.eml"), &generators::envelopes(octets));
    }
    for tag in [11, 2, 21, 60, 1, 18] {
        write(&format!("packed-{tag}.eml"), &generators::packed(tag, 1));
    }
    write("packed-twice.eml", &generators::packed(11, 2));
    write("agreed.eml", &generators::agreed(30_000));
}

/// In ten seconds of processor time and 200 MiB of address space: without optimization the program takes several times as long as it does with it.
fn bounded(lab: &Lab, arguments: &str) -> Done {
    lab.shell(&format!("ulimit -c 0; ulimit -v 204800; ulimit -t 10; exec \"$0\" {arguments}"))
}

fn verify(lab: &Lab) -> Done {
    bounded(lab, "verify message")
}

/// Opening ended before the payload, for this reason.
#[track_caller]
fn stopped(done: Done, why: &str) {
    let text = done.code(65).text();
    assert!(text.lines().any(|line| line.contains("stopped") && line.contains(why)), "{why:?} is not in {text}");
}

/// A certificate in DER.
fn certificate(lab: &Lab) -> Vec<u8> {
    lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", "eve@evil.example.org"]).code(0);
    let pem = lab.run(&["key", "export", "-f", "smime", "eve@evil.example.org"]).code(0).text();
    let body: String = pem
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN CERTIFICATE"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    STANDARD.decode(body).expect("a certificate in PEM")
}
