//! A process of `serve`. It is started by its name, and not by a verb: only `serve` can talk to it.

use std::{env, ffi::OsString, fs::File, io, os::fd::AsFd, process::ExitCode, sync::Arc};

use postseal::{
    base::{Error, Result},
    service::{self, Role},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    args::{Arguments, Verb},
    cmd::serve,
    later::Later,
    log,
    session::Session,
    show,
};

/// Runs as one.
pub(super) fn run(role: Role) -> ExitCode {
    // They go to the whole group, and `serve` says when its mail is done: by closing the connection.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    let done = connection().and_then(|connection| match role {
        Role::Front => service::front(connection, file("standard output", &io::stdout())?, log::start, log::context),
        Role::Judge => service::judge(connection, log::start, log::within),
        Role::Keys => keys(connection, file("standard output", &io::stdout())?),
        Role::Network => service::ask_network(connection),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show::error(&error);
            ExitCode::from(show::exit_code(error.kind()))
        }
    }
}

/// The process with the keys has the arguments of `serve`, which were read there before.
fn keys(control: File, passing: File) -> Result<()> {
    let typed = [OsString::from("postseal")].into_iter().chain(env::args_os().skip(1)).collect();
    let Ok(Arguments { common, verb: Verb::Serve(Later(serve)) }) = Arguments::read(typed) else {
        return Err(Error::usage("the process with the keys is started by another process of the service"));
    };
    serve::keys(&serve, Session::new(common)?, control, passing)
}

fn connection() -> Result<File> {
    file("standard input", &io::stdin())
}

fn file(name: &str, of: &dyn AsFd) -> Result<File> {
    of.as_fd().try_clone_to_owned().map(File::from).map_err(|error| Error::io(name, &error))
}
