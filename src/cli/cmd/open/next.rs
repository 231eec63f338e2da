//! What to type after `verify`.

use postseal::{
    base::Result,
    engine::Opening,
    pki::{Certificate, Rule},
    report::html::Next,
    verdict::{Reason, Why},
};

use crate::cli::{hint, session::Session};

/// What would make a signature of the author's count, where that is for the reader to decide. What stands in a command comes from the message: it
/// is named only where a shell reads it as one plain word.
pub(super) fn step(opening: &Opening, session: &Session) -> Result<Option<Next>> {
    let verdict = opening.verdict();
    let Some(author) = verdict.author().ok().filter(|author| is_plain(&author.to_string())) else { return Ok(None) };
    Ok(match verdict.reason() {
        Some(Reason::Untrusted { signer: Some(signer), claimed })
            if claimed.contains(author) && session.has_key(&signer)? =>
        {
            Some(Next {
                purpose: "compare the fingerprint with its owner, then".to_owned(),
                command: Some(format!("postseal key trust {signer} {author}")),
                otherwise: None,
            })
        }
        Some(Reason::Unknown { why: Why::NoKey, .. }) => Some(Next {
            purpose: "look for the key".to_owned(),
            command: Some(format!("postseal key find {author}")),
            otherwise: Some("import it: postseal key import FILE".to_owned()),
        }),
        Some(Reason::Invalid(Why::CertificateExpired)) => Some(Next {
            purpose: "if you know when the message came, before the certificate ended, judge it as of then".to_owned(),
            command: Some("postseal verify --at TIME FILE".to_owned()),
            otherwise: None,
        }),
        Some(Reason::Reserved(Why::Path(reason)))
            if reason.ends_with(&Rule::NoIssuer.to_string()) && has_authority(opening) =>
        {
            Some(Next {
                purpose: "if you trust the authority, import its root certificate".to_owned(),
                command: Some("postseal key import --anchor FILE".to_owned()),
                otherwise: None,
            })
        }
        _ => None,
    })
}

/// Whether the message brings a certificate that an authority issued. A self-issued one is its owner's.
fn has_authority(opening: &Opening) -> bool {
    let issued = |certificate: Certificate| !certificate.is_self_issued();
    opening.certificates().iter().any(|der| Certificate::parse(der).is_ok_and(issued))
}

/// [`step`] on a line.
pub(super) fn words(next: &Next) -> String {
    let command = next.command.as_ref().map(|command| format!(": {command}"));
    let otherwise = next.otherwise.as_ref().map(|otherwise| format!(", or {otherwise}"));
    [Some(next.purpose.clone()), command, otherwise].into_iter().flatten().collect()
}

/// What a page names: [`step`], or what else helps. On a terminal, an error has its own hint.
pub(super) fn step_on_page(opening: &Opening, label: &str, session: &Session) -> Result<Option<Next>> {
    if let Some(next) = step(opening, session)? {
        return Ok(Some(next));
    }
    Ok(match opening.verdict().reason() {
        Some(Reason::Untrusted { .. }) if !opening.certificates().is_empty() => Some(Next {
            purpose: "keep the certificate that came with the message, which trusts it for nothing".to_owned(),
            command: Some(format!("postseal verify --save-key {}", quoted(label))),
            otherwise: None,
        }),
        Some(Reason::NotOpened) => {
            let words = opening.error().and_then(|error| error.hint()).map(hint::words);
            words.map(|purpose| Next { purpose, command: None, otherwise: None })
        }
        _ => None,
    })
}

/// Whether a shell takes the text as one word, and a verb as no option.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
    !text.starts_with('-') && text.chars().all(is_plain)
}

/// A file name as one word of a shell.
fn quoted(name: &str) -> String {
    match is_plain(&name.replace('/', "")) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_in_a_command() {
        for plain in ["alice@example.org", "a.b+c_d-e@example.org"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "\"$(reboot)\"@example.org",
            "a;b@example.org",
            "`a`@example.org",
            "a b",
            "-x@example.org",
            "é@example.org",
        ] {
            assert!(!is_plain(other), "{other}");
        }
        for (name, word) in
            [("mail.eml", "mail.eml"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("cur/1:2,S", "'cur/1:2,S'")]
        {
            assert_eq!(quoted(name), word);
        }
    }
}
