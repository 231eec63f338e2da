//! `key pending`: keys that were found on the network for addresses that have another key.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Result, rfc3339},
    discover::Pending as Held,
    report::printable,
};
use serde_json::json;

use crate::cli::{
    cmd::config,
    session::Session,
    show::{aside, data},
};

/// Pending.
#[derive(Args, Debug)]
pub(crate) struct Pending {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Print one line of JSON for each
    #[arg(long)]
    json: bool,
    /// The configuration with the home [default: $POSTSEAL_CONFIG, or the home of the command line]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Use the key for its address from now on; compare its fingerprint with the owner first
    Accept {
        /// Its number in the list
        #[arg(value_name = "ID")]
        id: i64,
    },
    /// Never use the key for its address
    Reject {
        /// Its number in the list
        #[arg(value_name = "ID")]
        id: i64,
    },
}

/// Lists, accepts or rejects.
pub(super) fn run(what: &Pending, session: &Session) -> Result<()> {
    let session = session.discovering(config::given(what.config.as_deref())?.as_ref())?;
    let discovery = session.discovery()?;
    match &what.verb {
        None => {
            let all = discovery.pending()?;
            let line = if what.json { object } else { text };
            data(&all.iter().map(line).collect::<String>())
        }
        Some(Verb::Accept { id }) => {
            let held = discovery.accept(*id)?;
            aside(&format!("{} is used for {}\n", held.fingerprint, printable(&held.address)));
            Ok(())
        }
        Some(Verb::Reject { id }) => {
            let held = discovery.reject(*id)?;
            aside(&format!("{} is not used for {}\n", held.fingerprint, printable(&held.address)));
            Ok(())
        }
    }
}

fn text(held: &Held) -> String {
    let in_use = if held.in_use.is_empty() { "a trusted key" } else { &held.in_use };
    format!(
        "{}  {}  {}  found {} by {}, in use: {in_use}\n",
        held.id,
        printable(&held.address),
        held.fingerprint,
        rfc3339(held.at),
        held.method,
    )
}

fn object(held: &Held) -> String {
    let in_use = Some(&held.in_use).filter(|in_use| !in_use.is_empty());
    let object = json!({
        "id": held.id, "address": held.address, "protocol": held.protocol.name(), "fingerprint": held.fingerprint,
        "in_use": in_use, "method": held.method, "found": rfc3339(held.at),
    });
    format!("{object}\n")
}
