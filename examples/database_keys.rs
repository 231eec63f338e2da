//! Own [`Keys`]: certificates and key files in a table of a database, beside what else the program knows of its users.
//!
//! `cargo run --example database_keys --no-default-features --features pgp,store`

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use postseal::{
    base::{self, Kind, SystemClock},
    crypto::SecretKey,
    keys::{Binding, Handle, Keys, ProtocolName, Purpose, Query, Record, Want},
    mail::Address,
    protocol::pgp::generate::{Request, generate},
    read_keys, sign,
    verdict::Standing,
    verify,
};
use rusqlite::{Connection, params};

/// The table `keys`: the user's address, the octets of their key file, and whether somebody compared its fingerprint with them.
struct Database(Mutex<Connection>);

impl Database {
    fn open() -> rusqlite::Result<Database> {
        let connection = Connection::open_in_memory()?;
        connection.execute("CREATE TABLE keys (address TEXT, file BLOB NOT NULL, compared INTEGER NOT NULL)", [])?;
        Ok(Database(Mutex::new(connection)))
    }

    fn add(&self, address: &str, file: &[u8], compared: bool) -> rusqlite::Result<usize> {
        self.connection().execute("INSERT INTO keys VALUES (?1, ?2, ?3)", params![address, file, compared])
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that may hold what is wanted: those of an address, or all. A large table has a column with the fingerprints too.
    fn rows(&self, want: Want<'_>) -> rusqlite::Result<Vec<(String, Vec<u8>, bool)>> {
        let address = match want {
            Want::Address(address) => Some(address.to_string()),
            _ => None,
        };
        let connection = self.connection();
        let mut select = connection.prepare("SELECT * FROM keys WHERE ?1 IS NULL OR address = ?1 ORDER BY rowid")?;
        let rows = select.query_map([address], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    }
}

impl Keys for Database {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> base::Result<Vec<Arc<Record>>> {
        let mut found = Vec::new();
        for (address, file, compared) in self.rows(query.want).map_err(unavailable)? {
            // What is in the file answers the question; the table adds the trust.
            for record in read_keys(&file)?.find(protocol, query)? {
                let trust = Binding::Address(Address::parse(&address)?);
                let record = Arc::unwrap_or_clone(record).with_bindings(compared.then_some(trust));
                found.push(Arc::new(record));
            }
        }
        Ok(found)
    }

    fn secret(&self, record: &Record, key: &Handle) -> base::Result<Option<Arc<dyn SecretKey>>> {
        for (_, file, _) in self.rows(Want::Certificate(record.fingerprint())).map_err(unavailable)? {
            if let Some(secret) = read_keys(&file)?.secret(record, key)? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}

/// A database that does not answer is not a missing key: a mail server tries again later.
fn unavailable(error: rusqlite::Error) -> base::Error {
    base::Error::new(Kind::Unavailable, format!("keys in the database: {error}"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open()?;
    for (address, compared) in [("alice@example.org", true), ("bob@example.net", false)] {
        let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
        database.add(address, key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default(), compared)?;
    }
    for address in ["alice@example.org", "bob@example.net"] {
        let signed = sign(format!("From: {address}\r\n\r\nHello.\r\n").as_bytes(), ProtocolName::Pgp, &database)?;
        let opening = verify(&signed, &database)?;
        println!("{address}: {}", opening.verdict().standing().name());
        assert_eq!(opening.verdict().standing() == Standing::Authentic, address == "alice@example.org");
    }
    let with_secret = database.find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Secrets))?;
    println!("{} keys can sign", with_secret.len());
    Ok(())
}
