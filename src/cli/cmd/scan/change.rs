//! The conversions that `scan` does: a copy, or in place.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use postseal::{
    base::{Error, Result, SystemClock, SystemRandom},
    keys::ProtocolName,
    mailbox::local::{Place, PlaceKind},
    report::printable,
    scan::{self, Conversion, Converted, Copy, InPlace, Judged},
};

use super::Scan;
use crate::cli::{input, show, values::Format};

/// A conversion, and what became of the messages so far.
pub(super) struct Changes {
    conversion: Option<Conversion>,
    changing: Changing,
    changed: u64,
    /// How many stay as they were, by reason.
    kept: BTreeMap<&'static str, u64>,
    warned: BTreeMap<String, u64>,
    refused: u64,
}

/// Where converted messages go.
pub(super) enum Changing {
    /// Nowhere.
    Nothing,
    /// Into a copy, which becomes this folder.
    Copy(Box<Copy>, PathBuf),
    /// Where the originals are; the folder that is being converted.
    InPlace(Option<InPlace>),
}

impl Changes {
    /// Checks the options. A copy is begun.
    pub(super) fn begin(what: &Scan, places: &[Place]) -> Result<Self> {
        let protocol = match what.format {
            Format::Pem => return Err(Error::usage("--format pem: PEM takes text alone").with_hint("pgp or smime")),
            Format::Pgp => ProtocolName::Pgp,
            Format::Smime => ProtocolName::Smime,
        };
        let encrypt = |address: &str| -> Result<Conversion> {
            Ok(Conversion::Encrypt { protocol, to: vec![input::address(address)?] })
        };
        let (conversion, target) = match (&what.annotate, &what.decrypt, what.encrypt_to.as_slice(), &what.in_place) {
            (Some(target), ..) => (Conversion::Annotate, Some(target.clone())),
            (_, Some(target), ..) => (Conversion::Decrypt, Some(target.clone())),
            (_, _, [address, target], _) => (encrypt(address)?, Some(PathBuf::from(target))),
            (_, _, [], None) => return Ok(Changes::of(None, Changing::Nothing)),
            (_, _, [], Some(how)) => match (how.as_str(), how.strip_prefix("encrypt-to=")) {
                ("annotate", _) => (Conversion::Annotate, None),
                ("decrypt", _) => (Conversion::Decrypt, None),
                (_, Some(address)) => (encrypt(address)?, None),
                _ => return Err(Error::usage(format!("--in-place {how}: annotate, decrypt or encrypt-to=ADDRESS"))),
            },
            _ => return Err(Error::usage("--encrypt-to: given twice")),
        };
        let Some(target) = target else {
            require_maildirs(places)?;
            return Ok(Changes::of(Some(conversion), Changing::InPlace(None)));
        };
        let format = what.mbox_format().unwrap_or_default();
        let copy = Copy::begin(&target, format, Arc::new(SystemClock), Arc::new(SystemRandom))?;
        Ok(Changes::of(Some(conversion), Changing::Copy(Box::new(copy), target)))
    }

    fn of(conversion: Option<Conversion>, changing: Changing) -> Self {
        Changes { conversion, changing, changed: 0, kept: BTreeMap::new(), warned: BTreeMap::new(), refused: 0 }
    }

    /// What is made of each message.
    pub(super) fn conversion(&self) -> Option<&Conversion> {
        self.conversion.as_ref()
    }

    /// Begins with a mailbox.
    pub(super) fn place(&mut self, place: &Place) -> Result<()> {
        match &mut self.changing {
            Changing::Nothing => Ok(()),
            Changing::Copy(copy, _) => copy.place(place),
            Changing::InPlace(open) => {
                *open = Some(InPlace::open(&place.path, Arc::new(SystemClock), Arc::new(SystemRandom))?);
                Ok(())
            }
        }
    }

