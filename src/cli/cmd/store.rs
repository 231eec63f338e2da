//! `postseal store`: where the rows of a home are.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use postseal::{
    base::{Kind, Result},
    discover::{self, Carried},
    store::{self, Destination},
};

use crate::cli::{later::Later, session::Session, show};

/// Verbs of `store`.
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Move the keys of the home to a database of PostgreSQL, or back into the home
    Migrate(Later<Migrate>),
    /// Use the keys of a database of PostgreSQL that other machines use too
    Connect(Later<Connect>),
    /// Make the tables in a database of PostgreSQL, or those of this version out of older ones
    Upgrade(Later<Upgrade>),
    /// Print SQL that makes the roles for a database of PostgreSQL
    Roles,
}

/// Migrate. Everything is compared after it was copied, and the old keys stay, as postseal.db.moved or in the database.
#[derive(Args, Debug)]
pub(crate) struct Migrate {
    /// `sqlite` for the home itself, or the URL of the database, and of its replicas
    #[arg(value_name = "TO", required = true)]
    to: Vec<String>,
}

/// Connect. The home must have no keys of its own. The URLs are written to the file `store` in it.
#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// The URL of the database, and of its replicas: postgres://USER@HOST/DATABASE?passwordfile=FILE
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
}

/// Upgrade. Programs of the version before go on meanwhile.
#[derive(Args, Debug)]
pub(crate) struct Upgrade {
    /// The URL of the database, with a user who may make tables
    #[arg(value_name = "URL")]
    url: String,
}

/// Runs one verb of `store`.
pub(crate) fn run(what: &Store, session: &Session) -> Result<ExitCode> {
    match what {
        Store::Migrate(Later(Migrate { to })) => {
            let home = session.home_directory()?;
            let is_home = matches!(to.as_slice(), [word] if word == SQLITE);
            let to = if is_home { Destination::Home } else { Destination::Postgres(to.clone()) };
            let mut carried = Carried::default();
            let moved = store::transfer_with(&home, &to, &mut |from, into| {
                carried = discover::carry(&home, from, into)?;
                Ok(())
            })?;
            show::aside(&format!(
                "{}: {} certificates, {} of them with a secret key, {} revocation lists; all were compared\n",
                home.display(),
                moved.certificates,
                moved.secrets,
                moved.statements
            ));
            if carried != Carried::default() {
                let Carried { in_use, pending } = carried;
                show::aside(&format!(
                    "found on the network: {in_use} keys in use and {pending} pending ones came along\n"
                ));
            }
        }
        Store::Connect(Later(Connect { urls })) => {
            let home = session.home_directory()?;
            store::connect(&home, urls)?;
            match session.home()?.probe() {
                Err(error) if error.kind() == Kind::Inaccessible => {
                    show::warning(&error.to_string());
                    show::hint("copy master.key from the home of another machine: the database has no master key");
                }
                probed => probed?,
            }
        }
        Store::Upgrade(Later(Upgrade { url })) => {
            let (from, to) = store::upgrade(url)?;
            show::aside(&match from {
                0 => format!("tables of version {to} were made\n"),
                _ if from == to => format!("the tables are of version {to} already\n"),
                _ => format!("tables of version {from} are of version {to} now\n"),
            });
        }
        Store::Roles => show::data(store::roles())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The home itself.
const SQLITE: &str = "sqlite";
