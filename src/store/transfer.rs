//! Moves the rows of a home between its own file and a database of PostgreSQL, or uses those of a database that has them already.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    backend::{Backend, CertificateRow, Entry, Found, Index, Records, Tx, View},
    elsewhere,
    home::{self, DATABASE, Guard},
    integrity::{Reader, TOTALS, Writer, digest_of},
    journal::Journal,
    keystore::audit_name,
    postgres,
};
use crate::{
    base::{Error, Kind, Result},
    keys::{FindingRows, Findings},
};

/// Where the rows of a home are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// In the home, in `postseal.db`.
    Home,
    /// In the database of the first URL; the others are replicas of it.
    Postgres(Vec<String>),
}

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Certificates, with all that belongs to them.
    pub certificates: usize,
    /// How many of them have secret parts.
    pub secrets: usize,
    /// CRLs and OCSP responses.
    pub statements: usize,
}

/// Copies the rows of the home at `place` to `to`, compares the copy with them, and then uses the copy. Nothing is written to the old rows meanwhile,
/// and they stay: `postseal.db` as `postseal.db.moved`, a database as it is. Interrupted at any moment, it can be run again.
///
/// # Errors
///
/// `Usage` when the rows are there already; `CannotCreate` when other rows are; `Damaged` when something cannot be read or was not copied as it is;
/// those of both backends.
pub fn transfer(place: &Path, to: &Destination) -> Result<Transferred> {
    transfer_with(place, to, &mut |_, _| Ok(()))
}

/// As [`transfer`], with `carry` before the copy is used: it is given the tables of what was found on the network, of the old place and of the new one;
/// `None` for a file of the home.
///
/// # Errors
///
/// Those of `carry`; as [`transfer`].
pub fn transfer_with(place: &Path, to: &Destination, carry: &mut Carry<'_>) -> Result<Transferred> {
    let urls = elsewhere::urls(place)?;
    let (source, target) = match (&urls, to) {
        (None, Destination::Home) => {
            return Err(Error::usage(format!("{}: its keys are in it already", place.display())));
        }
        (Some(old), Destination::Postgres(new)) if old.first() == new.first() => {
            return Err(Error::usage(format!("{}: its keys are in this database already", place.display()))
                .with_hint("postseal store connect sets its replicas"));
        }
        (_, Destination::Home) => (home::backend(place)?, home::in_folder(place, Guard::Nothing)),
        (_, Destination::Postgres(urls)) => (home::backend(place)?, postgres::open(urls)?),
    };
    if !source.exists()? {
        return Err(Error::new(Kind::NoInput, format!("{}: there are no keys here", place.display())));
    }
    let mut moved = None;
    // As a change of the source, so that no other one is made meanwhile.
    source.write(&mut |from| {
        target.write(&mut |into| {
            copy(from, into)?;
            // This machine's log goes on.
            let place = from.total(&audit_name(source.as_ref()))?;
            place.map_or(Ok(()), |place| into.put_total(&audit_name(target.as_ref()), &place))
        })?;
        moved = Some(compared(from, target.as_ref())?);
        let tables = [&source, &target].map(|backend| backend.is_shared().then(|| Tables(backend.as_ref())));
        let [old, new] = tables.each_ref().map(|tables| tables.as_ref().map(|tables| tables as &dyn Findings));
        carry(old, new)?;
        match to {
            Destination::Home => elsewhere::unset(place),
            Destination::Postgres(urls) => elsewhere::set(place, urls),
        }
    })?;
    drop(source);
    if urls.is_none() {
        let old = place.join(DATABASE);
        fs::rename(&old, place.join(MOVED)).map_err(|error| Error::io(old.display(), &error))?;
    }
    moved.ok_or_else(|| Error::new(Kind::Io, "the key store did not run the change"))
}

/// Carries what was found on the network from one place to another.
pub type Carry<'a> = dyn FnMut(Option<&dyn Findings>, Option<&dyn Findings>) -> Result<()> + 'a;

/// What was found on the network, where a backend keeps that.
struct Tables<'a>(&'a dyn Backend);

impl Findings for Tables<'_> {
    fn change(&self, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
        self.0.change_findings(work)
    }
}

/// From now on the rows of the home at `place` are those of the database of the first URL, which other machines use too; the others are replicas.
/// Makes the tables of an empty database.
///
/// # Errors
///
/// `CannotCreate` when the home has rows of its own; `Config` for a URL that cannot be used; those of the database.
pub fn connect(place: &Path, urls: &[String]) -> Result<()> {
    if elsewhere::urls(place)?.is_none() && home::in_folder(place, Guard::Nothing).exists()? {
        let reason = format!("{}: there are keys in it", place.display());
        return Err(Error::new(Kind::CannotCreate, reason).with_hint("postseal store migrate moves them"));
    }
    let database = postgres::open(urls)?;
    if !database.exists()? {
        database.write(&mut |_| Ok(()))?;
    }
    elsewhere::set(place, urls)
}

/// Makes the tables in the database of `url`, or those of a newer version out of older ones; returns their version before and after.
///
/// # Errors
///
/// `Config` when a newer program made them, `Inaccessible` when the role may not make tables.
pub fn upgrade(url: &str) -> Result<(i32, i32)> {
    postgres::upgrade(url)
}

/// SQL that makes the roles of a database and grants them what they need.
pub fn roles() -> &'static str {
    postgres::ROLES
}

