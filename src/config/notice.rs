//! The `[notice]` table.

use super::{Notice, What, reader::Reader, table::Table};
use crate::{
    mail::{Address, address::mailbox},
    policy::Pattern,
    transport::NoticeTo,
};

/// Reads `[notice]`. `local` are the patterns of local recipients, and `host` is the name of this host.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>, local: &[Pattern], host: Option<&str>) -> Option<Notice> {
    let table = root.table("notice")?;
    if !root.has("quarantine") {
        reader.document.error(table.line, "notice: goes with quarantine");
    }
    let template = table.required("template").map(|template| reader.place(&template, What::Template));
    let from = match table.string("from") {
        Some(from) => reader.document.read(&from, mailbox),
        None => host.and_then(|host| mailbox(&format!("postmaster@{host}")).ok()),
    };
    let to = table.required("to").and_then(|to| match to.value.as_str() {
        "recipients" => Some(NoticeTo::Recipients(local.to_vec())),
        _ => reader.document.read(&to, Address::parse).map(NoticeTo::Address),
    });
    table.finish();
    Some(Notice { template: template?, from: from?, to: to? })
}
