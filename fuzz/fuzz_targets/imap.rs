//! Any response from an IMAP server, and any name of a mailbox: no panic, and names come back as they went.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::mailbox::imap::{Naming, Raw, Response, Untagged};

fuzz_target!(|octets: &[u8]| {
    // The octet 255 begins a literal.
    let mut pieces = octets.split(|octet| *octet == 255).map(<[u8]>::to_vec);
    let text = pieces.next().unwrap_or_default();
    let literals: Vec<Vec<u8>> = pieces.collect();
    let given: usize = text.len() + literals.iter().map(Vec::len).sum::<usize>();
    match (Raw { text, literals }).parse() {
        Some(Response::Untagged(Untagged::List(listed))) => {
            let name = Naming::Utf7.read(&listed.name);
            // Some names can be written in several ways, and one that is not well formed stays as it is.
            assert_eq!(Naming::Utf7.read(&Naming::Utf7.write(&name)), name);
        }
        Some(Response::Untagged(Untagged::Fetch(_, fetched))) => {
            assert!(fetched.body.is_none_or(|body| body.len() <= given));
        }
        _ => {}
    }
    if let Ok(name) = std::str::from_utf8(octets) {
        let wire = Naming::Utf7.write(name);
        assert!(wire.is_ascii() && !wire.iter().any(u8::is_ascii_control));
        assert_eq!(Naming::Utf7.read(&wire), name);
    }
});
