//! `postseal key untrust`.

use clap::Args;
use postseal::{
    base::{Error, Result},
    keys::Binding,
    store::Keystore,
};

use super::{choose::one, layout};
use crate::cli::{input, show::aside};

#[derive(Args, Debug)]
pub(super) struct Untrust {
    /// A fingerprint or key ID
    id: String,
    /// The address that it is no longer trusted for [default: everything]
    address: Option<String>,
}

/// Takes trust back.
pub(super) fn untrust(what: &Untrust, home: &Keystore) -> Result<()> {
    let record = one(home, &what.id)?;
    let address = what.address.as_deref().map(input::address).transpose()?;
    if let Some(address) = &address
        && record.bindings().contains(&Binding::UserIds)
        && record.claimed().contains(address)
    {
        return Err(Error::usage(format!("key {}: is trusted for its user IDs as a whole", record.fingerprint()))
            .with_hint(format!(
                "`postseal key untrust {}` takes all of it back; then trust it for the other addresses",
                record.fingerprint()
            )));
    }
    let gone = home.untrust(record.fingerprint(), address.as_ref())?;
    let what = match (gone.is_empty(), &address) {
        (true, Some(address)) => format!("was not trusted for {address}"),
        (true, None) => "was not trusted".to_owned(),
        (false, _) => format!("is no longer trusted for {}", layout::purposes(&gone).join(", ")),
    };
    aside(&format!("{} {what}\n", record.fingerprint()));
    Ok(())
}
