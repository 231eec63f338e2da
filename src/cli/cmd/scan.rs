//! `postseal scan`: judges the messages of mailboxes, and converts them.

mod change;
mod html;
mod options;
mod tables;

use std::{path::PathBuf, process::ExitCode, thread};

use postseal::{
    base::{Error, Result},
    engine::Engine,
    keys::{ProtocolName, Record, Snapshot},
    mailbox::{
        Entry, MessageSource, Progress,
        local::{self, Places, Reading},
        location::{self, Location},
        remote::Purpose,
    },
    pki::Certificate,
    policy::Pattern,
    protocol::{
        Context,
        pgp::keyfile::{self, Armor},
        smime::export::{self, Form},
    },
    report::{authserv::Believed, printable},
    sandbox::Sandbox,
    scan::{self, Conversion, Converted, Harvest, Judged, Outline, StateFile, Summary},
};

pub(crate) use self::options::Scan;
use self::{change::Changes, html::Page};
use crate::cli::{
    output::{Output, Privacy, written_in},
    session::Session,
    show::{self, progress},
};

/// Judges every message of the mailboxes, and converts them on request.
pub(crate) fn run(what: &Scan, session: &Session) -> Result<ExitCode> {
    contain(what, session)?;
    let _progress = progress::begin("searching mailboxes");
    let (found, servers) = mailboxes(what)?;
    if what.undo {
        return change::undo(&found.places);
    }
    let page = what.html.as_deref().map(Page::create).transpose()?;
    if page.as_ref().is_some_and(Page::is_on_standard_output) && (what.json || what.csv) {
        return Err(Error::usage("--json or --csv, and --html - would both be written to standard output"));
    }
    let from: Vec<Pattern> = what.from.iter().map(|text| options::pattern(text)).collect::<Result<_>>()?;
    let mut scan = Running {
        what,
        from,
        harvest: Harvest::new(session.limits().clone()),
        summary: Summary::default(),
        state: None,
        page,
        changes: Changes::begin(what, &found.places)?,
        failed: None,
        failures: 0,
        hits: 0,
        count: 0,
    };
    scan.resume()?;
    if what.csv {
        show::data(tables::CSV_HEADER)?;
    }
    let keys = Snapshot::new(session.keys()?, session.limits().network);
    let engine = Engine::new(Context { keys: &keys, ..session.context()? }, session.limits().clone());
    let reading = Reading { format: what.mbox_format(), limit: session.limits().message };
    for place in &found.places {
        let source = place.open(reading).and_then(|mut source| {
            scan.changes.place(place)?;
            scan.mailbox(&mut *source, &engine)
        });
        if let Err(error) = source {
            scan.fail(&error);
        }
    }
    for location in &servers {
        if let Err(error) = scan.server(location, &engine, session) {
            scan.fail(&error);
        }
    }
    let code = scan.finish(&found, session)?;
    Ok(code)
}

/// Keeps the mailboxes, the keys and what is written, and gives up the rest before a message is read. Where a server is asked, that is not known.
fn contain(what: &Scan, session: &Session) -> Result<()> {
    let Some(mut sandbox) = session.sandbox()? else { return Ok(()) };
    for path in &what.paths {
        let location = path.to_str().map_or_else(|| Ok(Location::Path(path.clone())), Location::parse)?;
        let (Location::Path(path) | Location::Maildir(path) | Location::Mbox(path)) = location else { return Ok(()) };
        let is_changed = what.in_place.is_some() || what.undo;
        sandbox = if is_changed { sandbox.writes(path) } else { sandbox.reads(path) };
    }
    let files = [&what.html, &what.state, &what.save_keys].into_iter().flatten();
    let files = files.flat_map(|file| written_in(Some(file)));
    let copies = what.annotate.iter().chain(&what.decrypt).cloned().chain(what.encrypt_to.get(1).map(PathBuf::from));
    files.chain(copies).fold(sandbox, Sandbox::writes).enter().map(drop)
}

