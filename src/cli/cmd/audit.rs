//! `audit init`, `head`, `show`, `verify`, `export` and `rotate`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use postseal::{
    audit::{Actor, Checked, Entry, Form, Grade, Log, exported, files, verify},
    base::{Error, Kind, Result, Secret, parse_rfc3339},
    report::printable,
};
use serde_json::{Value, json};

use crate::cli::{cmd::config, later::Later, session::Session, show};

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Record the changes of the home from now on
    Init(Later<Init>),
    /// Print the number and the hash of the last entry, to keep elsewhere
    Head(Later<Head>),
    /// Show the entries, one line each
    Show(Later<Show>),
    /// Check that no entry was changed, removed, inserted or moved; exit status 1 if one was
    Verify(Later<Verify>),
    /// Print the entries in a form that other systems read
    Export(Later<Export>),
    /// Move the log aside, and begin a new file that goes on with it
    Rotate(Later<Rotate>),
}

/// Where the log is.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The configuration with the home or the log [default: $POSTSEAL_CONFIG, or the home of the command line]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Init.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The log [default: audit.log in the home]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    path: Option<PathBuf>,
}

/// Head.
#[derive(Args, Debug)]
pub(crate) struct Head {
    #[command(flatten)]
    place: Place,
}

/// Show.
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    place: Place,
    /// Only entries of this event: trust, revoke, decision, ...
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only entries since this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries that name this fingerprint, address, rule or digest
    #[arg(long, value_name = "WORD")]
    about: Option<String>,
    /// Print the lines as they are
    #[arg(long)]
    json: bool,
    /// Files of the log, the oldest first [default: those of the home or the configuration]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Verify.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    /// An entry that must be in the log: a hash that `audit head` printed
    #[arg(long, value_name = "HASH")]
    head: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Files of the log, the oldest first [default: those of the home or the configuration]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Export.
#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// The form
    #[arg(long, value_enum)]
    format: ExportForm,
    /// Only entries since this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Files of the log, the oldest first [default: those of the home or the configuration]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Rotate.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    place: Place,
}

/// A form of export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// ArcSight Common Event Format, a line for each entry
    Cef,
    /// Elastic Common Schema, a line of JSON for each entry
    Ecs,
}

