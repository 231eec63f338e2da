//! Checks beyond the configuration file itself: the files, secrets and keys that it names.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use super::{Config, Grade, Problem, Users, What, users::Flaw};
use crate::{
    base::{FixedClock, Hint, Result},
    engine::Engine,
    keys::{KeyState, Keys, ProtocolName, Want},
    mail::Address,
    policy::Direction,
    protocol::{Context, Purpose},
    transport::tls,
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
    let checker = Checker { config, now, later };
    let mut problems = Vec::new();
    let mut seen: HashSet<(Address, Purpose)> = HashSet::new();
    for mention in &config.mentions {
        let mut add =
            |found: Option<Problem>| problems.extend(found.map(|problem| Problem { line: mention.line, ..problem }));
        match &mention.what {
            What::Directory(path) => {
                add(missing(path, fs::metadata(path).map(|found| found.is_dir()), "not a directory"))
            }
            What::File(path) => add(missing(path, fs::File::open(path).map(|_| true), "not a file")),
            // Files that cannot be read are checked on their own.
            What::Identity(files) if fs::metadata(&files.certificate).is_ok() && fs::metadata(&files.key).is_ok() => {
                let read = tls::Identity::read(&files.certificate, &files.key);
                add(read.err().map(|error| problem(Grade::Error, error.to_string())));
            }
            What::Identity(_) => {}
            What::Secret(secret) => add(secret
                .read()
                .err()
                .map(|error| Problem { hint: error.hint().cloned(), ..problem(Grade::Error, error.to_string()) })),
            What::Reader(address) => {
                add(checker.key(address, Purpose::Encrypt)?);
                seen.insert((address.clone(), Purpose::Encrypt));
            }
            What::Signer(address) => {
                add(checker.key(address, Purpose::Sign)?);
                seen.insert((address.clone(), Purpose::Sign));
            }
            What::Users(path) => unfit_users(path).into_iter().for_each(|found| add(Some(found))),
        }
    }
    problems.extend(checker.expiring(context.keys, seen)?);
    Ok(problems)
}

struct Checker<'a> {
    config: &'a Config,
    now: Engine<'a>,
    later: Engine<'a>,
}

impl Checker<'_> {
    /// The problem with the keys of an address that the configuration names. It must have a key in one of the protocols that rules use.
    fn key(&self, address: &Address, purpose: Purpose) -> Result<Option<Problem>> {
        let protocols = self.config.policy.protocols(Direction::Outbound);
        let states = self.now.key_states(address, purpose, &protocols)?;
        if states.values().any(KeyState::is_usable) {
            return self.ending(address, purpose);
        }
        let reasons = states.into_values().filter_map(|state| match state {
            KeyState::Expired(why) | KeyState::Missing(why) | KeyState::Unknown(why) => Some(why),
            KeyState::Usable { .. } => None,
        });
        let reasons: Vec<String> = reasons.collect();
        Ok((!reasons.is_empty()).then(|| problem(Grade::Warning, reasons.join("; "))))
    }

    /// The problem with a key that is usable now and expires soon.
    fn ending(&self, address: &Address, purpose: Purpose) -> Result<Option<Problem>> {
        let protocols = ALL.into_iter().collect();
        let (now, later) =
            (self.now.key_states(address, purpose, &protocols)?, self.later.key_states(address, purpose, &protocols)?);
        for (protocol, state) in now {
            let KeyState::Usable { key, .. } = state else { continue };
            if let Some(KeyState::Expired(why)) = later.get(&protocol) {
                let why = why.rsplit_once("expired on ").map_or("", |(_, date)| date);
                let message = format!("{address}: {} key {key} expires on {why}, within 30 days", protocol.name());
                return Ok(Some(problem(Grade::Warning, message)));
            }
        }
        Ok(None)
    }

    /// All other keys that expire soon.
    fn expiring(&self, keys: &dyn Keys, mut seen: HashSet<(Address, Purpose)>) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for protocol in ALL {
            for record in keys.find(protocol, &Want::All)? {
                let purpose = if record.secrets.is_empty() { Purpose::Encrypt } else { Purpose::Sign };
                for address in &record.claimed {
                    if seen.insert((address.clone(), purpose)) {
                        problems.extend(self.ending(address, purpose)?);
                    }
                }
            }
        }
        Ok(problems)
    }
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

const ALL: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];

/// How long before its expiry a key is reported.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
