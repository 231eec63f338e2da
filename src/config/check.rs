//! Checks beyond the configuration file itself: the files, secrets and keys that it names.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Config, Grade, Problem, Users, What, users::Flaw};
use crate::{
    base::{Error, FixedClock, Hint, Result, rfc3339},
    engine::Engine,
    keys::{Handle, KeyState, Keys, ProtocolName, Query, Record, Want},
    mail::Address,
    policy::{Direction, QuantumSafety},
    protocol::{Context, Role, ends},
    transport::{Template, tls},
};

/// Finds the problems with what `config` names: missing files, secrets that others can read, addresses without a key, and keys that expire
/// within 30 days of `context`'s clock. Problems with keys that no line names are at line 0.
///
/// # Errors
///
/// The keys could not be read.
pub fn check(config: &Config, context: Context<'_>) -> Result<Vec<Problem>> {
    let soon = FixedClock(context.clock.now() + SOON);
    let now = Engine::new(context, config.bounds.message.clone());
    let later = Engine::new(Context { clock: &soon, ..context }, config.bounds.message.clone());
    let checker = Checker { config, now, later, soon: ending_soon(context.keys, context.clock.now())? };
    let mut problems = Vec::new();
    let mut seen: HashSet<(Address, Role)> = HashSet::new();
    for mention in &config.mentions {
        let found: Vec<Problem> = match &mention.what {
            What::Directory(path) => {
                Vec::from_iter(missing(path, fs::metadata(path).map(|found| found.is_dir()), "not a directory"))
            }
            What::File(path) => Vec::from_iter(missing(path, fs::File::open(path).map(|_| true), "not a file")),
            // Files that cannot be read are checked on their own.
            What::Identity(files) if fs::metadata(&files.certificate).is_ok() && fs::metadata(&files.key).is_ok() => {
                let read = tls::Identity::read(&files.certificate, &files.key);
                Vec::from_iter(read.err().map(|error| problem(Grade::Error, error.to_string())))
            }
            What::Identity(_) => Vec::new(),
            What::Secret(secret) => {
                let of =
                    |error: Error| Problem { hint: error.hint().cloned(), ..problem(Grade::Error, error.to_string()) };
                Vec::from_iter(secret.read().err().map(of))
            }
            What::Members(members) => {
                Vec::from_iter(members.0.read().err().map(|error| problem(Grade::Error, error.to_string())))
            }
            What::Reader(address, quantum) => {
                seen.insert((address.clone(), Role::Recipient));
                checker.key(address, Role::Recipient, *quantum)?
            }
            What::Signer(address) => {
                seen.insert((address.clone(), Role::Signer));
                checker.key(address, Role::Signer, QuantumSafety::Indifferent)?
            }
            What::Template(path, placeholders) => {
                let read = Template::read(path, placeholders);
                Vec::from_iter(read.err().map(|error| problem(Grade::Error, error.to_string())))
            }
            What::Users(path) => unfit_users(path),
        };
        problems.extend(found.into_iter().map(|problem| Problem { line: mention.line, ..problem }));
    }
    problems.extend(checker.expiring(seen)?);
    Ok(problems)
}

struct Checker<'a> {
    config: &'a Config,
    now: Engine<'a>,
    later: Engine<'a>,
    soon: Ending,
}

