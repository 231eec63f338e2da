//! Name constraints: which names the certificates below an authority may have (RFC 5280, sections 4.2.1.10 and 7).

use std::{fmt, net::IpAddr};

use super::{Certificate, extensions::NameConstraints, general_name::GeneralName};
use crate::{
    base::{Budget, Result},
    mail::Address,
};

/// The first name of `certificate` that one of `constraints` forbids, and how; each constraint holds by itself, so that permitted subtrees
/// intersect and excluded ones add up. An error means that the Budget is spent.
pub(super) fn violation(
    certificate: &Certificate,
    constraints: &[&NameConstraints],
    budget: &mut Budget,
) -> Result<Option<String>> {
    if constraints.is_empty() {
        return Ok(None);
    }
    for name in names(certificate) {
        for constraint in constraints {
            if let Some(how) = forbidden(&name, constraint, budget)? {
                return Ok(Some(format!("{name} {how}")));
            }
        }
    }
    Ok(None)
}

/// Every name that constraints apply to. The emailAddress attributes of the subject count whenever they are taken for mailboxes.
fn names(certificate: &Certificate) -> Vec<GeneralName> {
    let mut names = Vec::new();
    if !certificate.subject().is_empty() {
        names.push(GeneralName::Directory(certificate.subject().clone()));
    }
    names.extend(certificate.extensions().subject_names.iter().flatten().cloned());
    if !names.iter().any(|name| matches!(name, GeneralName::Mailbox(_) | GeneralName::Utf8Mailbox(_))) {
        names.extend(certificate.subject().email_addresses().into_iter().map(GeneralName::Mailbox));
    }
    names
}

fn forbidden(name: &GeneralName, constraints: &NameConstraints, budget: &mut Budget) -> Result<Option<&'static str>> {
    let octets = octets(name);
    let mut permitted = Fits::Other;
    for tree in &constraints.permitted {
        budget.name_comparison(octets)?;
        match fits(name, tree) {
            Fits::Yes => {
                permitted = Fits::Yes;
                break;
            }
            Fits::No | Fits::Unclear => permitted = Fits::No,
            Fits::Other => {}
        }
    }
    if permitted == Fits::No {
        return Ok(Some("is in no permitted subtree"));
    }
    for tree in &constraints.excluded {
        budget.name_comparison(octets)?;
        match fits(name, tree) {
            Fits::Yes => return Ok(Some("is in an excluded subtree")),
            Fits::Unclear => return Ok(Some("cannot be compared with an excluded subtree")),
            Fits::No | Fits::Other => {}
        }
    }
    Ok(None)
}

/// How long a name is.
fn octets(name: &GeneralName) -> usize {
    match name {
        GeneralName::Directory(name) => name.normal().len(),
        GeneralName::Dns(text)
        | GeneralName::Mailbox(text)
        | GeneralName::Utf8Mailbox(text)
        | GeneralName::Uri(text) => text.len(),
        GeneralName::Ip(octets) | GeneralName::Other(_, octets) => octets.len(),
    }
}

/// Whether a name is in a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    No,
    /// The subtree is of another form of names and does not apply.
    Other,
    /// Both are of one form, but one of them is malformed, or the form is not supported: never permitted, always excluded.
    Unclear,
    Yes,
}

impl Fits {
    fn of(fits: Option<bool>) -> Fits {
        match fits {
            Some(true) => Fits::Yes,
            Some(false) => Fits::No,
            None => Fits::Unclear,
        }
    }
}

fn fits(name: &GeneralName, tree: &GeneralName) -> Fits {
    match (name, tree) {
        (GeneralName::Directory(name), GeneralName::Directory(base)) => Fits::of(Some(name.is_within(base))),
        (GeneralName::Dns(name), GeneralName::Dns(base)) => Fits::of(Some(is_below(name, base))),
        (GeneralName::Ip(address), GeneralName::Ip(subnet)) => Fits::of(is_in(address, subnet)),
        // RFC 9598, section 6: both forms name mailboxes of one kind, and constraints on rfc822Name hold for both.
        (
            GeneralName::Mailbox(name) | GeneralName::Utf8Mailbox(name),
            GeneralName::Mailbox(base) | GeneralName::Utf8Mailbox(base),
        ) => Fits::of(mailbox_fits(name, base)),
        (GeneralName::Uri(uri), GeneralName::Uri(base)) => Fits::of(host(uri).map(|host| host_fits(&host, base))),
        (GeneralName::Other(tag, kind), GeneralName::Other(base, base_kind)) if (tag, kind) == (base, base_kind) => {
            Fits::Unclear
        }
        _ => Fits::Other,
    }
}

