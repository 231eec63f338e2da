//! The Web Key Directory (draft-koch-openpgp-webkey-service-22, section 3.1).
//!
//! The draft follows redirects to any host. Here they lead to the same host only: another one would learn whom we write to, and could be chosen by
//! somebody who controls one page of the domain.

use super::{
    NetworkAccess,
    http::{Bounds, Failure},
    percent,
};
use crate::mail::{Address, directory_name};

/// The answer for `address`; `None` when the domain publishes nothing for it.
///
/// # Errors
///
/// [`Failure::Failed`]
pub(super) fn ask(network: &dyn NetworkAccess, address: &Address, bounds: &Bounds) -> Result<Option<Vec<u8>>, Failure> {
    // An address literal has no directory.
    if address.domain().starts_with('[') {
        return Ok(None);
    }
    let [advanced, direct] = urls(address);
    // The second form only where the first host does not exist, and not where it does not answer.
    match network.get(&advanced, bounds) {
        Err(Failure::NoHost) => found(network.get(&direct, bounds)),
        answer => found(answer),
    }
}

fn found(answer: Result<Vec<u8>, Failure>) -> Result<Option<Vec<u8>>, Failure> {
    match answer {
        Ok(octets) => Ok(Some(octets)),
        Err(Failure::NoHost | Failure::NotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The advanced and the direct form.
fn urls(address: &Address) -> [String; 2] {
    let domain = address.domain();
    let file = format!("hu/{}?l={}", directory_name(address), percent::encoded(address.local()));
    let directory = ".well-known/openpgpkey";
    [format!("https://openpgpkey.{domain}/{directory}/{domain}/{file}"), format!("https://{domain}/{directory}/{file}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the draft, section 3.1.
    #[test]
    fn the_urls_are_those_of_the_draft() {
        let [advanced, direct] = urls(&Address::parse("Joe.Doe@Example.ORG").unwrap());
        let file = "hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe";
        let host = "https://openpgpkey.example.org/.well-known/openpgpkey/example.org";
        assert_eq!(advanced, format!("{host}/{file}"));
        assert_eq!(direct, format!("https://example.org/.well-known/openpgpkey/{file}"));
        let [_, quoted] = urls(&Address::parse("\"a b&c=d\"@example.org").unwrap());
        assert!(quoted.ends_with("?l=a%20b%26c%3Dd"), "{quoted}");
    }
}
