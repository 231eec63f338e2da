//! `[[rate-limit]]`: how much mail a sender may send in a while.

use std::time::Duration;

use super::{
    reader::Reader,
    rules,
    table::{Located, Table},
};
use crate::transport::{Allowance, RateLimit, SenderKind, TrustedClients};

/// Reads every `[[rate-limit]]`.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> Vec<RateLimit> {
    let mut limits: Vec<RateLimit> = Vec::new();
    for table in root.tables("rate-limit") {
        let line = table.line;
        let Some(limit) = limit(reader, table) else { continue };
        if limits.iter().any(|other| other.name == limit.name) {
            reader.document.error(line, format!("rate-limit {:?}: another one has this name", limit.name));
        }
        limits.push(limit);
    }
    limits
}

fn limit(reader: &Reader<'_>, table: Table<'_>) -> Option<RateLimit> {
    let name = table.required("name").map(|Located { value, .. }| value);
    let kinds = [SenderKind::Address, SenderKind::Domain, SenderKind::Login].map(|kind| (kind.name(), kind));
    let per = reader.choice(&table, "per", SenderKind::Address, &kinds);
    let from = reader.patterns(&table.strings("from"));
    let count = |key| {
        let count = table.size(key);
        if count == Some(0) {
            reader.document.error(table.line_of(key), format!("{key}: no message would be accepted"));
        }
        count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0)
    };
    let (messages, recipients) = (count("messages"), count("recipients"));
    if !table.has("messages") && !table.has("recipients") {
        reader.document.error(table.line, "rate-limit: messages, recipients, or both");
    }
    let seconds = table.size("seconds").and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(SECONDS);
    if seconds == 0 {
        reader.document.error(table.line_of("seconds"), "seconds: no time at all");
    }
    let trusted = match table.truth("exempt-trusted") {
        Some(false) => TrustedClients::Counted,
        _ => TrustedClients::Exempt,
    };
    let mode = rules::mode(reader, &table);
    table.finish();
    let of = |most| Allowance { most, period: Duration::from_secs(seconds) };
    Some(RateLimit {
        name: name?,
        per,
        from,
        messages: messages.map(of),
        recipients: recipients.map(of),
        trusted,
        mode,
    })
}

/// Source: Postfix's `anvil_rate_time_unit`.
const SECONDS: u64 = 60;
