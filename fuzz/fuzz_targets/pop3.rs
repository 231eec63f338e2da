//! Any line from a POP3 server: no panic, and a number and an id that are in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::mailbox::pop3::{Reply, numbered};

fuzz_target!(|line: &[u8]| {
    if let Some(Reply::Ok(words) | Reply::Err(words) | Reply::Challenge(words)) = Reply::parse(line) {
        assert!(line.ends_with(&words));
    }
    if let Some((number, value)) = numbered(line) {
        assert!(number > 0 && (1..=70).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_graphic()));
    }
});
