//! Who did what is in the log: a user, a program, a machine.

use std::{fs, process};

use serde::{Deserialize, Serialize};

/// Who made an entry. Everything but `program` is what the system says of the process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The name of this machine.
    pub node: String,
    /// The user of the process.
    pub uid: u32,
    /// The name of that user, if `/etc/passwd` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user who logged in, where the kernel knows it (`/proc/self/loginuid`): it stays through `su` and `sudo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// What the program calls itself: `key trust`.
    pub program: String,
    /// The process.
    pub pid: u32,
}

impl Actor {
    /// This process, which does what `program` says.
    pub fn of_process(program: &str) -> Actor {
        let uid = rustix::process::getuid().as_raw();
        let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse::<u32>().ok());
        let login = login.filter(|login| *login != UNSET);
        Actor {
            node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            uid,
            user: name(uid),
            login: login.map(|login| name(login).unwrap_or_else(|| login.to_string())),
            program: program.to_owned(),
            pid: process::id(),
        }
    }
}

/// The name of a user of this machine.
fn name(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let of_line = |line: &str| {
        let mut columns = line.split(':');
        let name = columns.next()?;
        (columns.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(of_line)
}

/// What the kernel says where no one logged in.
const UNSET: u32 = u32::MAX;
