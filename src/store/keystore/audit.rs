//! Recording of changes: where the audit log is stands in the store itself, so that every program that changes it records.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Keystore, KnownKey};
use crate::{
    audit::{Actor, Durability, Event, Head, Log, Note},
    base::{Error, Hint, Result, Secret},
    store::{backend::Backend, files::Folder, integrity::Writer, master},
};

/// Where the changes of a store are recorded, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuditPlace {
    /// The file; a relative path starts from the folder of the store.
    path: PathBuf,
    /// The last recorded change.
    head: Option<Head>,
}

impl AuditPlace {
    /// The entry of the last change of the store. It is somewhere in the log.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

impl Keystore {
    /// Says in whose name this store is changed, for the audit log: the words of the command line. Only the first call counts.
    pub fn change_as(&self, program: &str) {
        self.program.get_or_init(|| program.to_owned());
    }

    /// Records changes from now on: in `path`, or without one in `audit.log` in the folder of the store. Does nothing when they are recorded there
    /// already and the log is there. Where the log is gone, a new one goes on from the last recorded change, and says that others are lost.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn begin_audit(&self, path: Option<&Path>) -> Result<PathBuf> {
        let path = match path {
            Some(path) => std::path::absolute(path).map_err(|error| Error::io(path.display(), &error))?,
            None => PathBuf::from(LOG),
        };
        let log = self.log(&path);
        let known = if self.exists()? { self.audit_place()? } else { None };
        if known.as_ref().is_some_and(|known| known.path == path) && log.exists()? {
            return Ok(log.path().to_owned());
        }
        if path == Path::new(LOG) {
            Folder::create(&self.folder)?;
        }
        let before = known.and_then(|known| known.head);
        self.write(Event::Begin, |writer, key| {
            let key = self.code_key(writer, key)?;
            let head = match before {
                Some(before) => log.append_after(&before, &[], Durability::Disk, key.as_ref())?,
                None => log.append(&[], Durability::Disk, key.as_ref())?,
            };
            self.keep_place(writer, &AuditPlace { path: path.clone(), head: Some(head) })
        })?;
        Ok(log.path().to_owned())
    }

    /// Where changes are recorded; `None`: nowhere.
    ///
    /// # Errors
    ///
    /// Those of reading; `Damaged`.
    pub fn audit_place(&self) -> Result<Option<AuditPlace>> {
        let name = audit_name(self.backend.as_ref());
        let stored = self.look(None, |reader, _| reader.audit(&name))?;
        stored.map(|stored| self.read_place(&stored)).transpose()
    }

    /// The file of the log of this place.
    pub fn audit_file(&self, place: &AuditPlace) -> PathBuf {
        self.folder.join(&place.path)
    }

    /// Records what is no change of this store and belongs to its log: the members of a list, a key that was found. Nothing is done where changes
    /// are not recorded.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn record_other(&self, event: Event, fact: Value) -> Result<()> {
        if self.audit_place()?.is_none() {
            return Ok(());
        }
        self.write(event, |writer, _| {
            writer.journal().add(fact);
            Ok(())
        })
    }

    /// The key of the codes in the log; `None` where there is no master key, or nothing but a passphrase opens it and none is known.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn audit_key(&self) -> Result<Option<Secret>> {
        let master = self.look(None, |reader, _| reader.master())?;
        Ok(master.and_then(|master| self.opened_key(&master).ok()).map(|key| key.audit_key()))
    }

    /// Writes what this change did, as its last step: a change whose entry cannot be written is not made.
    pub(super) fn record(&self, event: Event, writer: Writer<'_>, key: &mut KnownKey) -> Result<Option<Recorded>> {
        let notes = writer.journal().notes(event);
        let Some(stored) = writer.audit(&audit_name(self.backend.as_ref()))?.filter(|_| !notes.is_empty()) else {
            return Ok(None);
        };
        let place = self.read_place(&stored)?;
        let log = self.log(&place.path);
        if !log.exists()? {
            let reason = "the audit log is gone, and no change is made without it";
            return Err(Error::inaccessible(format!("{}: {reason}", log.path().display())).with_hint(Hint::BeginAudit));
        }
        let key = self.code_key(writer, key)?;
        let head = log.append(&notes, Durability::Disk, key.as_ref())?;
        self.keep_place(writer, &AuditPlace { head: Some(head.clone()), ..place })?;
        Ok(Some(Recorded { log, head, key }))
    }

    /// The change that an entry says of was not made after all.
    pub(super) fn record_failure(&self, recorded: &Recorded, error: &Error) {
        let note = Note::new(Event::NotDone).with("entry", recorded.head.number).with("failed", error.kind().name());
        if let Err(error) = recorded.log.append(&[note], Durability::Disk, recorded.key.as_ref()) {
            tracing::error!(event = "audit-failed", %error);
        }
    }

    /// The key of codes, if it can be had without asking a person.
    fn code_key(&self, writer: Writer<'_>, key: &mut KnownKey) -> Result<Option<Secret>> {
        if key.is_none() {
            let Some(master) = writer.master()?.filter(master::opens_itself) else { return Ok(None) };
            // A key that is missing is no reason to lose the entry.
            return Ok(self.data_key_of(&master, key).ok().map(|key| key.audit_key()));
        }
        Ok(key.as_ref().map(|key| key.audit_key()))
    }

    fn log(&self, path: &Path) -> Log {
        let program = self.program.get().map_or(LIBRARY, String::as_str);
        Log::new(&self.folder.join(path), Actor::of_process(program))
    }

    fn read_place(&self, stored: &[u8]) -> Result<AuditPlace> {
        let damaged = |_| Error::damaged(self.folder.display(), "what says where the audit log is: damaged");
        serde_json::from_slice(stored).map_err(damaged)
    }

    fn keep_place(&self, writer: Writer<'_>, place: &AuditPlace) -> Result<()> {
        let text = serde_json::to_vec(place);
        let text = text.map_err(|error| Error::usage(format!("{}: {error}", place.path.display())))?;
        writer.set_audit(&audit_name(self.backend.as_ref()), &text)
    }
}

/// Under which name a store says where the audit log of this machine is. Machines with one store have a log each.
pub(in crate::store) fn audit_name(backend: &dyn Backend) -> String {
    if backend.is_shared() { format!("audit of {}", Actor::of_process(LIBRARY).node) } else { "audit".to_owned() }
}

/// An entry of a change that is not committed yet.
pub(super) struct Recorded {
    log: Log,
    head: Head,
    key: Option<Secret>,
}

/// The file in the folder of the store.
const LOG: &str = "audit.log";
/// What a program is called that does not say what it does.
const LIBRARY: &str = "library";
