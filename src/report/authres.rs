//! Authentication-Results (RFC 8601): a verdict in the words that other programs read, and whose such a field is.

use std::fmt::Write;

use memchr::memchr;

use crate::{
    base::Error,
    mail::{Address, encoding::decode_words, header::Field},
    verdict::{Covers, Layer, LayerKind, Signature, Standing, State, Verdict, Why},
};

/// How much of a message was looked at.
#[derive(Clone, Copy, Debug)]
pub enum Examined<'a> {
    /// Peeling stopped before the payload; why.
    Stopped(&'a Error),
    /// All, and it is delivered so, although it came out of encryption that protects nothing against changes and no valid signature is within.
    Unauthenticated,
    /// All.
    Whole,
}

/// The whole field with its name, folded with `\n`, without the last line break.
///
/// The method is `smime` of RFC 7281; `x-pgp` and `x-pem` say the same of the protocols that have none registered (RFC 8601, section 2.7.6).
/// `pass` is said of a signature that makes the message authentic and of no other. `x-encryption` says that a ciphertext stayed closed, for
/// whatever reason, because a bounce may carry the field back to the sender; or that a plaintext is delivered that nobody authenticated.
pub fn field(authserv_id: &str, verdict: &Verdict, examined: Examined<'_>) -> String {
    let mut field = format!("Authentication-Results: {}", value(authserv_id));
    let mut found = 0;
    let innermost_encrypted = verdict.layers().iter().rposition(is_encrypted);
    for (at, layer) in verdict.layers().iter().enumerate() {
        let LayerKind::Signed { signatures } = &layer.kind else { continue };
        let place =
            if innermost_encrypted.is_some_and(|encrypted| at < encrypted) { Place::Around } else { Place::Within };
        for signature in signatures {
            found += 1;
            result(&mut field, layer.protocol.name(), &judge(signature, place, verdict), signature);
        }
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

/// Whether `field` is an Authentication-Results field that claims to come from `authserv_id`, or that some reader may take for one that
/// does: in any case, quoted, with comments, as an encoded word, with a trailing dot, of whatever version (RFC 8601, sections 2.2 and 5).
///
/// A reader may end lines at a lone CR, and drop what belongs in no name: then the field may hide in another.
pub fn is_from(field: &Field<'_>, authserv_id: &str) -> bool {
    if field.is(NAME) {
        return is_by(&field.unfolded(), authserv_id);
    }
    let lines = field.raw.split(|octet| matches!(octet, b'\r' | b'\n')).enumerate();
    let mut lines = lines.filter(|(at, line)| *at == 0 || !line.starts_with(b" ") && !line.starts_with(b"\t"));
    lines.any(|(_, line)| {
        let Some(colon) = memchr(b':', line) else { return false };
        let (name, value) = line.split_at_checked(colon + 1).unwrap_or_default();
        let name = name.iter().filter(|octet| octet.is_ascii_graphic() && **octet != b':').map(u8::to_ascii_lowercase);
        name.eq(NAME.bytes().map(|octet| octet.to_ascii_lowercase()))
            && is_by(&String::from_utf8_lossy(value), authserv_id)
    })
}

fn is_by(value: &str, authserv_id: &str) -> bool {
    match claimed(value) {
        Some(claimed) => is_same(&claimed, authserv_id) || is_same(&decode_words(&claimed), authserv_id),
        // Nobody knows what others make of it: it goes when it names us before its first result.
        None => {
            let start = value.split(';').next().unwrap_or_default().to_ascii_lowercase();
            start.contains(&authserv_id.trim_end_matches('.').to_ascii_lowercase())
        }
    }
}

/// What is said of one signature: the result of RFC 7281, section 3.1, and the reason.
struct Result {
    word: &'static str,
    reason: Option<String>,
}

/// Where a signature stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Around a ciphertext: it says nothing of what is within.
    Around,
    /// Around the payload.
    Within,
}

fn judge(signature: &Signature, place: Place, verdict: &Verdict) -> Result {
    let because = |word, reason: String| Result { word, reason: Some(reason) };
    match &signature.state {
        State::Invalid(why) => because("fail", why.to_string()),
        State::Unknown(why @ Why::Malformed(_)) => because("neutral", why.to_string()),
        State::Unknown(why) => because("permerror", why.to_string()),
        State::Valid(_) if place == Place::Around => because("policy", "it is around a ciphertext".to_owned()),
        State::Valid(_) if signature.covers == Covers::Part => {
            because("policy", "it covers a part of the message".to_owned())
        }
        State::Valid(_) => match (&signature.reservation, verdict.author()) {
            (Some(why), _) => because("policy", why.to_string()),
            (None, _) if signature.authenticated.is_empty() => {
                because("policy", "nobody vouches for the signer".to_owned())
            }
            (None, Some(author)) if is_signed_by(signature, author) && verdict.standing() == Standing::Authentic => {
                Result { word: "pass", reason: None }
            }
            (None, _) => because("policy", "the signer is not the author".to_owned()),
        },
    }
}

fn is_signed_by(signature: &Signature, author: &Address) -> bool {
    signature.authenticated.iter().any(|one| one.address() == author)
}

fn is_encrypted(layer: &Layer) -> bool {
    matches!(layer.kind, LayerKind::Encrypted { .. })
}

fn result(field: &mut String, protocol: &str, result: &Result, signature: &Signature) {
    // Of the three, S/MIME alone is registered.
    let experimental = if protocol == "smime" { "" } else { "x-" };
    // Writing to a string cannot fail.
    let _ = write!(field, ";\n\t{experimental}{protocol}={}", result.word);
    if let Some(reason) = &result.reason {
        let _ = write!(field, " reason={}", quoted(reason));
    }
    for address in signature.authenticated.iter().map(|one| one.address().to_string()) {
        // Outside of ASCII it would need SMTPUTF8 on the way (RFC 6532); and who does not know quotes would find results within them.
        if address.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b';')) {
            let _ = write!(field, "\n\t body.{experimental}{protocol}-identifier={address}");
        }
    }
    if let Some(signer) = &signature.signer {
        let _ = write!(field, "\n\t body.x-{protocol}-key={}", value(signer));
    }
}

