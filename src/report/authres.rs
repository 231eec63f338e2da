//! Authentication-Results (RFC 8601): the verdict in a form that other programs read.

use std::fmt::Write;

use crate::{
    base::Error,
    verdict::{Reason, Signature, State, Verdict, Why},
};

/// How much of a message was opened.
#[derive(Clone, Copy, Debug)]
pub enum Examined<'a> {
    /// Opening stopped before the payload; the reason.
    Stopped(&'a Error),
    /// Everything, and the payload is delivered although its encryption does not detect changes and no valid signature
    /// covers it.
    Unauthenticated,
    /// Everything.
    Whole,
}

/// The whole field with its name, folded with `\n`, without the last line break.
///
/// The method is `smime` of RFC 7281. `x-pgp` and `x-pem` are the same for the other protocols, which have no
/// registered method (RFC 8601, section 2.7.6). Only a signature that makes the message authentic with strong
/// algorithms gets `pass`. `x-encryption` says that a ciphertext was not opened, without the reason, because a bounce
/// may return the field to the sender; or that the delivered plaintext is not authenticated.
pub fn field(authserv_id: &str, verdict: &Verdict, examined: Examined<'_>) -> String {
    let mut field = format!("Authentication-Results: {}", value(authserv_id));
    let mut found = 0;
    for (layer, signature, shortfall) in verdict.signatures() {
        found += 1;
        result(&mut field, layer.protocol.name(), &judge(signature, shortfall), signature);
    }
    match (found, examined) {
        (_, Examined::Stopped(error)) if error.is_sealed() => field.push_str(SEALED),
        // RFC 8601, section 2.2: nothing could be examined.
        (0, Examined::Stopped(_)) => field.push_str("; none"),
        (0, _) => field.push_str(";\n\tsmime=none; x-pgp=none; x-pem=none"),
        _ => {}
    }
    if matches!(examined, Examined::Unauthenticated) {
        field.push_str(UNAUTHENTICATED);
    }
    field
}

/// The result for one signature (RFC 7281, section 3.1), and the reason.
struct Result {
    word: &'static str,
    reason: Option<String>,
}

/// `shortfall` is the reason why the signature does not make the message authentic.
fn judge(signature: &Signature, shortfall: Option<Reason>) -> Result {
    // Legacy algorithms admitted here may not be acceptable to the reader of the field.
    let shortfall = shortfall.or_else(|| signature.reservation.clone().map(Reason::Reserved));
    let word = match (&signature.state, &shortfall) {
        (State::Invalid(_), _) => "fail",
        (State::Unknown(Why::Malformed(_)), _) => "neutral",
        (State::Unknown(_), _) => "permerror",
        (State::Valid(_), Some(_)) => "policy",
        (State::Valid(_), None) => "pass",
    };
    Result { word, reason: shortfall.map(|reason| reason.to_string()) }
}

fn result(field: &mut String, protocol: &str, result: &Result, signature: &Signature) {
    // Only S/MIME has a registered method.
    let experimental = if protocol == "smime" { "" } else { "x-" };
    // Writing to a string cannot fail.
    let _ = write!(field, ";\n\t{experimental}{protocol}={}", result.word);
    if let Some(reason) = &result.reason {
        let _ = write!(field, " reason={}", quoted(reason));
    }
    for address in signature.authenticated.iter().map(|one| one.address().to_string()) {
        // Other addresses would need SMTPUTF8 (RFC 6532), or would be misread by software that does not support quoted
        // strings.
        if address.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b';')) {
            let _ = write!(field, "\n\t body.{experimental}{protocol}-identifier={address}");
        }
    }
    if let Some(signer) = &signature.signer {
        let _ = write!(field, "\n\t body.x-{protocol}-key={}", value(signer));
    }
}

/// A `value` (RFC 2045, section 5.1): a token, or else a quoted string.
fn value(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c);
    if !text.is_empty() && text.chars().all(is_token) { text.to_owned() } else { quoted(text) }
}

