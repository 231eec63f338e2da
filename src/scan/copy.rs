//! A converted copy of mailboxes, which gets its name when it is complete and was read back.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{Clock, Error, Kind, Random, Result},
    crypto::Hash,
    mailbox::{
        MessageSink, MessageSource, State, Stored,
        folder::FolderSource,
        local::{Place, PlaceKind},
        maildir::MaildirSource,
        mbox::{Format, MboxSource},
        packed::Packing,
    },
};

/// Copies of some mailboxes in one folder. Until [`Copy::finish`] it has `.incomplete` after its name.
pub struct Copy {
    target: PathBuf,
    staging: PathBuf,
    format: Format,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    places: Vec<Copied>,
}

/// One mailbox of the copy.
struct Copied {
    place: Place,
    sink: Box<dyn MessageSink + Send>,
    /// The files of a folder.
    names: Vec<String>,
    /// How often each message is to be there, by its digest.
    expected: HashMap<Vec<u8>, u64>,
}

impl Copy {
    /// Begins a copy that is to become the folder `target`; mboxes in it are written in `format`.
    ///
    /// # Errors
    ///
    /// `CannotCreate` when something is there already, or the folder cannot be made.
    pub fn begin(target: &Path, format: Format, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        let mut staging = target.as_os_str().to_owned();
        staging.push(".incomplete");
        let staging = PathBuf::from(staging);
        let is_there = |path: &Path| fs::read_dir(path).map_or(path.exists(), |mut entries| entries.next().is_some());
        if let Some(path) = [target, &staging].into_iter().find(|path| is_there(path)) {
            return Err(Error::new(Kind::CannotCreate, format!("{}: is there already", path.display()))
                .with_hint("give the name of a new folder, or remove it"));
        }
        let refused = |error| Error::new(Kind::CannotCreate, Error::io(staging.display(), &error).to_string());
        fs::create_dir_all(&staging).map_err(refused)?;
        Ok(Copy { target: target.to_owned(), staging, format, clock, random, places: Vec::new() })
    }

    /// Begins with the next mailbox.
    ///
    /// # Errors
    ///
    /// Two mailboxes have the same name, or it cannot be made.
    pub fn place(&mut self, place: &Place) -> Result<()> {
        let is_file = |kind: &PlaceKind| !matches!(kind, PlaceKind::Folder(_));
        let same = |other: &Copied| other.place.relative == place.relative && is_file(&other.place.kind);
        if is_file(&place.kind) && self.places.iter().any(same) {
            let name = place.relative.display();
            return Err(Error::usage(format!("{name}: two mailboxes of this name would become one")));
        }
        let sink = place.copy(&self.staging, self.format, Arc::clone(&self.clock), Arc::clone(&self.random))?;
        self.places.push(Copied { place: place.clone(), sink, names: Vec::new(), expected: HashMap::new() });
        Ok(())
    }

    /// Writes a message into the mailbox that was begun last.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn add(&mut self, octets: &[u8], state: &State) -> Result<()> {
        let Some(copied) = self.places.last_mut() else { return Err(Error::usage("no mailbox was begun")) };
        let mut state = state.clone();
        if matches!(copied.place.kind, PlaceKind::Folder(_) | PlaceKind::Message) {
            let label = state.label.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            let mut name = Packing::stripped(&label).to_owned();
            while name.is_empty() || copied.names.contains(&name) {
                name.push_str(".eml");
            }
            copied.names.push(name.clone());
            state.label = Some(name.into_bytes());
        }
        copied.sink.append(&Stored { octets, state: &state })?;
        *copied.expected.entry(digest(octets, &copied.place.kind)).or_default() += 1;
        Ok(())
    }

    /// Reads all of it back, compares it with what was to be written, and gives it its name. Returns the number of messages.
    ///
    /// # Errors
    ///
    /// What was read differs; the copy then keeps `.incomplete` after its name.
    pub fn finish(self, limit: usize) -> Result<u64> {
        let mut count = 0;
        for copied in &self.places {
            count += copied.check(&self.staging, self.format, limit)?;
        }
        fs::rename(&self.staging, &self.target).map_err(|error| Error::io(self.target.display(), &error))?;
        Ok(count)
    }

    /// Where it is before it has its name.
    pub fn staging(&self) -> &Path {
        &self.staging
    }
}

impl Copied {
    fn check(&self, staging: &Path, format: Format, limit: usize) -> Result<u64> {
        let path = staging.join(&self.place.relative);
        // A converted message may be longer than what is read otherwise.
        let limit = limit.saturating_mul(4);
        let mut source: Box<dyn MessageSource> = match self.place.kind {
            PlaceKind::Folder(_) => Box::new(FolderSource::new(&path, &self.names, limit)),
            PlaceKind::Message => Box::new(FolderSource::new(path.parent().unwrap_or(staging), &self.names, limit)),
            PlaceKind::Maildir => Box::new(MaildirSource::open(&path, limit)?),
            PlaceKind::Mbox | PlaceKind::Stream => Box::new(MboxSource::open(&path, Some(format), limit)?),
        };
        let mut expected = self.expected.clone();
        let mut count = 0;
        while let Some(entry) = source.next(&|_| false)? {
            let found = expected.get_mut(&digest(&entry.content?, &self.place.kind)).filter(|left| **left > 0);
            let Some(left) = found else {
                let reason = format!("message {} was not read back as it was written", entry.id);
                return Err(Error::damaged(path.display(), reason));
            };
            *left -= 1;
            count += 1;
        }
        match expected.values().sum::<u64>() {
            0 => Ok(count),
            missing => Err(Error::damaged(path.display(), format!("{missing} messages were not read back"))),
        }
    }
}

/// Of what a mailbox keeps of a message: an mbox gives it a line end at its end, and a Content-Length of its own.
fn digest(octets: &[u8], kind: &PlaceKind) -> Vec<u8> {
    let mut digester = Hash::Sha256.digester();
    if !matches!(kind, PlaceKind::Mbox | PlaceKind::Stream) {
        digester.update(octets);
        return digester.finish();
    }
    let mut is_header = true;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        is_header &= !line.trim_ascii_end().is_empty();
        let is_length = line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case(b"content-length:"));
        if !(is_header && is_length) {
            digester.update(line);
        }
    }
    if !octets.ends_with(b"\n") {
        digester.update(b"\n");
    }
    digester.finish()
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copy({})", self.target.display())
    }
}