/// The authserv-id as it would be read; `None` when the field does not begin with one.
fn claimed(text: &str) -> Option<String> {
    let rest = past_comments(text)?;
    let Some(mut rest) = rest.strip_prefix('"') else {
        let end = rest.find(|c: char| c.is_whitespace() || ";()/\"\\,<>@:[]".contains(c)).unwrap_or(rest.len());
        let (token, rest) = rest.split_at_checked(end)?;
        // What touches a token belongs to nobody's grammar.
        return (!token.is_empty() && !rest.starts_with(['"', '\\', ',', '<', '>', '@', ':', '[', ']']))
            .then(|| token.to_owned());
    };
    let mut value = String::new();
    loop {
        let c = rest.chars().next()?;
        rest = rest.get(c.len_utf8()..)?;
        match c {
            '"' => return Some(value.trim().to_owned()),
            '\\' => {
                let quoted = rest.chars().next()?;
                rest = rest.get(quoted.len_utf8()..)?;
                value.push(quoted);
            }
            _ => value.push(c),
        }
    }
}

/// What follows white space and comments (CFWS of RFC 5322, section 3.2.2); `None` when a comment does not end.
fn past_comments(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            '\\' if depth > 0 => drop(characters.next()),
            _ if depth > 0 || c.is_whitespace() => {}
            _ => return text.get(at..),
        }
    }
    None
}

/// Whether two names are one host: in any case, with a trailing dot or not, in either IDNA form.
fn is_same(claimed: &str, own: &str) -> bool {
    let plain = |name: &str| {
        let name = name.trim().trim_end_matches('.').to_lowercase();
        Address::parse(&format!("x@{name}")).map_or(name, |address| address.domain().to_owned())
    };
    plain(claimed) == plain(own)
}

/// A `value` of RFC 2045, section 5.1: a token, or else a quoted string.
fn value(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c);
    if !text.is_empty() && text.chars().all(is_token) { text.to_owned() } else { quoted(text) }
}

