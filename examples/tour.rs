//! A tour: a temporary home, two identities, a message that is signed, verified, encrypted, decrypted and forged.
//!
//! `cargo run --release --example tour`

use std::{error::Error, io::Write, sync::Arc};

use postseal::{
    base::{Limits, SystemClock},
    decrypt, encrypt,
    keys::{Binding, Passphrases, ProtocolName},
    mail::Address,
    protocol::pgp::generate::{Request, generate},
    report::{Report, text},
    sign,
    store::{Keystore, Origin},
    verify,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = anstream::stdout().lock();
    let folder = tempfile::tempdir()?;
    let home = Keystore::open_home(&folder.path().join("home"), Arc::new(Passphrases::default()), &Limits::default())?;
    for (name, address) in [("Alice", "alice@example.org"), ("Bob", "bob@example.net")] {
        let mut request = Request::new(Address::parse(address)?);
        request.name = Some(name.to_owned());
        let key = generate(&request, &SystemClock)?.described;
        writeln!(out, "generated  {} for {name} <{address}>", key.record.fingerprint())?;
        home.add(std::slice::from_ref(&key))?;
        home.bind(key.record.fingerprint(), &Binding::UserIds, Origin::Generated, std::time::SystemTime::UNIX_EPOCH)?;
    }

    let signed = sign(MESSAGE.as_bytes(), ProtocolName::Pgp, &home)?;
    writeln!(out, "signed     {} octets\n\n{}", signed.len(), drawn("signed.eml", &verify(&signed, &home)?))?;

    let sealed = encrypt(MESSAGE.as_bytes(), ProtocolName::Pgp, &[Address::parse("bob@example.net")?], &home)?;
    let (written, opening) = decrypt(&sealed, &home)?;
    writeln!(out, "encrypted  {} octets, and decrypted to {}\n", sealed.len(), written.len())?;
    writeln!(out, "{}", drawn("sealed.eml", &opening))?;

    let forged = String::from_utf8_lossy(&signed).replacen("From: Alice <alice@", "From: Alice <mallory@", 1);
    writeln!(out, "forged     the same signature under another From\n")?;
    writeln!(out, "{}", drawn("forged.eml", &verify(forged.as_bytes(), &home)?))?;
    Ok(())
}

fn drawn(file: &str, opening: &postseal::engine::Opening) -> String {
    let (verdict, header, error) = (opening.verdict(), opening.header(), opening.error());
    text(&Report { file, id: None, verdict, header, notes: opening.notes(), error, within: &[] })
}

const MESSAGE: &str =
    "From: Alice <alice@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n";
