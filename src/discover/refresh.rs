//! Known keys are asked for again, so that revocations and new expiry dates arrive.

use std::time::{Duration, Instant};

use super::{Discovery, Method, cache::Answer};
use crate::{
    base::Result,
    keys::{ProtocolName, Query, Record, Want},
    mail::Address,
};

/// What asking again brought for one address.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// Copies of certificates that this machine has already, as far as they belong to the address. They may have a revocation or a new end.
    pub copies: Vec<Record>,
    /// The sources that did not answer, each with the reason.
    pub failures: Vec<String>,
}

impl Discovery {
    /// The addresses of keys that could be refreshed: those in use that were found, and those of the certificates of this machine without a secret
    /// part. Each once, in order.
    ///
    /// # Errors
    ///
    /// What was found, or a key of this machine, cannot be read.
    pub fn known_addresses(&self) -> Result<Vec<Address>> {
        let mut addresses = self.cache.addresses()?;
        for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
            for record in self.local.keys.find(protocol, &Query::manage(Want::All))? {
                if record.secrets().is_empty() {
                    addresses.extend(record.claimed().iter().map(|address| address.to_string().to_lowercase()));
                }
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses.iter().filter_map(|address| Address::parse(address).ok()).collect())
    }

    /// [`Discovery::refresh`] of the known addresses that no process has refreshed for a period, with each result.
    ///
    /// # Errors
    ///
    /// As [`Discovery::refresh`].
    pub fn refresh_due(&self, period: Duration, mut each: impl FnMut(&Refreshed)) -> Result<()> {
        for address in self.known_addresses()? {
            let now = self.local.clock.now();
            if self.cache.refreshes(&address, now - period, now)? {
                each(&self.refresh(&address, Instant::now() + self.local.limits.network)?);
            }
        }
        Ok(())
    }

    /// Asks every source for `address`, whatever was answered before. What is new in a key that is in use counts from now on; another key is held for
    /// the owner. The certificates of this machine are for the caller to change.
    ///
    /// # Errors
    ///
    /// What was found, or a key of this machine, cannot be read or written.
    pub fn refresh(&self, address: &Address, deadline: Instant) -> Result<Refreshed> {
        let mut refreshed = Refreshed::default();
        for method in self.settings.methods.iter().copied().filter(|method| *method != Method::Mail) {
            let answer = self.ask(method, address, deadline);
            self.keep(method, address, &answer)?;
            let octets = match answer {
                Answer::Found(octets) => octets,
                Answer::Missing(_) => continue,
                Answer::Failed(why) | Answer::Down(why) => {
                    refreshed.failures.push(format!("{}: {why}", method.name()));
                    continue;
                }
            };
            let protocol = method.protocol();
            let found = self.read(protocol, &octets, address)?;
            let known = self.local.keys.find(protocol, &Query::manage(Want::Address(address)))?;
            let is_known = |record: &&Record| known.iter().any(|own| own.fingerprint() == record.fingerprint());
            refreshed.copies.extend(found.iter().filter(is_known).cloned());
            self.admitted(method, address, found)?;
        }
        Ok(refreshed)
    }
}
