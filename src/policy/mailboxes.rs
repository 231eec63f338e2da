//! Several addresses of one mailbox: aliases and sub-addresses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Pattern, Policy};
use crate::mail::{Address, Login};

/// Which addresses are names of one mailbox, as the mail server delivers. By default each address is a mailbox of its own.
///
/// They say whose keys are taken, and who may sign as whom. They make no message authentic: a key of alice@example.org does not show that
/// alice+news@example.org wrote something, unless the owner trusts it for that address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailboxes {
    /// The characters that end the name of the mailbox in a local address (`user+detail`), as in Postfix's
    /// `recipient_delimiter`. The address is split at the first of them.
    pub delimiters: String,
    /// The one address that mail to an alias goes to, by the alias in lower case: `sales` in every local domain, or `sales@example.org`. An alias for
    /// several addresses is none of these: what one member can decrypt is not for the others to read.
    pub aliases: BTreeMap<String, Address>,
    /// The local domains whose key opens mail for each of their addresses, in lower case with A-labels.
    pub domain_keys: BTreeSet<String>,
}

impl Policy {
    /// The other addresses of the mailbox that `address` belongs to, each one the next step of delivery: `alice@example.org` for
    /// `alice+news@example.org`, and the address of an alias.
    pub fn other_addresses(&self, address: &Address) -> Vec<Address> {
        let mut others: Vec<Address> = Vec::new();
        let mut current = address.clone();
        while let Some(next) = self.next_address(&current) {
            if next == *address || others.contains(&next) {
                break;
            }
            others.push(next.clone());
            current = next;
        }
        others
    }

    fn next_address(&self, address: &Address) -> Option<Address> {
        let aliases = &self.mailboxes.aliases;
        let is_local = self.is_local(address);
        let by_name = || aliases.get(&address.local().to_lowercase()).filter(|_| is_local);
        if let Some(address) = aliases.get(&address.to_string().to_lowercase()).or_else(by_name) {
            return Some(address.clone());
        }
        self.without_extension(address)
    }

    /// `alice@example.org` of `alice+news@example.org`.
    fn without_extension(&self, address: &Address) -> Option<Address> {
        let is_delimiter = |c| self.mailboxes.delimiters.contains(c);
        // As Postfix: nothing is split off a local part that begins with a delimiter.
        let (user, _) = address.local().split_once(is_delimiter).filter(|(user, _)| !user.is_empty())?;
        self.is_local(address).then(|| address.with_local(user))
    }

    /// The local mailbox of `address`, if it is the one that `login` is, or one that is listed for it by itself. A pattern for a domain names no mailbox.
    pub fn own_mailbox(&self, login: &Login, address: &Address) -> Option<Address> {
        let mailbox = self.other_addresses(address).pop().unwrap_or_else(|| address.clone());
        let is_login = Login::new(&mailbox.to_string()).is_some_and(|own| own == *login);
        let mut listed = self.identities.get(login).into_iter().flatten();
        let is_own = is_login || listed.any(|one| matches!(one, Pattern::Address(own) if *own == mailbox));
        (is_own && self.is_local(&mailbox)).then_some(mailbox)
    }

    /// Whether a recipient is one of these. What a rule says of `alice@example.org` is said of `alice+news@example.org` too, as in Postfix's tables:
    /// otherwise an extension, which any sender can write, would lead past the rule. An alias is an address of its own here.
    pub(super) fn is_recipient(&self, recipient: &Address, patterns: &[Pattern]) -> bool {
        let plain = self.without_extension(recipient);
        patterns
            .iter()
            .any(|pattern| pattern.covers(Some(recipient)) || (plain.is_some() && pattern.covers(plain.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_delivery() {
        let address = |text: &str| Address::parse(text).unwrap();
        let aliases = [
            ("sales", "alice@example.org"),
            ("old@bücher.example", "sales+old@example.org"),
            ("turn", "round@example.org"),
            ("round", "turn@example.org"),
            ("buyer+invoices@partner.example", "buyer@partner.example"),
        ];
        let mailboxes = |delimiters: &str| Mailboxes {
            delimiters: delimiters.to_owned(),
            aliases: aliases.map(|(name, to)| (name.replace("bücher", "xn--bcher-kva"), address(to))).into(),
            domain_keys: BTreeSet::new(),
        };
        let policy = |delimiters| Policy {
            local: vec![Pattern::parse("example.org").unwrap()],
            max_size: 1,
            mailboxes: mailboxes(delimiters),
            ..Policy::default()
        };
        for (delimiters, of, others) in [
            ("", "alice+news@example.org", vec![]),
            ("+", "alice@example.org", vec![]),
            ("+", "Alice+News+more@EXAMPLE.org", vec!["alice@example.org"]),
            ("+-", "alice-x+y@example.org", vec!["alice@example.org"]),
            ("+", "+news@example.org", vec![]),
            ("+", "alice+news@partner.example", vec![]),
            ("+", "SALES@example.org", vec!["alice@example.org"]),
            ("+", "sales@partner.example", vec![]),
            ("+", "sales+x@example.org", vec!["sales@example.org", "alice@example.org"]),
            ("+", "old@bücher.example", vec!["sales+old@example.org", "sales@example.org", "alice@example.org"]),
            ("+", "turn@example.org", vec!["round@example.org"]),
            ("+", "buyer+invoices@partner.example", vec!["buyer@partner.example"]),
        ] {
            let found = policy(delimiters).other_addresses(&address(of));
            assert_eq!(found, others.into_iter().map(address).collect::<Vec<_>>(), "{of}");
        }
    }
}
