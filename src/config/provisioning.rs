//! `[provisioning]`: keys for local users who have none.

use std::time::Duration;

use super::{reader::Reader, table::Table};
use crate::keys::{Handle, ProtocolName};

/// The keys that local users without one get when they first send mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioning {
    /// How long a new key is valid. A certificate never outlives the authority that issued it.
    pub validity: Duration,
    /// The protocols, a key for each: OpenPGP, S/MIME.
    pub protocols: Vec<ProtocolName>,
    /// The certification authority in the home that issues the certificates of S/MIME; `None`: the only one.
    pub authority: Option<Handle>,
}

/// Reads the table.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> Option<Provisioning> {
    let table = root.table("provisioning")?;
    let days = table.size("days").and_then(|days| u64::try_from(days).ok()).unwrap_or(DAYS);
    if days == 0 {
        reader.document.error(table.line_of("days"), "days: a key has to be valid for one at least");
    }
    let known = [ProtocolName::Pgp, ProtocolName::Smime].map(|one| (one.name(), one));
    let texts = table.strings("protocol");
    let mut protocols: Vec<_> =
        texts.iter().filter_map(|text| reader.document.word(text, "protocol", &known)).collect();
    if protocols.is_empty() {
        protocols.push(ProtocolName::Pgp);
    }
    let authority = table.string("ca").and_then(|text| reader.document.read(&text, Handle::parse));
    if authority.is_some() && !protocols.contains(&ProtocolName::Smime) {
        reader.document.error(table.line_of("ca"), "ca: issues certificates of S/MIME, which is not in protocol");
    }
    table.finish();
    Some(Provisioning { validity: Duration::from_secs(days.saturating_mul(24 * 60 * 60)), protocols, authority })
}

/// How long a new key is valid by default: as `key generate`.
const DAYS: u64 = 3 * 365;
