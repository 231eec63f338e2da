//! `postseal key generate --from-ldap`: keys for the people of a directory.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use postseal::{
    base::{Error, Result},
    discover::{DirectAccess, Filter},
    mail::Address,
    store::Keystore,
};

use super::{
    generate::Generate,
    many::{self, Person},
};
use crate::cli::{
    cmd::config,
    session::Session,
    show::{aside, progress},
};

/// How long the directory may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Generates a key for each person that `filter` finds in the directory of the configuration and that has none, and prints a line for each.
pub(super) fn generate(what: &Generate, filter: &str, home: &Keystore, session: &Session) -> Result<()> {
    what.check()?;
    let filter = Filter::parse(filter).map_err(|error| Error::usage(format!("key generate: {error}")))?;
    if filter.names_address() {
        return Err(Error::usage("key generate: the filter is for all people, and for no address of its own"));
    }
    let config = config::given(what.config.as_deref())?
        .ok_or_else(|| Error::usage("key generate: no configuration names a directory").with_hint("--config FILE"))?;
    let found = {
        let _progress = progress::begin("asking the directory");
        DirectAccess::new(&config.sources()?).people(&filter, Instant::now() + TIMEOUT)?
    };
    let (mut people, mut faults, mut known, mut served) = (Vec::new(), Vec::new(), HashSet::new(), 0);
    for person in found {
        let address = match Address::parse(&person.address) {
            Ok(address) => address,
            Err(error) => {
                faults.push(Error::malformed(&person.dn, error));
                continue;
            }
        };
        if !known.insert(address.to_string().to_lowercase()) {
            faults.push(Error::malformed(&person.dn, format!("{address} is named twice")));
        } else if many::own_key(&address, what.format, home)?.is_some() {
            served += 1;
        } else {
            people.push(Person { place: person.dn, address, name: person.name, expires: None });
        }
    }
    many::refuse("directory", &faults, "entries")?;
    if served > 0 {
        aside(&format!("{served} have a key already\n"));
    }
    match (people.is_empty(), served) {
        (true, 0) => Err(Error::no_key("directory: the filter finds no entry with an address")),
        (true, _) => Ok(()),
        (false, _) => many::generate(what, &people, home, session),
    }
}
