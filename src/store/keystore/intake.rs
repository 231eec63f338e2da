//! Importing into a key store: reads key files, and stores everything in them as one change.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use serde_json::json;

use super::{Keystore, KnownKey};
use crate::{
    audit::Event,
    base::{Budget, Error, Kind, Result},
    crypto::Hash,
    keys::{Binding, Handle, Kept, Keys, Memory, ProtocolName, Query, Record, StatementStore, TokenKeys, Want},
    protocol::{Described, KeyFile, smime::revocation_files},
    store::{
        binding::Origin,
        files::{Folder, REVOCATIONS},
        format::{self, Reading},
        integrity::{Writer, no_statements},
        put_together,
    },
};

/// What adding a certificate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not stored before.
    Added,
    /// Nothing of it is new.
    Unchanged,
    /// It was stored, and something of it is new.
    Updated,
}

/// What to import as one change: all of it, or nothing.
#[derive(Debug, Default)]
pub struct Intake<'a> {
    /// Certificates and secret keys.
    pub certificates: &'a [Described],
    /// Bindings of certificates, by their primary fingerprints; the certificates are imported too, or stored already.
    pub beliefs: &'a [(Handle, Binding, Origin)],
    /// CRLs and OCSP responses, DER.
    pub statements: &'a [Arc<[u8]>],
    /// The files that revoke OpenPGP certificates, by their fingerprints.
    pub revocations: &'a [(Handle, &'a [u8])],
    /// What the audit log calls the change.
    pub event: Event,
}

/// What was done with an [`Intake`], in its order.
#[derive(Debug, Default)]
pub struct Taken {
    /// Of each certificate.
    pub certificates: Vec<Change>,
    /// Whether each binding is new.
    pub beliefs: Vec<bool>,
    /// Of each CRL and OCSP response.
    pub statements: Vec<Kept>,
    /// Where the revocations are.
    pub revocations: Vec<PathBuf>,
}

/// The stored certificates with secret parts, as far as a change asked for them.
type Own = BTreeMap<ProtocolName, Vec<Record>>;

/// What to do with statements, given the stored ones.
struct Plan {
    kept: Vec<Kept>,
    come: Vec<Arc<[u8]>>,
    go: Vec<Arc<[u8]>>,
    /// The digest of the stored ones.
    known: Vec<u8>,
}

impl Keystore {
    /// Reads key files of any format, each a name for errors and its octets, without storing anything. A bare private key is matched with a
    /// certificate in any of the files, or with a stored one. Stored certificates that the files revoke are among those found. A secret part that
    /// does not match its public part is left out and is an error in [`KeyFile::lost`]; a locked one that would replace a stored one is left out and
    /// listed in [`KeyFile::skipped`].
    ///
    /// # Errors
    ///
    /// `NoKey` for a private key that no passphrase opens, `Malformed` for files of which nothing can be read.
    pub fn read(&self, files: &[(&str, &[u8])]) -> Result<KeyFile> {
        self.read_beside(files, self)
    }

    /// As [`Keystore::read`], with the certificates of `beside` instead of the stored ones.
    ///
    /// # Errors
    ///
    /// As [`Keystore::read`].
    pub fn read_beside(&self, files: &[(&str, &[u8])], beside: &dyn Keys) -> Result<KeyFile> {
        let reading = Reading { passphrases: &self.passphrases, limits: &self.limits, beside };
        let mut file = format::read(files, &reading)?;
        let revoked = std::mem::take(&mut file.elsewhere).into_iter();
        file.found.extend(revoked.map(|record| Described { record, secret: None, proven: Vec::new() }));
        self.sift(&mut file, &reading)?;
        file.locked.first().map_or(Ok(()), |error| Err(error.clone()))?;
        match file.skipped.first() {
            Some(reason) if file.found.is_empty() && file.lost.is_empty() => {
                Err(Error::new(Kind::Malformed, reason.clone()))
            }
            _ => Ok(file),
        }
    }

    /// Compares the secret parts of `file` with the stored ones.
    fn sift(&self, file: &mut KeyFile, reading: &Reading<'_>) -> Result<()> {
        let mut budget = Budget::new(self.limits.clone());
        let sift = |found: Described| -> Result<Described> {
            let held = match found.secret {
                // Keys on a token are no secret parts to compare with.
                Some(_) => self.held(found.record.fingerprint())?.filter(|held| !TokenKeys::recognizes(held.expose())),
                None => None,
            };
            let sifted = format::of(found.record.protocol())?.sift(found, held.as_ref(), reading, &mut budget)?;
            file.lost.extend(sifted.unfit);
            file.skipped.extend(sifted.unproven);
            Ok(sifted.described)
        };
        file.found = std::mem::take(&mut file.found).into_iter().map(sift).collect::<Result<_>>()?;
        Ok(())
    }

