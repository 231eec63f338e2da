//! The mark on a copy that will come by again: handled already, for these recipients.

use std::collections::HashSet;

use crate::{
    base::{Secret, hex},
    crypto::{Hash, hmac},
    mail::{Address, Mail, Part},
    report::authserv::Believed,
};

/// The field's name.
pub(super) const NAME: &str = "X-Postseal-Handled";

/// The field for a mail: a code for each recipient over that address, the body and the header fields that count, that nobody makes without
/// `secret` (RFC 2104). It does not change when a relay adds other fields, folds them otherwise, writes other line ends, or carries the mail
/// to some of its recipients only.
pub(super) fn field(mail: &Mail, secret: &Secret, believed: Believed<'_>) -> String {
    let digest = digest(mail.message.root(), believed, &[]);
    let codes = mail.envelope.recipients.iter().map(|path| code(&digest, &path.address, secret));
    format!("{NAME}: {}", codes.collect::<Vec<_>>().join("\n "))
}

/// Whether the header holds the mark of this very message for each of its recipients.
pub(super) fn is_on(mail: &Mail, secret: &Secret, believed: Believed<'_>) -> bool {
    let root = mail.message.root();
    let fields = root.fields().filter(|field| field.is(NAME)).map(|field| field.unfolded());
    // Where a code is looked up by its hash, time tells nothing of how much of a guess is right.
    let codes: HashSet<String> =
        fields.flat_map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    if codes.is_empty() {
        return false;
    }
    ADDED.iter().any(|added| {
        let digest = digest(root, believed, added);
        mail.envelope.recipients.iter().all(|path| codes.contains(&code(&digest, &path.address, secret)))
    })
}

/// Of the body, whatever its line ends and however many end it, and of the header fields that count, but for those called `added`.
fn digest(root: Part<'_>, believed: Believed<'_>, added: &[&str]) -> Vec<u8> {
    let mut digester = Hash::Sha256.digester();
    let body = root.body();
    let end = body.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n')).map_or(0, |last| last + 1);
    for line in body.get(..end).unwrap_or_default().split(|octet| *octet == b'\n') {
        digester.update(line.strip_suffix(b"\r").unwrap_or(line));
        digester.update(b"\n");
    }
    let mut whole = Hash::Sha256.digester();
    whole.update(&digester.finish());
    whole.update(&counting(root, believed, added));
    whole.finish()
}

/// The fields that count as any reader may find them, sorted by their names, each on a line of its own and with single spaces.
fn counting(root: Part<'_>, believed: Believed<'_>, added: &[&str]) -> Vec<u8> {
    let mut lines: Vec<(String, Vec<u8>)> = Vec::new();
    for field in root.fields().filter(|field| !field.raw.starts_with(b"From ")) {
        let is_claim = believed.removes(&field);
        for (name, value) in field.readings() {
            let counts =
                COUNTING.contains(&name.as_str()) || name.starts_with("content-") || name.starts_with("resent-");
            if (counts || is_claim || name.is_empty()) && !added.contains(&name.as_str()) {
                let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                lines.push((name, words.collect::<Vec<_>>().join(&b' ')));
            }
        }
    }
    // Relays move fields, but not two of one name past each other.
    lines.sort_by(|(one, _), (other, _)| one.cmp(other));
    lines.into_iter().flat_map(|(name, value)| [name.as_bytes(), b":", &value, b"\n"].concat()).collect()
}

fn code(digest: &[u8], recipient: &Address, secret: &Secret) -> String {
    let recipient = format!("{}@{}", recipient.local().to_ascii_lowercase(), recipient.domain());
    let code = hmac(Hash::Sha256, secret, &[digest, recipient.as_bytes()].concat());
    hex(code.get(..CODE).unwrap_or(&code))
}

/// Field names that say what a reader is shown, beside those that begin with `content-` and `resent-`, lines that are no field, and
/// Authentication-Results of others than the hosts that are believed.
const COUNTING: [&str; 9] = ["cc", "date", "from", "message-id", "mime-version", "reply-to", "sender", "subject", "to"];

