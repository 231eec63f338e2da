//! `[aliases]`, `recipient-delimiter` and `domain-keys`.

use std::collections::BTreeMap;

use super::table::{Document, Located, Table};
use crate::{
    base::{Error, Kind, Result},
    mail::Address,
    policy::{Aliases, Mailboxes},
};

/// The names of mailboxes.
pub(super) struct Names {
    /// The aliases as they are shown.
    pub(super) aliases: Aliases,
    /// Which addresses are names of one mailbox.
    pub(super) mailboxes: Mailboxes,
    /// The aliases whose members get mail in their place.
    pub(super) expanded: Aliases,
}

/// The aliases, and which addresses they and the delimiter make names of one mailbox.
pub(super) fn read(document: &Document, root: &Table<'_>) -> Names {
    let aliases = root.table("aliases").map(|table| aliases(document, &table)).unwrap_or_default();
    let delimiters = root.string("recipient-delimiter");
    let delimiters = delimiters.and_then(|text| document.read(&text, delimiters_of)).unwrap_or_default();
    let mailbox = |(name, members): (&String, &Vec<Address>)| match members.as_slice() {
        [only] => Some((in_full(name), only.clone())),
        _ => None,
    };
    let domain = |text: &str| Address::parse(&format!("x@{text}")).map(|address| address.domain().to_owned());
    let domain_keys = root.strings("domain-keys");
    let mailboxes = Mailboxes {
        delimiters,
        aliases: aliases.iter().filter_map(mailbox).collect::<BTreeMap<_, _>>(),
        domain_keys: domain_keys.iter().filter_map(|text| document.read(text, domain)).collect(),
    };
    let expanded = match root.truth("expand-aliases") {
        Some(true) => aliases.iter().map(|(name, members)| (in_full(name), members.clone())).collect(),
        Some(false) | None => Aliases::new(),
    };
    Names { aliases, mailboxes, expanded }
}

fn aliases(document: &Document, table: &Table<'_>) -> Aliases {
    let people = |texts: Vec<Located<String>>| {
        texts.iter().filter_map(|text| document.read(text, Address::parse)).collect::<Vec<_>>()
    };
    table.named().into_iter().map(|(name, texts)| (name.value.to_lowercase(), people(texts))).collect()
}

/// The name of an alias in the form in which addresses are compared: its domain in A-labels.
fn in_full(name: &str) -> String {
    Address::parse(name).map_or_else(|_| name.to_owned(), |address| address.to_string().to_lowercase())
}

/// The characters that end the name of a mailbox.
fn delimiters_of(text: &str) -> Result<String> {
    match text.chars().find(|c| !c.is_ascii_punctuation() || ".@\"\\".contains(*c)) {
        None => Ok(text.to_owned()),
        Some(c) => Err(Error::new(Kind::Config, format!("recipient-delimiter: {c:?} cannot be one"))
            .with_hint("recipient-delimiter = \"+\", as recipient_delimiter of Postfix")),
    }
}
