//! A key store in PostgreSQL: what happens when the server is lost, several machines, roles, versions, and moving there and back.

mod distant;
mod full;
mod lost;
mod machines;
mod moving;
mod scale;
mod versions;

use postseal::keys::Memory;

use super::*;
use crate::support::postgres::{Server, present as is_present};

/// A home that names a database, on one machine.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// The first one: its database is empty.
    fn new(urls: &[&str]) -> Machine {
        let machine = Machine { folder: private() };
        machine.connect(urls).unwrap();
        machine
    }

    /// Another one, with the same master key.
    fn beside(&self, urls: &[&str]) -> Machine {
        let machine = Machine::new(urls);
        fs::copy(self.home().join("master.key"), machine.home().join("master.key")).unwrap();
        machine
    }

    fn connect(&self, urls: &[&str]) -> Result<(), Error> {
        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
        store::connect(self.home(), &urls)
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self) -> Keystore {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Keystore, Error> {
        Keystore::open_home(self.home(), passphrases(&[PASSPHRASE]), &Limits::default())
    }
}

fn private() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

/// How many certificates Alice's address has.
fn look(keys: &Keystore) -> Result<usize, Error> {
    keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&address("alice@example.org")))).map(|found| found.len())
}

/// The program, with a home.
fn run(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_postseal"))
        .arg("--home")
        .arg(home)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// How long a machine may use what was changed elsewhere.
const SECOND: Duration = Duration::from_secs(1);
/// How long a machine runs before it listens for changes.
const UNTIL_IT_LISTENS: Duration = Duration::from_millis(1500);
