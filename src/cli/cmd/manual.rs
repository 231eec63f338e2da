//! Completions and manual pages, made from the definitions of the command line.

mod examples;
mod page;
mod service;
mod settings;
mod verbs;

use std::{
    env, fs,
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::CommandFactory;
use clap_complete::Shell;
use postseal::base::{Clock, Error, Kind, Result, SystemClock, rfc3339};

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

/// Writes the pages of the program, of its verbs and of its configuration file into the directory, which is made.
pub(crate) fn pages(directory: &Path) -> Result<ExitCode> {
    let cannot_create = |path: &Path, e| Error::new(Kind::CannotCreate, Error::io(path.display(), &e).to_string());
    let date = date()?;
    fs::create_dir_all(directory).map_err(|e| cannot_create(directory, e))?;
    for page in verbs::pages(&date).into_iter().chain([settings::page(&date)]) {
        let path = directory.join(page.file_name());
        fs::write(&path, page.text()).map_err(|e| cannot_create(&path, e))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The date of the pages: that of $SOURCE_DATE_EPOCH, so that packages can be built again octet for octet, or today's.
fn date() -> Result<String> {
    let time = match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => {
            let seconds = seconds.parse().map_err(|_| Error::usage("SOURCE_DATE_EPOCH: not a number of seconds"))?;
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
        }
        Err(_) => SystemClock.now(),
    };
    Ok(rfc3339(time).chars().take("2026-11-30".len()).collect())
}