/// Any number of labels may stand before `base`. RFC 9549, section 2.2: both are in A-labels, and compared as those.
fn is_below(name: &str, base: &str) -> bool {
    let base = base.strip_prefix('.').unwrap_or(base).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    base.is_empty() || name.strip_suffix(&base).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A base that begins with a period is of all hosts below, any other is one host.
fn host_fits(host: &str, base: &str) -> bool {
    match base.strip_prefix('.') {
        Some(domain) => is_below(host, domain) && !host.eq_ignore_ascii_case(domain),
        None => host.eq_ignore_ascii_case(base),
    }
}

/// A mailbox, all mailboxes at a host, or all at hosts below a domain. `None` when either is no mailbox. What is compared is what
/// [`Certificate::mailboxes`] reads, not the text, which could be read in another way.
///
/// RFC 5280, section 7.5 wants equal local parts to be exactly equal; that is too little for what is excluded, since [`Address`] takes mailboxes that
/// differ in case for one. Mailboxes that are equal without regard to case are treated as the same: who controls one is taken to control the other.
fn mailbox_fits(name: &str, base: &str) -> Option<bool> {
    let name = Address::parse(name).ok()?;
    if base.contains('@') {
        return Some(name == Address::parse(base).ok()?);
    }
    Some(base.is_empty() || host_fits(name.domain(), base))
}

/// The octets of an address and of a mask after an address. `None` when the subnet is none.
fn is_in(address: &[u8], subnet: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(subnet.len(), 8 | 32) {
        return None;
    }
    let (base, mask) = subnet.split_at_checked(subnet.len() / 2)?;
    let same = |((address, base), mask): ((&u8, &u8), &u8)| address & mask == base & mask;
    Some(address.len() == base.len() && address.iter().zip(base).zip(mask).all(same))
}

/// The host of a URI with an authority; `None` when there is none, or an IP address, which constraints refuse.
fn host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_name = host.contains(|c: char| c.is_ascii_alphabetic())
        && host.split('.').all(|label| !label.is_empty())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_name.then(|| host.to_ascii_lowercase())
}

