//! The mail with which an authority asks whether an address is its subscriber's (RFC 8823, section 3.1).

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::dkim;
use crate::mail::{
    Address, Part,
    address::list,
    header::{author, times_read},
    header_protection::{Header, HeaderField},
};

/// A challenge for an address, from whom it says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The address in From.
    pub(super) from: Address,
    /// The first part of the token, as it is in Subject.
    pub(super) token: String,
    /// Where the answer goes.
    pub(super) reply_to: Address,
    /// Its Message-ID, if it has one.
    pub(super) message_id: Option<String>,
}

/// What shows that a challenge is from the authority.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// What a host that is trusted says of its DKIM signature; the authserv-ids of such hosts (RFC 8601).
    Dkim(&'a [String]),
    /// A valid signature of this author over the message, and the header with what it covers.
    Signature(&'a Address, &'a Header),
    /// A person who looked at it.
    Waived,
}

/// Whether the mail may be a challenge: its subject says so. A reply is none.
pub fn is_challenge(root: Part<'_>) -> bool {
    root.fields().find(|field| field.is("subject")).is_some_and(|subject| token(&subject.decoded()).is_ok())
}

impl Challenge {
    /// Reads the challenge for `address`. Whether the authority said that it is from there is asked when it is answered.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn read(root: Part<'_>, address: &Address, proof: &Proof<'_>) -> Result<Challenge, String> {
        let name = ["from", "to", "subject", "reply-to", "message-id", "auto-submitted"];
        if let Some(name) = name.into_iter().find(|name| times_read(root, name) > 1) {
            return Err(format!("{name}: several fields"));
        }
        let from = author(root).map_err(|error| error.to_string())?;
        let value = |name: &str| root.fields().find(|field| field.is(name)).map(|field| field.decoded());
        let to = list(&value("to").unwrap_or_default()).map_err(|error| error.to_string())?;
        if !matches!(to.as_slice(), [only] if only.address == *address) {
            return Err(format!("it is not to {address} alone"));
        }
        // acme2certifier 0.46 leaves the field out. An answer of a person's program to a challenge has another value.
        let origin = value("auto-submitted").unwrap_or_else(|| "auto-generated".to_owned());
        if !origin.split(';').next().is_some_and(|word| word.trim().eq_ignore_ascii_case("auto-generated")) {
            return Err("Auto-Submitted is not auto-generated".to_owned());
        }
        let token = token(&value("subject").unwrap_or_default())?;
        let reply_to = match value("reply-to") {
            None => from.clone(),
            Some(text) => match list(&text).map_err(|error| error.to_string())?.as_slice() {
                [only] => only.address.clone(),
                _ => return Err("Reply-To is not one address".to_owned()),
            },
        };
        match proof {
            Proof::Dkim(hosts) => dkim::passes(root, hosts, from.domain())?,
            Proof::Signature(signer, header) => signed(root, signer, &from, header)?,
            Proof::Waived if reply_to.domain() != from.domain() => {
                return Err(format!("Reply-To leads to {}, and nothing shows that it is from the server", reply_to));
            }
            Proof::Waived => {}
        }
        let message_id = value("message-id").filter(|id| is_message_id(id));
        Ok(Challenge { from, token, reply_to, message_id })
    }
}

/// Whether the signature is that of the author, and covers the fields that count.
fn signed(root: Part<'_>, signer: &Address, from: &Address, header: &Header) -> Result<(), String> {
    if signer != from {
        return Err(format!("it is signed by {signer}"));
    }
    for name in ["from", "to", "subject", "reply-to"].into_iter().filter(|name| times_read(root, name) > 0) {
        let is_covered = |field: &HeaderField| field.protection.is_signed() && field.outside.is_none();
        if !header.field(name).is_some_and(is_covered) {
            return Err(format!("the signature does not cover {name}"));
        }
    }
    Ok(())
}

/// The first part of the token: what is after `ACME:`, without white space.
fn token(subject: &str) -> Result<String, String> {
    let rest = subject.trim_start().strip_prefix("ACME:").ok_or("the subject is not that of a challenge")?;
    let token: String = rest.chars().filter(|c| !c.is_whitespace()).collect();
    let engine = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let octets = engine.decode(&token).map_err(|_| "the token in the subject is not in base64url")?;
    match (MIN_TOKEN..=MAX_TOKEN).contains(&octets.len()) {
        true => Ok(token),
        false => Err(format!("the token in the subject has {} octets", octets.len())),
    }
}

/// Whether a Message-ID can be quoted as it is.
fn is_message_id(id: &str) -> bool {
    let within = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or_default();
    id.len() <= MAX_MESSAGE_ID && !within.is_empty() && within.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Octets: 128 bits (RFC 8823, section 3.1, item 1).
const MIN_TOKEN: usize = 16;
/// Octets. The subject of the answer is one line.
const MAX_TOKEN: usize = 256;
/// Octets, so that a line with it is not too long (RFC 5322, section 2.1.1).
const MAX_MESSAGE_ID: usize = 900;
