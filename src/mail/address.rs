//! Mailboxes: RFC 5322, RFC 6532, compared with IDNA.

use std::fmt;

use crate::base::Result;

/// An addr-spec. Equality is that of mailboxes as people mean them: the domain in any case and in either of its IDNA forms,
/// the local part in any ASCII case, quoted or not.
#[derive(Clone, Debug)]
pub struct Address {
    local: String,
    domain: String,
}

/// A mailbox as it stands in a header: display name and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, decoded; never proof of anything.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

impl Address {
    /// Reads a bare addr-spec, `a@example.org`; nothing around it.
    pub fn parse(text: &str) -> Result<Address> {
        let _ = text;
        todo!()
    }
    /// The local part, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }
    /// The domain in lower case, A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local.eq_ignore_ascii_case(&other.local)
    }
}

impl Eq for Address {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Every mailbox of an address list (From, To, Cc, Bcc, Reply-To), groups flattened. An entry that cannot be read makes the whole
/// list an error, because half a list would be a lie.
pub fn list(value: &str) -> Result<Vec<Mailbox>> {
    let _ = value;
    todo!()
}

/// The mailbox that a certificate's user ID claims: `Name <a@example.org>` or a bare address (RFC 9580, section 5.11); `None` if not exactly one.
pub fn of_user_id(text: &str) -> Option<Address> {
    let _ = text;
    todo!()
}