/// What a mail server adds to a message that comes without: a mark may have been made before.
const ADDED: [&[&str]; 4] = [&[], &["date"], &["message-id"], &["date", "message-id"]];

/// Octets of a code. Source: the half that RFC 2104, section 5 asks for.
const CODE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::{Envelope, ForwardPath, Message, Submitter},
    };

    fn mail(text: &str, to: &[&str]) -> Mail {
        let path = |to: &&str| ForwardPath { address: Address::parse(to).unwrap(), parameters: Vec::new() };
        Mail {
            envelope: Envelope { recipients: to.iter().map(path).collect(), ..Envelope::default() },
            submitter: Submitter::Unknown,
            client: None,
            message: Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap(),
        }
    }

    const BELIEVED: Believed<'static> = Believed { own: "mx.example.org", hosts: &[] };

    #[test]
    fn a_mark_is_for_one_message_and_one_secret_and_its_recipients() {
        let secret = Secret::from("secret");
        let both = ["a@x.org", "b@x.org"];
        let mark = field(&mail("A: 1\nSubject: one\n two\n\none\ntwo", &both), &secret, BELIEVED);
        let is_marked =
            |message: &str, secret: &str, to: &[&str]| is_on(&mail(message, to), &Secret::from(secret), BELIEVED);
        let sent =
            format!("Received: x\r\n{}\r\nA: 2\r\nSUBJECT:  one two\r\n\r\none\r\ntwo\r\n", mark.replace('\n', "\r\n"));
        assert!(is_marked(&sent, "secret", &both));
        assert!(is_marked(&sent, "secret", &["B@X.org"]));
        assert!(is_marked(&format!("{NAME}: 00\n{mark}\nSubject: one two\n\none\ntwo\n"), "secret", &both));
        assert!(is_marked(&format!("Date: now\r\nMessage-ID: <1@x>\r\n{sent}"), "secret", &both), "added on the way");
        assert!(!is_marked(&sent, "secret", &["a@x.org", "c@x.org"]));
        assert!(!is_marked(&format!("{mark}\nSubject: one two\n\none\ntwo\nthree"), "secret", &both));
        assert!(!is_marked(&format!("{mark}\nSubject: one two\n\none\ntwo"), "another", &both));
        assert!(!is_marked(&format!("{NAME}: \nSubject: one two\n\none\ntwo"), "secret", &both));
        assert!(!is_marked("A: 1\nSubject: one two\n\none\ntwo", "secret", &both));
    }

    #[test]
    fn whatever_a_reader_is_shown_counts() {
        let (secret, to) = (Secret::from("secret"), ["a@x.org"]);
        let header = "From: a@x.org\nDate: today\nMessage-ID: <1@x>\nSubject: hello\nContent-Type: text/plain\n";
        let mark = field(&mail(&format!("{header}\nhello\n"), &to), &secret, BELIEVED);
        let is_marked = |header: &str| is_on(&mail(&format!("{mark}\n{header}\nhello\n"), &to), &secret, BELIEVED);
        assert!(is_marked(header));
        assert!(is_marked(&format!("Received: x\nX-Spam: no\nDKIM-Signature: x\n{header}")));
        for added in [
            "From: ceo@x.org",
            "Sender: x@x.org",
            "To: b@x.org",
            "Cc: b@x.org",
            "Subject: x",
            "Date: x",
            "Message-ID: <2@x>",
            "Reply-To: e@x.org",
            "MIME-Version: 1.0",
            "Content-Type: text/html",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment",
            "Authentication-Results: mx.example.org; dkim=pass",
            "Authentication-Results: evil.example; dkim=pass",
            "X: y\rSubject: x",
            "no field",
            "Resent-From: b@x.org",
            "from : b@x.org",
        ] {
            assert!(!is_marked(&format!("{added}\n{header}")), "{added}");
            assert!(!is_marked(&format!("{header}{added}\n")), "{added}");
        }
        for line in header.lines() {
            assert!(!is_marked(&header.replace(&format!("{line}\n"), "")), "without {line}");
        }
    }
}
