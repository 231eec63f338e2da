//! Whom we talk with, and for whom a peer speaks.

use std::net::{IpAddr, SocketAddr};

use super::{Origin, Reply, Server, command, origin::is_unavailable, session::Session};
use crate::mail::Login;

/// Who it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Guest {
    /// None when it is not known, or when there is none.
    pub(super) address: Option<IpAddr>,
    pub(super) login: Option<Login>,
    pub(super) rank: Rank,
    /// What the next server may be told of him.
    pub(super) origin: Origin,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// Bring mail of others for anybody.
    Peer,
    /// Leave mail for those who live here.
    #[default]
    Stranger,
    /// Send mail to anybody.
    User,
}

impl Guest {
    /// Whoever connected from there; whoever connected to a local socket has no address.
    pub(super) fn new(server: &Server, peer: Option<SocketAddr>) -> Guest {
        let Some(peer) = peer else { return Guest { rank: Rank::Peer, ..Guest::default() } };
        let address = peer.ip().to_canonical();
        let rank = if server.is_peer(address) { Rank::Peer } else { user_or_stranger(server, address) };
        let origin = Origin::default().at(address).knowing("PORT", peer.port().to_string());
        Guest { address: Some(address), login: None, rank, origin }
    }
}

impl Session<'_> {
    /// The peer is somebody else from here on, with somebody else's rights.
    pub(super) fn become_client(&mut self, attributes: &[(String, String)]) -> Result<Reply, Reply> {
        if self.client.rank != Rank::Peer || self.transaction.is_some() {
            return Err(Reply::new(550, "5.7.0", "not for you"));
        }
        let address = address_in(attributes);
        let login = value_of(attributes, "LOGIN").and_then(Login::new);
        let rank = address.map_or(Rank::Stranger, |address| user_or_stranger(self.server, address));
        let mut origin = Origin::default();
        origin.learn(attributes);
        self.client = Guest { address, login, rank, origin };
        self.hello = value_of(attributes, "HELO").and_then(|hello| command::name(hello).ok());
        // Nor does anything count that was said or proved before.
        (self.forwarded, self.upstream) = (None, None);
        let greeting = format!("{} ESMTP postseal", self.server.settings.name);
        Ok(Reply::plain(220, [greeting]))
    }

    /// The next message is somebody else's.
    pub(super) fn forward(&mut self, attributes: &[(String, String)]) -> Result<Reply, Reply> {
        if self.client.rank != Rank::Peer || self.transaction.is_some() {
            return Err(Reply::new(550, "5.7.0", "not for you"));
        }
        let forwarded = self.forwarded.get_or_insert_with(Guest::default);
        forwarded.origin.learn(attributes);
        // Who is not known now is not whoever was known before.
        if attributes.iter().any(|(name, _)| name == "ADDR") {
            forwarded.address = address_in(attributes);
            let rank = forwarded.address.map(|address| user_or_stranger(self.server, address));
            forwarded.rank = rank.unwrap_or_default();
        }
        if value_of(attributes, "SOURCE").is_some_and(|source| source.eq_ignore_ascii_case("LOCAL")) {
            forwarded.rank = Rank::User;
        }
        Ok(Reply::new(250, "2.0.0", "ok"))
    }

    /// What is known of whoever the message is from; of a peer who does not say for whom he speaks, the next server knows as much as we.
    pub(super) fn origin(&self) -> Option<Origin> {
        match &self.forwarded {
            Some(guest) => Some(guest.origin.clone()),
            None if self.client.rank == Rank::Peer => None,
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

fn user_or_stranger(server: &Server, address: IpAddr) -> Rank {
    if server.is_trusted(address) { Rank::User } else { Rank::Stranger }
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