/// The mailboxes on this machine, and those on servers.
fn mailboxes(what: &Scan) -> Result<(Places, Vec<Location>)> {
    let (mut found, mut servers) = (Places::default(), Vec::new());
    for path in &what.paths {
        let location = path.to_str().map_or_else(|| Ok(Location::Path(path.clone())), Location::parse)?;
        match location {
            Location::Path(path) | Location::Maildir(path) | Location::Mbox(path) => {
                let Places { places, passed_over } = local::places(&path)?;
                found.places.extend(places);
                found.passed_over.extend(passed_over);
            }
            Location::Imap(..) | Location::Pop3(_) if what.converts() => {
                return Err(Error::usage(format!("{location}: a mailbox on a server is judged only"))
                    .with_hint("`postseal fetch` converts its messages"));
            }
            Location::Imap(..) | Location::Pop3(_) => servers.push(location),
            Location::Lmtp(_) => return Err(Error::usage(format!("{location}: has no messages to read"))),
        }
    }
    Ok((found, servers))
}

/// One scan.
struct Running<'a> {
    what: &'a Scan,
    from: Vec<Pattern>,
    harvest: Harvest,
    summary: Summary,
    state: Option<StateFile>,
    page: Option<Page>,
    changes: Changes,
    /// The first error that ends the program with its exit code.
    failed: Option<Error>,
    failures: u64,
    /// Messages that `--fail-on` is about.
    hits: u64,
    count: u64,
}

/// What the threads made of one message.
struct Worked {
    judged: Judged,
    line: Option<String>,
    change: Option<Result<Converted>>,
}

