//! Decides which Authentication-Results fields to remove (RFC 8601, sections 2.2 and 5), so that no field from outside
//! is taken for one of ours or of a trusted host.
//!
//! A field is kept if its authserv-id is listed and written in a form that all readers parse alike. All others are
//! removed: readers drop comments, white space, quotes, escapes and control characters in different ways, and no list
//! of spellings could cover them all. ARC-Authentication-Results (RFC 8617, section 4.1.1) is a different field and is
//! kept: it means nothing without its ARC-Seal, and removing it would break the chain.

use crate::mail::{Address, header::Field};

/// The authserv-ids whose fields are trusted.
#[derive(Clone, Copy, Debug)]
pub struct Believed<'a> {
    /// The authserv-id of this machine. Fields with it are always removed, because only this machine writes it.
    pub own: &'a str,
    /// The authserv-ids of hosts whose fields are kept.
    pub hosts: &'a [String],
}

impl Believed<'_> {
    /// Whether to remove `field`: it, or a part of it, may be taken for an Authentication-Results field, and it is not
    /// clearly one of a listed host.
    pub fn removes(&self, field: &Field<'_>) -> bool {
        let mut named = field.readings().filter(|(name, _)| name == NAME);
        named.next().is_some() && !self.is_listed(field)
    }

    fn is_listed(&self, field: &Field<'_>) -> bool {
        let is_named = field.is(NAME) && field.raw.get(NAME.len()) == Some(&b':');
        let is_plain = is_named && field.readings().count() == 1;
        let claimed = Some(field.value).filter(|_| is_plain).and_then(authserv_id);
        claimed
            .is_some_and(|claimed| !is_same(claimed, self.own) && self.hosts.iter().any(|host| is_same(claimed, host)))
    }
}

/// Whether two names are the same host, ignoring case, a trailing dot and the IDNA form.
pub fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let name = name.trim().trim_end_matches('.').to_lowercase();
        Address::parse(&format!("x@{name}")).map_or(name, |address| address.domain().to_owned())
    };
    plain(one) == plain(other)
}

/// The authserv-id if all readers find the same: a token of letters, digits, hyphens, underscores and dots, optionally
/// followed by a comment and the version 1, then a semicolon or the end. The rest of the field must be printable ASCII
/// or folding.
fn authserv_id(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?;
    let mut unfolded = String::with_capacity(value.len());
    let lines: Vec<&str> = value.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let is_blank = |line: &&str| line.trim_matches([' ', '\t']).is_empty();
    // A line of only white space ends the header for some readers. The value may begin on the second line.
    if lines.iter().skip(1).any(is_blank) {
        return None;
    }
    lines.iter().for_each(|line| unfolded.push_str(line));
    if !unfolded.bytes().all(|octet| octet.is_ascii_graphic() || matches!(octet, b' ' | b'\t')) {
        return None;
    }
    let is_blank = |c: char| c == ' ' || c == '\t' || c == '\r' || c == '\n';
    let value = value.trim_start_matches(is_blank);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(value.len());
    let (claimed, rest) = value.split_at_checked(end)?;
    let mut rest = rest.trim_start_matches(is_blank);
    if let Some(comment) = rest.strip_prefix('(') {
        let (words, after) = comment.split_once(')')?;
        if words.contains(['(', '\\', '"', ';']) {
            return None;
        }
        rest = after.trim_start_matches(is_blank);
    }
    // RFC 8601, section 2.2: the only version is 1.
    let rest = rest.strip_prefix('1').map_or(rest, |after| after.trim_start_matches(is_blank));
    (!claimed.is_empty() && (rest.is_empty() || rest.starts_with(';'))).then_some(claimed)
}

