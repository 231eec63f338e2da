//! Verifies a mail in ten lines.
//!
//! `cargo run --example verify --no-default-features --features pgp`

use postseal::{base::Result, keys::Binding, keys::Handle, mail::Address, read_keys, verdict::Standing, verify};

fn main() -> Result<()> {
    let mut keys = read_keys(include_bytes!("mail/alice.asc"))?;
    // A key file proves nothing. This is the fingerprint that Alice told us by telephone.
    let told = Handle::parse("9675C363267B92EA32C6E08AB866283CE72E336F")?;
    keys.bind(&told, &Binding::Address(Address::parse("alice@example.org")?));
    let opening = verify(include_bytes!("mail/signed.eml"), &keys)?;
    match (opening.verdict().standing(), opening.verdict().author()) {
        (Standing::Authentic, Ok(author)) => println!("{author} wrote this"),
        _ => println!("not authentic: {}", opening.report("signed.eml").reason().unwrap_or_default()),
    }
    Ok(())
}
