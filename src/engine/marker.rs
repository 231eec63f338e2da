//! The mark on a copy that will come by again: handled already.

use crate::{
    base::Secret,
    crypto::{Hash, hmac},
    mail::{Message, Part},
};

/// The field's name.
pub(super) const NAME: &str = "X-Postseal-Handled";

/// The value for `message`: a code over its body that nobody makes without `secret` (RFC 2104), so that no stranger passes for handled. It
/// does not change when a relay adds fields or writes other line ends.
pub(super) fn value(message: &Message, secret: &Secret) -> String {
    let mut digester = Hash::Sha256.digester();
    let body = message.root().body();
    let end = body.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n')).map_or(0, |last| last + 1);
    for line in body.get(..end).unwrap_or_default().split(|octet| *octet == b'\n') {
        digester.update(line.strip_suffix(b"\r").unwrap_or(line));
        digester.update(b"\n");
    }
    hmac(Hash::Sha256, secret, &digester.finish()).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whether the header holds the mark of this very message.
pub(super) fn is_on(root: Part<'_>, message: &Message, secret: &Secret) -> bool {
    let mut marks = root.fields().filter(|field| field.is(NAME)).peekable();
    if marks.peek().is_none() {
        return false;
    }
    let expected = Secret::from(value(message, secret).as_str());
    marks.any(|field| Secret::from(field.unfolded().as_str()) == expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    #[test]
    fn a_mark_is_for_one_body_and_one_secret() {
        let secret = Secret::from("secret");
        let mark = value(&parse("A: 1\n\none\ntwo"), &secret);
        let is_marked = |message: &str, secret: &str| {
            let message = parse(message);
            is_on(message.root(), &message, &Secret::from(secret))
        };
        assert!(is_marked(&format!("Received: x\r\n{NAME}: {mark}\r\nA: 1\r\n\r\none\r\ntwo\r\n"), "secret"));
        assert!(is_marked(&format!("{NAME}: 00\n{NAME}: {mark}\n\none\ntwo\n"), "secret"));
        assert!(!is_marked(&format!("{NAME}: {mark}\n\none\ntwo\nthree"), "secret"));
        assert!(!is_marked(&format!("{NAME}: {mark}\n\none\ntwo"), "another"));
        assert!(!is_marked(&format!("{NAME}: \n\none\ntwo"), "secret"));
        assert!(!is_marked("A: 1\n\none\ntwo", "secret"));
    }
}
