//! `quarantine list`, `show`, `release`, `delete` and `expire`.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Kind, Random, Result, SystemRandom},
    config::{self, Config},
    report::printable,
    service,
    transport::{Held, Quarantine as Store},
};

use crate::cli::{
    later::Later,
    output::{Output, Privacy},
    session::Session,
    show,
};

/// Verbs of `quarantine`.
#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List the held messages, oldest first
    List(Later<List>),
    /// Show a held message with its envelope and the reason
    Show(Later<Show>),
    /// Send held messages to the next hop, unchanged and with their envelopes, and remove them
    Release(Later<Chosen>),
    /// Delete held messages
    Delete(Later<Chosen>),
    /// Delete the messages that have been held for some time
    Expire(Later<Expire>),
}

/// Where the messages are.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The configuration, which names the folder [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// List.
#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show.
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    place: Place,
    /// The message, as `list` names it
    #[arg(value_name = "ID")]
    id: String,
    /// Write the octets of the message alone
    #[arg(long)]
    raw: bool,
}

/// Messages.
#[derive(Args, Debug)]
pub(crate) struct Chosen {
    #[command(flatten)]
    place: Place,
    /// The messages, as `list` names them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Expire.
#[derive(Args, Debug)]
pub(crate) struct Expire {
    #[command(flatten)]
    place: Place,
    /// How long: days (30d), hours (12h) or minutes (5m)
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Duration,
}

/// Runs one verb of `quarantine`.
pub(crate) fn run(what: &Quarantine, session: &Session) -> Result<ExitCode> {
    match what {
        Quarantine::List(Later(List { place, json })) => {
            let held = place.open(session)?.1.list()?;
            held.iter().filter_map(|held| held.as_ref().err()).for_each(|error| show::warning(&error.to_string()));
            let held: Vec<Held> = held.into_iter().flatten().collect();
            show::data(&if *json { as_json(&held)? } else { table(&held) })?;
        }
        Quarantine::Show(Later(Show { place, id, raw })) => {
            let (held, octets) = place.open(session)?.1.read(id)?;
            if *raw {
                let mut output = Output::create(None, &[], Privacy::Owner)?;
                output.write_all(&octets).map_err(|error| Error::io("standard output", &error))?;
                output.commit()?;
            } else {
                show::data(&described(&held, &octets))?;
            }
        }
        Quarantine::Release(Later(Chosen { place, ids })) => {
            let (config, quarantine) = place.open(session)?;
            let random: Arc<dyn Random> = Arc::new(SystemRandom);
            let next_hop = service::release_next_hop(&config, &random)?;
            for id in ids {
                let send = |mail: &_| next_hop.send(mail).map_err(Error::from);
                let held = quarantine.release(id, &config.bounds.message, send)?;
                show::data(&format!("{id}: sent to {}\n", recipients(&held)))?;
            }
        }
        Quarantine::Delete(Later(Chosen { place, ids })) => {
            let quarantine = place.open(session)?.1;
            for id in ids {
                quarantine.remove(id)?;
            }
        }
        Quarantine::Expire(Later(Expire { place, older_than })) => {
            let expired = place.open(session)?.1.expire(*older_than)?;
            show::data(&expired.iter().map(|id| format!("{id}: deleted\n")).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    fn open(&self, session: &Session) -> Result<(Config, Store)> {
        let path = super::config::path(self.config.as_deref());
        let config = config::load(&path)?;
        let Some(directory) = &config.quarantine else {
            let what = format!("{}: no quarantine is configured", path.display());
            return Err(Error::new(Kind::Config, what).with_hint("quarantine = \"/var/lib/postseal/quarantine\""));
        };
        let store = Store::new(directory.clone(), session.shared_clock());
        Ok((config, store))
    }
}

/// One message a line, in columns.
fn table(held: &[Held]) -> String {
    let row = |held: &Held| [held.id.clone(), held.time.clone(), sender(held), recipients(held), held.reason.clone()];
    let mut rows = vec![["ID", "TIME", "FROM", "TO", "REASON"].map(str::to_owned)];
    rows.extend(held.iter().map(|held| row(held).map(|cell| printable(&cell))));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        format!("{cells}{}\n", row[4])
    };
    rows.iter().map(line).collect()
}

fn as_json(held: &[Held]) -> Result<String> {
    let text = serde_json::to_string_pretty(held);
    text.map(|text| text + "\n").map_err(|error| Error::new(Kind::Io, error.to_string()))
}

/// The envelope and the message, without control characters.
fn described(held: &Held, octets: &[u8]) -> String {
    let Held { id, time, reason, .. } = held;
    let facts = [
        ("id", id.clone()),
        ("held", time.clone()),
        ("reason", reason.clone()),
        ("from", sender(held)),
        ("to", recipients(held)),
    ];
    let facts: String = facts.iter().map(|(name, fact)| format!("{name:8}{}\n", printable(fact))).collect();
    let text = String::from_utf8_lossy(octets);
    let text: String = text.lines().map(|line| format!("{}\n", printable(line))).collect();
    format!("{facts}\n{text}")
}

fn sender(held: &Held) -> String {
    format!("<{}>", held.from.as_deref().unwrap_or_default())
}

fn recipients(held: &Held) -> String {
    held.to.iter().map(|to| to.address.as_str()).collect::<Vec<_>>().join(",")
}

/// `30d`, `12h`, `5m`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 30d, 12h or 5m".to_owned();
    let (number, seconds) = match text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)? {
        (number, "d") => (number, 24 * 60 * 60),
        (number, "h") => (number, 60 * 60),
        (number, "m") => (number, 60),
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}
