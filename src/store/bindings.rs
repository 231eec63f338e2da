//! What the owner of a home holds to be true of whose certificates are whose.
//!
//! Text: one line for each binding, its fields separated by tabs: fingerprint, address (or `*` for the user IDs of the
//! certificate, `anchor` for a trust anchor), origin, time (RFC 3339).

use std::time::SystemTime;

use crate::{
    base::{Error, Result, parse_rfc3339, rfc3339},
    keys::{Binding, Handle},
    mail::Address,
};

/// Where a binding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The key was made here.
    Generated,
    /// The owner said so.
    Trusted,
}

/// Every binding of a home, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings(Vec<Line>);

#[derive(Clone, Debug)]
struct Line {
    fingerprint: Handle,
    binding: Binding,
    origin: Origin,
    at: SystemTime,
}

impl Bindings {
    /// Reads the file; `place` is its name for errors. A line that cannot be read is an error: it might be the one that counts.
    pub(super) fn read(octets: &[u8], place: &str) -> Result<Bindings> {
        let text = std::str::from_utf8(octets).map_err(|_| Error::malformed(place, "not UTF-8"))?;
        let line = |(number, line): (usize, &str)| {
            Line::read(line).ok_or_else(|| Error::malformed(place, format!("line {}: not a binding", number + 1)))
        };
        text.lines().enumerate().map(line).collect::<Result<_>>().map(Bindings)
    }

    /// As text.
    pub(super) fn write(&self) -> String {
        self.0.iter().map(Line::write).collect()
    }

    /// Adds a binding; says whether it is new.
    pub(super) fn add(
        &mut self,
        fingerprint: &Handle,
        binding: &Binding,
        origin: Origin,
        at: SystemTime,
    ) -> Result<bool> {
        let line = Line { fingerprint: fingerprint.clone(), binding: binding.clone(), origin, at };
        let kept = Line::read(line.write().trim_end_matches('\n'));
        if kept.is_none_or(|kept| kept.binding != line.binding) {
            return Err(Error::usage(format!("{binding:?}: cannot be written down")));
        }
        let known = self.0.iter().any(|held| held.fingerprint == line.fingerprint && held.binding == line.binding);
        if !known {
            self.0.push(line);
        }
        Ok(!known)
    }

    /// Forgets everything about a certificate.
    pub(super) fn remove(&mut self, fingerprint: &Handle) {
        self.0.retain(|line| line.fingerprint != *fingerprint);
    }

    /// The bindings of a certificate.
    pub(super) fn of(&self, fingerprint: &Handle) -> Vec<Binding> {
        self.0.iter().filter(|line| line.fingerprint == *fingerprint).map(|line| line.binding.clone()).collect()
    }

    /// The certificates that are trust anchors.
    pub(super) fn anchors(&self) -> impl Iterator<Item = &Handle> {
        self.0.iter().filter(|line| line.binding == Binding::Anchor).map(|line| &line.fingerprint)
    }

    /// The certificates that are bound to an address.
    pub(super) fn to<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = &'a Handle> {
        let bound = move |line: &&Line| matches!(&line.binding, Binding::Address(own) if own == address);
        self.0.iter().filter(bound).map(|line| &line.fingerprint)
    }
}

impl Line {
    fn read(line: &str) -> Option<Line> {
        let mut fields = line.split('\t');
        let fingerprint = Handle::parse(fields.next()?).ok()?;
        let binding = match fields.next()? {
            ANCHOR => Binding::Anchor,
            USER_IDS => Binding::UserIds,
            address => Binding::Address(Address::parse(address).ok()?),
        };
        let origin = Origin::read(fields.next()?)?;
        let at = parse_rfc3339(fields.next()?).ok()?;
        fields.next().is_none().then_some(Line { fingerprint, binding, origin, at })
    }

    fn write(&self) -> String {
        let subject = match &self.binding {
            Binding::Address(address) => address.to_string(),
            Binding::Anchor => ANCHOR.to_owned(),
            Binding::UserIds => USER_IDS.to_owned(),
        };
        format!("{}\t{subject}\t{}\t{}\n", self.fingerprint, self.origin.name(), rfc3339(self.at))
    }
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Origin::Generated => "generated",
            Origin::Trusted => "trusted",
        }
    }

    fn read(name: &str) -> Option<Origin> {
        [Origin::Generated, Origin::Trusted].into_iter().find(|origin| origin.name() == name)
    }
}

const ANCHOR: &str = "anchor";
const USER_IDS: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn what_is_written_is_read() {
        let (key, address) = (Handle::parse(A).unwrap(), Address::parse("a@example.org").unwrap());
        let mut bindings = Bindings::default();
        let bound = Binding::Address(address.clone());
        assert_eq!(bindings.add(&key, &bound, Origin::Trusted, SystemTime::UNIX_EPOCH), Ok(true));
        assert_eq!(bindings.add(&key, &bound, Origin::Trusted, SystemTime::UNIX_EPOCH), Ok(false));
        assert_eq!(bindings.add(&key, &Binding::UserIds, Origin::Generated, SystemTime::UNIX_EPOCH), Ok(true));
        let text = bindings.write();
        let expected = "\ta@example.org\ttrusted\t1970-01-01T00:00:00Z\n";
        assert_eq!(text, format!("{A}{expected}{A}\t*\tgenerated\t1970-01-01T00:00:00Z\n"));
        let read = Bindings::read(text.as_bytes(), "bindings").unwrap();
        assert_eq!(read.of(&key), vec![bound, Binding::UserIds]);
        assert_eq!(read.to(&address).collect::<Vec<_>>(), [&key]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let text = format!("{A}\t*\tgenerated\t1970-01-01T00:00:00Z\n{A}\tnobody\n");
        let error = Bindings::read(text.as_bytes(), "home/bindings").unwrap_err();
        assert_eq!(error.to_string(), "home/bindings: line 2: not a binding");
    }
}
