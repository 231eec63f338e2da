//! The contract over PostgreSQL.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::support::postgres::{Server, present};

/// A database of its own, and a home that names it.
struct Database<'a> {
    server: &'a Server,
    name: String,
    folder: tempfile::TempDir,
}

impl Database<'_> {
    fn new(server: &Server) -> Database<'_> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("contract{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = private_folder();
        store::connect(folder.path(), &[server.database(&name)]).unwrap();
        Database { server, name, folder }
    }
}

impl Shared for Database<'_> {
    fn open(&self, given: &[&str]) -> Keystore {
        Keystore::open_home(self.folder.path(), passphrases(given), &Limits::default()).unwrap()
    }

    fn damage(&self, change: fn(&[u8]) -> Vec<u8>) {
        let sql = "SELECT number, encode(octets, 'hex') FROM postseal.certificate";
        for line in self.server.psql(&self.name, sql).unwrap().lines() {
            let (number, octets) = line.split_once('|').unwrap();
            let octets: Vec<u8> = octets
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let changed: String = change(&octets).iter().map(|octet| format!("{octet:02x}")).collect();
            let sql = format!("UPDATE postseal.certificate SET octets = '\\x{changed}' WHERE number = {number}");
            self.server.psql(&self.name, &sql).unwrap();
        }
    }
}

#[test]
fn postgresql_keeps_the_contract() {
    if !present() {
        return;
    }
    CASES.iter().for_each(|case| case(&Database::new(Server::shared())));
}
