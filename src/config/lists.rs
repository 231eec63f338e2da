//! `[[list]]`: addresses whose mail goes to members.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Grade, Mention, Problem, What,
    members::{self, FileMembers, GETS, once_each},
    reader::Reader,
    rules,
    table::{Located, Table},
};
use crate::{
    base::{Error, Hint, Kind, Result},
    mail::Address,
    policy::{
        FixedMembers, Forward, FromField, Gets, List, Lists, MailboxCopy, Member, Members, Membership, Obstacle, Order,
        Otherwise, Policy, Posters, QuantumSafety, ReplyTo, Requirement, Resort, ReturnPath, Rule, Subscription,
        WithoutKey,
    },
};

/// Reads every `[[list]]`, for a policy that has its rules, local domains and forwards.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>, mut policy: Policy) -> Policy {
    let mut lists = Lists::default();
    let mut inline: Vec<(usize, Vec<Member>)> = Vec::new();
    for table in root.tables("list") {
        let line = table.line;
        if !root.has("quarantine") {
            let message = "list: posts that are held have no place, quarantine is missing".to_owned();
            refuse(reader, line, message, "quarantine = \"/var/lib/postseal/quarantine\"");
        }
        let Some((list, members)) = list(reader, root, table, &policy) else { continue };
        inline.push((line, members));
        let name = list.name();
        if policy.forwards.of(&list.address).is_some() {
            reader.document.error(line, format!("{name}: the address is that of a forward too"));
        }
        for address in [list.owner(), list.bounces(), list.request()] {
            if policy.forwards.of(&address).is_none() {
                policy.forwards.insert(to_owners(&list, address));
            }
        }
        if lists.insert(list).is_some() {
            reader.document.error(line, format!("{name}: another one has this address"));
        }
    }
    for (line, member) in inline.iter().flat_map(|(line, members)| members.iter().map(move |one| (*line, one))) {
        if lists.of(&member.address).is_some() {
            reader
                .document
                .error(line, format!("member {}: is a list, and a list is no member of another", member.address));
        }
    }
    Policy { lists, ..policy }
}

fn list(reader: &mut Reader<'_>, root: &Table<'_>, table: Table<'_>, policy: &Policy) -> Option<(List, Vec<Member>)> {
    let line = table.line;
    let address = table.required("address").and_then(|text| reader.document.read(&text, own_address));
    let name = address.as_ref().map_or_else(|| format!("list in line {line}"), |address| format!("list {address}"));
    let owners = addresses(reader, &table, "owner");
    if owners.is_empty() && !table.has("owner") {
        reader.document.error(line, "\"owner\" is missing");
    }
    let preferred = rules::preferred(reader, root);
    let rule = rules::sealed(reader, &table, name.clone(), &preferred);
    let seals = Rule { orders: [Order::Sign, Order::Encrypt].into(), ..rule.clone() };
    if let Some(what) = seals.contradiction() {
        reader.document.error(line, format!("{name} {what}"));
    }
    let posters = [("anybody", Posters::Anybody), ("members", Posters::Members), ("moderators", Posters::Moderators)];
    let post = reader.choice(&table, "post", Posters::Members, &posters);
    let otherwise = [("hold", Otherwise::Hold), ("reject", Otherwise::Reject)];
    let otherwise = reader.choice(&table, "otherwise", Otherwise::Reject, &otherwise);
    let moderators = addresses(reader, &table, "moderators");
    let requirements = [("authentic", Requirement::Authentic), ("encrypted", Requirement::Encrypted)];
    let requires: BTreeSet<Requirement> = rules::words(reader, &table, "require", &requirements).into_iter().collect();
    let gets = reader.choice(&table, "gets", Gets::Encrypt, &GETS);
    let without_key = [("clear", WithoutKey::Clear), ("hold", WithoutKey::Hold), ("skip", WithoutKey::Skip)];
    let without_key = reader.choice(&table, "without-key", WithoutKey::Skip, &without_key);
    let from = [("keep", FromField::Keep), ("rewrite", FromField::Rewrite)];
    let from = reader.choice(&table, "from", FromField::Keep, &from);
    let reply_to = table.string("reply-to").and_then(|text| reader.document.read(&text, reply_to));
    let subscriptions =
        [("closed", Subscription::Closed), ("moderated", Subscription::Moderated), ("open", Subscription::Open)];
    let subscription = reader.choice(&table, "subscription", Subscription::Closed, &subscriptions);
    let description = table.string("description").and_then(|text| rules::line(reader, text, "description"));
    let unsubscribe = table.string("unsubscribe").and_then(|text| reader.document.read(&text, one_click));
    let inline = table.strings("members");
    let own: Vec<Member> = inline.iter().filter_map(|text| reader.document.read(text, members::member)).collect();
    let file = table.string("members-file");
    if inline.is_empty() && file.is_none() {
        reader.document.error(line, format!("{name}: has neither members nor members-file"));
    }
    if subscription != Subscription::Closed && file.is_none() {
        let message = format!("{name}: subscription: only members of a file can change, members-file is missing");
        reader.document.error(table.line_of("subscription"), message);
    }
    let gets_of = |member: &Member| member.gets.unwrap_or(gets);
    for (text, member) in inline.iter().zip(&own) {
        if requires.contains(&Requirement::Encrypted) && gets_of(member) < Gets::Encrypt {
            let message = format!("{name}: posts must be encrypted, and {} gets them in clear", member.address);
            reader.document.add(Problem { line: text.line, grade: Grade::Warning, message, hint: None });
        }
        if gets_of(member) == Gets::Encrypt {
            reader.mentions.push(Mention {
                line: text.line,
                what: What::Reader(member.address.clone(), QuantumSafety::Indifferent),
            });
        }
    }
    let members: Arc<dyn Membership> = match file {
        None => Arc::new(FixedMembers(once_each(own.iter().cloned()).into())),
        Some(file) => Arc::new(FileMembers::new(reader.path(&file), own.clone())),
    };
    let members = Members(members);
    let at = if table.has("members-file") { table.line_of("members-file") } else { table.line_of("members") };
    reader.mentions.push(Mention { line: at, what: What::Members(members.clone()) });
    if let Some(address) = &address {
        let at = table.line_of("address");
        if !policy.is_local(address) {
            reader.document.error(at, format!("{name}: not in local-domains"));
        }
        reader.mentions.push(Mention { line: at, what: What::Signer(address.clone()) });
    }
    table.finish();
    let list = List {
        address: address?,
        owners,
        description,
        members,
        post,
        otherwise,
        moderators,
        requires,
        gets,
        without_key,
        rule,
        from,
        reply_to: reply_to.unwrap_or(ReplyTo::Author),
        subscription,
        unsubscribe,
    };
    Some((list, own))
}