/// Runs one verb of `audit`.
pub(crate) fn run(what: &Audit, session: &Session) -> Result<ExitCode> {
    match what {
        Audit::Init(Later(Init { path })) => {
            let begun = session.home()?.begin_audit(path.as_deref())?;
            show::aside(&format!("changes are recorded in {}\n", begun.display()));
        }
        Audit::Head(Later(Head { place })) => {
            let found = place.open(session)?;
            let head = Log::new(&found.path, Actor::of_process("audit head")).head()?;
            let head = head.ok_or_else(|| none(&found.path))?;
            show::data(&format!("{head}\n"))?;
        }
        Audit::Show(Later(what)) => shown(what, session)?,
        Audit::Verify(Later(what)) => return verified(what, session),
        Audit::Export(Later(Export { place, format, since, files })) => {
            let form = match format {
                ExportForm::Cef => Form::Cef,
                ExportForm::Ecs => Form::Ecs,
            };
            let texts = place.read(files, session)?.texts;
            let since = since.as_deref().map(parse_rfc3339).transpose()?;
            each(&texts, |entry, _| {
                let is_later = since.is_none_or(|since| parse_rfc3339(&entry.time).is_ok_and(|time| time >= since));
                if is_later { show::data(&exported(entry, form)) } else { Ok(()) }
            })?;
        }
        Audit::Rotate(Later(Rotate { place })) => {
            let found = place.open(session)?;
            let log = Log::new(&found.path, Actor::of_process("audit rotate"));
            let aside = log.rotate(found.key.as_ref())?.ok_or_else(|| none(&found.path))?;
            show::data(&format!("{}\n", aside.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A log.
struct Found {
    path: PathBuf,
    key: Option<Secret>,
    /// The hash of the last change that the home knows.
    known: Option<String>,
}

/// Files of a log, read.
struct Texts {
    texts: Vec<(String, Vec<u8>)>,
    found: Option<Found>,
}

impl Place {
    fn open(&self, session: &Session) -> Result<Found> {
        let configuration = config::given(self.config.as_deref())?;
        let configured = configuration.as_ref().map(|config| session.configured(config)).transpose()?;
        let home = configured.as_ref().unwrap_or(session).home()?;
        let place = if home.exists()? { home.audit_place()? } else { None };
        let path = configuration.and_then(|config| config.audit).and_then(|audit| audit.path);
        let known = place.as_ref().and_then(|place| place.head()).map(|head| head.hash.clone());
        let path = path.or_else(|| place.as_ref().map(|place| home.audit_file(place)));
        let path = path.ok_or_else(|| {
            Error::new(Kind::NoInput, "audit log: this home has none").with_hint("`postseal audit init` begins one")
        })?;
        Ok(Found { path, key: home.audit_key()?, known })
    }

    /// The files that were named, or those of the log.
    fn read(&self, named: &[PathBuf], session: &Session) -> Result<Texts> {
        let (files, found) = if named.is_empty() {
            let found = self.open(session)?;
            let files = files(&found.path)?;
            if files.is_empty() {
                return Err(none(&found.path));
            }
            (files, Some(found))
        } else {
            (named.to_vec(), None)
        };
        let read = |file: &PathBuf| -> Result<(String, Vec<u8>)> {
            let octets = fs::read(file).map_err(|error| Error::io(file.display(), &error))?;
            Ok((file.display().to_string(), octets))
        };
        Ok(Texts { texts: files.iter().map(read).collect::<Result<_>>()?, found })
    }
}

fn verified(what: &Verify, session: &Session) -> Result<ExitCode> {
    let Texts { texts, found } = what.place.read(&what.files, session)?;
    let named: Vec<(&str, &[u8])> = texts.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())).collect();
    let key = found.as_ref().and_then(|found| found.key.as_ref());
    let checked = verify(&named, key);
    let mut missing: Vec<String> = Vec::new();
    let known = found.as_ref().and_then(|found| found.known.as_ref());
    for (hash, who) in what.head.iter().map(|hash| (hash, "--head")).chain(known.map(|hash| (hash, "the home"))) {
        // `audit head` prints the number before the hash.
        let hash = hash.split_ascii_whitespace().last().unwrap_or_default();
        if !has(&texts, hash) {
            missing.push(format!("the entry {hash} that {who} names is not in the log"));
        }
    }
    let holds = checked.holds() && missing.is_empty();
    let text = match what.json {
        true => format!("{}\n", as_json(&checked, &missing, key)),
        false => as_text(&checked, &missing, key),
    };
    show::data(&text)?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_text(checked: &Checked, missing: &[String], key: Option<&Secret>) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let note = if finding.grade == Grade::Interrupted { " (a writer was interrupted)" } else { "" };
        text += &format!("{}:{}: {}{note}\n", printable(&finding.file), finding.line, printable(&finding.reason));
    }
    for missing in missing {
        text += &format!("{}\n", printable(missing));
    }
    let (Some(first), Some(head)) = (&checked.first, &checked.head) else { return text + "no entries\n" };
    if first.number > 0 {
        text += &format!("begins after entry {first}\n");
    }
    let codes = match key {
        Some(_) => format!("{} with the code of this home", checked.codes),
        None => format!("{} with a code, which was not checked", checked.codes),
    };
    text += &format!("entries: {}, {codes}\nhead: {head}\n", checked.entries);
    text
}

fn as_json(checked: &Checked, missing: &[String], key: Option<&Secret>) -> Value {
    let head = |head: &postseal::audit::Head| json!({ "entry": head.number, "hash": head.hash });
    let findings = checked.findings.iter().map(|finding| {
        let grade = if finding.grade == Grade::Broken { "broken" } else { "interrupted" };
        json!({ "file": finding.file, "line": finding.line, "reason": finding.reason, "grade": grade })
    });
    json!({
        "version": 1, "ok": checked.holds() && missing.is_empty(), "entries": checked.entries,
        "after": checked.first.as_ref().map(head), "head": checked.head.as_ref().map(head),
        "codes": checked.codes, "codes_checked": key.is_some(),
        "findings": findings.collect::<Vec<_>>(), "missing": missing,
    })
}

fn has(texts: &[(String, Vec<u8>)], hash: &str) -> bool {
    let mut found = false;
    let _ = each(texts, |entry, _| {
        found |= entry.hash == hash;
        Ok(())
    });
    found
}

fn shown(what: &Show, session: &Session) -> Result<()> {
    let texts = what.place.read(&what.files, session)?.texts;
    let since = what.since.as_deref().map(parse_rfc3339).transpose()?;
    each(&texts, |entry, line| {
        let is_later = since.is_none_or(|since| parse_rfc3339(&entry.time).is_ok_and(|time| time >= since));
        let is_of = what.event.as_ref().is_none_or(|event| *event == entry.event);
        let is_about = what.about.as_ref().is_none_or(|word| names(&Value::Object(entry.facts.clone()), word));
        if !(is_later && is_of && is_about) {
            return Ok(());
        }
        if what.json {
            return show::data(&format!("{}\n", String::from_utf8_lossy(line)));
        }
        let by = entry.by.login.as_ref().or(entry.by.user.as_ref());
        let by = by.cloned().unwrap_or_else(|| entry.by.uid.to_string());
        let facts = Value::Object(entry.facts.clone()).to_string();
        let words = [entry.number.to_string(), entry.time.clone(), by, entry.by.program.clone(), entry.event.clone()];
        let words: Vec<String> = words.iter().map(|word| printable(word)).collect();
        show::data(&format!("{}  {}\n", words.join("  "), printable(&facts)))
    })
}

/// Whether a value among the facts is `word`, in any case.
fn names(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.eq_ignore_ascii_case(word),
        Value::Array(all) => all.iter().any(|one| names(one, word)),
        Value::Object(all) => all.values().any(|one| names(one, word)),
        _ => false,
    }
}

/// Every entry that can be read, with its line.
fn each(texts: &[(String, Vec<u8>)], mut work: impl FnMut(&Entry, &[u8]) -> Result<()>) -> Result<()> {
    for (name, octets) in texts {
        for (at, line) in octets.split(|octet| *octet == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match Entry::read(line) {
                Ok(entry) => work(&entry, line)?,
                Err(reason) => show::warning(&format!("{}:{}: {reason}", printable(name), at + 1)),
            }
        }
    }
    Ok(())
}

fn none(path: &Path) -> Error {
    Error::new(Kind::NoInput, format!("{}: no audit log here", path.display()))
}
