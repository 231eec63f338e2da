//! Networks, as address and prefix length.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{Error, Kind, Result};

/// A network: `192.0.2.0/24` or `2001:db8::/32` (RFC 4632, section 3.1; RFC 4291, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix_length: u32,
}

impl Network {
    /// Parses an address, with or without a prefix length.
    ///
    /// # Errors
    ///
    /// `Config`: it is neither, or bits after the prefix are set.
    pub fn parse(text: &str) -> Result<Network> {
        let error = |reason: &str| Error::new(Kind::Config, format!("network {text:?}: {reason}"));
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| error("not an address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_length = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| error("not a prefix length"))?,
        };
        let network = Network { address, prefix_length };
        let (_, left) = network.split(address);
        if left != 0 {
            return Err(error("bits after the prefix are set"));
        }
        Ok(network)
    }

    /// Whether `address` is in the network. An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.split(address).0 == self.split(self.address).0
    }

    /// The prefix, and the bits after it.
    fn split(&self, address: IpAddr) -> (u128, u128) {
        let (value, most) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let left = most - self.prefix_length;
        let prefix = value.checked_shr(left).unwrap_or_default();
        (prefix, value - prefix.checked_shl(left).unwrap_or_default())
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Network> {
        Network::parse(&text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_the_prefix() {
        let contains =
            |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(contains("0.0.0.0/0", "203.0.113.1") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "203.0.113.1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn invalid_networks_are_refused() {
        for (text, why) in [
            ("192.0.2.1/24", "bits after the prefix are set"),
            ("192.0.2.0/33", "not a prefix length"),
            ("192.0.2.0/", "not a prefix length"),
            ("example.org", "not an address"),
        ] {
            let error = Network::parse(text).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (Kind::Config, format!("network {text:?}: {why}")));
        }
    }
}
