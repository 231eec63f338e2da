//! `key refresh`: known keys are asked for again.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{Args, ValueHint};
use postseal::{
    base::{Kind, Result},
    mail::Address,
};

use super::show;
use crate::cli::{
    cmd::config,
    input,
    session::Session,
    show::{data, exit_code, progress, warning},
};

/// Refresh.
#[derive(Args, Debug)]
pub(crate) struct Refresh {
    /// The configuration with the sources [default: $POSTSEAL_CONFIG, or the usual sources]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// The addresses [default: those of all keys of others]
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
}

/// Prints a line for each certificate of the home that was asked for, with what became of it.
pub(super) fn run(what: &Refresh, session: &Session) -> Result<ExitCode> {
    let session = session.discovering(config::given(what.config.as_deref())?.as_ref())?;
    let (discovery, home) = (session.discovery()?, session.home()?);
    let addresses: Vec<Address> = match what.addresses.as_slice() {
        [] => discovery.known_addresses()?,
        given => given.iter().map(|address| input::address(address)).collect::<Result<_>>()?,
    };
    let _progress = progress::begin("asking for keys");
    let (mut text, mut failed) = (String::new(), false);
    for (done, address) in addresses.iter().enumerate() {
        progress::now(&format!("asking for {address}: {} of {}", done + 1, addresses.len()));
        let refreshed = discovery.refresh(address, Instant::now() + session.limits().network)?;
        for failure in &refreshed.failures {
            failed = true;
            warning(&format!("{address}: {failure}"));
        }
        for (record, change) in home.refresh(&refreshed.copies)? {
            text.push_str(&show::change(show::word(change), &record));
        }
    }
    data(&text)?;
    // What did not answer may answer later.
    Ok(if failed { ExitCode::from(exit_code(Kind::TryAgain)) } else { ExitCode::SUCCESS })
}
