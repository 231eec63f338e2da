//! Mail that goes on from the mailbox that it was decided for: forwarding, and mailing lists.

use std::collections::{BTreeMap, BTreeSet};

use super::{List, Lists, Mailboxes, Order, Policy, Rule};
use crate::mail::Address;

/// An address whose mail goes on to other addresses.
///
/// The rules of the policy decide first, as for any recipient. What they would deliver to the mailbox is what goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The address.
    pub of: Address,
    /// Where its mail goes.
    pub to: Vec<Address>,
    /// Whether the mailbox gets it too.
    pub mailbox: MailboxCopy,
    /// Where bounces of it go.
    pub sender: ReturnPath,
    /// Opens, seals or lets through what goes on. Its conditions are none.
    pub rule: Rule,
}

/// Whether a mailbox keeps a copy of what is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailboxCopy {
    /// It gets what the rules say.
    Delivered,
    /// It gets nothing.
    None,
}

/// The envelope sender of a forwarded mail. The null sender always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReturnPath {
    /// It stays: SPF of the sender's domain fails at the new host.
    Keep,
    /// It is the address that forwards.
    Own,
    /// It names the sender within the forwarder's domain, with a code that this host alone can make (SRS). A bounce to it goes back to the
    /// sender.
    Rewrite,
}

/// The forwards of a policy, by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwards {
    by_address: BTreeMap<String, Forward>,
    /// The domains in which there are rewritten senders.
    rewriting: BTreeSet<String>,
}

/// Why mail of an address goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward<'p> {
    /// It is forwarded.
    Forward(&'p Forward),
    /// It goes to the members of a list.
    List(&'p List),
    /// It is a bounce to a rewritten sender.
    Return,
}

impl ReturnPath {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ReturnPath::Keep => "keep",
            ReturnPath::Own => "own",
            ReturnPath::Rewrite => "rewrite",
        }
    }
}

impl Forward {
    /// The policy by which its mail goes on: everything goes out, and its rule decides.
    pub fn policy(&self, policy: &Policy) -> Policy {
        of_one_rule(self.rule.clone(), policy)
    }
}

impl Onward<'_> {
    /// The policy by which such mail goes on.
    pub fn policy(&self, policy: &Policy) -> Policy {
        match self {
            Onward::Forward(forward) => forward.policy(policy),
            Onward::List(list) => of_one_rule(list.opening(), policy),
            // It came in clear, and goes to the person whose mail it answers.
            Onward::Return => {
                let orders = [Order::Clear].into();
                of_one_rule(Rule { name: RETURN.to_owned(), orders, ..Rule::default() }, policy)
            }
        }
    }
}

fn of_one_rule(rule: Rule, policy: &Policy) -> Policy {
    Policy {
        mode: policy.mode,
        local: Vec::new(),
        identities: BTreeMap::new(),
        trusted: Vec::new(),
        rules: vec![rule],
        obstacles: policy.obstacles.clone(),
        max_size: policy.max_size,
        mailboxes: Mailboxes::default(),
        aliases: Default::default(),
        forwards: Forwards::default(),
        lists: Lists::default(),
    }
}

impl Forwards {
    /// Adds one; the one of the same address that was there before.
    pub fn insert(&mut self, forward: Forward) -> Option<Forward> {
        if forward.sender == ReturnPath::Rewrite {
            self.rewriting.insert(forward.of.domain().to_owned());
        }
        self.by_address.insert(name(&forward.of), forward)
    }

    /// The one of exactly this address. Upper case is lower case.
    pub fn of(&self, address: &Address) -> Option<&Forward> {
        self.by_address.get(&name(address))
    }

    /// All, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Forward> {
        self.by_address.values()
    }

    /// Whether one of them rewrites the envelope sender.
    pub fn rewrites(&self) -> bool {
        !self.rewriting.is_empty()
    }

    fn is_return(&self, address: &Address) -> bool {
        let is_marked =
            |prefix: &str| address.local().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        self.rewriting.contains(address.domain()) && (is_marked("SRS0=") || is_marked("SRS1="))
    }
}

fn name(address: &Address) -> String {
    address.to_string().to_lowercase()
}

impl Policy {
    /// Why mail for `address` goes on, if it does: a list or a forward of the address, or of its mailbox ([`Policy::other_addresses`]).
    pub fn onward(&self, address: &Address) -> Option<Onward<'_>> {
        if self.forwards.is_return(address) {
            return Some(Onward::Return);
        }
        if self.forwards.by_address.is_empty() && self.lists.iter().next().is_none() {
            return None;
        }
        let mut others = self.other_addresses(address);
        others.extend(self.lists.bounces(address));
        let mut names = std::iter::once(address).chain(&others);
        names.find_map(|name| {
            let list = self.lists.of(name).map(Onward::List);
            list.or_else(|| self.forwards.of(name).map(Onward::Forward))
        })
    }
}

/// The name of the rule by which bounces go back to the senders of forwarded mail.
pub const RETURN: &str = "return of forwarded mail";
