//! `[acme]`: the authority that issues the certificates of this host, and the addresses that it is asked for.

use std::{path::PathBuf, time::Duration};

use super::{SecretFrom, What, reader::Reader, table::Table};
use crate::{mail::Address, policy::Pattern};

/// How certificates are got and renewed.
#[derive(Clone, Debug)]
pub struct Acme {
    /// The URL of the authority's directory.
    pub server: String,
    /// Root certificates of its HTTPS server; `None`: those of this machine.
    pub roots: Option<PathBuf>,
    /// Whether its terms of service are agreed to.
    pub terms_agreed: bool,
    /// An address for news about the account.
    pub contact: Option<Address>,
    /// The key identifier that the authority gave to its customer, and the MAC key.
    pub binding: Option<(String, SecretFrom)>,
    /// The addresses that certificates may be ordered for.
    pub addresses: Vec<Pattern>,
    /// How long before its end a certificate is renewed.
    pub renew_before: Duration,
    /// What shows that a challenge is from the authority.
    pub proof: ChallengeProof,
}

/// What shows that a challenge is from the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeProof {
    /// DKIM, verified by a trusted host, or a signature.
    Authenticated,
    /// From alone.
    From,
}

impl Acme {
    /// The addresses that are named as such, and not by a domain.
    pub fn named(&self) -> Vec<Address> {
        let named = self.addresses.iter().filter_map(|pattern| match pattern {
            Pattern::Address(address) => Some(address.clone()),
            _ => None,
        });
        named.collect()
    }
}

/// Reads `[acme]`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> Option<Acme> {
    let table = root.table("acme")?;
    if root.table("upstream").is_none() && root.table("sendmail").is_none() {
        reader.document.error(table.line, "acme: needs [upstream] or [sendmail], which send the answers to challenges");
    }
    let server = table.required("server");
    let roots = table.string("roots").map(|place| reader.place(&place, What::File));
    let terms_agreed = table.truth("terms-agreed").unwrap_or_default();
    let contact = table.string("contact").and_then(|text| reader.document.read(&text, Address::parse));
    let (id, key) = (table.string("eab-kid"), reader.secret(&table, "eab-key"));
    if id.is_some() != table.has("eab-key") {
        reader.document.error(table.line, "acme: eab-kid and eab-key go together");
    }
    let addresses = table.strings("addresses");
    if addresses.is_empty() {
        reader.document.error(table.line, "\"addresses\" is missing");
    }
    let addresses = reader.patterns(&addresses);
    if addresses.iter().any(|pattern| matches!(pattern, Pattern::Any | Pattern::Null)) {
        reader.document.error(
            table.line_of("addresses"),
            "addresses: certificates are for addresses of this host, so name them or their domains",
        );
    }
    let days = table.size("renew-before").and_then(|days| u64::try_from(days).ok()).unwrap_or(DAYS);
    let known = [("authenticated", ChallengeProof::Authenticated), ("from", ChallengeProof::From)];
    let proof = reader.choice(&table, "challenge-proof", ChallengeProof::Authenticated, &known);
    table.finish();
    Some(Acme {
        server: server?.value,
        roots,
        terms_agreed,
        contact,
        binding: id.map(|id| id.value).zip(key),
        addresses,
        renew_before: Duration::from_secs(days.saturating_mul(24 * 60 * 60)),
        proof,
    })
}

/// As the first notice of a key that ends.
const DAYS: u64 = 30;