impl Checker<'_> {
    /// The problems with the keys of an address that the configuration names. It, or another address of the same mailbox, must have a key in one of the
    /// protocols that rules use.
    fn key(&self, address: &Address, role: Role, quantum: QuantumSafety) -> Result<Vec<Problem>> {
        let protocols = self.config.policy.protocols(Direction::Outbound);
        let is_fit = |state: &KeyState| state.is_usable() && quantum.admits(state);
        let states = self.now.key_states(address, role, &protocols)?;
        if states.values().any(is_fit) {
            return self.ending(address, role);
        }
        for other in self.config.policy.other_addresses(address) {
            if self.now.key_states(&other, role, &protocols)?.values().any(is_fit) {
                return self.ending(&other, role);
            }
        }
        let weak = states.values().any(|state| !quantum.admits(state));
        let reasons = states.into_values().filter_map(|state| match state {
            // Where a key is usable, that the other protocols have none is not the news.
            KeyState::Expired(why) | KeyState::Missing(why) | KeyState::Unknown(why) => (!weak).then_some(why),
            KeyState::Usable { key, .. } => Some(format!("{address}: key {key} does not withstand quantum computers")),
        });
        let reasons: Vec<String> = reasons.collect();
        Ok((!reasons.is_empty()).then(|| problem(Grade::Warning, reasons.join("; "))).into_iter().collect())
    }

    /// The problems with keys that are usable now and expire soon.
    fn ending(&self, address: &Address, role: Role) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for (record, end) in self.soon.get(address).into_iter().flatten() {
            let protocol = [record.protocol()].into();
            let now = self.now.key_states(address, role, &protocol)?.remove(&record.protocol());
            let is_its = |key: &Handle| record.has(key);
            if !matches!(now, Some(KeyState::Usable { key, .. }) if is_its(&key)) {
                continue;
            }
            let later = self.later.key_states(address, role, &protocol)?.remove(&record.protocol());
            if let Some(KeyState::Expired(_)) = later {
                let (protocol, key, end) = (record.protocol().name(), record.fingerprint(), rfc3339(*end));
                let message = format!("{address}: {protocol} key {key} expires on {end}, within 30 days");
                problems.push(problem(Grade::Warning, message));
            }
        }
        Ok(problems)
    }

    /// All other keys that expire soon.
    fn expiring(&self, mut seen: HashSet<(Address, Role)>) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for (address, ending) in &self.soon {
            for (record, _) in ending {
                let role = if record.secrets().is_empty() { Role::Recipient } else { Role::Signer };
                if seen.insert((address.clone(), role)) {
                    problems.extend(self.ending(address, role)?);
                }
            }
        }
        problems.sort_by(|one, other| one.message.cmp(&other.message));
        Ok(problems)
    }
}

/// Certificates that end within 30 days, and when, by the addresses that they claim.
type Ending = HashMap<Address, Vec<(Arc<Record>, SystemTime)>>;

/// Reads the end of every certificate. Which of them matter is looked at for the few that are found: selecting keys for every address takes a hundred
/// times as long.
fn ending_soon(keys: &dyn Keys, now: SystemTime) -> Result<Ending> {
    let mut soon = Ending::new();
    for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
        for record in keys.find(protocol, &Query::manage(Want::All))? {
            // A certificate that cannot be read is no key, and does not end.
            let ends = ends(&record).unwrap_or_default();
            let Some(end) = ends.into_iter().filter(|end| *end > now && *end <= now + SOON).min() else { continue };
            for address in record.claimed() {
                soon.entry(address.clone()).or_default().push((Arc::clone(&record), end));
            }
        }
    }
    Ok(soon)
}

/// Every invalid line of a users file.
fn unfit_users(path: &Path) -> Vec<Problem> {
    let with_hint = |problem: Problem, hint: Option<&Hint>| Problem { hint: hint.cloned(), ..problem };
    match Users::flawed(path) {
        Ok((_, flaws)) => {
            let flaws = flaws.into_iter().map(|Flaw { line, why }| format!("{}:{line}: {why}", path.display()));
            flaws.map(|message| with_hint(problem(Grade::Error, message), Some(&Hint::WriteUser))).collect()
        }
        Err(error) => vec![with_hint(problem(Grade::Error, error.to_string()), error.hint())],
    }
}

fn missing(path: &Path, found: std::io::Result<bool>, otherwise: &str) -> Option<Problem> {
    let why = match found {
        Ok(true) => return None,
        Ok(false) => otherwise.to_owned(),
        Err(error) => error.to_string().to_lowercase(),
    };
    Some(problem(Grade::Error, format!("{}: {why}", path.display())))
}

fn problem(grade: Grade, message: String) -> Problem {
    Problem { line: 0, grade, message, hint: None }
}

/// How long before its expiry a key is reported.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
