//! A process of `serve`. It is started by its name, and not by a verb: only `serve` can talk to it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Command, ExitCode},
    sync::Arc,
};

use postseal::{
    base::{Error, Result},
    service::{self, Role, Roles},
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

/// The role that the name of this process says: what `ps` shows.
pub(super) fn of_this_process() -> Option<Role> {
    let own = env::args_os().next()?;
    Role::ALL.into_iter().find(|role| own == *name(*role))
}

fn name(role: Role) -> String {
    format!("postseal: {}", role.name())
}

/// How `serve` starts them: this program again, even where its file was replaced since.
pub(super) fn programs() -> Roles {
    let command = |role| {
        let mut command = Command::new("/proc/self/exe");
        // Libraries that gather a backtrace for each error take more time for some failures to decrypt than for others.
        command
            .env_clear()
            .envs(env::vars_os().filter(|(name, _)| is_passed_on(role, name)))
            .env("RUST_LIB_BACKTRACE", "0")
            .arg0(name(role));
        if role == Role::Keys {
            // It is this verb, in another process.
            command.args(env::args_os().skip(1));
        }
        command
    };
    Roles::new(command).with_log_context(log::context, log::within)
}

/// What libraries read, and how the log is written. A secret in the environment of `serve` stays there.
fn is_passed_on(role: Role, name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    if role == Role::Keys {
        // Everything but what systemd says to one process.
        return name != "NOTIFY_SOCKET" && !name.starts_with("LISTEN_") && !name.starts_with("WATCHDOG_");
    }
    // Passwords of the next hop may be there, and public authorities.
    let of_front = ["CREDENTIALS_DIRECTORY", "SSL_CERT_DIR", "SSL_CERT_FILE"];
    ["JOURNAL_STREAM", "LANG", "TZ", "RUST_BACKTRACE"].contains(&&*name)
        || role == Role::Front && of_front.contains(&&*name)
        || ["FAKETIME", "LC_", "LD_", "MALLOC_"].iter().any(|prefix| name.starts_with(prefix))
}

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
