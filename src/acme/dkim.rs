//! Whether a host that is trusted says that DKIM signs what counts in a challenge mail (RFC 8823, section 3.1, item 6).
//!
//! The signature itself is verified by that host, which says so in Authentication-Results (RFC 8601). Which fields it covers is read from the signatures here.

use crate::{
    mail::{
        Part,
        header::{Field, times_read},
    },
    report::authserv::Believed,
};

/// Whether the first Authentication-Results field of one of `hosts` has a valid signature of `domain`, and each signature of `domain` covers what counts.
///
/// # Errors
///
/// Why not.
pub(super) fn passes(root: Part<'_>, hosts: &[String], domain: &str) -> Result<(), String> {
    if hosts.is_empty() {
        return Err("no host is trusted to verify DKIM, and it has no S/MIME signature that counts".to_owned());
    }
    let believed = Believed { own: "", hosts };
    let result = root.fields().find(|field| field.is("authentication-results") && !believed.removes(field));
    let result = result.ok_or("no Authentication-Results of a host that is trusted")?;
    if !results(&result.unfolded()).any(|result| is_pass(&result, domain)) {
        return Err(format!("Authentication-Results have no dkim=pass of {domain}"));
    }
    let own = root.fields().filter(|field| field.is("dkim-signature") && is_of(field, domain));
    let mut signatures = 0;
    for signature in own {
        signatures += 1;
        let signed = tag(&signature.unfolded(), "h").unwrap_or_default().to_ascii_lowercase();
        let signed: Vec<&str> = signed.split(':').map(str::trim).collect();
        // A field that is not there needs no cover: one that is added later is not covered either.
        let open = COVERED.iter().find(|name| times_read(root, name) > 0 && !signed.contains(name));
        if let Some(open) = open {
            return Err(format!("the DKIM signature of {domain} does not cover {open}"));
        }
    }
    match signatures {
        0 => Err(format!("no DKIM signature of {domain}")),
        _ => Ok(()),
    }
}

/// The fields that a signature has to cover.
const COVERED: [&str; 13] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "in-reply-to",
    "references",
    "message-id",
    "auto-submitted",
    "content-type",
    "content-transfer-encoding",
];

/// The results in a field (`resinfo`), without comments. What is in quotes is kept out: no domain is written so.
fn results(value: &str) -> impl Iterator<Item = String> {
    let (mut plain, mut depth, mut is_quoted, mut is_escaped) = (String::new(), 0_usize, false, false);
    for c in value.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted || depth > 0 => is_escaped = true,
            '"' if depth == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.saturating_sub(1),
            _ if is_quoted || depth > 0 => {}
            _ => plain.push(c.to_ascii_lowercase()),
        }
    }
    let results: Vec<String> = plain.split(';').skip(1).map(str::to_owned).collect();
    results.into_iter()
}

fn is_pass(result: &str, domain: &str) -> bool {
    let mut words = result.split_ascii_whitespace();
    words.next() == Some("dkim=pass")
        && words.any(|word| word.strip_prefix("header.d=").is_some_and(|d| is_same(d, domain)))
}

fn is_of(signature: &Field<'_>, domain: &str) -> bool {
    tag(&signature.unfolded(), "d").is_some_and(|signer| is_same(&signer, domain))
}

fn is_same(one: &str, domain: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(domain)
}

/// The value of a tag (RFC 6376, section 3.2), if there is exactly one.
fn tag(value: &str, name: &str) -> Option<String> {
    let mut values = value.split(';').filter_map(|tag| tag.split_once('=')).filter(|(known, _)| known.trim() == name);
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.chars().filter(|c| !c.is_whitespace()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn verdict(header: &str) -> Result<(), String> {
        let octets = format!("{header}\r\nFrom: acme@ca.example\r\nSubject: ACME: x\r\n\r\nx\r\n").into_bytes();
        let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
        passes(message.root(), &["mx.example.org".to_owned()], "ca.example")
    }

    const SIGNATURE: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=ca.example; s=k;\r\n h=from:Subject: to; bh=x; b=y";

    #[test]
    fn a_trusted_host_says_so() {
        for result in [
            "mx.example.org; dkim=pass header.d=ca.example",
            "mx.example.org; spf=pass smtp.mailfrom=x; dkim=pass (2048-bit key)\r\n header.d=CA.example header.i=@ca.example header.b=abc",
            "mx.example.org; dkim=pass reason=\"a ; b\" header.d=ca.example",
        ] {
            assert_eq!(verdict(&format!("Authentication-Results: {result}\r\n{SIGNATURE}")), Ok(()), "{result}");
        }
        for result in [
            "mx.example.org; dkim=fail header.d=ca.example",
            "mx.example.org; dkim=none",
            "mx.example.org; dkim=pass header.d=evil.example",
            "mx.example.org; dkim=pass header.d=evil.example header.i=@ca.example",
            "mx.example.org; dkim=pass (header.d=ca.example) header.d=evil.example",
            "mx.example.org; dkim=pass reason=\" header.d=ca.example\" header.d=evil.example",
            "mx.example.org; spf=pass smtp.mailfrom=ca.example",
            "other.example; dkim=pass header.d=ca.example",
            "(mx.example.org) other.example; dkim=pass header.d=ca.example",
        ] {
            assert!(verdict(&format!("Authentication-Results: {result}\r\n{SIGNATURE}")).is_err(), "{result}");
        }
    }

    #[test]
    fn the_first_field_decides() {
        let pass = "Authentication-Results: mx.example.org; dkim=pass header.d=ca.example";
        let fail = "Authentication-Results: mx.example.org; dkim=fail header.d=ca.example";
        assert!(verdict(&format!("{fail}\r\n{pass}\r\n{SIGNATURE}")).is_err());
        assert!(verdict(&format!("{pass}\r\n{fail}\r\n{SIGNATURE}")).is_ok());
    }

    #[test]
    fn every_signature_covers_what_is_there() {
        let pass = "Authentication-Results: mx.example.org; dkim=pass header.d=ca.example";
        for (signature, why) in [
            ("", "no DKIM signature"),
            ("DKIM-Signature: d=evil.example; h=from:subject", "no DKIM signature"),
            ("DKIM-Signature: d=ca.example; h=from", "does not cover subject"),
            (&format!("{SIGNATURE}\r\nDKIM-Signature: d=ca.example; h=from"), "does not cover subject"),
            (&format!("Reply-To: eve@evil.example\r\n{SIGNATURE}"), "does not cover reply-to"),
            (&format!("{SIGNATURE}; h=from"), "does not cover from"),
        ] {
            let error = verdict(&format!("{pass}\r\n{signature}")).unwrap_err();
            assert!(error.contains(why), "{signature}: {error}");
        }
    }
}
