//! The `[notice]` and `[expiry-notice]` tables.

use super::{EXPIRY_PLACEHOLDERS, ExpiryNotice, Notice, Owners, What, reader::Reader, table::Table};
use crate::{
    mail::{
        Address,
        address::{Mailbox, mailbox},
    },
    policy::Pattern,
    transport::{NoticeTo, PLACEHOLDERS},
};

/// Reads `[notice]`. `local` are the patterns of local recipients, and `host` is the name of this host.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>, local: &[Pattern], host: Option<&str>) -> Option<Notice> {
    let table = root.table("notice")?;
    if !root.has("quarantine") {
        reader.document.error(table.line, "notice: goes with quarantine");
    }
    let template =
        table.required("template").map(|template| reader.place(&template, |path| What::Template(path, PLACEHOLDERS)));
    let from = author(reader, &table, host);
    let to = table.required("to").and_then(|to| match to.value.as_str() {
        "recipients" => Some(NoticeTo::Recipients(local.to_vec())),
        _ => reader.document.read(&to, Address::parse).map(NoticeTo::Address),
    });
    table.finish();
    Some(Notice { template: template?, from: from?, to: to? })
}

/// Reads `[expiry-notice]`. `host` is the name of this host.
pub(super) fn expiry(reader: &mut Reader<'_>, root: &Table<'_>, host: Option<&str>) -> Option<ExpiryNotice> {
    let table = root.table("expiry-notice")?;
    if root.table("upstream").is_none() && root.table("sendmail").is_none() {
        reader.document.error(table.line, "expiry-notice: needs [upstream] or [sendmail], which send mail");
    }
    let place = |path| What::Template(path, EXPIRY_PLACEHOLDERS);
    let template = table.string("template").map(|template| reader.place(&template, place));
    let from = author(reader, &table, host);
    let to = table.strings("to");
    if to.is_empty() {
        reader.document.error(table.line, "\"to\" is missing");
    }
    let (owners, others): (Vec<_>, Vec<_>) = to.iter().partition(|text| text.value == "owners");
    let administrators = others.into_iter().filter_map(|text| reader.document.read(text, Address::parse)).collect();
    table.finish();
    let owners = if owners.is_empty() { Owners::NotTold } else { Owners::Told };
    Some(ExpiryNotice { template, from: from?, administrators, owners })
}

fn author(reader: &Reader<'_>, table: &Table<'_>, host: Option<&str>) -> Option<Mailbox> {
    match table.string("from") {
        Some(from) => reader.document.read(&from, mailbox),
        None => host.and_then(|host| mailbox(&format!("postmaster@{host}")).ok()),
    }
}
