//! Who a client is, and which client a peer speaks for (XCLIENT, XFORWARD).

use std::net::{IpAddr, SocketAddr};

use super::{Origin, Reply, Server, command, origin::is_unavailable, session::Session};
use crate::mail::Login;

/// What is known of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientIdentity {
    /// None for a local socket, or when the address is unknown.
    pub(super) address: Option<IpAddr>,
    pub(super) login: Option<Login>,
    pub(super) trust: TrustLevel,
    /// What the next server may be told of the client.
    pub(super) origin: Origin,
}

/// What a client may do without a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TrustLevel {
    /// A mail server that forwards the mail of others to any recipient.
    Peer,
    /// A client in a trusted network: sends to any recipient.
    Trusted,
    /// Any other client: sends to local recipients.
    #[default]
    Untrusted,
}

impl ClientIdentity {
    /// The client at `peer`. A client at a local socket has no address, and is a peer.
    pub(super) fn new(server: &Server, peer: Option<SocketAddr>) -> ClientIdentity {
        let Some(peer) = peer else { return ClientIdentity { trust: TrustLevel::Peer, ..ClientIdentity::default() } };
        let address = peer.ip().to_canonical();
        let trust = if server.is_peer(address) { TrustLevel::Peer } else { trust_of(server, address) };
        let origin = Origin::default().at(address).knowing("PORT", peer.port().to_string());
        ClientIdentity { address: Some(address), login: None, trust, origin }
    }
}

impl Session<'_> {
    /// XCLIENT: from here on the session is that of another client, with that client's rights.
    pub(super) fn become_client(&mut self, attributes: &[(String, String)]) -> Result<Reply, Reply> {
        self.require_peer()?;
        let address = address_in(attributes);
        let login = value_of(attributes, "LOGIN").and_then(Login::new);
        let trust = address.map_or(TrustLevel::Untrusted, |address| trust_of(self.server, address));
        let mut origin = Origin::default();
        origin.learn(attributes);
        self.client = ClientIdentity { address, login, trust, origin };
        self.hello = value_of(attributes, "HELO").and_then(|hello| command::name(hello).ok());
        // Earlier XFORWARD commands and logins were those of the peer.
        (self.forwarded, self.upstream) = (None, None);
        let greeting = format!("{} ESMTP postseal", self.server.settings.name);
        Ok(Reply::plain(220, [greeting]))
    }

    /// XFORWARD: the next message came from another client.
    pub(super) fn forward(&mut self, attributes: &[(String, String)]) -> Result<Reply, Reply> {
        self.require_peer()?;
        let forwarded = self.forwarded.get_or_insert_with(ClientIdentity::default);
        forwarded.origin.learn(attributes);
        // An unavailable address replaces one that was known before.
        if attributes.iter().any(|(name, _)| name == "ADDR") {
            forwarded.address = address_in(attributes);
            let trust = forwarded.address.map(|address| trust_of(self.server, address));
            forwarded.trust = trust.unwrap_or_default();
        }
        if value_of(attributes, "SOURCE").is_some_and(|source| source.eq_ignore_ascii_case("LOCAL")) {
            forwarded.trust = TrustLevel::Trusted;
        }
        Ok(Reply::new(250, "2.0.0", "Ok"))
    }

    fn require_peer(&self) -> Result<(), Reply> {
        match () {
            () if self.client.trust != TrustLevel::Peer => {
                Err(Reply::new(550, "5.7.0", "Error: insufficient authorization"))
            }
            () if self.transaction.is_some() => Err(Reply::new(503, "5.5.1", "Error: MAIL transaction in progress")),
            () => Ok(()),
        }
    }

    /// The client that the message came from. None for a peer that did not say: its own address is not that client's.
    pub(super) fn origin(&self) -> Option<Origin> {
        match &self.forwarded {
            Some(client) => Some(client.origin.clone()),
            None if self.client.trust == TrustLevel::Peer => None,
            None => {
                let origin = self.client.origin.clone().knowing("SOURCE", "REMOTE");
                let origin = origin.knowing("PROTO", if self.is_extended { "ESMTP" } else { "SMTP" });
                Some(match &self.hello {
                    Some(hello) => origin.knowing("HELO", hello),
                    None => origin,
                })
            }
        }
    }
}

fn trust_of(server: &Server, address: IpAddr) -> TrustLevel {
    if server.is_trusted(address) { TrustLevel::Trusted } else { TrustLevel::Untrusted }
}

fn value_of<'v>(attributes: &'v [(String, String)], name: &str) -> Option<&'v str> {
    let found = attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    found.filter(|value| !is_unavailable(value))
}

fn address_in(attributes: &[(String, String)]) -> Option<IpAddr> {
    let value = value_of(attributes, "ADDR")?;
    let value = value
        .get(..5)
        .filter(|head| head.eq_ignore_ascii_case("IPV6:"))
        .map_or(value, |_| value.get(5..).unwrap_or_default());
    value.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