    /// Writes a message. The error within is one of this message, the other one ends the scan of the mailbox.
    pub(super) fn take(&mut self, judged: &Judged, change: Result<Converted>) -> Result<Result<()>> {
        let converted = match change {
            Ok(converted) => converted,
            Err(error) => {
                self.refused += 1;
                return Ok(Err(error));
            }
        };
        let original = judged.message.as_ref().map(|message| message.octets()).unwrap_or_default();
        let octets = match &converted {
            Converted::Changed { octets, warnings } => {
                self.changed += 1;
                for warning in warnings {
                    *self.warned.entry(warning.clone()).or_default() += 1;
                }
                Some(octets.as_slice())
            }
            Converted::Kept(why) => {
                *self.kept.entry(why).or_default() += 1;
                None
            }
        };
        match (&mut self.changing, octets) {
            (Changing::Copy(copy, _), octets) => copy.add(octets.unwrap_or(original), &judged.state)?,
            (Changing::InPlace(Some(folder)), Some(octets)) => {
                folder.replace(judged.id.as_str(), octets, &judged.state)?;
            }
            (Changing::InPlace(_) | Changing::Nothing, _) => {}
        }
        Ok(Ok(()))
    }

    /// Says what was done, reads a copy back and gives it its name.
    pub(super) fn finish(&mut self, limit: usize) -> Result<()> {
        self.say();
        match std::mem::replace(&mut self.changing, Changing::Nothing) {
            Changing::Copy(copy, target) => {
                let count = copy.finish(limit)?;
                show::aside(&format!("{}: complete; messages read back: {count}\n", target.display()));
            }
            Changing::InPlace(_) => show::hint(UNDO),
            Changing::Nothing => {}
        }
        Ok(())
    }

    /// Says what was done when something went wrong. A copy does not get its name.
    pub(super) fn give_up(&mut self) -> Result<()> {
        self.say();
        match &self.changing {
            Changing::Copy(copy, _) => {
                let place = copy.staging().display().to_string();
                return Err(Error::malformed(place, "the copy is not complete, because of the errors above"));
            }
            Changing::InPlace(_) => show::hint(UNDO),
            Changing::Nothing => {}
        }
        Ok(())
    }

    fn say(&self) {
        if self.conversion.is_none() {
            return;
        }
        let mut said = format!("converted: {}\n", self.changed);
        for (why, count) in &self.kept {
            said += &format!("unchanged: {count} ({why})\n");
        }
        for (warning, count) in &self.warned {
            said += &format!("doubtful: {count} ({})\n", printable(warning));
        }
        if self.refused > 0 {
            said += &format!("not converted: {}\n", self.refused);
        }
        show::aside(&said);
    }
}

/// Puts the originals back.
pub(super) fn undo(places: &[Place]) -> Result<ExitCode> {
    require_maildirs(places)?;
    let mut left = Vec::new();
    let (mut restored, mut is_undone) = (0, false);
    for place in places.iter().filter(|place| InPlace::is_begun(&place.path)) {
        let undone = scan::undo(&place.path)?;
        is_undone = true;
        restored += undone.restored;
        left.extend(undone.left);
    }
    if !is_undone {
        return Err(Error::usage("--undo: nothing was converted in place here"));
    }
    show::aside(&format!("originals put back: {restored}\n"));
    for path in &left {
        show::warning(&format!(
            "{}: the message was deleted or changed since; its original stays here",
            path.display()
        ));
    }
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn require_maildirs(places: &[Place]) -> Result<()> {
    match places.iter().find(|place| place.kind != PlaceKind::Maildir) {
        None => Ok(()),
        Some(other) => {
            let reason = format!("{}: not a Maildir", other.path.display());
            Err(Error::usage(reason)
                .with_hint("of other mailboxes a copy is made: --annotate, --decrypt, --encrypt-to"))
        }
    }
}

const UNDO: &str = "`postseal scan --undo PATH` puts the originals back; they are in postseal-undo in each folder";
