//! Members of lists: lines of `ADDRESS [WORD...]`, in the configuration or in a file.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    base::{Error, Kind, Result},
    keys::ProtocolName,
    mail::Address,
    policy::{Carried, Gets, Member, Membership, Request},
};

/// Members in the configuration, and those in a file, which is read again when it changes.
#[derive(Debug)]
pub(super) struct FileMembers {
    pub(super) path: PathBuf,
    pub(super) inline: Vec<Member>,
    read: Mutex<Option<(Stamp, Arc<[Member]>)>>,
}

/// What changes with a file.
type Stamp = ((i64, i64, i64, i64), u64, u64);

impl FileMembers {
    /// These, and those in the file at `path`.
    pub(super) fn new(path: PathBuf, inline: Vec<Member>) -> FileMembers {
        FileMembers { path, inline, read: Mutex::default() }
    }

    pub(super) fn failed(&self, why: &str) -> Error {
        Error::new(Kind::TryAgain, format!("{}: {}", self.path.display(), why.to_lowercase()))
    }
}

impl Membership for FileMembers {
    fn read(&self) -> Result<Arc<[Member]>> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.failed(&error.to_string()))?;
        let stamp = stamp(&metadata);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, members)) = &*read
            && *known == stamp
        {
            return Ok(Arc::clone(members));
        }
        let text = fs::read_to_string(&self.path).map_err(|error| self.failed(&error.to_string()))?;
        let own = lines(&text).map_err(|(line, error)| self.failed(&format!("line {line}: {error}")))?;
        let members: Arc<[Member]> = once_each(self.inline.iter().cloned().chain(own)).into();
        *read = Some((stamp, Arc::clone(&members)));
        Ok(members)
    }

    fn takes_requests(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn carry_out(&self, request: &Request, now: SystemTime) -> Result<Carried> {
        self.change(request, now)
    }
}

/// The first of each address.
pub(super) fn once_each(members: impl Iterator<Item = Member>) -> Vec<Member> {
    let mut known = HashSet::new();
    members.filter(|member| known.insert(member.address.to_string().to_lowercase())).collect()
}

/// One member: an address, and the words `encrypt`, `sign`, `clear` or `nothing`, and `pgp`, `smime` or `pem`.
///
/// # Errors
///
/// `Config`: it is not that.
pub(super) fn member(text: &str) -> Result<Member> {
    let mut words = text.split_whitespace();
    let address = Address::parse(words.next().unwrap_or_default())?;
    let mut member = Member { address, gets: None, protocols: Vec::new() };
    for word in words {
        let gets = GETS.iter().find(|(name, _)| *name == word).map(|(_, gets)| *gets);
        let protocol = PROTOCOLS.into_iter().find(|protocol| protocol.name() == word);
        match (gets, protocol) {
            (Some(gets), _) if member.gets.is_none() => member.gets = Some(gets),
            (None, Some(protocol)) if !member.protocols.contains(&protocol) => member.protocols.push(protocol),
            _ => {
                let what = format!("{}: {word:?} is not known here, or is said twice", member.address);
                return Err(Error::new(Kind::Config, what).with_hint(
                    "ADDRESS, then encrypt, sign, clear or nothing, then pgp or smime in the order of preference",
                ));
            }
        }
    }
    Ok(member)
}

/// The members in a file. Empty lines and those that begin with `#` count for nothing.
pub(super) fn lines(text: &str) -> std::result::Result<Vec<Member>, (usize, Error)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| member(line).map_err(|error| (at, error))).collect()
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    let changed = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
    (changed, metadata.len(), metadata.ino())
}

/// The words for what a member gets.
pub(super) const GETS: [(&str, Gets); 4] =
    [("encrypt", Gets::Encrypt), ("sign", Gets::Sign), ("clear", Gets::Clear), ("nothing", Gets::Nothing)];

const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];
