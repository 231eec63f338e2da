//! A directory that the owner names, asked by LDAP (RFC 4511): for the keys of an address, and for people.
//!
//! The owner names the servers, so they may be in any network. Referrals to other servers are not followed. Each question has a connection of its own.

mod connection;
mod message;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use self::{
    connection::{Connection, no_ldap, outcome},
    message::{Entry, Search},
};
use super::{
    Directory, Filter, Method, Person, Resolver, directory::LdapServer, dns::Unresolved, http::Failure, roots::Roots,
};
use crate::{
    base::{Result, Secret},
    mail::Address,
};

/// Asks a directory. It can be used by several threads at once.
pub(super) struct Client {
    directory: Directory,
    resolver: Resolver,
    tls: Arc<ClientConfig>,
}

/// Entries of one address. More are a filter that does not tell addresses apart.
const MAX_ENTRIES: u32 = 64;

/// Octets of the answers about all people. Source: 100,000 entries with a name and an address take 20 MiB.
const MAX_PEOPLE: usize = 32 * 1024 * 1024;

/// People asked for at once. Source: half of what Active Directory admits (MaxPageSize).
const PAGE: u32 = 500;

/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

impl Client {
    /// A client of `directory`, whose servers have certificates by `roots`, and whose names are looked up by `resolver`.
    ///
    /// # Errors
    ///
    /// None; in a build without directories, there is no client.
    pub(super) fn new(directory: &Directory, roots: &Roots, resolver: Resolver) -> Result<Client> {
        let mut trusted = RootCertStore::empty();
        trusted.add_parsable_certificates(roots.iter().map(|one| CertificateDer::from_slice(one)));
        let tls = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        Ok(Client { directory: directory.clone(), resolver, tls: Arc::new(tls) })
    }