    /// Stores everything, merging certificates with the stored ones: all of it or, when something fails, nothing. A CRL or OCSP response that a
    /// newer one supersedes as of `at` is not stored, and those that it supersedes are removed, if the key of their issuer is stored, imported, or in
    /// `beside`. A stored secret part is replaced only by one that is [proven](Described::proven).
    ///
    /// # Errors
    ///
    /// `NoKey` for a binding of an unknown certificate, and when the master key is missing; `Damaged` when what is stored is; `TryAgain` when other
    /// processes keep changing the revocation lists.
    pub fn take_in(&self, intake: &Intake<'_>, beside: &dyn Keys, at: SystemTime) -> Result<Taken> {
        let mut tries = 0;
        loop {
            let plan = self.plan(intake, beside, at)?;
            let done = self.write(intake.event, |writer, key| {
                if let Some(plan) = &plan
                    && writer.statement_set()? != plan.known
                {
                    return Ok(None);
                }
                self.take_in_now(intake, plan.as_ref(), writer, key, at).map(Some)
            });
            match done? {
                Some(taken) => return Ok(taken),
                None if tries < MAX_TRIES => tries += 1,
                None => {
                    let reason = "others keep changing the revocation lists";
                    return Err(Error::new(Kind::TryAgain, format!("{}: {reason}", self.folder.display())));
                }
            }
        }
    }

