//! What was fetched already, in a file: one line for each step, appended before or after the step, so that a run that ends at any moment is taken up where it ended.
//!
//! ```text
//! postseal fetch 1
//! from imap://bob@imap.example.org:993/INBOX
//! to maildir:/home/bob/Mail
//! generation 1700000000 INBOX
//! intent 1700000000.42 MARK      before a message is handed over; MARK is for asking the target whether it has it
//! done 1700000000.42             the target has it, or the policy discards it
//! settled 1700000000.42          nothing is left to do: it is out of the mailbox too, or it stays as it is
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use postseal::{
    base::{Error, Kind, Result},
    mailbox::MessageId,
};

/// The file, which no other run has open.
pub(super) struct State {
    place: String,
    file: File,
    messages: HashMap<MessageId, Step>,
    generations: BTreeMap<String, u32>,
}

/// How far a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It may be at the target. With a mark, the target can be asked.
    Intended(Option<String>),
    /// The target has it.
    Done,
    /// Nothing is left to do: it is out of the mailbox too, or it stays as it is.
    Settled,
}

impl State {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// `Usage`: it belongs to another source or target. `TryAgain`: another run has it open. `Malformed`: it is no such file. `CannotCreate`: it cannot be made.
    pub(super) fn open(path: &Path, from: &str, to: &str) -> Result<State> {
        let place = path.display().to_string();
        let cannot = |error: std::io::Error| Error::new(Kind::CannotCreate, Error::io(&place, &error).to_string());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::TryAgain, format!("{place}: another run of fetch or watch uses it")));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&place, &error)),
        }
        let mut state = State { place, file, messages: HashMap::new(), generations: BTreeMap::new() };
        state.read(from, to)?;
        Ok(state)
    }

    /// How far a message is; `None`: nothing was done with it.
    pub(super) fn step(&self, id: &MessageId) -> Option<&Step> {
        self.messages.get(id)
    }

    /// Whether nothing is left to do with a message but to take it out of the mailbox.
    pub(super) fn is_done(&self, id: &MessageId) -> bool {
        matches!(self.step(id), Some(Step::Done | Step::Settled))
    }

    /// The messages that the target has and the mailbox has too.
    pub(super) fn unremoved(&self) -> Vec<MessageId> {
        let done = self.messages.iter().filter(|(_, step)| **step == Step::Done);
        let mut ids: Vec<MessageId> = done.map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Writes down how far a message is. An intent is on disk when this returns.
    ///
    /// # Errors
    ///
    /// `Io`: it cannot be written.
    pub(super) fn record(&mut self, id: &MessageId, step: Step) -> Result<()> {
        let line = match &step {
            Step::Intended(mark) => format!("intent {id} {}\n", mark.as_deref().unwrap_or("-")),
            Step::Done => format!("done {id}\n"),
            Step::Settled => format!("settled {id}\n"),
        };
        self.write(&line)?;
        if matches!(step, Step::Intended(_)) {
            self.sync()?;
        }
        self.messages.insert(id.clone(), step);
        Ok(())
    }

    /// Writes down that nothing is left to do with these.
    ///
    /// # Errors
    ///
    /// `Io`: it cannot be written.
    pub(super) fn settle(&mut self, ids: &[MessageId]) -> Result<()> {
        ids.iter().try_for_each(|id| self.record(id, Step::Settled))
    }

    /// Makes sure that all lines are on disk.
    ///
    /// # Errors
    ///
    /// `Io`: they may not be.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::io(&self.place, &error))
    }

    /// Compares what ids mean now with what they meant before.
    ///
    /// # Errors
    ///
    /// `Damaged`: the server numbers the messages anew, so that it is not known which of them were fetched.
    pub(super) fn check(&mut self, generations: &[(String, u32)]) -> Result<()> {
        for (mailbox, now) in generations {
            // In one line, and as the file has it.
            let mailbox = mailbox.escape_debug().to_string();
            match self.generations.get(&mailbox) {
                Some(before) if before == now => {}
                Some(before) => {
                    let why = format!(
                        "{mailbox}: the server has numbered the messages anew (UIDVALIDITY was {before}, is {now}), so it is not known which were fetched"
                    );
                    return Err(Error::damaged(&self.place, why).with_hint(
                        "look at what the target has; to fetch all messages of the mailbox again, give another --state FILE or remove this one",
                    ));
                }
                None => {
                    self.write(&format!("generation {now} {mailbox}\n"))?;
                    self.generations.insert(mailbox, *now);
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, from: &str, to: &str) -> Result<()> {
        let mut text = String::new();
        self.file.read_to_string(&mut text).map_err(|error| Error::malformed(&self.place, error))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        // A run that was killed may have written half a line.
        let cut = self.file.set_len(whole as u64).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map_err(|error| Error::io(&self.place, &error))?;
        let head = [HEAD.to_owned(), format!("from {from}"), format!("to {to}")];
        let lines: Vec<&str> = text[..whole].lines().collect();
        for (line, expected) in lines.iter().zip(&head) {
            if line != expected {
                let why = format!("is the state of something else: it has {line:?} where this run has {expected:?}");
                return Err(Error::usage(format!("{}: {why}", self.place)).with_hint("give another --state FILE"));
            }
        }
        for line in head.iter().skip(lines.len()) {
            self.write(&format!("{line}\n"))?;
        }
        for line in lines.iter().skip(head.len()) {
            self.take(line).ok_or_else(|| Error::malformed(&self.place, format!("not a line of a state: {line:?}")))?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        let (id, step) = match word {
            "intent" => {
                let (id, mark) = rest.split_once(' ')?;
                (id, Step::Intended(Some(mark).filter(|mark| *mark != "-").map(ToOwned::to_owned)))
            }
            "done" => (rest, Step::Done),
            "settled" => (rest, Step::Settled),
            "generation" => {
                let (number, mailbox) = rest.split_once(' ')?;
                self.generations.insert(mailbox.to_owned(), number.parse().ok()?);
                return Some(());
            }
            _ => return None,
        };
        self.messages.insert(MessageId::new(id), step);
        Some(())
    }

    fn write(&mut self, line: &str) -> Result<()> {
        self.file.write_all(line.as_bytes()).map_err(|error| Error::io(&self.place, &error))
    }
}

const HEAD: &str = "postseal fetch 1";