/// A quoted string of printable ASCII; a stranger's words may be in it, and nothing that ends a result for those who do not know quotes.
fn quoted(text: &str) -> String {
    let shown = |c: char| match c {
        ';' => ',',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    };
    let text: String = text.chars().take(LONGEST_REASON).map(shown).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Said of every ciphertext that stayed closed.
const SEALED: &str = ";\n\tx-encryption=neutral\n\t reason=\"left sealed: no key here opens it, it is damaged, or it is not authenticated\"";

/// Said of a plaintext that anybody may have made.
const UNAUTHENTICATED: &str =
    ";\n\tx-encryption=policy\n\t reason=\"not authenticated: anybody on the way may have changed the text\"";

const NAME: &str = "Authentication-Results";

/// In characters. Source: with what stands around it a line stays under the 998 of RFC 5322, section 2.1.1, whatever is escaped.
const LONGEST_REASON: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        crypto::{Legacy, Strength},
        keys::{Binding, Encoded, Handle, ProtocolName, Record},
        mail::{Message, Span},
        verdict::Matches,
    };

    fn claims(value: &str) -> bool {
        let octets = format!("Authentication-Results:{value}\r\n\r\n");
        let message = Message::parse(octets.into(), &mut Budget::new(Limits::default())).unwrap();
        message.root().fields().any(|field| is_from(&field, "mx.Example.org"))
    }

    #[test]
    fn fields_that_claim_to_be_ours_are_known_however_they_are_written() {
        for ours in [
            " mx.example.org; smime=pass",
            "MX.EXAMPLE.ORG; dkim=pass",
            " mx.example.org.; dkim=pass",
            " mx.example.org 1; dkim=pass",
            " mx.example.org 77 (what?); dkim=pass",
            " mx.example.org/1; dkim=pass",
            " (a (nested \\) one)) mx.example.org(x)1; dkim=pass",
            "\r\n\tmx.example.org\r\n\t; dkim=pass",
            " \"mx.example.org\"; dkim=pass",
            " \"mx.exam\\ple.org\"; dkim=pass",
            " \"mx.example.org \"; dkim=pass",
            " =?utf-8?q?mx=2Eexample=2Eorg?=; dkim=pass",
            " mx.example.org",
            " (never ends mx.example.org; dkim=pass",
            " <mx.example.org>; dkim=pass",
            " \"mx.example.org; dkim=pass",
        ] {
            assert!(claims(ours), "{ours:?}");
        }
    }

    #[test]
    fn fields_that_hide_one_are_known() {
        let hides = |header: &str| {
            let octets = format!("{header}\r\n\r\n");
            let message = Message::parse(octets.into(), &mut Budget::new(Limits::default())).unwrap();
            message.root().fields().any(|field| is_from(&field, "mx.example.org"))
        };
        assert!(hides("X: y\rAuthentication-Results: mx.example.org; dkim=pass"));
        assert!(hides("X: y\rauthentication-\0results : mx.example.org; dkim=pass"));
        assert!(!hides("X: y\r\n Authentication-Results: mx.example.org; dkim=pass"), "folded");
        assert!(!hides("X: y\rAuthentication-Results: other.example; dkim=pass"));
        assert!(!hides("Authentication-Results: other.example\r\n\t; dkim=pass (mx.example.org)"));
    }

    /// The examples of RFC 8601, appendix B, and what only looks like ours.
    #[test]
    fn fields_of_others_stay() {
        for others in [
            " example.org 1; none",
            " example.com; spf=pass smtp.mailfrom=example.net",
            " example.com; auth=pass (cram-md5) smtp.auth=sender@mx.example.org; spf=pass smtp.mailfrom=example.net",
            " foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . \
             (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462",
            " notmx.example.org; dkim=pass",
            " mx.example.org.evil.net; dkim=pass",
            " (mx.example.org) other.example; dkim=pass",
            " spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=mx.example.org; dkim=none",
        ] {
            assert!(!claims(others), "{others:?}");
        }
        let message = Message::parse(
            b"X-Authentication-Results: mx.example.org; dkim=pass\n\n".to_vec(),
            &mut Budget::new(Limits::default()),
        );
        assert!(!message.unwrap().root().fields().any(|field| is_from(&field, "mx.example.org")));
    }

    #[test]
    fn an_internationalized_name_is_known_in_both_forms() {
        let message = Message::parse(
            "Authentication-Results: mx.bücher.example; dkim=pass\n\n".into(),
            &mut Budget::new(Limits::default()),
        );
        assert!(message.unwrap().root().fields().any(|field| is_from(&field, "mx.xn--bcher-kva.example")));
    }

    fn signature(state: State, authenticated: &[&str]) -> Signature {
        let bindings = authenticated.iter().map(|one| Binding::Address(Address::parse(one).unwrap())).collect();
        let record = Record {
            protocol: ProtocolName::Pgp,
            fingerprint: Handle::parse("AAAAAAAAAAAAAAAA").unwrap(),
            handles: Vec::new(),
            claimed: Vec::new(),
            bindings,
            bytes: Encoded::default(),
            secrets: Vec::new(),
            capabilities: None,
        };
        Signature {
            state,
            reservation: None,
            signer: Some("ABCD".to_owned()),
            authenticated: record.authenticate(&[]),
            covers: Covers::Whole,
            at: None,
            algorithms: "ed25519-sha512".to_owned(),
            strength: Strength::Strong,
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
        Verdict::new(Address::parse("alice@example.org").ok(), layers, Vec::new(), Legacy::Refuse)
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
            (signature(valid(), &["eve@example.org"]), "x-pgp=policy reason=\"the signer is not the author\""),
            (signature(valid(), &[]), "x-pgp=policy reason=\"nobody vouches for the signer\""),
            (weak, "x-pgp=policy reason=\"sha1 is weak\""),
            (part, "x-pgp=policy reason=\"it covers a part of the message\""),
            (
                signature(State::Invalid(Why::Mismatch), alice),
                "x-pgp=fail reason=\"the octets are not those that were signed\"",
            ),
            (signature(State::Unknown(Why::NoKey), &[]), "x-pgp=permerror reason=\"the signing key is not here\""),
        ] {
            assert!(of(one).contains(words), "{words}");
        }
    }

    #[test]
    fn a_signature_around_a_ciphertext_passes_nothing() {
        let cipher = LayerKind::Encrypted { cipher: "aes256".to_owned(), authenticated: true, recipients: Vec::new() };
        let encrypted = Layer { protocol: ProtocolName::Pgp, kind: cipher, span: Span::default() };
        let outer = signed(ProtocolName::Pgp, signature(valid(), &["alice@example.org"]));
        let said = field("mx", &verdict(vec![outer, encrypted]), Examined::Whole);
        assert!(said.contains("x-pgp=policy reason=\"it is around a ciphertext\""), "{said}");
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
