//! Pieces of messages (message/partial): joined the same in any order, and cut into pieces that are no larger than asked for and join again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, Limits, SystemRandom},
    mail::{Message, partial},
};

fuzz_target!(|octets: &[u8]| {
    // No header holds a NUL that anything depends on: it parts the pieces here.
    let mut pieces: Vec<Message> = octets.split(|octet| *octet == 0).take(16).filter_map(parse).collect();
    let whole = join(&pieces);
    pieces.reverse();
    assert_eq!(join(&pieces), whole);

    let Some(message) = parse(octets) else { return };
    for size in [500, 4_000] {
        let Ok(cut) = partial::split(&message, size, &SystemRandom) else { continue };
        if let [whole] = cut.as_slice() {
            assert_eq!(whole, octets);
            continue;
        }
        assert!(cut.iter().all(|piece| piece.len() <= size));
        let pieces: Option<Vec<Message>> = cut.iter().map(|piece| parse(piece)).collect();
        let joined = pieces.as_deref().and_then(join);
        assert!(joined.is_some_and(|joined| joined.ends_with(message.root().body())));
    }
});

fn parse(octets: &[u8]) -> Option<Message> {
    Message::parse(octets.to_vec(), &mut budget()).ok()
}

fn join(pieces: &[Message]) -> Option<Vec<u8>> {
    partial::join(pieces, &mut budget()).ok().map(Message::into_octets)
}

fn budget() -> Budget {
    Budget::new(Limits::default())
}
