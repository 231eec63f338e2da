//! The messages of an IMAP account, or of one mailbox of it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    names::quoted,
    response::{Code, Fetched, Status, Untagged},
    state,
};
use crate::{
    base::{Error, Result},
    mailbox::{
        Entry, MessageId, MessageSource, Progress,
        remote::{Access, Gone, Purpose, RemoteSource, Removal, Server},
    },
};

/// Reads one mailbox, or all that the account has. An id is UIDVALIDITY and UID, after the name of the mailbox if there are several:
/// `1700000000.42`, `INBOX/1700000000.42`.
pub struct ImapSource {
    name: String,
    client: Client,
    purpose: Purpose,
    poll: Duration,
    /// Whether ids have the mailbox in front.
    has_several: bool,
    /// Those that are still to be opened, by their names on the wire.
    mailboxes: VecDeque<Vec<u8>>,
    open: Option<Open>,
    generations: Vec<(String, u32)>,
    progress: Progress,
}

/// The mailbox that is open.
struct Open {
    wire_name: Vec<u8>,
    validity: u32,
    /// The UIDs that are not read yet, in order.
    uids: VecDeque<u32>,
    /// The highest UID that was seen.
    last: u32,
    ready: VecDeque<Entry>,
}

impl ImapSource {
    /// Connects with the server. `mailbox` is its name in Unicode; `None` reads all mailboxes of the account.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the server cannot be reached. `Unavailable`: no TLS, or there is no such mailbox. `NoKey`: the login is refused. `Malformed`: the server breaks
    /// the protocol.
    pub fn connect(server: &Server, mailbox: Option<&str>, access: &Access, purpose: Purpose) -> Result<ImapSource> {
        if mailbox.is_none() && purpose == Purpose::Remove {
            let why = format!("{}: messages are taken out of one mailbox only", name(server, None));
            return Err(Error::usage(why).with_hint("name it: imap://USER@HOST/INBOX"));
        }
        let mut client = Client::connect(server, access)?;
        let mailboxes = match mailbox {
            Some(name) => VecDeque::from([client.naming().write(name)]),
            None => list(&mut client)?,
        };
        let mut source = ImapSource {
            name: name(server, mailbox),
            client,
            purpose,
            poll: access.timeouts.poll,
            has_several: mailbox.is_none(),
            mailboxes,
            open: None,
            generations: Vec::new(),
            progress: Progress { done: 0, total: Some(0) },
        };
        source.open_next()?;
        Ok(source)
    }

    /// Opens the next mailbox. Whether there was one.
    fn open_next(&mut self) -> Result<bool> {
        let Some(wire_name) = self.mailboxes.pop_front() else { return Ok(false) };
        let shown = self.client.naming().read(&wire_name);
        let validity = open(&mut self.client, &wire_name, self.purpose)?;
        self.generations.push((shown, validity));
        self.open = Some(Open { wire_name, validity, uids: VecDeque::new(), last: 0, ready: VecDeque::new() });
        self.list_uids()?;
        Ok(true)
    }

    /// Finds the UIDs after the last one.
    fn list_uids(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(first) = open.last.checked_add(1) else { return Ok(()) };
        let mut found = Vec::new();
        // `n:*` has the last message even if its UID is below n (RFC 9051, section 9: seq-range).
        self.client.command(format!("UID FETCH {first}:* (UID)").as_bytes(), |untagged| {
            if let Untagged::Fetch(_, Fetched { uid: Some(uid), .. }) = untagged
                && uid >= first
            {
                found.push(uid);
            }
            Ok(())
        })?;
        found.sort_unstable();
        found.dedup();
        open.last = found.last().copied().unwrap_or(open.last);
        let total = self.progress.total.get_or_insert(0);
        *total += found.len() as u64;
        open.uids.extend(found);
        Ok(())
    }

    fn id(&self, open: &Open, uid: u32) -> MessageId {
        let mailbox =
            if self.has_several { prefix(&self.client.naming().read(&open.wire_name)) } else { String::new() };
        MessageId::new(format!("{mailbox}{}.{uid}", open.validity))
    }

