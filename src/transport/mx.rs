//! The mail servers of a domain (RFC 5321, section 5.1).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_resolver::{
    TokioResolver,
    net::NetError,
    proto::rr::{RData, rdata::MX},
};

use super::smtp::Reply;
use crate::base::{Error, Kind, Random, Result as Outcome};

/// Looks mail servers up in DNS.
pub struct MxResolver {
    resolver: TokioResolver,
    port: u16,
    /// Shuffles the hosts of one preference.
    random: Arc<dyn Random>,
}

impl MxResolver {
    /// Uses the name servers of this machine. Mail servers are reached at port 25.
    ///
    /// # Errors
    ///
    /// `Config`: this machine has no name servers configured.
    pub fn of_system(random: Arc<dyn Random>) -> Outcome<MxResolver> {
        let wrong = |error: NetError| Error::new(Kind::Config, format!("dns: {error}").to_lowercase());
        let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build()).map_err(wrong)?;
        Ok(MxResolver { resolver, port: 25, random })
    }

    /// The mail servers of a domain in the order in which they are tried: by preference, shuffled within one preference. A domain without
    /// MX records is its own mail server.
    ///
    /// # Errors
    ///
    /// The reply to the client: 556 for a domain that accepts no mail (RFC 7505), 550 for one that does not exist, 451 when the look-up fails.
    pub(super) async fn hosts(&self, domain: &str) -> Result<Vec<String>, Reply> {
        if domain.starts_with('[') {
            return Ok(vec![domain.to_owned()]);
        }
        let found = match self.resolver.mx_lookup(format!("{domain}.")).await {
            Ok(found) => found,
            Err(error) if error.is_nx_domain() => {
                return Err(Reply::new(550, "5.1.2", format!("{domain}: domain not found")));
            }
            Err(error) if error.is_no_records_found() => return Ok(vec![domain.to_owned()]),
            Err(error) => return Err(unknown(domain, &error)),
        };
        let exchangers = found.answers().iter().filter_map(|record| match &record.data {
            RData::MX(MX { preference, exchange, .. }) => Some((*preference, exchange)),
            _ => None,
        });
        let mut hosts = Vec::new();
        for (preference, exchange) in exchangers {
            if exchange.is_root() {
                continue;
            }
            let mut order = [0; 1];
            // If it fails, the order is that of the answer, which name servers rotate.
            let _ = self.random.fill(&mut order);
            hosts.push((preference, order, exchange.to_ascii().trim_end_matches('.').to_owned()));
        }
        if hosts.is_empty() {
            return Err(Reply::new(556, "5.1.10", format!("{domain}: domain does not accept mail")));
        }
        hosts.sort();
        Ok(hosts.into_iter().map(|(_, _, host)| host).collect())
    }

    /// The addresses of a mail server.
    ///
    /// # Errors
    ///
    /// The reply to the client: 451, because another server may have an address.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, Reply> {
        let at = |address: IpAddr| SocketAddr::new(address, self.port);
        if let Some(literal) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let literal = literal.strip_prefix("ipv6:").unwrap_or(literal);
            let address = literal.parse().map_err(|_| Reply::new(550, "5.1.2", format!("{host}: not an address")))?;
            return Ok(vec![at(address)]);
        }
        let found = self.resolver.lookup_ip(format!("{host}.")).await.map_err(|error| unknown(host, &error))?;
        Ok(found.iter().map(at).collect())
    }
}

fn unknown(name: &str, error: &NetError) -> Reply {
    Reply::later("4.4.3", format!("{name}: {error}").to_lowercase())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::{
        config::{ConnectionConfig, NameServerConfig, ResolverConfig},
        net::runtime::TokioRuntimeProvider,
    };
    use tokio::net::UdpSocket;

    use crate::base::SystemRandom;

    use super::*;

    /// Asks a name server of our own, which knows only what stands in `answer`.
    async fn resolver() -> MxResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut query).await {
                socket.send_to(&reply(&query[..length]), peer).await.unwrap();
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let server = NameServerConfig::new("127.0.0.1".parse().unwrap(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        MxResolver { resolver: builder.build().unwrap(), port: 2525, random: Arc::new(SystemRandom) }
    }

    /// RFC 1035, section 4.1: the header, the question again, and answers whose name is a pointer to it.
    fn reply(query: &[u8]) -> Vec<u8> {
        let end = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
        let mut name = Vec::new();
        let mut rest = &query[12..];
        while rest[0] != 0 {
            name.push(String::from_utf8_lossy(&rest[1..=rest[0] as usize]).into_owned());
            rest = &rest[rest[0] as usize + 1..];
        }
        let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
        let (code, answers) = answer(&name.join("."), kind);
        let mut reply = [&query[..2], &[0x84, 0x80 | code, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]].concat();
        reply.extend_from_slice(&query[12..end]);
        for data in answers {
            reply.extend_from_slice(&[0xC0, 12]);
            reply.extend_from_slice(&kind.to_be_bytes());
            reply.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            reply.extend_from_slice(&data);
        }
        reply
    }

    fn answer(name: &str, kind: u16) -> (u8, Vec<Vec<u8>>) {
        let mx = |preference: u8, host: &str| {
            let labels = host.split('.').filter(|label| !label.is_empty());
            let labels = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
            [0, preference].into_iter().chain(labels).chain([0]).collect()
        };
        match (name, kind) {
            ("two.test", 15) => (0, vec![mx(20, "b.two.test"), mx(10, "a.two.test")]),
            ("null.test", 15) => (0, vec![mx(0, "")]),
            ("a.two.test" | "bare.test", 1) => (0, vec![vec![192, 0, 2, 1]]),
            ("gone.test", _) => (3, Vec::new()),
            ("broken.test", _) => (2, Vec::new()),
            _ => (0, Vec::new()),
        }
    }

    #[tokio::test]
    async fn a_domain_names_its_hosts() {
        let resolver = resolver().await;
        assert_eq!(resolver.hosts("two.test").await.unwrap(), ["a.two.test", "b.two.test"]);
        assert_eq!(resolver.hosts("bare.test").await.unwrap(), ["bare.test"]);
        for (domain, code, status) in
            [("null.test", 556, "5.1.10"), ("gone.test", 550, "5.1.2"), ("broken.test", 451, "4.4.3")]
        {
            let reply = resolver.hosts(domain).await.unwrap_err();
            assert_eq!((reply.code, reply.status.as_deref()), (code, Some(status)), "{domain}: {reply}");
        }
        let address = ["192.0.2.1:2525".parse().unwrap()];
        assert_eq!(resolver.addresses("a.two.test").await.unwrap(), address);
        assert_eq!(resolver.addresses("[192.0.2.1]").await.unwrap(), address);
        assert_eq!(resolver.addresses("b.two.test").await.unwrap_err().code, 451);
    }
}