/// Copies all rows. What a repair has set aside stays where it is.
fn copy(from: &dyn View, into: &dyn Tx) -> Result<()> {
    if !into.numbers()?.is_empty() {
        // An earlier run was interrupted after its copy, or these are others. The comparison decides.
        return Ok(());
    }
    let mut numbers = BTreeMap::new();
    for number in from.numbers()? {
        let row = row(from, number)?;
        let new = into.put_certificate(&row)?;
        numbers.insert(number, new);
        if let Some(sealed) = from.secret(number)? {
            into.put_secret(new, &sealed)?;
        }
        if let Some(capability) = from.capability(number)? {
            into.put_capability(new, &capability)?;
        }
        for binding in from.bindings(&row.fingerprint)? {
            into.put_binding(&row.fingerprint, &binding)?;
        }
    }
    for statement in from.statements()? {
        into.put_statement(&statement)?;
    }
    if let Some(master) = from.master()? {
        into.put_master(&master)?;
    }
    for name in TOTALS {
        if let Some(value) = from.total(name)? {
            into.put_total(name, &value)?;
        }
    }
    for index in Index::ALL {
        let entries = entries(from, index, &numbers)?;
        // A copy is no change of keys or trust.
        Writer::new(into, &Journal::default()).rebuild(index, entries)?;
    }
    Ok(())
}

/// Compares all rows.
fn compared(from: &dyn View, target: &dyn Backend) -> Result<Transferred> {
    let old = Contents::of(from)?;
    let mut new = None;
    target.read(&mut |view| {
        new = Some(Contents::of(view)?);
        Ok(())
    })?;
    let new = new.ok_or_else(|| Error::damaged("the copy", "is not there"))?;
    if old.rows == new.rows {
        return Ok(old.count);
    }
    let mut place = String::new();
    target.read(&mut |view| {
        place = view.location();
        Ok(())
    })?;
    let extra = new.rows.keys().filter(|name| !old.rows.contains_key(*name)).count();
    let differs = old.rows.iter().filter(|(name, digest)| new.rows.get(*name) != Some(*digest)).count();
    let reason = format!("there are other keys in it: {extra} rows are not here, and {differs} differ");
    Err(Error::new(Kind::CannotCreate, format!("{place}: {reason}")).with_hint("move to an empty database"))
}

/// What is compared of a key store: a digest for each certificate, and for each thing that is not of one.
struct Contents {
    rows: BTreeMap<String, Vec<u8>>,
    count: Transferred,
}

impl Contents {
    fn of(view: &dyn View) -> Result<Contents> {
        let mut rows = BTreeMap::new();
        let mut count = Transferred { certificates: 0, secrets: 0, statements: 0 };
        let mut fingerprints = BTreeMap::new();
        for number in view.numbers()? {
            let row = row(view, number)?;
            let sealed = view.secret(number)?;
            count.certificates += 1;
            count.secrets += usize::from(sealed.is_some());
            let capability = view.capability(number)?.map(|row| format!("{row:?}")).unwrap_or_default();
            let bindings = format!("{:?}", view.bindings(&row.fingerprint)?);
            // The digest covers all of the row but its number.
            let parts: [&[u8]; 5] = [
                &row.digest,
                &digest_of(&[row.fingerprint.as_bytes(), &row.octets, row.secrets.as_bytes(), row.handles.as_bytes()]),
                &sealed.unwrap_or_default(),
                capability.as_bytes(),
                bindings.as_bytes(),
            ];
            rows.insert(format!("certificate {}", row.fingerprint), digest_of(&parts));
            fingerprints.insert(number, row.fingerprint);
        }
        for digest in view.statement_digests()? {
            count.statements += 1;
            rows.insert(format!("statement {digest:?}"), digest);
        }
        let statements = view.statements()?;
        let octets: Vec<&[u8]> = statements.iter().map(|row| row.octets.as_slice()).collect();
        rows.insert("statements".to_owned(), digest_of(&octets));
        rows.insert("master".to_owned(), format!("{:?}", view.master()?).into_bytes());
        for name in TOTALS {
            rows.insert(format!("total {name}"), view.total(name)?.unwrap_or_default());
        }
        for index in Index::ALL {
            let links = view.all_links(index)?;
            let held: Vec<Entry> = links.into_iter().map(|link| link.entry).filter(is_real).collect();
            let named: BTreeSet<String> =
                held.iter().map(|entry| format!("{} {:?}", entry.sought, fingerprints.get(&entry.number))).collect();
            let parts: Vec<&[u8]> = named.iter().map(String::as_bytes).collect();
            rows.insert(format!("index {}", index.name()), digest_of(&parts));
            if !Reader::new(view).is_built_from(index, held)? {
                return Err(Error::damaged(view.location(), format!("index of {}: damaged", index.name()))
                    .with_hint(crate::base::Hint::CheckStore));
            }
        }
        Ok(Contents { rows, count })
    }
}

fn row(view: &dyn View, number: i64) -> Result<CertificateRow> {
    match view.certificate(number, &Records::new())? {
        Some(Found::New(row)) => Ok(*row),
        _ => Err(Error::damaged(view.location(), format!("certificate {number}: gone"))),
    }
}

/// The entries of an index, with the numbers that the certificates have in the copy.
fn entries(from: &dyn View, index: Index, numbers: &BTreeMap<i64, i64>) -> Result<Vec<Entry>> {
    let links = from.all_links(index)?;
    let moved = links.into_iter().map(|link| link.entry).filter(is_real).map(|entry| {
        let gone = || Error::damaged(from.location(), format!("index of {}: damaged", index.name()));
        Ok(Entry { number: *numbers.get(&entry.number).ok_or_else(gone)?, sought: entry.sought })
    });
    moved.collect()
}

/// Whether it is not the beginning of a list.
fn is_real(entry: &Entry) -> bool {
    !(entry.sought.is_empty() && entry.number == 0)
}

/// What the file is called when its rows are elsewhere.
const MOVED: &str = "postseal.db.moved";
