//! `log`: puts the lines of one mail together.

mod history;
mod line;

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueHint};
use postseal::base::{Error, Kind, Result};
use tempfile::SpooledTempFile;

use self::history::History;
pub(crate) use self::line::Line;
use crate::cli::show;

/// Find mails in the log of the service, and show who sent each, what was decided, which keys were used, and what the next server said. Exit
/// status 1: nothing was found.
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// Print one line of JSON for each mail
    #[arg(long)]
    json: bool,
    /// The id of a mail or a connection, a queue id, a Message-ID, an address of the envelope, or a login
    #[arg(value_name = "ID|ADDRESS")]
    wanted: String,
    /// The log: text or JSON, also as journalctl prints it [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    input: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(what: &Log) -> Result<ExitCode> {
    let (mut log, place) = opened(what.input.as_deref())?;
    let unread = |error: io::Error| Error::io(&place, &error);
    // Twice, because the line by which a mail is found is not its first. A log may be larger than memory.
    let mut found = Found::default();
    each_line(&mut log, |text| names(text, &what.wanted), |line| found.note(&line, &what.wanted)).map_err(unread)?;
    log.rewind().map_err(unread)?;
    let mut histories = Histories::default();
    each_line(&mut log, |_| true, |line| histories.add(line, &found)).map_err(unread)?;
    let histories = histories.finish();
    if histories.is_empty() {
        show::warning(&format!("{}: not found in {place}", what.wanted));
        return Ok(ExitCode::from(NOTHING_FOUND));
    }
    let shown = histories.iter().map(|history| if what.json { history.json() } else { history.text() });
    show::data(&shown.collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

/// Calls `with` for each event of this name in a log; the log's name.
pub(crate) fn each_event(event: &str, name: Option<&Path>, mut with: impl FnMut(Line)) -> Result<String> {
    let (mut log, place) = opened(name)?;
    // Parsing all lines takes longer.
    let names = |text: &str| memchr::memmem::find(text.as_bytes(), event.as_bytes()).is_some();
    let of_event = |line: Line| {
        if line.event() == event {
            with(line)
        }
    };
    each_line(&mut log, names, of_event).map_err(|error| Error::io(&place, &error))?;
    Ok(place)
}

/// What can be read twice.
trait Rereadable: Read + Seek {}
impl<T: Read + Seek> Rereadable for T {}

/// The log, and its name in errors. Standard input, and a pipe, are copied first.
fn opened(name: Option<&Path>) -> Result<(Box<dyn Rereadable>, String)> {
    let Some(name) = name.filter(|name| name.as_os_str() != "-") else {
        let place = "standard input";
        return Ok((spooled(&mut io::stdin(), place)?, place.to_owned()));
    };
    let place = name.display().to_string();
    let missing = |why: String| Error::new(Kind::NoInput, why);
    let mut file = File::open(name).map_err(|error| missing(Error::io(&place, &error).to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(missing(format!("{place}: is a directory")));
    }
    let log = if file.rewind().is_ok() { Box::new(file) } else { spooled(&mut file, &place)? };
    Ok((log, place))
}

/// A copy that can be read twice.
fn spooled(from: &mut dyn Read, place: &str) -> Result<Box<dyn Rereadable>> {
    let mut spool = SpooledTempFile::new(SPOOL);
    io::copy(from, &mut spool).and_then(|_| spool.rewind()).map_err(|error| Error::io(place, &error))?;
    Ok(Box::new(spool))
}

/// Whether a line may name what is wanted. Parsing all lines takes longer.
fn names(text: &str, wanted: &str) -> bool {
    let is_written_as_it_is =
        wanted.chars().all(|c| c.is_alphanumeric() || c.is_ascii_punctuation() && !"\"\\".contains(c));
    !is_written_as_it_is || text.to_ascii_lowercase().contains(&line::bare(wanted).to_ascii_lowercase())
}

/// Calls `with` for each line of the service's log that is `wanted`. What is no such line is passed over.
fn each_line(log: &mut dyn Rereadable, wanted: impl Fn(&str) -> bool, mut with: impl FnMut(Line)) -> io::Result<()> {
    let mut log = BufReader::with_capacity(BUFFER, log);
    let mut octets = Vec::new();
    loop {
        octets.clear();
        if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut octets)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&octets);
        if wanted(&text)
            && let Some(line) = Line::parse(text.trim_end())
        {
            with(line);
        }
    }
}

