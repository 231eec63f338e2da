//! Which keys here expire soon, and how old the revocation lists are.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use super::{Engine, HandlerConfig};
use crate::{
    base::{FixedClock, Result},
    keys::{KeyState, ProtocolName, Query, Want},
    mail::Address,
    pki,
    protocol::{Context, Role},
};

impl HandlerConfig {
    /// For each of `spans`, ascending, how many addresses can sign in a protocol now, and no longer at its end: their key expires, and there is no
    /// other. Takes long when many of them are here.
    ///
    /// # Errors
    ///
    /// The keys could not be read.
    pub fn expiring_keys<const N: usize>(&self, spans: [Duration; N]) -> Result<[usize; N]> {
        let mut counts = [0; N];
        let now = self.clock.now();
        for (protocol, address) in self.own_addresses()? {
            if !self.can_sign(&address, protocol, now)? {
                continue;
            }
            for (count, span) in counts.iter_mut().zip(spans).rev() {
                if self.can_sign(&address, protocol, now + span)? {
                    break;
                }
                *count += 1;
            }
        }
        Ok(counts)
    }

    /// How old the oldest CRL is, of the newest of each issuer; `None` without CRLs.
    ///
    /// # Errors
    ///
    /// The keys could not be read.
    pub fn age_of_oldest_crl(&self) -> Result<Option<Duration>> {
        let statements = self.keys.revocations()?;
        let issued = pki::oldest_list(statements.iter().map(AsRef::as_ref));
        Ok(issued.map(|issued| self.clock.now().duration_since(issued).unwrap_or_default()))
    }

    /// The addresses of all certificates with a secret key.
    fn own_addresses(&self) -> Result<HashSet<(ProtocolName, Address)>> {
        let mut own = HashSet::new();
        for protocol in [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime] {
            for record in self.keys.find(protocol, &Query::manage(Want::Secrets))? {
                own.extend(record.claimed().iter().map(|address| (protocol, address.clone())));
            }
        }
        Ok(own)
    }

    fn can_sign(&self, address: &Address, protocol: ProtocolName, at: SystemTime) -> Result<bool> {
        let clock = FixedClock(at);
        let context = Context {
            keys: &*self.keys,
            clock: &clock,
            random: &*self.random,
            legacy: self.legacy,
            revocation: self.revocation,
        };
        let states = Engine::new(context, self.limits.clone()).key_states(address, Role::Signer, &[protocol].into())?;
        Ok(states.get(&protocol).is_some_and(KeyState::is_usable))
    }
}
