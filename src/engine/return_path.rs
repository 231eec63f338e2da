//! Where bounces of forwarded mail go: the Sender Rewriting Scheme, by which a host can give them back to the sender.
//!
//! `alice@example.com`, forwarded by `example.org`, becomes `SRS0=CODE=DAY=example.com=alice@example.org`. What another host rewrote becomes
//! `SRS1=CODE=host==REST@example.org`, so that the address does not grow with each host.

use std::time::SystemTime;

use crate::{
    base::{Clock, Secret},
    crypto::{Hash, hmac},
    mail::{Address, ReversePath},
    policy::{Forward, ReturnPath},
};

/// The envelope sender of what `forward` sends on.
pub(super) fn sender(forward: &Forward, came: &ReversePath, marker: &Secret, clock: &dyn Clock) -> ReversePath {
    let Some(address) = &came.address else { return came.clone() };
    let own = || forward.of.clone();
    let address = match forward.sender {
        ReturnPath::Keep => return came.clone(),
        ReturnPath::Own => own(),
        // Its own domain may send for its own addresses.
        ReturnPath::Rewrite if address.domain() == forward.of.domain() => return came.clone(),
        ReturnPath::Rewrite => rewritten(address, &forward.of, marker, day(clock)).unwrap_or_else(own),
    };
    // The others ask for notices that would go to the sender.
    let parameters = came.parameters.iter().filter(|one| one.eq_ignore_ascii_case("SMTPUTF8")).cloned().collect();
    ReversePath { address: Some(address), parameters }
}

/// The sender that the rewritten `address` names; `None` when this host did not make it, or made it too long ago.
pub(super) fn original(address: &Address, marker: &Secret, clock: &dyn Clock) -> Option<Address> {
    let (kind, rest) = (address.local().get(..5)?, address.local().get(5..)?);
    let (given, rest) = rest.split_once('=')?;
    if !code(rest, marker).eq_ignore_ascii_case(given) {
        return None;
    }
    if kind.eq_ignore_ascii_case("SRS1=") {
        let (host, rest) = rest.split_once("==")?;
        return Address::parse(&format!("SRS0={rest}@{host}")).ok();
    }
    let (made, rest) = rest.split_once('=')?;
    let age = (day(clock) + DAYS - number(made)?) % DAYS;
    let (domain, local) = rest.split_once('=')?;
    Address::parse(&format!("{local}@{domain}")).ok().filter(|_| age <= MAX_AGE)
}

/// `None` when the local part would be longer than RFC 5321 allows (section 4.5.3.1.1), or needs quotes.
fn rewritten(address: &Address, by: &Address, marker: &Secret, day: u32) -> Option<Address> {
    let (local, domain) = (address.local(), address.domain());
    let tail = |start: &str| {
        local.get(..start.len()).filter(|own| own.eq_ignore_ascii_case(start)).and_then(|_| local.get(start.len()..))
    };
    let (kind, rest) = if let Some(rest) = tail("SRS0=") {
        ("SRS1", format!("{domain}=={rest}"))
    } else if let Some((_, rest)) = tail("SRS1=").and_then(|rest| rest.split_once('=')) {
        ("SRS1", rest.to_owned())
    } else {
        ("SRS0", format!("{}={domain}={local}", letters(day, 2)))
    };
    let rewritten = format!("{kind}={}={rest}", code(&rest, marker));
    let is_plain =
        rewritten.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$&'*+-./=?^_`{|}~".contains(&octet));
    (is_plain && rewritten.len() <= MAX_LOCAL)
        .then(|| Address::parse(&format!("{rewritten}@{}", by.domain())).ok())
        .flatten()
}

/// What only the holder of `marker` can make.
fn code(rest: &str, marker: &Secret) -> String {
    let code = hmac(Hash::Sha256, marker, format!("return path {}", rest.to_ascii_lowercase()).as_bytes());
    let number = code.iter().take(4).fold(0, |all, octet| all << 8 | u32::from(*octet));
    letters(number, CODE)
}

/// The lowest bits of a number, five a letter.
fn letters(number: u32, count: usize) -> String {
    let letter = |place: usize| LETTERS.get((number >> (5 * place) & 31) as usize).copied().unwrap_or_default();
    (0..count).rev().map(|place| char::from(letter(place))).collect()
}

fn number(letters: &str) -> Option<u32> {
    let value = |letter: u8| LETTERS.iter().position(|one| *one == letter.to_ascii_lowercase());
    letters
        .bytes()
        .try_fold(0_u32, |all, letter| Some(all << 5 | u32::try_from(value(letter)?).ok()?))
        .filter(|day| *day < DAYS)
}

fn day(clock: &dyn Clock) -> u32 {
    let since = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 86_400 % u64::from(DAYS)).unwrap_or_default()
}

/// Base 32 in lower case: a mail server may change the case.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Letters of a code: 30 bits. An attacker tries them by sending bounces, one at a time, and gains one more bounce.
const CODE: usize = 6;
/// Days until two letters begin anew.
const DAYS: u32 = 1024;
/// Days for which bounces are taken. Source: the 21 of the scheme's own library, more than any queue keeps mail.
const MAX_AGE: u32 = 21;
/// Octets of a local part.
const MAX_LOCAL: usize = 64;
