//! Which keys here expire soon, and how old the revocation lists are.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use super::{Engine, HandlerConfig};
use crate::{
    base::{FixedClock, Result},
    keys::{Handle, KeyState, ProtocolName, Query, Want},
    mail::Address,
    pki,
    protocol::{Context, Role, ends},
};

/// An own key that ends, with no other in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The protocol.
    pub protocol: ProtocolName,
    /// Whose key.
    pub address: Address,
    /// The fingerprint of the certificate.
    pub key: Handle,
    /// The first end in it.
    pub at: SystemTime,
}

impl HandlerConfig {
    /// The keys with a secret part that are used to sign now or to encrypt to, and whose place no other key takes when they end within `span`.
    ///
    /// # Errors
    ///
    /// The keys could not be read.
    pub fn ending(&self, span: Duration) -> Result<Vec<Ending>> {
        let now = self.clock.now();
        let mut ending = Vec::new();
        for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
            for record in self.keys.find(protocol, &Query::manage(Want::Secrets))? {
                // A certificate that cannot be read is no key, and does not end.
                let ends = ends(&record).unwrap_or_default();
                let Some(at) = ends.into_iter().filter(|end| *end > now && *end <= now + span).min() else { continue };
                // A certificate is valid in its last second (RFC 5280, section 4.1.2.5).
                let after = at + Duration::from_secs(1);
                for address in record.claimed() {
                    let is_used = |role| -> Result<bool> {
                        let now = self.key_of(address, protocol, role, now)?;
                        Ok(now.is_some_and(|key| record.has(&key))
                            && self.key_of(address, protocol, role, after)?.is_none())
                    };
                    if is_used(Role::Signer)? || is_used(Role::Recipient)? {
                        let key = record.fingerprint().clone();
                        ending.push(Ending { protocol, address: address.clone(), key, at });
                    }
                }
            }
        }
        Ok(ending)
    }

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
        Ok(self.key_of(address, protocol, Role::Signer, at)?.is_some())
    }

    /// The key that is used for `address` at a time.
    fn key_of(&self, address: &Address, protocol: ProtocolName, role: Role, at: SystemTime) -> Result<Option<Handle>> {
        let clock = FixedClock(at);
        let context = Context {
            keys: &*self.keys,
            clock: &clock,
            random: &*self.random,
            legacy: self.legacy,
            revocation: self.revocation,
        };
        let mut states = Engine::new(context, self.limits.clone()).key_states(address, role, &[protocol].into())?;
        Ok(match states.remove(&protocol) {
            Some(KeyState::Usable { key, .. }) => Some(key),
            _ => None,
        })
    }
}
