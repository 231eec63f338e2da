//! Survey.
use postseal::{
    base::{Limits, Secret},
    keys::{Keys, Passphrases, ProtocolName, Want},
    store,
};
use std::{fs, sync::Arc};
#[test]
fn survey() {
    let root = std::env::var("POSTSEAL_CORPORA").unwrap();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = entry.path().display().to_string();
        if !(name.ends_with(".p12") || name.ends_with(".pfx") || name.ends_with("p12.pem")) {
            continue;
        }
        let octets = fs::read(entry.path()).unwrap();
        let pass = Arc::new(Passphrases::new(
            [
                "nss",
                "no.secret",
                "password",
                "abc,123456",
                "start",
                "abc",
                "qeFGds84/Sf0eKkJwcp6",
                "test",
                "carlos",
                "dana",
            ]
            .map(Secret::from)
            .to_vec(),
        ));
        match store::load(&[("f", &octets)], &pass, &Limits::default()) {
            Ok(loaded) => {
                let found = loaded.keys.find(ProtocolName::Smime, &Want::All).unwrap();
                let names: Vec<_> = found
                    .iter()
                    .map(|one| (one.claimed.iter().map(|a| a.to_string()).collect::<Vec<_>>(), !one.secrets.is_empty()))
                    .collect();
                let opened: Vec<_> = found
                    .iter()
                    .filter(|one| !one.secrets.is_empty())
                    .map(|one| loaded.keys.secret(one, &one.fingerprint))
                    .collect();
                println!("OK {name}\n   {names:?} {:?} {opened:?}", loaded.skipped);
            }
            Err(error) => println!("ERR {name}\n   {error}"),
        }
    }
}
