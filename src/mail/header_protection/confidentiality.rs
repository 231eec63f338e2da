//! What of a header field stands outside an encrypted message: the policies of RFC 9788, section 3.2.

use super::super::{address, header::Field};
use crate::base::rfc5322_in_utc;

/// A Header Confidentiality Policy (RFC 9788, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidentiality {
    /// Nothing is hidden (`hcp_no_confidentiality`, section 3.2.3).
    Nothing,
    /// Subject, Comments, Keywords and Thread-Topic are hidden (`hcp_baseline`, section 3.2.1).
    Baseline,
    /// Display names in From, To and Cc, and the time zone in Date, are hidden too (`hcp_shy`, section 3.2.2).
    Shy,
}

/// What stands outside in the place of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    /// This value.
    Other(String),
    /// Nothing.
    Removed,
    /// The field as it is.
    Same,
}

impl Confidentiality {
    /// The function `hcp` of RFC 9788, section 3.1, of a non-structural field.
    pub(super) fn outside(self, field: &Field<'_>) -> Outside {
        if self == Confidentiality::Nothing {
            return Outside::Same;
        }
        if field.is("Subject") {
            return Outside::Other(OBSCURED.to_owned());
        }
        // Thread-Topic is Outlook's copy of the subject.
        if ["Comments", "Keywords", "Thread-Topic"].iter().any(|name| field.is(name)) {
            return Outside::Removed;
        }
        let bare = if self == Confidentiality::Shy { bare(field) } else { None };
        // What is not ASCII cannot stand in HP-Outer (section 2.2.1).
        match bare.filter(|bare| bare.is_ascii()) {
            Some(bare) => Outside::Other(bare),
            None => Outside::Same,
        }
    }
}

/// The value without names and time zone; `None` when it has none, or cannot be read.
fn bare(field: &Field<'_>) -> Option<String> {
    let value = field.unfolded();
    if field.is("Date") {
        return rfc5322_in_utc(&value).filter(|utc| *utc != value);
    }
    let is_from = field.is("From");
    if !is_from && !field.is("To") && !field.is("Cc") {
        return None;
    }
    let mailboxes = address::list(&value).ok()?;
    // Of several authors the RFC says nothing.
    if mailboxes.iter().all(|mailbox| mailbox.name.is_none()) || is_from && mailboxes.len() != 1 {
        return None;
    }
    let addresses: Vec<String> = mailboxes.iter().map(|mailbox| mailbox.address.to_string()).collect();
    Some(addresses.join(",\r\n "))
}

/// What stands outside in place of the subject (RFC 9788, section 3.2.1).
const OBSCURED: &str = "[...]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn outside(policy: Confidentiality, field: &str) -> Outside {
        let message = Message::parse(format!("{field}\r\n\r\n").into(), &mut Budget::new(Limits::default())).unwrap();
        let field = message.root().fields().next().unwrap();
        policy.outside(&field)
    }

    #[test]
    fn each_policy_hides_what_the_rfc_says() {
        let other = |value: &str| Outside::Other(value.to_owned());
        for (field, baseline, shy) in [
            ("subject: secret", other("[...]"), other("[...]")),
            ("Comments: secret", Outside::Removed, Outside::Removed),
            ("Keywords: secret", Outside::Removed, Outside::Removed),
            ("From: Alice <alice@x.org>", Outside::Same, other("alice@x.org")),
            ("From: alice@x.org", Outside::Same, Outside::Same),
            ("From: Alice <alice@x.org>, Bob <bob@x.org>", Outside::Same, Outside::Same),
            ("To: Bob <bob@x.org>,\r\n carol@x.org", Outside::Same, other("bob@x.org,\r\n carol@x.org")),
            ("Cc: not <an address", Outside::Same, Outside::Same),
            ("Reply-To: Alice <alice@x.org>", Outside::Same, Outside::Same),
            ("Date: Wed, 11 Jan 2023 16:08:43 -0500", Outside::Same, other("Wed, 11 Jan 2023 21:08:43 +0000")),
            ("Date: Wed, 11 Jan 2023 21:08:43 +0000", Outside::Same, Outside::Same),
            ("Date: yesterday", Outside::Same, Outside::Same),
        ] {
            assert_eq!(outside(Confidentiality::Nothing, field), Outside::Same, "{field}");
            assert_eq!(outside(Confidentiality::Baseline, field), baseline, "{field}");
            assert_eq!(outside(Confidentiality::Shy, field), shy, "{field}");
        }
    }
}
