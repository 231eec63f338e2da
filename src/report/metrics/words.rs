//! The words by which is counted.

/// What was done to get certificates from an authority (ACME).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// A challenge was answered.
    Answered,
    /// Something failed.
    Failed,
    /// A certificate was issued.
    Issued,
    /// A certificate was ordered.
    Ordered,
}

impl Enrolment {
    /// The word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Enrolment::Answered => "answered",
            Enrolment::Failed => "failed",
            Enrolment::Issued => "issued",
            Enrolment::Ordered => "ordered",
        }
    }
}

/// What became of a delivery status notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounced {
    /// It could not be sent.
    Failed,
    /// It was sent.
    Sent,
}

impl Bounced {
    /// The word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Bounced::Failed => "failed",
            Bounced::Sent => "sent",
        }
    }
}

/// What became of a mail that a tenant has a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantMail {
    /// It could not be handled.
    Failed,
    /// It was handled.
    Handled,
}

impl TenantMail {
    /// The word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            TenantMail::Failed => "failed",
            TenantMail::Handled => "handled",
        }
    }
}

/// Which process of the service ended before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// That with the sockets.
    Front,
    /// One that handles mail.
    Judge,
    /// That with the keys.
    Keys,
    /// That which asks the network.
    Network,
}

impl Ended {
    /// All of them.
    pub(super) const ALL: [Ended; 4] = [Ended::Front, Ended::Judge, Ended::Keys, Ended::Network];

    /// The word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Ended::Front => "front",
            Ended::Judge => "judge",
            Ended::Keys => "keys",
            Ended::Network => "network",
        }
    }
}

/// What became of a recipient of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The client was told to try again.
    Deferred,
    /// Accepted and thrown away, because a rule says so.
    Discarded,
    /// Held for the administrator.
    Held,
    /// The client was told that there is no delivery.
    Refused,
    /// The next hop took it over. Behind a milter that is the mail server.
    Relayed,
}

impl Fate {
    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Deferred => "deferred",
            Fate::Discarded => "discarded",
            Fate::Held => "held",
            Fate::Refused => "refused",
            Fate::Relayed => "relayed",
        }
    }
}

/// Why a recipient of a message met its [`Fate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The message could not be handled.
    Failure,
    /// A limit: size, memory, hops.
    Limit,
    /// What the next hop said, or that it could not be reached.
    NextHop,
    /// A rule, or an obstacle to it.
    Rule,
}

impl Cause {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Failure => "failure",
            Cause::Limit => "limit",
            Cause::NextHop => "next-hop",
            Cause::Rule => "rule",
        }
    }
}

/// A limit that turned a client, a login or a message away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections at one listener, without the reserve.
    Connections,
    /// Four fifths of the connections at one listener.
    ConnectionsFilling,
    /// Connections from one address.
    ConnectionsOfClient,
    /// Servers that a message passed.
    Hops,
    /// Passwords checked at once.
    Logins,
    /// Failed logins from one address.
    LoginsOfClient,
    /// Failed logins with one name.
    LoginsOfName,
    /// Passes of a message through this host.
    Loop,
    /// Memory for messages.
    Memory,
    /// Messages of one sender in a while.
    MessagesOfSender,
    /// Recipients of one sender in a while.
    RecipientsOfSender,
}

impl Limit {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::ConnectionsFilling => "connections-filling",
            Limit::ConnectionsOfClient => "connections-of-client",
            Limit::Hops => "hops",
            Limit::Logins => "logins",
            Limit::LoginsOfClient => "logins-of-client",
            Limit::LoginsOfName => "logins-of-name",
            Limit::Loop => "loop",
            Limit::Memory => "memory",
            Limit::MessagesOfSender => "messages-of-sender",
            Limit::RecipientsOfSender => "recipients-of-sender",
        }
    }
}
