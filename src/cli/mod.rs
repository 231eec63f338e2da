//! The command line: the one place that knows the terminal, the environment and the home directory.

mod args;
mod cmd;
mod input;
mod later;
mod log;
mod output;
mod session;
mod show;
mod usage;

use std::{env, process::ExitCode, sync::Arc};

use postseal::{
    base::{Error, Result},
    mail::Address,
};

use args::{Arguments, Verb};
use later::Later;
use session::Session;

/// Parses the command line, does what it says, and answers with the exit code.
pub(crate) fn run() -> ExitCode {
    // A file that may grow no further (RLIMIT_FSIZE) is an error then, and is told like one; without it the process would just end.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let typed = cmd::sendmail::arguments(env::args_os());
    // Before they are read: one of them could ask for the help text, which would go out as the message.
    if let Err(error) = cmd::filter::unambiguous(&typed) {
        show::error(&error);
        return ExitCode::from(show::exit_code(error.kind()));
    }
    let arguments = match Arguments::read(typed) {
        Ok(arguments) => arguments,
        Err(refusal) => return refuse(&refusal),
    };
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
        Verb::Key(Later(key)) => cmd::key::run(&key, session),
        Verb::Import(Later(import)) => cmd::import::run(&import, session),
        Verb::Cert(Later(cert)) => cmd::cert::run(&cert, session),
        Verb::Filter(Later(filter)) => cmd::filter::run(&filter, session),
        Verb::Sendmail(Later(sendmail)) => cmd::sendmail::run(&sendmail, session),
        Verb::Serve(Later(serve)) => cmd::serve::run(&serve, owned),
        Verb::Config(config) => cmd::config::run(&config, session),
        Verb::Completions { shell } => cmd::manual::completions(shell),
        Verb::Man { directory } => cmd::manual::pages(&directory),
    }
}

/// An address from the command line: one that cannot be read is a wrong call, not a malformed message.
fn typed(address: &str) -> Result<Address> {
    Address::parse(address).map_err(|error| Error::usage(error.to_string()))
}

/// Help and version are answers; anything else is a usage error (64), where clap would say 2.
fn refuse(refusal: &clap::Error) -> ExitCode {
    if !refusal.use_stderr() {
        // Nobody can be told when the stream is gone.
        let _ = refusal.print();
        return ExitCode::SUCCESS;
    }
    let error = usage::refusal(refusal);
    show::error(&error);
    ExitCode::from(show::exit_code(error.kind()))
}
