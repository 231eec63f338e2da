//! `list check`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueHint};
use postseal::{base::Result, config, engine::Engine};

use crate::cli::{later::Later, session::Session, show};

/// Verbs of `list`.
#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// Show what each member of a mailing list would get now, with the keys, and what is missing
    Check(Later<Check>),
}

/// Check.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The list: its address, or the part before the @
    #[arg(value_name = "NAME")]
    name: String,
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Runs one verb of `list`.
pub(crate) fn run(what: &List, session: &Session) -> Result<ExitCode> {
    let List::Check(Later(Check { name, config })) = what;
    let config = config::load(&super::config::path(config.as_deref()))?;
    let session = session.configured(&config)?;
    let engine = Engine::new(session.context()?, config.bounds.message.clone());
    show::data(&config::check_list(&config.policy, &engine, name)?)?;
    Ok(ExitCode::SUCCESS)
}
