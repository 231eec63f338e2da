//! `[key-uses]`: how often secret keys may be used in a while.

use std::time::Duration;

use super::{reader::Reader, table::Table};
use crate::{base::Allowance, keys::UseLimits};

/// Reads it.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> UseLimits {
    let usual = UseLimits::default();
    let Some(table) = root.table("key-uses") else { return usual };
    let count = |key, usual| {
        let most = table.size(key).map_or(Some(usual), |most| u32::try_from(most).ok().filter(|most| *most > 0));
        most.unwrap_or_else(|| {
            reader.document.error(table.line_of(key), format!("{key}: not a number from 1 to {}", u32::MAX));
            usual
        })
    };
    let (per_key, per_client) = (count("per-key", usual.per_key.most), count("per-client", usual.per_client.most));
    let per_address = count("per-address", usual.per_address.most);
    let strangers = count("strangers", usual.strangers.most);
    let seconds = table.size("seconds").and_then(|seconds| u64::try_from(seconds).ok());
    if seconds == Some(0) {
        reader.document.error(table.line_of("seconds"), "seconds: no time at all");
    }
    let period = seconds.map_or(usual.per_key.period, Duration::from_secs);
    table.finish();
    let of = |most| Allowance { most, period };
    UseLimits {
        per_key: of(per_key),
        per_client: of(per_client),
        per_address: of(per_address),
        strangers: of(strangers),
    }
}
