//! The page of `scan --html`.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Error, Result},
    crypto::Legacy,
    engine::Opening,
    keys::{ProtocolName, Record},
    pki::Certificate,
    protocol::{self, pgp::summary::summarize},
    report::html::{self, Ending, Failure, MailboxPage, Row},
    scan::{Counts, Finding, Harvest, Judged, Month, Summary},
};

use super::Scan;
use crate::cli::{
    cmd::key::day,
    output::{Output, Privacy},
    session::Session,
};

/// A page that is being made.
pub(super) struct Page {
    output: Output,
    /// By group, sender and reason.
    failures: BTreeMap<(&'static str, String, String), Failed>,
    /// Messages that failed for more reasons than are kept.
    more_failures: u64,
    is_on_standard_output: bool,
}

/// Messages that failed alike.
struct Failed {
    messages: u64,
    /// Mailbox and message of the first.
    first: String,
}

impl Page {
    /// The page `name`, which is written at the end. Its owner alone may read it: it tells who writes to them.
    pub(super) fn create(name: &Path) -> Result<Page> {
        let output = Output::create(Some(name), &[], Privacy::Owner)?;
        let is_on_standard_output = name.as_os_str() == "-";
        Ok(Page { output, failures: BTreeMap::new(), more_failures: 0, is_on_standard_output })
    }

    /// Whether the page is what is printed.
    pub(super) fn is_on_standard_output(&self) -> bool {
        self.is_on_standard_output
    }

    /// Notes a message that failed, with the reason.
    pub(super) fn note(&mut self, mailbox: &str, judged: &Judged) {
        let outline = &judged.outline;
        if !matches!(outline.finding, Finding::Bad | Finding::Unknown | Finding::Unreadable) {
            return;
        }
        let reason = match &judged.opening {
            Ok(opening) => reason(opening),
            Err(error) => error.to_string(),
        };
        let has_room = self.failures.len() < MAX_REASONS;
        let key = (outline.finding.name(), outline.sender.clone(), reason);
        match self.failures.get_mut(&key) {
            Some(failed) => failed.messages += 1,
            None if has_room => {
                let first = format!("{mailbox}, message {}", judged.id);
                self.failures.insert(key, Failed { messages: 1, first });
            }
            None => self.more_failures += 1,
        }
    }

    /// Writes the page.
    pub(super) fn commit(mut self, what: &Scan, summary: &Summary, harvest: &Harvest, session: &Session) -> Result<()> {
        let now = session.clock().now();
        let (months, outside_months) = months(summary, now);
        let senders = summary.senders();
        let (endings, more_endings) = endings(harvest, now, session)?;
        let mut failures: Vec<Failure> = self
            .failures
            .into_iter()
            .map(|((group, sender, reason), Failed { messages, first })| Failure {
                messages,
                sender,
                group,
                reason,
                first,
            })
            .collect();
        failures.sort_by_key(|failure| Reverse(failure.messages));
        let left_out: u64 = failures.iter().skip(MAX_FAILURES).map(|failure| failure.messages).sum();
        failures.truncate(MAX_FAILURES);
        let page = MailboxPage {
            groups: Finding::ALL.map(Finding::name).to_vec(),
            mailboxes: what.paths.iter().map(|path| path.display().to_string()).collect(),
            total: row("", summary.total()),
            months,
            outside_months,
            senders: senders.iter().take(MAX_SENDERS).map(|(name, counts)| row(name, counts)).collect(),
            more_senders: senders.len().saturating_sub(MAX_SENDERS) as u64,
            endings,
            more_endings,
            failures,
            more_failures: self.more_failures + left_out,
        };
        let written = self.output.write_all(page.finish().as_bytes());
        written.map_err(|error| Error::io("output", &error))?;
        self.output.commit()
    }
}

fn reason(opening: &Opening) -> String {
    match opening.error() {
        Some(error) => error.to_string(),
        None => opening.report("").reason().unwrap_or_default(),
    }
}

fn row(name: &str, counts: &Counts) -> Row {
    Row {
        name: name.to_owned(),
        messages: counts.messages,
        counts: Finding::ALL.map(|finding| counts.of(finding)).to_vec(),
        encrypted: counts.encrypted,
        keys: counts.keys.iter().take(MAX_KEYS).cloned().collect(),
    }
}

/// The last months that messages are of, and how many messages are of no such month. A date after now is no date: senders write what they like.
fn months(summary: &Summary, now: SystemTime) -> (Vec<html::Month>, u64) {
    let now = Month::of(now);
    let known: Vec<Month> = summary.months().filter(|month| *month <= now).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return (Vec::new(), summary.total().messages);
    };
    let first = (*first).max(last.before(MAX_MONTHS - 1));
    let counts = |month: Month| Finding::ALL.map(|finding| summary.in_month(month, finding)).to_vec();
    let months: Vec<html::Month> =
        last.since(first).map(|month| html::Month { label: month.to_string(), counts: counts(month) }).collect();
    let shown: u64 = months.iter().flat_map(|month| &month.counts).sum();
    (months, summary.total().messages.saturating_sub(shown))
}

