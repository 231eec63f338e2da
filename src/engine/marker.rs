//! The mark on a copy that will come by again: handled already, for these recipients.

use std::collections::HashSet;

use crate::{
    base::Secret,
    crypto::{Hash, hmac},
    mail::{Address, Mail, Part},
};

/// The field's name.
pub(super) const NAME: &str = "X-Postseal-Handled";

/// The field for a mail: a code for each recipient over him and the body, that nobody makes without `secret` (RFC 2104). It does not change
/// when a relay adds fields, writes other line ends, or carries the mail to some of its recipients only; and a recipient who finds it in his
/// copy has no use for it, because it lets nobody else be written to.
pub(super) fn field(mail: &Mail, secret: &Secret) -> String {
    let digest = digest(mail.message.root());
    let codes = mail.envelope.recipients.iter().map(|path| code(&digest, &path.address, secret));
    format!("{NAME}: {}", codes.collect::<Vec<_>>().join("\n "))
}

/// Whether the header holds the mark of this very message for each of its recipients.
pub(super) fn is_on(mail: &Mail, secret: &Secret) -> bool {
    let root = mail.message.root();
    let fields = root.fields().filter(|field| field.is(NAME)).map(|field| field.unfolded());
    // Where a code is looked up by its hash, time tells nothing of how much of a guess is right.
    let codes: HashSet<String> =
        fields.flat_map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    if codes.is_empty() {
        return false;
    }
    let digest = digest(root);
    mail.envelope.recipients.iter().all(|path| codes.contains(&code(&digest, &path.address, secret)))
}

/// Of the body, whatever its line ends and however many end it.
fn digest(root: Part<'_>) -> Vec<u8> {
    let mut digester = Hash::Sha256.digester();
    let body = root.body();
    let end = body.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n')).map_or(0, |last| last + 1);
    for line in body.get(..end).unwrap_or_default().split(|octet| *octet == b'\n') {
        digester.update(line.strip_suffix(b"\r").unwrap_or(line));
        digester.update(b"\n");
    }
    digester.finish()
}

fn code(digest: &[u8], recipient: &Address, secret: &Secret) -> String {
    let recipient = format!("{}@{}", recipient.local().to_ascii_lowercase(), recipient.domain());
    let code = hmac(Hash::Sha256, secret, &[digest, recipient.as_bytes()].concat());
    code.iter().take(CODE).map(|octet| format!("{octet:02x}")).collect()
}

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
            message: Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap(),
        }
    }

    #[test]
    fn a_mark_is_for_one_body_and_one_secret_and_its_recipients() {
        let secret = Secret::from("secret");
        let both = ["a@x.org", "b@x.org"];
        let mark = field(&mail("A: 1\n\none\ntwo", &both), &secret);
        let is_marked = |message: &str, secret: &str, to: &[&str]| is_on(&mail(message, to), &Secret::from(secret));
        let sent = format!("Received: x\r\n{}\r\nA: 1\r\n\r\none\r\ntwo\r\n", mark.replace('\n', "\r\n"));
        assert!(is_marked(&sent, "secret", &both));
        assert!(is_marked(&sent, "secret", &["B@X.org"]));
        assert!(is_marked(&format!("{NAME}: 00\n{mark}\n\none\ntwo\n"), "secret", &both));
        assert!(!is_marked(&sent, "secret", &["a@x.org", "c@x.org"]));
        assert!(!is_marked(&format!("{mark}\n\none\ntwo\nthree"), "secret", &both));
        assert!(!is_marked(&format!("{mark}\n\none\ntwo"), "another", &both));
        assert!(!is_marked(&format!("{NAME}: \n\none\ntwo"), "secret", &both));
        assert!(!is_marked("A: 1\n\none\ntwo", "secret", &both));
    }
}
