//! Keys in signed DNS: OPENPGPKEY (RFC 7929) and SMIMEA (RFC 8162).
//!
//! Only answers that DNSSEC proves count. Whether they are proved says a resolver on loopback, by the AD bit (RFC 4035, section 3.2.3), or this program,
//! with the trust anchors of a file.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::proto::{
    dnssec::TrustAnchors,
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, RecordType,
        rdata::tlsa::{CertUsage, Matching, Selector},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Method, Resolver, SignedKeys,
    dns::{NameServers, Proved},
    request::Failure,
};
use crate::{
    base::{Error, Kind, Result},
    crypto::Hash,
    mail::Address,
};

/// Who proves answers: [`Dnssec`](super::Dnssec), with the content of the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum Prover {
    Resolver,
    /// By the trust anchors of a file: its name, and its content. `None`: by those of the root zone.
    Own(Option<(String, String)>),
}

/// Who says whether an answer is proved.
pub(super) enum Validator {
    /// The first of these name servers that answers. All of them are on this machine.
    Resolver(Vec<SocketAddr>),
    /// This program.
    Own(Arc<Resolver>),
}

impl Validator {
    /// As `prover` says.
    ///
    /// # Errors
    ///
    /// `Config`: a name server is not on this machine; the trust anchors cannot be read; this machine has no name servers.
    pub(super) fn new(prover: &Prover, name_servers: &NameServers) -> Result<Validator> {
        match prover {
            Prover::Resolver => {
                let servers = name_servers.addresses()?;
                match servers.iter().find(|server| !server.ip().is_loopback()) {
                    Some(server) => {
                        let what = format!(
                            "dnssec: {server} is not on this machine, and its word is not protected on the way"
                        );
                        Err(Error::new(Kind::Config, what).with_hint("dnssec = \"validate\" checks signatures here"))
                    }
                    None => Ok(Validator::Resolver(servers)),
                }
            }
            Prover::Own(file) => {
                let anchors = file.as_ref().map_or_else(|| Ok(TrustAnchors::default()), anchors_of)?;
                Ok(Validator::Own(Arc::new(Resolver::validating(name_servers, anchors)?)))
            }
        }
    }

    /// The keys of `address`. What is not proved is no key, and a wrong signature is no answer: there may be a key.
    pub(super) fn ask(&self, method: Method, address: &Address, deadline: Instant) -> Result<SignedKeys, Failure> {
        let missing = |why: &str| Ok(SignedKeys::Missing(why.to_owned()));
        let Some((name, kind)) = question(method, address) else { return missing("") };
        let found = match self {
            Validator::Own(resolver) => resolver.records(&name, kind, deadline),
            Validator::Resolver(servers) => {
                let mut answer = Err("no name server".to_owned());
                for server in servers {
                    answer = by_resolver(*server, &name, kind, deadline);
                    if answer.is_ok() {
                        break;
                    }
                }
                answer
            }
        };
        match found {
            Err(why) => Err(Failure::Failed(why)),
            Ok(Proved::Nothing) => missing(""),
            Ok(Proved::Insecure) => missing("the answer is not signed (DNSSEC)"),
            Ok(Proved::Secure(records)) => match octets(&records) {
                Some(octets) => Ok(SignedKeys::Found(octets)),
                None => missing("no record there has a whole certificate of the address"),
            },
        }
    }
}

/// What is asked, and its type; `None` for an address literal, and for what is not in DNS.
fn question(method: Method, address: &Address) -> Option<(Name, RecordType)> {
    let (label, kind) = match method {
        Method::Openpgpkey => ("_openpgpkey", RecordType::OPENPGPKEY),
        Method::Smimea => ("_smimecert", RecordType::SMIMEA),
        Method::Hkp | Method::LdapPgp | Method::LdapSmime | Method::Mail | Method::Vks | Method::Wkd => return None,
    };
    let digest = Hash::Sha256.digest(address.local().as_bytes());
    let hash = crate::base::hex(digest.get(..28)?);
    let name = Name::from_ascii(format!("{hash}.{label}.{}.", address.domain())).ok()?;
    Some((name, kind))
}

/// OpenPGP certificates, and X.509 certificates that the record has whole and names as those of the owner (usage 3, selector 0, matching type 0).
fn octets(records: &[RData]) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for record in records {
        match record {
            RData::OPENPGPKEY(key) => octets.extend_from_slice(&key.public_key),
            RData::SMIMEA(association) => {
                let whole = association.0.selector == Selector::Full && association.0.matching == Matching::Raw;
                if whole && association.0.cert_usage == CertUsage::DaneEe {
                    octets.extend_from_slice(&association.0.cert_data);
                }
            }
            _ => {}
        }
    }
    (!octets.is_empty()).then_some(octets)
}

/// One question over TCP: keys do not fit into a datagram.
fn by_resolver(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    deadline: Instant,
) -> std::result::Result<Proved, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer of the name server in time".to_owned(),
        _ => format!("name server {server}: {error}").to_lowercase(),
    };
    let malformed = |error: &dyn std::fmt::Display| format!("name server {server}: {error}").to_lowercase();
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    // RFC 6840, section 5.7: the answer is to have the bit too.
    query.metadata.authentic_data = true;
    query.add_query(Query::query(name.clone(), kind));
    let octets = query.to_vec().map_err(|error| malformed(&error))?;
    let answer = exchange(server, &octets, deadline).map_err(failed)?;
    let answer = Message::from_vec(&answer).map_err(|error| malformed(&error))?;
    if answer.metadata.id != query.metadata.id || answer.queries != query.queries {
        return Err(malformed(&"the answer is to another question"));
    }
    match answer.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Ok(Proved::Nothing),
        // A resolver says this of a wrong signature too (RFC 4035, section 5.5).
        ResponseCode::ServFail => {
            return Err("the name server cannot say, or the signature is wrong (SERVFAIL)".to_owned());
        }
        code => return Err(malformed(&format_args!("answers {code}"))),
    }
    let records: Vec<RData> = answer.answers.into_iter().map(|record| record.data).collect();
    let records: Vec<RData> = records.into_iter().filter(|data| data.record_type() == kind).collect();
    Ok(match (records.is_empty(), answer.metadata.authentic_data) {
        (true, _) => Proved::Nothing,
        (false, true) => Proved::Secure(records),
        (false, false) => Proved::Insecure,
    })
}

/// RFC 7766, section 8: the length, and the message.
fn exchange(server: SocketAddr, query: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&server, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut read = |buffer: &mut [u8]| -> io::Result<()> {
        let mut at = 0;
        while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
            stream.set_read_timeout(Some(left()?.max(Duration::from_millis(1))))?;
            match stream.read(rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => at += count,
            }
        }
        Ok(())
    };
    let mut length = [0; 2];
    read(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    read(&mut answer)?;
    Ok(answer)
}

fn anchors_of((file, text): &(String, String)) -> Result<TrustAnchors> {
    let anchors = TrustAnchors::from_str(text);
    anchors.map_err(|error| Error::new(Kind::Config, format!("{file}: {error}").to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7929, section 3, and RFC 8162, section 3.
    #[test]
    fn the_names_are_those_of_the_documents() {
        let hugh = Address::parse("hugh@example.com").unwrap();
        let hash = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6";
        let name = |method| question(method, &hugh).unwrap().0.to_ascii();
        assert_eq!(name(Method::Openpgpkey), format!("{hash}._openpgpkey.example.com."));
        assert_eq!(name(Method::Smimea), format!("{hash}._smimecert.example.com."));
    }
}