    /// Stores certificates and secret keys, as [`Keystore::take_in`] does.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn add(&self, found: &[Described]) -> Result<Vec<Change>> {
        let intake = Intake { certificates: found, ..Intake::default() };
        Ok(self.take_in(&intake, &Memory::new(), SystemTime::UNIX_EPOCH)?.certificates)
    }

    /// Merges copies of certificates that are stored already: their signatures and revocations, and no trust. Each with what was done; others are passed
    /// over.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn refresh(&self, copies: &[Record]) -> Result<Vec<(Record, Change)>> {
        let mut known = Vec::new();
        for copy in copies {
            let query = Query::manage(Want::Certificate(copy.fingerprint()));
            if !self.find(copy.protocol(), &query)?.is_empty() {
                let record = copy.clone().with_bindings([]);
                known.push(Described { record, secret: None, proven: Vec::new() });
            }
        }
        let intake = Intake { certificates: &known, event: Event::Refresh, ..Intake::default() };
        let changes = self.take_in(&intake, &Memory::new(), SystemTime::UNIX_EPOCH)?.certificates;
        Ok(known.into_iter().map(|one| one.record).zip(changes).collect())
    }

    /// Stores the certificates of files that hold nothing but certificates in PEM, all of them or, when something fails, nothing. One is in memory at a
    /// time. `stored` learns what was done with each, once. Returns `false`, and stores nothing, if a file holds anything else, or a certificate that cannot
    /// be read: [`Keystore::read`] takes any file.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn add_certificates(&self, files: &[(&str, &[u8])], stored: &mut dyn FnMut(&Record, Change)) -> Result<bool> {
        let Some(mut all) = format::certificates(files) else { return Ok(false) };
        if !all.all(|one| one.is_ok()) {
            return Ok(false);
        }
        self.write(Event::Import, |writer, key| {
            let (mut known, mut own) = (HashSet::new(), Own::new());
            for record in format::certificates(files).into_iter().flatten() {
                let one = Described { record: record?, secret: None, proven: Vec::new() };
                if known.insert(Hash::Sha256.digest(one.record.bytes())) {
                    let change = self.add_one(writer, key, &mut own, &one)?;
                    stored(&one.record, change);
                }
            }
            Ok(true)
        })
    }

    fn take_in_now(
        &self,
        intake: &Intake<'_>,
        plan: Option<&Plan>,
        writer: Writer<'_>,
        key: &mut KnownKey,
        at: SystemTime,
    ) -> Result<Taken> {
        let (mut taken, mut own) = (Taken::default(), Own::new());
        for one in intake.certificates {
            taken.certificates.push(self.add_one(writer, key, &mut own, one)?);
        }
        for (fingerprint, binding, origin) in intake.beliefs {
            taken.beliefs.push(writer.bind(fingerprint, binding, *origin, at)?);
        }
        if let Some(plan) = plan {
            plan.come.iter().try_for_each(|der| writer.keep_statement(der))?;
            plan.go.iter().try_for_each(|der| writer.forget_statement(der))?;
            taken.statements.clone_from(&plan.kept);
        }
        for (fingerprint, octets) in intake.revocations {
            // Before the change is committed: a key that cannot be revoked must not be in use.
            let folder = Folder::create(&self.folder.join(REVOCATIONS))?;
            let name = format!("{fingerprint}.asc");
            folder.write(&name, octets)?;
            writer.journal().add(json!({ "certificate": fingerprint.as_str(), "revocation": true, "done": "stored" }));
            taken.revocations.push(folder.path().join(name));
        }
        Ok(taken)
    }

    /// What to do with the imported statements, given the stored ones; `None` when none are imported.
    fn plan(&self, intake: &Intake<'_>, beside: &dyn Keys, at: SystemTime) -> Result<Option<Plan>> {
        if intake.statements.is_empty() {
            return Ok(None);
        }
        let mut coming = Memory::new();
        intake.certificates.iter().for_each(|one| coming.add(one.record.clone()));
        let keys = [self as &dyn Keys, &coming, beside];
        let known = self.look(None, |reader, _| Ok(Some((reader.statements()?, reader.statement_set()?))))?;
        let (here, known) = match known {
            Some((here, known)) => (here.into_iter().map(Arc::from).collect(), known),
            None => (Vec::new(), no_statements()),
        };
        let mut now: Vec<Arc<[u8]>> = here.clone();
        let mut kept = Vec::with_capacity(intake.statements.len());
        for der in intake.statements {
            if now.contains(der) {
                kept.push(Kept::Unchanged);
                continue;
            }
            let mut outdated = Vec::new();
            let mut is_outdated = false;
            for old in &now {
                is_outdated |= revocation_files::supersedes(old, der, &keys, at)?;
                if revocation_files::supersedes(der, old, &keys, at)? {
                    outdated.push(Arc::clone(old));
                }
            }
            if is_outdated {
                kept.push(Kept::Outdated);
                continue;
            }
            kept.push(if outdated.is_empty() { Kept::Added } else { Kept::Replaced });
            now.retain(|one| !outdated.contains(one));
            now.push(Arc::clone(der));
        }
        let come = now.iter().filter(|one| !here.contains(one)).cloned().collect();
        let go = here.iter().filter(|one| !now.contains(one)).cloned().collect();
        Ok(Some(Plan { kept, come, go, known }))
    }

    fn add_one(&self, writer: Writer<'_>, key: &mut KnownKey, own: &mut Own, new: &Described) -> Result<Change> {
        let fingerprint = new.record.fingerprint();
        let old = match writer.record(fingerprint)? {
            // Its secret parts are opened only to be merged with others.
            Some(record) if new.secret.is_none() => Some(Described { record, secret: None, proven: Vec::new() }),
            Some(record) => {
                let secret = self.open_sealed(writer, key, fingerprint)?;
                Some(Described { record, secret, proven: Vec::new() })
            }
            None => None,
        };
        let mut together = match &old {
            Some(old) => put_together(old, new)?,
            None => Described { record: new.record.clone(), secret: new.secret.clone(), proven: new.proven.clone() },
        };
        if together.secret.is_none() && together.record.secrets().is_empty() {
            self.find_secret(writer, key, own, &mut together)?;
        }
        let change = match &old {
            None => Change::Added,
            Some(old) if old.record.bytes() == together.record.bytes() && old.secret == together.secret => {
                Change::Unchanged
            }
            Some(_) => Change::Updated,
        };
        if change != Change::Unchanged {
            writer.keep(&together.record)?;
            if let Some(secret) = &together.secret {
                own.remove(&together.record.protocol());
                let sealed = self.data_key(writer, key)?.seal(fingerprint.as_str(), secret, self.random.as_ref())?;
                writer.keep_sealed(fingerprint, &sealed)?;
            }
        }
        if let Some(secret) = &together.secret {
            let keys = TokenKeys::read(secret)?;
            let names = keys.iter().flat_map(TokenKeys::keys).map(|key| key.uri.name().to_string());
            writer.note_tokens(fingerprint.as_str(), names.collect())?;
        }
        Ok(change)
    }

    /// Takes over the secret parts of another stored certificate with the same key.
    fn find_secret(&self, writer: Writer<'_>, key: &mut KnownKey, own: &mut Own, new: &mut Described) -> Result<()> {
        let protocol = new.record.protocol();
        let format = format::of(protocol)?;
        let own = match own.entry(protocol) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let all = writer.with_secrets(protocol)?.into_iter();
                let records = all.map(|fingerprint| writer.record(&Handle::parse(&fingerprint)?));
                unknown.insert(records.filter_map(Result::transpose).collect::<Result<_>>()?)
            }
        };
        for other in own {
            if format.share_key(other, &new.record)? {
                new.secret = self.open_sealed(writer, key, other.fingerprint())?;
                new.record.set_secrets([new.record.fingerprint().clone()]);
                return Ok(());
            }
        }
        Ok(())
    }
}

impl StatementStore for Keystore {
    fn keep_statement(&self, der: &[u8], beside: &dyn Keys, at: SystemTime) -> Result<Kept> {
        let intake = Intake { statements: &[Arc::from(der)], event: Event::Status, ..Intake::default() };
        Ok(self.take_in(&intake, beside, at)?.statements.first().copied().unwrap_or(Kept::Unchanged))
    }
}

/// How often other processes may change the lists first.
const MAX_TRIES: usize = 20;
