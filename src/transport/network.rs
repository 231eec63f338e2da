//! Networks of clients.

use std::{fmt, net::IpAddr};

use crate::base::{Error, Kind, Result};

/// All addresses that share the first bits, `192.0.2.0/24` or `2001:db8::/32` (RFC 4632, section 3.1; RFC 4291, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads an address with or without the number of its bits that count.
    ///
    /// # Errors
    ///
    /// `Config` when it is neither, or when bits that do not count are set.
    pub fn parse(text: &str) -> Result<Network> {
        let error = |reason: &str| Error::new(Kind::Config, format!("network {text:?}: {reason}"));
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| error("not an address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| error("not a number of bits"))?
            }
        };
        let network = Network { address, bits };
        let (_, left) = network.halves(address);
        if left != 0 {
            return Err(error("bits are set that do not count"));
        }
        Ok(network)
    }

    /// Whether `address` is one of these. An IPv4 address in IPv6 (RFC 4291, section 2.5.5.2) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.halves(address).0 == self.halves(self.address).0
    }

    /// The bits that count, and those that do not.
    fn halves(&self, address: IpAddr) -> (u128, u128) {
        let (value, most) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let left = most - self.bits;
        let counting = value.checked_shr(left).unwrap_or_default();
        (counting, value - counting.checked_shl(left).unwrap_or_default())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_the_first_bits() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "203.0.113.1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, why) in [
            ("192.0.2.1/24", "bits are set that do not count"),
            ("192.0.2.0/33", "not a number of bits"),
            ("192.0.2.0/", "not a number of bits"),
            ("example.org", "not an address"),
        ] {
            let error = Network::parse(text).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (Kind::Config, format!("network {text:?}: {why}")));
        }
    }
}
