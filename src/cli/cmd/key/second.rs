//! A second key for an address: which one signs.

use postseal::{
    base::Result,
    keys::{ProtocolName, Source, Want},
    mail::Address,
    report::printable,
    store::Keystore,
};

use super::{choose::find, selection};
use crate::cli::{ask, session::Session, show::aside, values::Format};

/// What is done when there is a key for the address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The user is asked; without a terminal the old one stays.
    Ask,
    /// The old one signs on.
    Keep,
    /// The new one signs from now on.
    Replace,
}

/// The addresses for which another key goes on signing: a new one is not trusted for those until the owner says so.
pub(super) fn kept(
    choice: Choice,
    format: Format,
    addresses: &[Address],
    home: &Keystore,
    session: &Session,
) -> Result<Vec<Address>> {
    let mut kept = Vec::new();
    for address in addresses {
        let Some(old) = signer(format, address, home, session)? else { continue };
        let known = format!("{} signs for {}", old, printable(&address.to_string()));
        let is_replaced = match choice {
            Choice::Replace => true,
            Choice::Keep => false,
            Choice::Ask => ask::yes(&format!("{known} already. Sign with the new key from now on?"))?,
        };
        if !is_replaced {
            aside(&format!("{known} as before; `postseal key trust NEW {address}` makes the new key sign\n"));
            kept.push(address.clone());
        }
    }
    Ok(kept)
}

/// The fingerprint of a key that signs for an address.
fn signer(format: Format, address: &Address, home: &Keystore, session: &Session) -> Result<Option<String>> {
    for record in find(home, Some(format), Want::Address(address))? {
        let is_here = !record.secrets().is_empty() && record.protocol() != ProtocolName::Pem;
        if !is_here || record.source(address) != Source::Owner {
            continue;
        }
        let facts = selection::facts(&record, session.clock().now(), home)?;
        if facts.state == "good" && facts.uses.contains(&"sign") {
            return Ok(Some(facts.fingerprint));
        }
    }
    Ok(None)
}
