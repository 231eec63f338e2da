//! Completions and manual pages, made from the definitions of the command line.

use std::{path::Path, process::ExitCode};

use clap::CommandFactory;
use clap_complete::Shell;
use postseal::base::{Error, Kind, Result};

use crate::cli::{args::Arguments, show};

/// Writes the completion script to standard output.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "postseal", &mut script);
    show::data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the help of a verb to standard output.
pub(crate) fn help(verb: &str) -> Result<ExitCode> {
    let mut command = Arguments::command();
    command.build();
    let help = command.find_subcommand_mut(verb).map(|verb| verb.render_long_help().ansi().to_string());
    show::data(&help.unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `postseal.1` and one page for each verb.
pub(crate) fn pages(directory: &Path) -> Result<ExitCode> {
    clap_mangen::generate_to(Arguments::command(), directory)
        .map_err(|e| Error::new(Kind::CannotCreate, Error::io(directory.display(), &e).to_string()))?;
    Ok(ExitCode::SUCCESS)
}
