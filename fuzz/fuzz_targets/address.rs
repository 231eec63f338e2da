//! Any text as an address, an address list and a user ID: what is read is written so that it is read as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::mail::{Address, address};

fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    let found = Address::parse(&text).ok().into_iter().chain(address::of_user_id(&text));
    let listed = address::list(&text).unwrap_or_default();
    for address in found.chain(listed.into_iter().map(|mailbox| mailbox.address)) {
        assert!(!address.local().is_empty() && !address.domain().is_empty());
        let again = Address::parse(&address.to_string());
        assert_eq!(again.as_ref().ok(), Some(&address), "{address}");
    }
});