/// The keys and certificates in the messages that ended within the last year or end within 90 days, those that end first at the top; and how many more.
fn endings(harvest: &Harvest, now: SystemTime, session: &Session) -> Result<(Vec<Ending>, u64)> {
    let is_near = |end: &SystemTime| *end + YEAR > now && *end < now + SOON;
    let mut found: Vec<(SystemTime, Ending)> = Vec::new();
    for record in harvest.records() {
        // What its octets say is cheap to read; whether it is so is looked at for the few that are left.
        if !protocol::ends(&record).unwrap_or_default().iter().any(is_near) {
            continue;
        }
        let Some(end) = end(&record, now, session)?.filter(is_near) else { continue };
        let owner: Vec<String> = record.claimed().iter().take(MAX_KEYS).map(ToString::to_string).collect();
        let ending = Ending {
            key: record.fingerprint().to_string(),
            protocol: record.protocol().name(),
            owner: owner.join(", "),
            day: day(end),
            is_over: end <= now,
        };
        found.push((end, ending));
    }
    found.sort_by_key(|(end, _)| *end);
    let more = found.len().saturating_sub(MAX_ENDINGS) as u64;
    // Those that end soon matter more than those that are over.
    let mut kept: Vec<(SystemTime, Ending)> = found.split_off(found.len().saturating_sub(MAX_ENDINGS));
    kept.sort_by_key(|(end, ending)| (ending.is_over, *end));
    Ok((kept.into_iter().map(|(_, ending)| ending).collect(), more))
}

/// When a certificate ends; `None` if it does not, or cannot be read.
fn end(record: &Record, now: SystemTime, session: &Session) -> Result<Option<SystemTime>> {
    Ok(match record.protocol() {
        ProtocolName::Pem => None,
        ProtocolName::Pgp => {
            let summary = summarize(record, now, Legacy::Refuse, session.keys()?).ok();
            summary.and_then(|summary| summary.keys.first().and_then(|primary| primary.expires))
        }
        ProtocolName::Smime => Certificate::validity_of(record.bytes()).ok().map(|(_, end)| end),
    })
}

/// Senders in the table.
const MAX_SENDERS: usize = 200;
/// Months in the chart: four years.
const MAX_MONTHS: u32 = 48;
/// Lines in the list of what failed.
const MAX_FAILURES: usize = 200;
/// Senders with a reason that are told apart. Source: the senders of spam are made up.
const MAX_REASONS: usize = 10_000;
/// Keys and certificates that end.
const MAX_ENDINGS: usize = 100;
/// Keys of one sender, and addresses of one key.
const MAX_KEYS: usize = 3;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Source: a certificate for S/MIME takes days to be issued, and people are away for weeks.
const SOON: Duration = Duration::from_secs(90 * 24 * 60 * 60);