impl fmt::Display for GeneralName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeneralName::Directory(name) => write!(f, "\"{name}\""),
            GeneralName::Dns(name) => write!(f, "host {name:?}"),
            GeneralName::Ip(octets) => {
                match (<[u8; 4]>::try_from(octets.as_slice()), <[u8; 16]>::try_from(octets.as_slice())) {
                    (Ok(octets), _) => write!(f, "address {}", IpAddr::from(octets)),
                    (_, Ok(octets)) => write!(f, "address {}", IpAddr::from(octets)),
                    _ => write!(f, "an address of {} octets", octets.len()),
                }
            }
            GeneralName::Mailbox(name) | GeneralName::Utf8Mailbox(name) => write!(f, "mailbox {name:?}"),
            GeneralName::Other(tag, _) => write!(f, "a name with tag {tag:#04x}"),
            GeneralName::Uri(uri) => write!(f, "uri {uri:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str, base: &str) -> Fits {
        fits(&GeneralName::Utf8Mailbox(name.into()), &GeneralName::Mailbox(base.into()))
    }

    fn uri(name: &str, base: &str) -> Fits {
        fits(&GeneralName::Uri(name.into()), &GeneralName::Uri(base.into()))
    }

    fn dns(name: &str, base: &str) -> Fits {
        fits(&GeneralName::Dns(name.into()), &GeneralName::Dns(base.into()))
    }

    /// The examples of RFC 5280, section 4.2.1.10, and of RFC 9598, section 6.
    #[test]
    fn mailboxes() {
        assert_eq!(mailbox("root@example.com", "root@EXAMPLE.com"), Fits::Yes);
        assert_eq!(mailbox("toor@example.com", "root@example.com"), Fits::No);
        assert_eq!(mailbox("a@example.com", "example.com"), Fits::Yes);
        assert_eq!(mailbox("a@host.example.com", "example.com"), Fits::No);
        assert_eq!(mailbox("a@host.example.com", ".Example.com"), Fits::Yes);
        assert_eq!(mailbox("a@example.com", ".example.com"), Fits::No);
        assert_eq!(mailbox("a@notexample.com", ".example.com"), Fits::No);
        assert_eq!(mailbox("\u{8001}\u{5e2b}@xn--bcher-kva.example", "xn--bcher-kva.example"), Fits::Yes);
        assert_eq!(mailbox("a@b\u{fc}cher.example", "xn--bcher-kva.example"), Fits::Yes);
        // What the local part hides is no domain.
        assert_eq!(mailbox("\"a@example.com\"@evil.example", "example.com"), Fits::No);
        assert_eq!(mailbox("a@evil.example(@example.com)", "example.com"), Fits::Unclear);
        assert_eq!(mailbox("example.com", "example.com"), Fits::Unclear);
        assert_eq!(mailbox("a@example.com", "@@"), Fits::Unclear);
    }

    #[test]
    fn hosts_of_uris() {
        assert_eq!(uri("https://user@HOST.example.com:443/x", "host.example.com"), Fits::Yes);
        assert_eq!(uri("https://my.host.example.com", ".example.com"), Fits::Yes);
        assert_eq!(uri("https://example.com", ".example.com"), Fits::No);
        assert_eq!(uri("https://host.example.com.", "example.com"), Fits::No);
        assert_eq!(uri("https://evil.example\\@host.example.com", "host.example.com"), Fits::No);
        for uri_without_host in
            ["mailto:a@example.com", "https://192.0.2.1/", "https://[::1]/", "https:///x", "https://a..b/"]
        {
            assert_eq!(uri(uri_without_host, ".example.com"), Fits::Unclear, "{uri_without_host}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(dns("www.host.example.com", "host.example.com"), Fits::Yes);
        assert_eq!(dns("HOST.example.com.", "host.example.com"), Fits::Yes);
        assert_eq!(dns("host1.example.com", "host.example.com"), Fits::No);
        assert_eq!(dns("xhost.example.com", "host.example.com"), Fits::No);
        assert_eq!(dns("anything", ""), Fits::Yes);
        assert_eq!(mailbox("a@b", ""), Fits::Yes);
    }

    #[test]
    fn subnets() {
        let ip =
            |address: &[u8], subnet: &[u8]| fits(&GeneralName::Ip(address.into()), &GeneralName::Ip(subnet.into()));
        let class_c = [192, 0, 2, 0, 255, 255, 255, 0];
        assert_eq!(ip(&[192, 0, 2, 77], &class_c), Fits::Yes);
        assert_eq!(ip(&[192, 0, 3, 77], &class_c), Fits::No);
        assert_eq!(ip(&[0; 16], &class_c), Fits::No);
        assert_eq!(ip(&[0; 16], &[0; 32]), Fits::Yes);
        assert_eq!(ip(&[192, 0, 2], &class_c), Fits::Unclear);
        assert_eq!(ip(&[192, 0, 2, 1], &class_c[..5]), Fits::Unclear);
    }

    #[test]
    fn permitted_intersect_excluded_add_up_and_other_forms_do_not_matter() {
        let mut budget = Budget::new(crate::base::Limits::default());
        let mailbox = |text: &str| GeneralName::Mailbox(text.into());
        let mut how = |permitted: &[GeneralName], excluded: &[GeneralName]| {
            let constraints = NameConstraints { permitted: permitted.to_vec(), excluded: excluded.to_vec() };
            forbidden(&mailbox("a@x.example"), &constraints, &mut budget).unwrap()
        };
        assert_eq!(how(&[mailbox("y.example"), mailbox("x.example")], &[]), None);
        assert_eq!(how(&[mailbox("y.example")], &[]), Some("is in no permitted subtree"));
        assert_eq!(how(&[GeneralName::Dns("y.example".into())], &[]), None);
        assert_eq!(how(&[mailbox("x.example")], &[mailbox(".example")]), Some("is in an excluded subtree"));
        assert_eq!(how(&[], &[mailbox("@")]), Some("cannot be compared with an excluded subtree"));
    }
}
