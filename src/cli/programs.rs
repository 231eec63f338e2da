//! This program, as the processes of `serve`: their names, and how they are started.

use std::{env, ffi::OsStr, os::unix::process::CommandExt, process::Command};

use postseal::service::{Role, Roles};

use super::log;

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