    /// Reads the next few messages that are not done.
    fn read_batch(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<()> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(open) = &mut self.open else { return Ok(()) };
            let Some(uid) = open.uids.pop_front() else { break };
            let Some(open) = &self.open else { return Ok(()) };
            let id = self.id(open, uid);
            if done(&id) {
                self.progress.done += 1;
            } else {
                batch.push((uid, id));
            }
        }
        let sizes = self.sizes(&batch)?;
        let mut rest = VecDeque::from(batch);
        while !rest.is_empty() {
            let (mut few, mut octets) = (Vec::new(), 0_u64);
            while let Some((uid, id)) = rest.pop_front() {
                // A message that is gone has no size.
                let Some(size) = sizes.get(&uid).copied() else {
                    self.progress.done += 1;
                    continue;
                };
                if size > self.client.limits().message as u64 {
                    self.ready(too_large(id, self.client.limits().message));
                    continue;
                }
                if !few.is_empty() && octets + size > TOGETHER {
                    rest.push_front((uid, id));
                    break;
                }
                octets += size;
                few.push((uid, id));
            }
            self.read_messages(few)?;
            // What does not fit is read when these are used up.
            if octets > 0 && !rest.is_empty() {
                if let Some(open) = &mut self.open {
                    rest.into_iter().rev().for_each(|(uid, _)| open.uids.push_front(uid));
                }
                break;
            }
        }
        Ok(())
    }

    fn sizes(&mut self, batch: &[(u32, MessageId)]) -> Result<BTreeMap<u32, u64>> {
        let mut sizes = BTreeMap::new();
        if batch.is_empty() {
            return Ok(sizes);
        }
        let line = format!("UID FETCH {} (UID RFC822.SIZE)", set(batch.iter().map(|(uid, _)| *uid)));
        self.client.command(line.as_bytes(), |untagged| {
            if let Untagged::Fetch(_, Fetched { uid: Some(uid), size: Some(size), .. }) = untagged
                && batch.iter().any(|(asked, _)| *asked == uid)
            {
                sizes.insert(uid, size);
            }
            Ok(())
        })?;
        Ok(sizes)
    }

    fn read_messages(&mut self, few: Vec<(u32, MessageId)>) -> Result<()> {
        if few.is_empty() {
            return Ok(());
        }
        let line = format!("UID FETCH {} (UID FLAGS INTERNALDATE BODY.PEEK[])", set(few.iter().map(|(uid, _)| *uid)));
        let (limit, place) = (self.client.limits().message, self.client.place().to_owned());
        let (mut read, mut octets) = (BTreeMap::new(), 0_usize);
        self.client.command(line.as_bytes(), |untagged| {
            let Untagged::Fetch(_, Fetched { uid: Some(uid), flags, date, body: Some(body), .. }) = untagged else {
                return Ok(());
            };
            if !few.iter().any(|(asked, _)| *asked == uid) || read.contains_key(&uid) {
                return Err(Error::malformed(
                    &place,
                    format!("the server sent the message {uid}, which was not asked for"),
                ));
            }
            // Sizes that were announced may be wrong by a little.
            octets = octets.saturating_add(body.len());
            if octets > limit.saturating_add(TOGETHER as usize) {
                return Err(Error::malformed(&place, "the server sends more than the sizes that it announced"));
            }
            read.insert(uid, (body, state::read(&flags.unwrap_or_default(), date.as_deref())));
            Ok(())
        })?;
        for (uid, id) in few {
            match read.remove(&uid) {
                Some((body, _)) if body.len() > limit => self.ready(too_large(id, limit)),
                Some((body, state)) => self.ready(Entry { id, content: Ok(body), state }),
                // Another client deleted it meanwhile.
                None => self.progress.done += 1,
            }
        }
        Ok(())
    }

    fn ready(&mut self, entry: Entry) {
        if let Some(open) = &mut self.open {
            open.ready.push_back(entry);
        }
    }

    /// The UIDs of ids of the open mailbox. An id with another UIDVALIDITY names nothing any more.
    fn uids_of(&self, ids: &[MessageId]) -> Vec<u32> {
        let Some(open) = &self.open else { return Vec::new() };
        let start = format!("{}.", open.validity);
        let mut uids: Vec<u32> = ids.iter().filter_map(|id| id.as_str().strip_prefix(&start)?.parse().ok()).collect();
        uids.sort_unstable();
        uids
    }

    /// Moves messages where the server has no MOVE (RFC 6851), which does the three steps at once.
    fn copy_and_delete(&mut self, set: &str, folder: &[u8]) -> Result<()> {
        self.transfer("COPY", set, folder)?;
        self.delete(set)
    }

    /// UID MOVE or UID COPY; a folder that is not there is made.
    fn transfer(&mut self, verb: &str, set: &str, folder: &[u8]) -> Result<()> {
        let target = quoted(folder)?;
        let line = [format!("UID {verb} {set} ").as_bytes(), &target].concat();
        for is_second in [false, true] {
            match self.client.attempt(&line, |_| Ok(()))? {
                (Status::Ok, _) => break,
                (_, text) if text.code == Some(Code::TryCreate) && !is_second => {
                    self.client.command(&[b"CREATE ", &target[..]].concat(), |_| Ok(()))?;
                }
                (_, text) => return Err(self.client.refused(&format!("UID {verb}"), &text)),
            }
        }
        Ok(())
    }

    /// Without UIDPLUS (RFC 4315) the messages are only marked: EXPUNGE would delete what others marked too.
    fn delete(&mut self, set: &str) -> Result<()> {
        self.client.command(format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)").as_bytes(), |_| Ok(()))?;
        if self.client.can("UIDPLUS") || self.client.can("IMAP4REV2") {
            self.client.command(format!("UID EXPUNGE {set}").as_bytes(), |_| Ok(()))?;
        }
        Ok(())
    }
}

