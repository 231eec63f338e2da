//! `[[forward]]`: addresses whose mail goes on.

use super::{
    Grade, Mention, Problem, What,
    reader::Reader,
    rules::{self, Vocabulary},
    table::{Located, Table},
};
use crate::{
    base::Hint,
    mail::{Address, ForwardPath},
    policy::{Forward, Forwards, MailboxCopy, Obstacle, Order, Policy, Resort, ReturnPath},
};

/// Reads every `[[forward]]`, for a policy that has its rules and local domains.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>, policy: Policy) -> Policy {
    let mut forwards = Forwards::default();
    let mut lines = Vec::new();
    for table in root.tables("forward") {
        let line = table.line;
        let Some(forward) = forward(reader, root, table, &policy) else { continue };
        if forward.sender == ReturnPath::Rewrite && !root.has("marker") {
            let message =
                format!("{}: the sender is rewritten with a secret, and marker is missing", forward.rule.name);
            refuse(reader, line, message, "marker = { file = \"marker\" }, or sender = \"keep\" or \"own\"");
        }
        lines.push((line, forward.of.clone()));
        if let Some(other) = forwards.insert(forward) {
            reader.document.error(line, format!("{}: another one is for this address", other.rule.name));
        }
    }
    let policy = Policy { forwards, ..policy };
    for (line, of) in lines {
        if policy.expand(&[ForwardPath { address: of.clone(), parameters: Vec::new() }]).is_empty() {
            reader.document.error(line, format!("forward of {of}: leads back to itself"));
        }
    }
    policy
}

fn forward(reader: &mut Reader<'_>, root: &Table<'_>, table: Table<'_>, policy: &Policy) -> Option<Forward> {
    let line = table.line;
    let of = table.required("address").and_then(|text| reader.document.read(&text, Address::parse));
    if !table.has("to") {
        reader.document.error(line, "\"to\" is missing");
    }
    let to: Vec<Located<String>> = table.strings("to");
    let to: Vec<Address> = to.iter().filter_map(|text| reader.document.read(text, Address::parse)).collect();
    let name = of.as_ref().map_or_else(|| format!("forward in line {line}"), |of| format!("forward of {of}"));
    let preferred = rules::preferred(reader, root);
    let mut rule = rules::body(reader, &table, name, &preferred, KNOWN);
    let keeps = table.truth("keep").unwrap_or_default();
    let senders = [ReturnPath::Keep, ReturnPath::Own, ReturnPath::Rewrite].map(|sender| (sender.name(), sender));
    let sender = reader.choice(&table, "sender", ReturnPath::Rewrite, &senders);
    let opens = rule.orders.remove(&Order::Decrypt);
    let contradiction = if opens { None } else { rule.contradiction() };
    let contradiction = contradiction.or_else(|| {
        let says = |order| rule.says(order);
        (says(Order::Clear) == says(Order::Encrypt)).then_some("says neither encrypt nor clear, or both")
    });
    if let Some(what) = contradiction {
        reader.document.error(line, format!("{} {what}", rule.name));
    }
    rule.orders.extend(opens.then_some(Order::Decrypt));
    rule.orders.insert(Order::Annotate);
    // What cannot be opened goes on as it came.
    rule.obstacles.entry(Obstacle::AlreadyEncrypted).or_insert(Resort::Keep);
    let decrypts = opens || policy.rules.iter().any(|rule| rule.says(Order::Decrypt));
    if decrypts && rule.obstacles.get(&Obstacle::AlreadyEncrypted) != Some(&Resort::Keep) {
        let at = table.line_of(Obstacle::AlreadyEncrypted.name());
        let message = "already-encrypted: the reply would tell the sender whether the message could be decrypted";
        refuse(reader, at, message.to_owned(), "\"keep\", or no \"decrypt\" here and in the rules");
    }
    if let Some(of) = of.as_ref().filter(|of| !policy.is_local(of)) {
        reader.document.error(table.line_of("address"), format!("forward of {of}: not in local-domains"));
    }
    if rule.says(Order::Encrypt) {
        let (line, quantum) = (table.line_of("to"), rule.sealing.quantum);
        reader.mentions.extend(to.iter().map(|to| Mention { line, what: What::Reader(to.clone(), quantum) }));
    }
    if to.len() > MAX_TARGETS {
        reader.document.error(table.line_of("to"), format!("{}: more than {MAX_TARGETS} addresses", rule.name));
    }
    table.finish();
    let mailbox = if keeps { MailboxCopy::Delivered } else { MailboxCopy::None };
    Some(Forward { of: of?, to, mailbox, sender, rule })
}

fn refuse(reader: &Reader<'_>, line: usize, message: String, hint: &'static str) {
    reader.document.add(Problem { line, grade: Grade::Error, message, hint: Some(Hint::from(hint)) });
}

/// A forward is one rule: there is no next one, and it signs as no author.
const KNOWN: Vocabulary<'static> = Vocabulary {
    orders: &[Order::Clear, Order::Decrypt, Order::Encrypt],
    obstacles: &[
        Obstacle::AlreadyEncrypted,
        Obstacle::ExpiredKey,
        Obstacle::Malformed,
        Obstacle::MissingKey,
        Obstacle::Oversized,
    ],
    resorts: &[Resort::Discard, Resort::Keep, Resort::Quarantine, Resort::Reject, Resort::Tempfail],
};

/// Addresses that mail of one address goes to. Source: more are a list.
const MAX_TARGETS: usize = 100;
