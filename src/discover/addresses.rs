//! Which addresses may be asked.
//!
//! Names and URLs of look-ups come from strangers: from mail addresses and from certificates. Their hosts must not lead to servers of the own
//! network (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::Network;

/// The addresses that may be asked: all public ones, and the networks that the configuration allows.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    allowed: Vec<Network>,
}

/// Ports of public servers: HTTPS and HTTP.
pub(super) const PUBLIC_PORTS: [u16; 2] = [443, 80];

impl Addresses {
    /// All public addresses, and these networks. Within the networks every port may be asked.
    pub fn public_and(allowed: Vec<Network>) -> Self {
        Addresses { allowed }
    }

    /// Whether a server there may be asked; if not, why.
    pub(super) fn check(&self, address: IpAddr, port: u16) -> Result<(), String> {
        if self.allowed.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(format!("{address} is not a public address"));
        }
        match PUBLIC_PORTS.contains(&port) {
            true => Ok(()),
            false => Err(format!("port {port} is not asked")),
        }
    }
}

/// Whether the address is of the public Internet (RFC 6890 and the registries that it made).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(embedded) => is_public_v4(embedded),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 15] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 88, 99, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        // Multicast.
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        // Reserved, and the broadcast address.
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    !SPECIAL.iter().any(|(network, length)| (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0)
}

/// Global unicast addresses are those of `2000::/3`, without these.
fn is_public_v6(address: Ipv6Addr) -> bool {
    const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
    const SPECIAL: [(Ipv6Addr, u32); 3] = [
        // Protocol assignments, among them Teredo.
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
        (Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0), 32),
        (Ipv6Addr::new(0x3FFF, 0, 0, 0, 0, 0, 0, 0), 20),
    ];
    let is_in = |(network, length): &(Ipv6Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (128 - length) == 0;
    is_in(&GLOBAL) && !SPECIAL.iter().any(is_in)
}

/// The IPv4 address that packets to this address reach: mapped (RFC 4291, section 2.5.5.2), NAT64 (RFC 6052, section 2.1) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |[.., high, low]: [u16; 8]| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xFFFF, ..] | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => Some(last(address.segments())),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked() {
        let check = |text: &str| Addresses::default().check(text.parse().unwrap(), 443).is_ok();
        for public in ["192.0.3.1", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::101:101"] {
            assert!(check(public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!check(special), "{special}");
        }
    }

    #[test]
    fn a_network_is_allowed_with_all_its_ports() {
        let addresses = Addresses::public_and(vec![Network::parse("127.0.0.0/8").unwrap()]);
        let check = |text: &str, port| addresses.check(text.parse().unwrap(), port);
        assert_eq!(check("127.0.0.1", 8443), Ok(()));
        assert_eq!(check("::ffff:127.0.0.1", 8443), Ok(()));
        assert_eq!(check("::1", 443), Err("::1 is not a public address".to_owned()));
        assert_eq!(check("1.1.1.1", 80), Ok(()));
        assert_eq!(check("1.1.1.1", 25), Err("port 25 is not asked".to_owned()));
    }
}