/// The mails and connections that were asked for.
#[derive(Default)]
struct Found {
    mails: HashSet<String>,
    /// Connections of which everything is shown: they were asked for, or the lines that were belong to none of their mails.
    sessions: HashSet<String>,
    /// The connections of the mails.
    around: HashSet<String>,
}

impl Found {
    fn note(&mut self, line: &Line, wanted: &str) {
        if line.get("session") == Some(wanted) {
            self.sessions.insert(wanted.to_owned());
        }
        if !line.is_about(wanted) {
            return;
        }
        match (line.get("mail"), line.get("session")) {
            (Some(mail), _) => {
                self.mails.insert(mail.to_owned());
                self.around.insert(session_of(mail).to_owned());
            }
            (None, Some(session)) => drop(self.sessions.insert(session.to_owned())),
            (None, None) => {}
        }
    }

    fn has(&self, mail: &str) -> bool {
        self.mails.contains(mail) || self.sessions.contains(session_of(mail))
    }

    /// Whether a mail of this connection, or the connection, is shown.
    fn has_session(&self, session: &str) -> bool {
        self.sessions.contains(session) || self.around.contains(session)
    }
}

/// The connection that a mail came over.
fn session_of(mail: &str) -> &str {
    mail.rsplit_once('-').map_or(mail, |(session, _)| session)
}

/// The lines of one connection.
#[derive(Default)]
struct Connection {
    /// Those about no mail.
    own: Vec<Line>,
    by_mail: BTreeMap<String, Vec<Line>>,
}

/// The lines that were found, by connection.
#[derive(Default)]
struct Histories {
    /// In the order of their first lines.
    order: Vec<String>,
    by_session: BTreeMap<String, Connection>,
}

impl Histories {
    fn add(&mut self, line: Line, found: &Found) {
        let (mail, session) = (line.get("mail").map(str::to_owned), line.get("session").map(str::to_owned));
        match (mail, session) {
            (Some(mail), _) if found.has(&mail) => {
                self.session(session_of(&mail)).by_mail.entry(mail).or_default().push(line);
            }
            (None, Some(session)) if found.has_session(&session) => self.session(&session).own.push(line),
            _ => {}
        }
    }

    fn session(&mut self, session: &str) -> &mut Connection {
        if !self.by_session.contains_key(session) {
            self.order.push(session.to_owned());
        }
        self.by_session.entry(session.to_owned()).or_default()
    }

    /// One for each mail, and one for each connection without a mail.
    fn finish(mut self) -> Vec<History> {
        let mut histories = Vec::new();
        for session in self.order {
            let Some(Connection { own, by_mail }) = self.by_session.remove(&session) else { continue };
            if by_mail.is_empty() {
                histories.push(History { id: session, lines: own });
                continue;
            }
            let mut mails: Vec<(String, Vec<Line>)> = by_mail.into_iter().collect();
            // By the number at the end of the id.
            mails.sort_by_key(|(id, _)| (id.len(), id.clone()));
            for (id, lines) in mails {
                histories.push(History { id, lines: own.iter().cloned().chain(lines).collect() });
            }
        }
        histories
    }
}

/// Exit status, as grep's.
const NOTHING_FOUND: u8 = 1;
/// Octets of a copied log in memory; more are in a temporary file.
const SPOOL: usize = 16 * 1024 * 1024;
const BUFFER: usize = 256 * 1024;
/// Octets of a line. Source: far above what the service writes; the rest of a longer line counts as another line, and as no event.
const LONGEST_LINE: u64 = 1024 * 1024;
