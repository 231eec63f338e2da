//! The messages of a POP3 account.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use super::{client::Client, reply::numbered};
use crate::{
    base::{Error, Result},
    mailbox::{
        Entry, MessageId, MessageSource, Progress, State,
        remote::{Access, Gone, RemoteSource, Removal, Server},
    },
};

/// Reads the mailbox of an account. An id is the unique id that the server gives (UIDL). POP3 has no flags and no dates.
pub struct Pop3Source {
    name: String,
    server: Server,
    access: Access,
    /// `None`: between two connections.
    client: Option<Client>,
    /// What is not read yet, by number.
    unread: BTreeMap<u32, Listed>,
    /// The number of each id.
    numbers: HashMap<MessageId, u32>,
    progress: Progress,
}

struct Listed {
    id: MessageId,
    size: u64,
    /// Another message before it has the same id.
    is_repeated: bool,
}

impl Pop3Source {
    /// Connects with the server.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the server cannot be reached, or the mailbox is in use. `Unavailable`: no TLS, or no unique ids. `NoKey`: the login is refused. `Malformed`: the
    /// server breaks the protocol.
    pub fn connect(server: &Server, access: &Access) -> Result<Pop3Source> {
        let mut source = Pop3Source {
            name: server.url("pop3"),
            server: server.clone(),
            access: access.clone(),
            client: None,
            unread: BTreeMap::new(),
            numbers: HashMap::new(),
            progress: Progress::default(),
        };
        source.reconnect()?;
        Ok(source)
    }

    /// A server shows what arrived since to a new connection only.
    fn reconnect(&mut self) -> Result<()> {
        let mut client = Client::connect(&self.server, &self.access)?;
        let place = client.place().to_owned();
        let (mut sizes, mut unread, mut numbers, mut seen) =
            (HashMap::new(), BTreeMap::new(), HashMap::new(), BTreeSet::new());
        let no_line = |line: &[u8]| {
            Error::malformed(&place, format!("not a line of a list: {}", crate::mailbox::remote::quoted(line)))
        };
        client.lines("LIST", |line| {
            let (number, size) = numbered(line).ok_or_else(|| no_line(line))?;
            sizes.insert(number, size.parse::<u64>().map_err(|_| no_line(line))?);
            Ok(())
        })?;
        client.lines("UIDL", |line| {
            let (number, id) = numbered(line).ok_or_else(|| no_line(line))?;
            let id = MessageId::new(id);
            let is_repeated = !seen.insert(id.clone());
            let size = sizes.get(&number).copied().unwrap_or_default();
            numbers.entry(id.clone()).or_insert(number);
            unread.insert(number, Listed { id, size, is_repeated });
            Ok(())
        })?;
        self.progress = Progress { done: 0, total: Some(unread.len() as u64) };
        (self.unread, self.numbers, self.client) = (unread, numbers, Some(client));
        Ok(())
    }

    fn client(&mut self) -> Result<&mut Client> {
        self.client.as_mut().ok_or_else(|| Error::unavailable(format!("{}: not connected", self.name)))
    }
}

impl MessageSource for Pop3Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        while let Some((number, listed)) = self.unread.pop_first() {
            self.progress.done += 1;
            let Listed { id, size, is_repeated } = listed;
            if !is_repeated && done(&id) {
                continue;
            }
            let client = self.client()?;
            let limit = client.limits().message;
            let content = if is_repeated {
                Err(Error::malformed(&id, "two messages have this unique id; only the first of them is read"))
            } else if size > limit as u64 {
                Err(Error::malformed(&id, format!("more than {limit} octets")))
            } else {
                client.message(number, size)?
            };
            return Ok(Some(Entry { id, content, state: State::default() }));
        }
        Ok(None)
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}

impl RemoteSource for Pop3Source {
    fn generations(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    fn remove(&mut self, ids: &[MessageId], how: &Removal) -> Result<Gone> {
        if let Removal::MoveTo(folder) = how {
            return Err(Error::usage(format!("{}: POP3 has no folders, so nothing can go to {folder}", self.name)));
        }
        let numbers: Vec<u32> = ids.iter().filter_map(|id| self.numbers.get(id).copied()).collect();
        for number in numbers {
            self.client()?.command(&format!("DELE {number}"))?;
        }
        Ok(Gone::AtTheEnd)
    }

    fn wait(&mut self, stop: &dyn Fn() -> bool) -> Result<()> {
        self.finish()?;
        let end = Instant::now() + self.access.timeouts.poll;
        while Instant::now() < end && !stop() {
            std::thread::sleep(TICK.min(end.saturating_duration_since(Instant::now())));
        }
        if stop() { Ok(()) } else { self.reconnect() }
    }

    /// QUIT, which deletes (RFC 1939, section 6).
    fn finish(&mut self) -> Result<()> {
        match self.client.take() {
            Some(mut client) => client.command("QUIT").map(drop),
            None => Ok(()),
        }
    }
}

/// How often `stop` is asked.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);