impl Running<'_> {
    /// Takes over what an earlier scan counted.
    fn resume(&mut self) -> Result<()> {
        let Some(path) = &self.what.state else { return Ok(()) };
        let mut earlier = Vec::new();
        let state = StateFile::open(path, &mut |outline| earlier.push(outline.clone()))?;
        earlier.iter().for_each(|outline| self.tally(outline));
        self.state = Some(state);
        Ok(())
    }

    fn mailbox(&mut self, source: &mut (dyn MessageSource + Send), engine: &Engine<'_>) -> Result<()> {
        let name = source.name().to_owned();
        let done = self.state.as_mut().map(|state| state.done(&name)).unwrap_or_default();
        let (what, conversion) = (self.what, self.changes.conversion().cloned());
        let from = self.from.clone();
        let own = what.authserv_id();
        let harvest = std::mem::replace(&mut self.harvest, Harvest::new(engine.budget().limits().clone()));
        let work = |entry: Entry| {
            let judged = scan::judge(engine, entry);
            harvest.take_from(&judged);
            let is_shown = is_from(&judged.outline, &from);
            let line = match (is_shown, what.json, what.csv) {
                (true, true, _) => Some(judged.json(&name, engine) + "\n"),
                (true, _, true) => Some(tables::csv_line(&name, &judged)),
                _ => None,
            };
            let believed = Believed { own: &own, hosts: &[] };
            let convert = |conversion: &Conversion| conversion.convert(engine, &judged, believed);
            let change = conversion.as_ref().map(convert);
            Worked { judged, line, change }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let mut take = |worked: Worked, progress: Progress| self.take(&name, worked, progress);
        let ran = scan::run(source, &|id| done.contains(id), threads, &work, &mut take);
        self.harvest = harvest;
        ran
    }

    /// A mailbox on a server, or all of an account. Nothing changes there.
    fn server(&mut self, location: &Location, engine: &Engine<'_>, session: &Session) -> Result<()> {
        progress::now(&format!("connecting with {location}"));
        let access = self.what.servers.access(session.limits());
        let Some(mut source) = location::connect(location, &access, Purpose::Read)? else { return Ok(()) };
        self.mailbox(&mut *source, engine)?;
        source.finish()
    }

    fn take(&mut self, name: &str, worked: Worked, progress: Progress) -> Result<()> {
        let Worked { judged, line, change } = worked;
        if let Some(line) = line {
            show::data(&line)?;
        }
        self.tally(&judged.outline);
        if let Some(page) = self.page.as_mut().filter(|_| is_from(&judged.outline, &self.from)) {
            page.note(name, &judged);
        }
        if let Some(error) = judged.error().filter(|error| !error.is_sealed()) {
            self.fail(&error.clone().of(&format!("{name}, message {}", judged.id)));
        }
        if let Some(state) = &mut self.state {
            state.add(name, &judged.id, &judged.outline)?;
        }
        if let Some(change) = change
            && let Err(error) = self.changes.take(&judged, change)?
        {
            self.fail(&error.of(&format!("{name}, message {}", judged.id)));
        }
        self.count += 1;
        if self.count.is_multiple_of(SHOWN_EVERY) {
            let part =
                progress.total.filter(|total| *total > 0).map(|total| format!(", {} %", progress.done * 100 / total));
            progress::now(&format!("scanning {name}: {} messages{}", self.count, part.unwrap_or_default()));
        }
        Ok(())
    }

    fn tally(&mut self, outline: &Outline) {
        if !is_from(outline, &self.from) {
            return;
        }
        self.summary.add(outline);
        self.hits += u64::from(self.what.fails_on(outline.finding));
    }

    fn fail(&mut self, error: &Error) {
        self.failures += 1;
        if self.failures <= MAX_SHOWN {
            show::error(error);
        }
        self.failed.get_or_insert_with(|| error.clone());
    }

    fn finish(mut self, found: &Places, session: &Session) -> Result<ExitCode> {
        progress::now("finishing");
        if let Some(state) = self.state.take() {
            state.finish()?;
        }
        if self.failures > MAX_SHOWN {
            show::aside(&format!("errors not shown: {}\n", self.failures - MAX_SHOWN));
        }
        let is_page_printed = self.page.as_ref().is_some_and(Page::is_on_standard_output);
        if !self.what.json && !self.what.csv && !is_page_printed {
            show::data(&tables::table(&self.summary))?;
        }
        let changed = match self.failed {
            None => self.changes.finish(session.limits().message),
            Some(_) => self.changes.give_up(),
        };
        if let Err(error) = changed {
            self.fail(&error);
        }
        self.say_passed_over(found);
        self.save_keys()?;
        if let Some(page) = self.page.take() {
            page.commit(self.what, &self.summary, &self.harvest, session)?;
        }
        if self.hits > 0 {
            show::aside(&format!("messages that are {}: {}\n", self.what.fail_words(), self.hits));
        }
        Ok(match &self.failed {
            Some(error) => ExitCode::from(show::exit_code(error.kind())),
            None if self.hits > 0 => ExitCode::from(1),
            None => ExitCode::SUCCESS,
        })
    }

    fn say_passed_over(&self, found: &Places) {
        let names: Vec<String> =
            found.passed_over.iter().take(3).map(|path| printable(&path.display().to_string())).collect();
        if !names.is_empty() {
            let more = if found.passed_over.len() > names.len() { ", ..." } else { "" };
            show::aside(&format!("files that are no mail: {} ({}{more})\n", found.passed_over.len(), names.join(", ")));
        }
    }

    fn save_keys(&self) -> Result<()> {
        let records = self.harvest.records();
        let of = |protocol| records.iter().filter(|record| record.protocol() == protocol).count();
        let counted = format!("{} OpenPGP, {} X.509", of(ProtocolName::Pgp), of(ProtocolName::Smime));
        match &self.what.save_keys {
            None if records.is_empty() => {}
            None => {
                show::aside(&format!("certificates in the messages: {} ({counted})\n", records.len()));
                show::hint("--save-keys FILE writes them for `postseal key import FILE`, which trusts none of them");
            }
            Some(path) => {
                let mut output = Output::create(Some(path), &[], Privacy::Umask)?;
                write_keys(&records, &mut output)?;
                output.commit()?;
                show::aside(&format!(
                    "certificates in the messages: {} ({counted}), written to {}\n",
                    records.len(),
                    path.display()
                ));
            }
        }
        Ok(())
    }
}

/// Whether a message is from one of these, or there are none.
fn is_from(outline: &Outline, from: &[Pattern]) -> bool {
    from.is_empty() || from.iter().any(|pattern| outline.is_from(pattern))
}

/// In the forms that `key import` reads.
fn write_keys(records: &[Record], output: &mut Output) -> Result<()> {
    use std::io::Write;
    let mut written = Vec::new();
    let mut certificates = Vec::new();
    for record in records {
        match record.protocol() {
            ProtocolName::Smime => certificates.push(std::sync::Arc::new(Certificate::parse(record.bytes())?)),
            _ => written.extend_from_slice(&keyfile::export(record, Armor::Ascii)?),
        }
    }
    written.extend_from_slice(&export::export(&certificates, Form::Pem));
    output.write_all(&written).map_err(|error| Error::io("output", &error))
}

/// The progress line changes after so many messages.
const SHOWN_EVERY: u64 = 64;
/// Errors that are printed. Each is in the output of --json too.
const MAX_SHOWN: u64 = 10;