/// In the form of [`Field::readings`].
const NAME: &str = "authentication-results";

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    /// The authserv-id for a reader that drops comments, white space, quotes, escapes, control characters and
    /// everything that is not ASCII.
    fn lenient(value: &str) -> String {
        let (mut depth, mut is_escaped, mut claimed) = (0_usize, false, String::new());
        for c in value.chars().filter(char::is_ascii_graphic) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = depth > 0,
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => break,
                '"' => {}
                _ if depth == 0 => claimed.push(c.to_ascii_lowercase()),
                _ => {}
            }
        }
        let claimed = claimed.strip_suffix('1').unwrap_or(&claimed);
        claimed.trim_end_matches(['/', '.']).to_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// However our name is composed, no field is kept in which a lenient reader finds it.
        #[test]
        fn no_field_stays_that_a_lenient_reader_takes_for_ours(
            parts in vec(select(vec!["", " ", "(x)", "(a (b))", "\"", "\\", "\0", "\r\n ", "\t", ".", "\u{e9}", "\u{200b}"]), 8),
            name in select(vec!["mx.example.org", "MX.Example.ORG", "dkim.example.org"]),
            end in select(vec!["; dkim=pass", " 1; dkim=pass", "", "/1; x", "\rX: y", " (", "("]),
        ) {
            let labels: Vec<&str> = name.split('.').collect();
            let pieces = [parts[0], labels[0], parts[1], ".", parts[2], labels[1], parts[3], ".", parts[4], labels[2], parts[5], end];
            let value = pieces.concat();
            let stays = !claim(&value);
            prop_assert!(!(stays && lenient(&value) == "mx.example.org"), "{value:?}");
        }
    }

    /// Whether every field of this header is removed.
    fn goes(header: &[u8]) -> bool {
        let octets = [header, b"\r\n\r\n"].concat();
        let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
        let hosts = ["dkim.example.org".to_owned(), "mx.xn--bcher-kva.example".to_owned()];
        let believed = Believed { own: "mx.Example.org", hosts: &hosts };
        message.root().fields().all(|field| believed.removes(&field))
    }

    fn claim(value: &str) -> bool {
        goes(format!("Authentication-Results:{value}").as_bytes())
    }

    #[test]
    fn fields_of_listed_hosts_stay() {
        for listed in [
            " dkim.example.org; dkim=pass",
            "dkim.example.org;dkim=pass",
            " DKIM.example.org.; dkim=pass",
            " dkim.example.org 1; dkim=pass",
            " dkim.example.org (amavisd-new); dkim=pass",
            " dkim.example.org;\r\n\tdkim=pass (2048-bit key) header.d=bank.example header.i=@bank.example header.b=\"a\\\"b\"",
            "\r\n\tdkim.example.org;\r\n\t dkim=pass",
            " mx.XN--BCHER-KVA.example; dkim=pass",
            " dkim.example.org",
        ] {
            assert!(!claim(listed), "{listed:?}");
        }
    }

    #[test]
    fn fields_of_other_hosts_are_removed() {
        for other in [
            " mx.example.org; dkim=pass",
            " other.example; dkim=pass",
            " mx . example . org; dkim=pass",
            " mx.(x)example.org; dkim=pass",
            " \"mx\".\"example\".\"org\"; dkim=pass",
            " \"mx.exam\\ple.org\"; dkim=pass",
            " =?utf-8?q?mx=2Eexample=2Eorg?=; dkim=pass",
            " mx.\0example.org; dkim=pass",
            " m\u{443}.example.org; dkim=pass",
            " (never ends dkim.example.org; dkim=pass",
            " spf=pass smtp.mailfrom=dkim.example.org",
            "",
        ] {
            assert!(claim(other), "{other:?}");
        }
    }

    /// Changes to the name of a listed host that some reader may take for another.
    #[test]
    fn a_listed_host_in_an_odd_spelling_goes() {
        for odd in [
            " dkim.example.org/1; dkim=pass",
            " dkim.example.org 2; dkim=pass",
            " dkim.example.org 1 x; dkim=pass",
            " dkim.example.org mx.example.org; dkim=pass",
            " (x) dkim.example.org; dkim=pass",
            " dkim.example.org (a (b)); dkim=pass",
            " dkim.example.org (a\\); dkim=pass",
            " dkim.example.org (mx.example.org; dkim=pass)",
            " \"dkim.example.org\"; dkim=pass",
            " dkim. example.org; dkim=pass",
            " dkim.example.org\r\n \r\n\t; dkim=pass",
            " dkim.example.org;\rAuthentication-Results: mx.example.org; dkim=pass",
            " dkim.example.org; dkim=pass \u{85}",
            " dkim.example.org; dkim=pass \0",
            " dkim.\r\n example.org; dkim=pass",
        ] {
            assert!(claim(odd), "{odd:?}");
        }
    }

    #[test]
    fn fields_that_hide_one_go() {
        assert!(goes(b"X: y\rAuthentication-Results: mx.example.org; dkim=pass"));
        assert!(goes(b"X: y\rauthentication-\0results : dkim.example.org; dkim=pass"));
        assert!(goes(b"Authentication-Results : dkim.example.org; dkim=pass"));
        assert!(goes(b"\x0bAuthentication-Results: mx.example.org; dkim=pass"));
        assert!(!goes(b"X: y\r\n Authentication-Results: mx.example.org; dkim=pass"), "folded");
        assert!(!goes(b"X-Authentication-Results: mx.example.org; dkim=pass"));
        assert!(!goes(b"ARC-Authentication-Results: i=1; mx.example.org; dkim=pass"));
    }
}
