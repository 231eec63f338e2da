//! Any text: its PEM messages lie in it in order, each header is read or refused, and the canonical form is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, Limits},
    protocol::pem::{boundary, canonical, keyfile, services, text},
};

fuzz_target!(|octets: &[u8]| {
    let budget = Budget::new(Limits::default());
    let mut from = 0;
    for block in boundary::blocks(octets) {
        assert!(from <= block.span.start && block.span.start < block.inside.start);
        assert!(block.inside.end <= block.span.end && block.span.end <= octets.len());
        from = block.span.end;
        let inside = &octets[block.inside.start..block.inside.end];
        if let Ok((_, text)) = text::read(inside, &budget) {
            assert!(inside.ends_with(text));
            let _ = canonical::of_clear(text);
        }
    }
    let once = canonical::of_local(octets);
    assert_eq!(canonical::of_local(&once), once);
    let _ = keyfile::recognizes(octets);
    let _ = services::carried(octets, "text", &Limits::default());
});
