//! `key find`: what each source on the network has for an address.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, ValueHint};
use postseal::{
    base::{Kind, Result},
    discover::{Candidate, Outcome, Said, Standing},
    keys::Record,
    mail::Address,
    protocol::Described,
    report::printable,
};
use serde_json::{Value, json};

use super::show;
use crate::cli::{
    cmd::config,
    input,
    session::Session,
    show::{aside, data, exit_code, progress},
};

/// Find.
#[derive(Args, Debug)]
pub(crate) struct Find {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Import the keys that can be used; they are not trusted by this
    #[arg(long)]
    import: bool,
    /// The configuration with the sources [default: $POSTSEAL_CONFIG, or the usual sources]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// The address
    #[arg(value_name = "ADDRESS")]
    address: String,
}

/// Asks every source, whatever was answered before.
pub(super) fn run(what: &Find, session: &Session) -> Result<ExitCode> {
    let address = input::address(&what.address)?;
    let session = session.discovering(config::given(what.config.as_deref())?.as_ref())?;
    let said = {
        let _progress = progress::begin(&format!("asking for {address}"));
        session.discovery()?.ask_all(&address, Instant::now() + session.limits().network)
    };
    data(&if what.json { object(&address, &said) } else { text(&address, &said) })?;
    let found: Vec<&Candidate> = said.iter().flat_map(fit).collect();
    if what.import {
        let of =
            |record: &Record| Described { record: record.clone().with_bindings([]), secret: None, proven: Vec::new() };
        let imported: Vec<Described> = found.iter().map(|candidate| of(&candidate.record)).collect();
        let changes = session.home()?.add(&imported)?;
        let lines = imported.iter().zip(changes).map(|(one, change)| show::change(show::word(change), &one.record));
        aside(&lines.collect::<String>());
    }
    let failed = said.iter().any(|said| matches!(said.outcome, Outcome::Failed(_)));
    let is_used = found.iter().any(|candidate| candidate.standing == Standing::Used);
    Ok(match (is_used, failed) {
        (true, _) => ExitCode::SUCCESS,
        // It may work later.
        (false, true) => ExitCode::from(exit_code(Kind::TryAgain)),
        (false, false) => ExitCode::from(exit_code(Kind::NoKey)),
    })
}

/// Those that can be used, and may be held.
fn fit(said: &Said) -> Vec<&Candidate> {
    let Outcome::Found(candidates) = &said.outcome else { return Vec::new() };
    candidates.iter().filter(|candidate| !matches!(candidate.standing, Standing::Unfit(_))).collect()
}

fn text(address: &Address, said: &[Said]) -> String {
    let mut text = format!("{}\n", printable(&address.to_string()));
    for Said { method, took, outcome } in said {
        let (name, took) = (method.name(), milliseconds(*took));
        let mut line = |words: &str| text.push_str(&format!("  {name:<5}{took:>6} ms  {}\n", printable(words)));
        match outcome {
            Outcome::Missing(why) if why.is_empty() => line("no key"),
            Outcome::Missing(why) => line(&format!("no key: {why}")),
            Outcome::Failed(why) => line(&format!("no answer: {why}")),
            Outcome::Found(candidates) => candidates.iter().for_each(|candidate| {
                line(&format!("{}  {}", candidate.record.fingerprint(), standing(candidate, method.source().name())));
            }),
        }
    }
    text
}

fn standing(candidate: &Candidate, source: &str) -> String {
    match &candidate.standing {
        Standing::Used => format!("for encrypting (source: {source})"),
        Standing::Held => "held: the address has another key".to_owned(),
        Standing::Unfit(why) => format!("not usable: {why}"),
    }
}

fn object(address: &Address, said: &[Said]) -> String {
    let sources: Vec<Value> = said
        .iter()
        .map(|Said { method, took, outcome }| {
            let (word, reason, keys) = match outcome {
                Outcome::Missing(why) => ("missing", Some(why).filter(|why| !why.is_empty()), Vec::new()),
                Outcome::Failed(why) => ("failed", Some(why), Vec::new()),
                Outcome::Found(candidates) => ("found", None, candidates.iter().map(key).collect()),
            };
            json!({
                "method": method.name(), "source": method.source().name(), "milliseconds": milliseconds(*took),
                "outcome": word, "reason": reason, "keys": keys,
            })
        })
        .collect();
    format!("{}\n", json!({ "address": address.to_string(), "sources": sources }))
}

fn key(candidate: &Candidate) -> Value {
    let (word, reason) = match &candidate.standing {
        Standing::Used => ("encrypt", None),
        Standing::Held => ("held", None),
        Standing::Unfit(why) => ("unusable", Some(why)),
    };
    json!({
        "protocol": candidate.record.protocol().name(), "fingerprint": candidate.record.fingerprint().as_str(),
        "use": word, "reason": reason,
    })
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