impl MessageSource for ImapSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            if let Some(entry) = open.ready.pop_front() {
                self.progress.done += 1;
                // A copy that an earlier run appended may be known as such only since it was read.
                if done(&entry.id) {
                    continue;
                }
                return Ok(Some(entry));
            }
            if !open.uids.is_empty() {
                self.read_batch(done)?;
            } else if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}

impl RemoteSource for ImapSource {
    fn generations(&self) -> Vec<(String, u32)> {
        self.generations.clone()
    }

    fn remove(&mut self, ids: &[MessageId], how: &Removal) -> Result<Gone> {
        let uids = self.uids_of(ids);
        for some in uids.chunks(BATCH) {
            let set = set(some.iter().copied());
            match how {
                Removal::Delete => self.delete(&set)?,
                Removal::MoveTo(folder) => {
                    let folder = self.client.naming().write(folder);
                    if self.client.can("MOVE") || self.client.can("IMAP4REV2") {
                        self.transfer("MOVE", &set, &folder)?;
                    } else {
                        self.copy_and_delete(&set, &folder)?;
                    }
                }
            }
        }
        Ok(Gone::Now)
    }

    fn wait(&mut self, stop: &dyn Fn() -> bool) -> Result<()> {
        if self.client.can("IDLE") {
            self.client.idle(Instant::now() + MAX_IDLE, stop)?;
        } else {
            self.client.sleep(Instant::now() + self.poll, stop)?;
        }
        if stop() {
            return Ok(());
        }
        // Where IDLE is missing, this asks.
        self.client.command(b"NOOP", |_| Ok(()))?;
        self.list_uids()
    }

    fn finish(&mut self) -> Result<()> {
        self.client.log_out();
        Ok(())
    }
}

/// `imaps://bob@imap.example.org:993/INBOX`.
pub(super) fn name(server: &Server, mailbox: Option<&str>) -> String {
    format!("{}{}", server.url("imap"), mailbox.unwrap_or_default())
}

/// EXAMINE, or SELECT. The UIDVALIDITY.
pub(super) fn open(client: &mut Client, wire_name: &[u8], purpose: Purpose) -> Result<u32> {
    let verb: &[u8] = match purpose {
        Purpose::Read => b"EXAMINE ",
        Purpose::Remove => b"SELECT ",
    };
    let mut validity = None;
    let line = [verb, &quoted(wire_name)?].concat();
    client.command(&line, |untagged| {
        if let Untagged::Status(_, text) = untagged
            && let Some(Code::UidValidity(number)) = text.code
        {
            validity = Some(number);
        }
        Ok(())
    })?;
    let shown = client.naming().read(wire_name);
    let unknown = || {
        Error::unavailable(format!(
            "{}: {shown}: the server gives no UIDVALIDITY, so messages have no lasting names",
            client.place()
        ))
    };
    validity.ok_or_else(unknown)
}

/// The mailboxes that can be opened, in the order of their names.
fn list(client: &mut Client) -> Result<VecDeque<Vec<u8>>> {
    let mut names = std::collections::BTreeSet::new();
    let place = client.place().to_owned();
    client.command(b"LIST \"\" \"*\"", |untagged| {
        if let Untagged::List(listed) = untagged
            && listed.is_selectable
        {
            names.insert(listed.name);
            if names.len() > MAX_MAILBOXES {
                return Err(Error::malformed(&place, format!("the server lists more than {MAX_MAILBOXES} mailboxes")));
            }
        }
        Ok(())
    })?;
    Ok(names.into_iter().collect())
}

/// The mailbox in front of an id, of visible characters.
fn prefix(mailbox: &str) -> String {
    let mut prefix = String::new();
    for c in mailbox.chars() {
        if c.is_control() || c.is_whitespace() || c == '%' {
            let mut octets = [0; 4];
            for octet in c.encode_utf8(&mut octets).bytes() {
                let _ = write!(prefix, "%{octet:02X}");
            }
        } else {
            prefix.push(c);
        }
    }
    prefix.push('/');
    prefix
}

/// `1:3,5`. The UIDs are in order.
fn set(uids: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(uid) => *end = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    let written =
        ranges.iter().map(|(start, end)| if start == end { start.to_string() } else { format!("{start}:{end}") });
    written.collect::<Vec<_>>().join(",")
}

fn too_large(id: MessageId, limit: usize) -> Entry {
    let content = Err(Error::malformed(&id, format!("more than {limit} octets")));
    Entry { id, content, state: crate::mailbox::State::default() }
}

/// Messages whose sizes are asked for at once. Source: a set of so many UIDs fits the 8,192 octets of a command (RFC 7162, section 4).
const BATCH: usize = 200;
/// Octets of messages that are read at once, if there is more than one.
const TOGETHER: u64 = 4 * 1024 * 1024;
/// Source: LIST of the largest accounts of hosting providers has some hundreds.
const MAX_MAILBOXES: usize = 10_000;
/// How long the server is left to tell by itself. Source: RFC 2177, section 3: less than 29 minutes.
const MAX_IDLE: Duration = Duration::from_secs(28 * 60);