/// A quoted string of printable ASCII. Text from a message may be in it, so characters that end a result for software
/// without support of quoted strings are replaced.
fn quoted(text: &str) -> String {
    let shown = |c: char| match c {
        ';' => ',',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    };
    let text: String = text.chars().take(LONGEST_REASON).map(shown).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// For every ciphertext that was not opened.
const SEALED: &str =
    ";\n\tx-encryption=neutral\n\t reason=\"not opened: no key fits, it is damaged, or it is not authenticated\"";

/// For a plaintext that is not authenticated.
const UNAUTHENTICATED: &str =
    ";\n\tx-encryption=policy\n\t reason=\"not authenticated: the text may have been changed in transit\"";

/// Maximum characters. Source: the line stays below the 998 octets of RFC 5322, section 2.1.1, even if everything is
/// escaped.
const LONGEST_REASON: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{Legacy, Strength},
        keys::{Binding, Encoded, Handle, ProtocolName, Record},
        mail::{Address, Span},
        verdict::{Covers, Layer, LayerKind, Matches, Reached},
    };

    fn signature(state: State, authenticated: &[&str]) -> Signature {
        let bindings = authenticated.iter().map(|one| Binding::Address(Address::parse(one).unwrap()));
        let fingerprint = Handle::parse("AAAAAAAAAAAAAAAA").unwrap();
        let record = Record::new(ProtocolName::Pgp, fingerprint, Encoded::default(), []).with_bindings(bindings);
        Signature {
            state,
            reservation: None,
            signer: Some("ABCD".to_owned()),
            claimed: Vec::new(),
            authenticated: record.authenticate(&[]),
            covers: Covers::Whole,
            at: None,
            algorithms: "ed25519-sha512".to_owned(),
            strength: Strength::Strong,
            quantum_safe: false,
            notes: Vec::new(),
            announcement: None,
        }
    }

    fn valid() -> State {
        State::Valid(Matches::assertion())
    }

    fn signed(protocol: ProtocolName, signature: Signature) -> Layer {
        Layer { protocol, kind: LayerKind::Signed { signatures: vec![signature] }, span: Span::default() }
    }

    fn verdict(layers: Vec<Layer>) -> Verdict {
        Verdict::new(
            Ok(Address::parse("alice@example.org").unwrap()),
            layers,
            Vec::new(),
            Reached::Payload,
            Legacy::Refuse,
        )
    }

    #[test]
    fn pass_is_said_of_what_is_authentic() {
        let verdict = verdict(vec![signed(ProtocolName::Smime, signature(valid(), &["alice@example.org"]))]);
        assert_eq!(
            field("mx.example.net", &verdict, Examined::Whole),
            "Authentication-Results: mx.example.net;\n\tsmime=pass\n\t body.smime-identifier=alice@example.org\n\t body.x-smime-key=ABCD"
        );
    }

    #[test]
    fn everything_less_has_its_reason() {
        let of =
            |signature: Signature| field("mx", &verdict(vec![signed(ProtocolName::Pgp, signature)]), Examined::Whole);
        let alice = &["alice@example.org"];
        let weak = Signature { reservation: Some(Why::WeakAlgorithm("sha1".to_owned())), ..signature(valid(), alice) };
        let part = Signature { covers: Covers::Part, ..signature(valid(), alice) };
        for (one, words) in [
            (
                signature(valid(), &["eve@example.org"]),
                "x-pgp=policy reason=\"signed by eve@example.org, not by the author\"",
            ),
            (signature(valid(), &[]), "x-pgp=policy reason=\"signed by ABCD, nobody here says whose key that is\""),
            (weak, "x-pgp=policy reason=\"valid, but sha1 is weak\""),
            (part, "x-pgp=policy reason=\"the signature covers only a part of the message\""),
            (
                signature(State::Invalid(Why::Mismatch), alice),
                "x-pgp=fail reason=\"the signature is invalid: the octets are not those that were signed\"",
            ),
            (
                signature(State::Unknown(Why::NoKey), &[]),
                "x-pgp=permerror reason=\"signed by ABCD, which is not here\"",
            ),
        ] {
            assert!(of(one).contains(words), "{words}");
        }
    }

    #[test]
    fn a_signature_around_a_ciphertext_passes_nothing() {
        let cipher = LayerKind::Encrypted {
            cipher: "aes256".to_owned(),
            authenticated: true,
            recipients: Vec::new(),
            quantum_safe: false,
        };
        let encrypted = Layer { protocol: ProtocolName::Pgp, kind: cipher, span: Span::default() };
        let outer = signed(ProtocolName::Pgp, signature(valid(), &["alice@example.org"]));
        let said = field("mx", &verdict(vec![outer, encrypted]), Examined::Whole);
        assert!(
            said.contains(
                "x-pgp=policy reason=\"the signature is around a ciphertext, and covers nothing of what is in it\""
            ),
            "{said}"
        );
    }

    #[test]
    fn nothing_signed_and_nothing_examined_are_two_things() {
        let none = verdict(Vec::new());
        assert_eq!(
            field("mx", &none, Examined::Whole),
            "Authentication-Results: mx;\n\tsmime=none; x-pgp=none; x-pem=none"
        );
        let malformed = Error::malformed("x", "y");
        assert_eq!(field("mx", &none, Examined::Stopped(&malformed)), "Authentication-Results: mx; none");
        let [no_key, changed] = [Error::no_key("x"), malformed.within_encryption()]
            .map(|error| field("mx", &none, Examined::Stopped(&error)));
        assert_eq!(no_key, format!("Authentication-Results: mx{SEALED}"));
        assert_eq!(no_key, changed);
    }

    #[test]
    fn a_strangers_words_stay_within_their_quotes() {
        let evil = Why::Malformed("x\"; smime=pass\r\nX: y\u{e9}\\".to_owned());
        let said = field(
            "mx",
            &verdict(vec![signed(ProtocolName::Pgp, signature(State::Invalid(evil), &[]))]),
            Examined::Whole,
        );
        assert!(said.contains("x\\\", smime=pass??X: y?\\\\\""), "{said}");
    }
}
