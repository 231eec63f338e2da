//! Any octets: parsed, they come back the same, every view of every part is readable, and what is written to be signed is 7-bit and stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, Limits},
    mail::{
        Message, Part, address, armor,
        canonical::{Carried, write_signable},
        header::{self, Edit},
    },
};

fuzz_target!(|octets: &[u8]| {
    let Some(message) = parse(octets) else { return };
    look(message.root());
    let _ = header::author(message.root());
    let mut signable = Vec::new();
    if write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut signable).is_ok() {
        assert!(signable.is_ascii());
        let Some(again) = parse(&signable) else { return };
        let mut twice = Vec::new();
        write_signable(again.root(), &Edit::new(again.root()), Carried::InClear, &mut twice).unwrap();
        assert!(twice == signable);
    }
    assert!(message.into_octets() == octets);
});

fn parse(octets: &[u8]) -> Option<Message> {
    Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).ok()
}

/// Parts lie one after the other within the part that holds them.
fn look(part: Part<'_>) {
    for field in part.fields() {
        let _ = (field.decoded(), address::list(&field.unfolded()));
    }
    let _ = (part.text(), armor::pgp_blocks(part.body()).count());
    assert!(part.fields().flat_map(|field| field.raw).eq(part.header_octets()));
    let (preamble, epilogue) = part.margins();
    let mut at = preamble.end;
    for child in part.children() {
        assert!(at <= child.span().start);
        at = child.span().end;
        look(child);
    }
    assert!(at <= epilogue.start && epilogue.end == part.span().end);
}
