//! The command line. Only this module uses the terminal, the environment and the user's home directory.

mod args;
mod ask;
mod cmd;
mod fetching;
mod hint;
mod input;
mod later;
mod log;
mod output;
mod passphrase;
mod pins;
mod programs;
mod prompt;
mod role;
mod servers;
mod session;
mod show;
mod usage;
mod values;

use std::{env, process::ExitCode, sync::Arc};

use postseal::base::Result;

use args::{Arguments, Verb};
use later::Later;
use session::Session;

/// Parses the command line and runs the verb; returns the exit code.
pub(crate) fn run() -> ExitCode {
    // Without a handler, SIGXFSZ ends the process when a file reaches RLIMIT_FSIZE. With it, writing fails with an error that is reported.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    if let Some(role) = programs::of_this_process() {
        return role::run(role);
    }
    let typed = cmd::sendmail::arguments(env::args_os());
    // Before clap parses them: an address that looks like --help would print the help text, which would go out as the message.
    if let Err(error) = cmd::filter::unambiguous(&typed) {
        show::error(&error);
        return ExitCode::from(show::exit_code(error.kind()));
    }
    let arguments = match Arguments::read(typed) {
        Ok(arguments) => arguments,
        Err(refusal) => return refuse(&refusal),
    };
    show::use_colors(arguments.common.color);
    if arguments.common.quiet {
        show::quiet::begin();
    }
    let done = Session::new(arguments.common).and_then(|session| dispatch(arguments.verb, session));
    match done {
        Ok(code) => code,
        Err(error) => {
            show::error(&error);
            ExitCode::from(show::exit_code(error.kind()))
        }
    }
}

fn dispatch(verb: Verb, owned: Session) -> Result<ExitCode> {
    let session = &owned;
    match verb {
        Verb::Sign(Later(sign)) => cmd::seal::sign(&sign, session),
        Verb::Encrypt(Later(encrypt)) => cmd::seal::encrypt(encrypt, session),
        Verb::Decrypt(Later(decrypt)) => cmd::open::decrypt(&decrypt, session),
        Verb::Verify(Later(verify)) => cmd::open::verify(&verify, session),
        Verb::Inspect(Later(inspect)) => cmd::look::inspect(&inspect, session),
        Verb::Canon(Later(canon)) => cmd::look::canon(&canon, session),
        Verb::Digest(Later(digest)) => cmd::look::digest(&digest, session),
        Verb::Scan(Later(scan)) => cmd::scan::run(&scan, session),
        Verb::Key(Later(key)) => cmd::key::run(&key, session),
        Verb::Backup(Later(backup)) => cmd::backup::backup(&backup, session),
        Verb::Restore(Later(restore)) => cmd::backup::restore(&restore, session),
        Verb::Store(what) => cmd::store::run(&what, session),
        Verb::Import(Later(import)) => cmd::import::run(&import, session),
        Verb::Cert(Later(cert)) => cmd::cert::run(&cert, session),
        Verb::Fetch(Later(fetch)) => cmd::fetch::run(&fetch, session),
        Verb::Watch(Later(watch)) => cmd::fetch::watch(&watch, session),
        Verb::Filter(Later(filter)) => cmd::filter::run(&filter, session),
        Verb::Sendmail(Later(sendmail)) => cmd::sendmail::run(&sendmail, session),
        Verb::Serve(Later(serve)) => cmd::serve::run(&serve, owned),
        Verb::Log(Later(log)) => cmd::log::run(&log),
        Verb::List(list) => cmd::list::run(&list, session),
        Verb::Audit(audit) => cmd::audit::run(&audit, session),
        Verb::Quarantine(quarantine) => cmd::quarantine::run(&quarantine, session),
        Verb::Config(config) => cmd::config::run(&config, session),
        Verb::Demo => cmd::demo::run(),
        Verb::Completions { shell } => cmd::manual::completions(shell),
        Verb::Man { directory } => cmd::manual::pages(&directory),
    }
}

/// Prints help and version and returns 0. Anything else is a usage error (64; clap would return 2).
fn refuse(refusal: &clap::Error) -> ExitCode {
    if !refusal.use_stderr() {
        // A closed stream cannot be reported anywhere.
        let _ = refusal.print();
        return ExitCode::SUCCESS;
    }
    let error = usage::refusal(refusal);
    show::error(&error);
    ExitCode::from(show::exit_code(error.kind()))
}