    /// The certificates of `address`, as they are in its entries.
    ///
    /// # Errors
    ///
    /// [`Failure`]
    pub(super) fn keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        let attributes: &[&str] = match method {
            // With and without the option (RFC 4523, section 2.1), which servers treat differently.
            Method::LdapSmime => {
                &["userCertificate;binary", "userCertificate", "userSMIMECertificate;binary", "userSMIMECertificate"]
            }
            _ => &["pgpKey"],
        };
        let names = ["usercertificate", "usersmimecertificate", "pgpkey"];
        self.by_some_server(deadline, method.octets(), |connection, deadline| {
            let search = Search {
                base: &self.directory.base,
                filter: self.directory.filter.octets(Some(address)),
                attributes,
                max_entries: MAX_ENTRIES,
                seconds: seconds_until(deadline),
            };
            let mut found: Vec<Vec<u8>> = Vec::new();
            searched(connection, &search, None, |entry| {
                for value in names.iter().flat_map(|name| entry.values(name)) {
                    if !found.iter().any(|known| known == value) {
                        found.push(value.to_vec());
                    }
                }
            })?;
            Ok(found)
        })
    }

    /// The people that `filter` finds: entries with an address.
    ///
    /// # Errors
    ///
    /// [`Failure`]
    pub(super) fn people(&self, filter: &Filter, deadline: Instant) -> Result<Vec<Person>, Failure> {
        self.by_some_server(deadline, MAX_PEOPLE, |connection, deadline| {
            let search = Search {
                base: &self.directory.base,
                filter: filter.octets(None),
                attributes: &["mail", "displayName", "cn"],
                max_entries: 0,
                seconds: seconds_until(deadline),
            };
            let (mut people, mut page) = (Vec::new(), Vec::new());
            loop {
                page = searched(connection, &search, Some(&page), |entry| {
                    if let Some(address) = entry.text("mail") {
                        let name = entry.text("displayname").or_else(|| entry.text("cn"));
                        people.push(Person { dn: entry.dn.clone(), address, name });
                    }
                })?;
                if page.is_empty() {
                    return Ok(people);
                }
            }
        })
    }

    /// What the first server that answers says. Each has a share of the time that is left. `max` are the octets of all answers.
    fn by_some_server<T>(
        &self,
        deadline: Instant,
        max: usize,
        ask: impl Fn(&mut Connection, Instant) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut reasons = Vec::new();
        let servers = &self.directory.servers;
        for (at, server) in servers.iter().enumerate() {
            let share = share(deadline, servers.len() - at);
            let connected = self.connect(server, share, max);
            match connected.and_then(|mut connection| {
                let answer = ask(&mut connection, share)?;
                let id = connection.next_id();
                // The answer is here, whatever becomes of the connection.
                let _ = connection.send(&message::unbind(id));
                Ok(answer)
            }) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Unfit(reason)) => return Err(Failure::Unfit(format!("{}: {reason}", server.host))),
                Err(failure) => reasons.push(format!("{}: {failure}", server.host)),
            }
        }
        Err(Failure::Failed(reasons.join("; ")))
    }

    /// A connection with a server, after the login.
    fn connect(&self, server: &LdapServer, deadline: Instant, max: usize) -> Result<Connection, Failure> {
        let addresses = self.addresses(server, deadline)?;
        let mut failure = Failure::NoHost;
        for (at, address) in addresses.iter().enumerate() {
            let share = share(deadline, addresses.len() - at);
            let place = SocketAddr::new(*address, server.port);
            match Connection::open(server, place, self.directory.clear, &self.tls, share, max) {
                Ok(mut connection) => {
                    self.log_in(&mut connection)?;
                    return Ok(connection);
                }
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    fn addresses(&self, server: &LdapServer, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        if let Some(address) = server.address() {
            return Ok(vec![address]);
        }
        match self.resolver.addresses(&server.host, deadline) {
            Ok(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES);
                Ok(addresses)
            }
            Err(Unresolved::Missing) => Err(Failure::NoHost),
            Err(Unresolved::Unknown(why)) => Err(Failure::Failed(why)),
        }
    }

    fn log_in(&self, connection: &mut Connection) -> Result<(), Failure> {
        let Some(dn) = &self.directory.bind_dn else { return Ok(()) };
        // A name without a password would be no login at all (RFC 4513, section 5.1.2).
        let password = self.directory.password.as_ref().filter(|password| !password.expose().is_empty());
        let password: &Secret = password.ok_or_else(|| Failure::Failed("the password is missing".to_owned()))?;
        let id = connection.next_id();
        connection.send(message::bind(id, dn, password).expose())?;
        let reply = connection.receive(id)?;
        let done = reply.done().map_err(|_| no_ldap())?;
        match (reply.tag, done.code) {
            (message::BOUND, 0) => Ok(()),
            _ => Err(Failure::Failed(format!("the server answers {}", outcome(&done)))),
        }
    }
}

/// Searches, and gives out each entry. `page`: the entries come in pages, and this is where the last one ended. Returns where this one ended; empty: it was
/// the last one.
fn searched(
    connection: &mut Connection,
    search: &Search<'_>,
    page: Option<&[u8]>,
    mut each: impl FnMut(&Entry),
) -> Result<Vec<u8>, Failure> {
    let id = connection.next_id();
    connection.send(&message::search(id, search, page.map(|cookie| (PAGE, cookie))))?;
    loop {
        let reply = connection.receive(id)?;
        match reply.tag {
            message::FOUND => each(&reply.entry().map_err(|_| no_ldap())?),
            message::REFERENCE => {}
            message::SEARCHED => {
                let done = reply.done().map_err(|_| no_ldap())?;
                return match done.code {
                    0 => reply.cookie().map_err(|_| no_ldap()),
                    SIZE_LIMIT if search.max_entries > 0 => Err(Failure::Unfit(format!(
                        "more than {} entries, or than the server shows",
                        search.max_entries
                    ))),
                    _ => Err(Failure::Failed(format!("the server answers {}", outcome(&done)))),
                };
            }
            _ => return Err(no_ldap()),
        }
    }
}

/// sizeLimitExceeded (RFC 4511, appendix A.2)
const SIZE_LIMIT: u32 = 4;

/// The end of the first of so many equal parts of the time until `deadline`.
fn share(deadline: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + left / u32::try_from(parts).unwrap_or(u32::MAX).max(1)
}

/// In whole seconds, one at least: none would be no limit.
fn seconds_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).as_secs();
    u32::try_from(left).unwrap_or(u32::MAX).saturating_add(1)
}
