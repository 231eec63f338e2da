//! Any octets as a key file, of any format: an answer, never a panic; what is read can be written and read again, and holds the same keys.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Limits, parse_rfc3339},
    crypto::Legacy,
    keys::{Keys, Passphrases, ProtocolName, Query, Want},
    protocol::pgp::{keyfile, summary},
    store,
};

fuzz_target!(|octets: &[u8]| {
    let limits = Limits { argon2_memory: 1 << 16, kdf_iterations: 10_000, ..Limits::default() };
    let passphrases = Arc::new(Passphrases::new(vec!["secret".into()]));
    let Ok(loaded) = store::load(&[("file", octets)], &passphrases, &limits) else { return };
    let at = parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
    for record in loaded.keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap() {
        let summary = summary::summarize(&record, at, Legacy::Admit, &loaded.keys).unwrap();
        assert_eq!(summary.keys.len(), record.handles().len());
        for handle in record.secrets() {
            let _ = loaded.keys.secret(&record, handle);
        }
        let again = keyfile::describe(record.bytes(), "again").unwrap();
        assert_eq!(again.found.len(), 1);
        assert_eq!(again.found[0].record.handles(), record.handles());
        assert_eq!(keyfile::merge(&record, &again.found[0].record).unwrap().handles(), record.handles());
        let _ = keyfile::export(&record, keyfile::Armor::Ascii);
    }
});