/// What comes to an address of the list that is not for its members: it goes to the owners as it came.
fn to_owners(list: &List, of: Address) -> Forward {
    Forward {
        rule: Rule {
            name: format!("owner of {}", list.name()),
            orders: [Order::Clear, Order::Annotate].into(),
            obstacles: [(Obstacle::AlreadyEncrypted, Resort::Keep)].into(),
            ..Rule::default()
        },
        of,
        to: list.owners.clone(),
        mailbox: MailboxCopy::None,
        sender: ReturnPath::Own,
    }
}

fn addresses(reader: &Reader<'_>, table: &Table<'_>, key: &'static str) -> Vec<Address> {
    let texts: Vec<Located<String>> = table.strings(key);
    texts.iter().filter_map(|text| reader.document.read(text, Address::parse)).collect()
}

/// An address whose local part can be the start of others: `dev-bounces+alice=example.net`.
fn own_address(text: &str) -> Result<Address> {
    let address = Address::parse(text)?;
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    if address.local().bytes().all(is_plain) && address.local().len() <= MAX_NAME {
        return Ok(address);
    }
    Err(Error::new(
        Kind::Config,
        format!("list {text:?}: not a name of at most {MAX_NAME} letters, digits, \"-\", \".\" and \"_\""),
    ))
}

fn reply_to(text: &str) -> Result<ReplyTo> {
    match text {
        "author" => Ok(ReplyTo::Author),
        "list" => Ok(ReplyTo::List),
        other => Address::parse(other).map(ReplyTo::Address).map_err(|_| {
            Error::new(Kind::Config, format!("reply-to {other:?}: none of \"author\", \"list\" and an address"))
        }),
    }
}

/// RFC 8058, section 3.1.
fn one_click(text: &str) -> Result<String> {
    let is_url =
        text.starts_with("https://") && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"<>,".contains(&octet));
    if is_url && text.contains("{member}") {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Config, format!("unsubscribe {text:?}: not an https URL with {{member}}"))
        .with_hint("https://lists.example.org/leave?address={member}"))
}

fn refuse(reader: &Reader<'_>, line: usize, message: String, hint: &'static str) {
    reader.document.add(Problem { line, grade: Grade::Error, message, hint: Some(Hint::from(hint)) });
}

/// Octets of the name of a list. Source: half a local part, so that most bounces can name a member.
const MAX_NAME: usize = 32;
