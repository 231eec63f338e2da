//! Tests of reading BER.

use super::*;
use crate::base::Limits;
use proptest::prelude::*;

fn budget() -> Budget {
    Budget::new(Limits::default())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    push_length(value.len(), &mut der);
    der.extend_from_slice(value);
    der
}

fn indefinite(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], value, &[0, 0]].concat()
}

const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// A ContentInfo of signedData with this eContent, and certificates and a signature after it.
fn signed(wrap: fn(u8, &[u8]) -> Vec<u8>, content: &[u8]) -> Vec<u8> {
    let encapsulated = wrap(0x30, &[DATA, &wrap(0xa0, content)].concat());
    let fields = [b"\x02\x01\x01\x31\x00".as_slice(), &encapsulated, b"\xa0\x04\x30\x02\x05\x00", b"\x31\x00"].concat();
    wrap(0x30, &[DATA, &wrap(0xa0, &wrap(0x30, &fields))].concat())
}

#[test]
fn content_in_pieces_is_put_together_in_place() {
    let nested =
        indefinite(0x24, &[tlv(4, b"one "), indefinite(0x24, &tlv(4, b"two ")), tlv(0x24, &tlv(4, b"three"))].concat());
    let expected = signed(tlv, b"\x04\x00");
    for octets in [signed(tlv, &tlv(4, b"one two three")), signed(indefinite, &nested), signed(tlv, &nested)] {
        let (place, length) = (octets.as_ptr(), octets.len());
        let taken = take_content(octets, After::Nothing, &budget()).unwrap();
        let content = taken.content.unwrap();
        assert_eq!(content, b"one two three");
        assert_eq!((content.as_ptr(), content.capacity()), (place, length));
        assert_eq!(taken.skeleton, expected);
    }
}

#[test]
fn encrypted_content_is_implicit() {
    let content = |pieces: &[u8]| {
        let info = indefinite(0x30, &[DATA, b"\x30\x00", pieces].concat());
        indefinite(
            0x30,
            &[DATA, &indefinite(0xa0, &indefinite(0x30, &[b"\x02\x01\x02\x31\x00", info.as_slice()].concat()))]
                .concat(),
        )
    };
    for octets in [content(b"\x80\x04abcd"), content(&indefinite(0xa0, b"\x04\x01a\x04\x03bcd"))] {
        let taken = take_content(octets, After::Nothing, &budget()).unwrap();
        assert_eq!(taken.content.as_deref(), Some(b"abcd".as_slice()));
        assert!(taken.skeleton.ends_with(b"\x30\x00\x80\x00"), "{:x?}", taken.skeleton);
    }
}

#[test]
fn nothing_follows_the_object_but_line_breaks_where_they_may() {
    for object in [signed(tlv, b"\x04\x01x"), signed(indefinite, b"\x04\x01x")] {
        let with = |rest: &[u8], after| take_content([&object, rest].concat(), after, &budget()).unwrap().is_alone;
        assert!(with(b"", After::Nothing) && with(b"\r\n\n", After::LineBreaks));
        for rest in [b"\n".as_slice(), b"\0\0", b" ", b"garbage", b"garbage\0\0"] {
            assert!(!with(rest, After::Nothing), "{rest:?}");
            assert!(rest == b"\n" || !with(rest, After::LineBreaks), "{rest:?}");
        }
    }
}

#[test]
fn no_content_is_not_empty_content() {
    let detached = tlv(
        0x30,
        &[DATA, &tlv(0xa0, &tlv(0x30, &[b"\x02\x01\x01\x31\x00", tlv(0x30, DATA).as_slice()].concat()))].concat(),
    );
    assert_eq!(take_content(detached, After::Nothing, &budget()).unwrap().content, None);
    assert_eq!(take_content(signed(tlv, b"\x04\x00"), After::Nothing, &budget()).unwrap().content, Some(Vec::new()));
}

#[test]
fn what_is_signed_keeps_its_octets() {
    // A certificate and signed attributes with lengths that are longer than they need be.
    let strange = b"\x30\x82\x00\x02\x05\x00";
    let signer = tlv(0x30, &[b"\x02\x01\x01".as_slice(), b"\xa0\x81\x02\x05\x00", b"\x30\x81\x00"].concat());
    let fields =
        [b"\x02\x01\x01\x31\x00".as_slice(), &tlv(0x30, DATA), &tlv(0xa0, strange), &tlv(0x31, &signer)].concat();
    let octets = indefinite(0x30, &[DATA, &tlv(0xa0, &tlv(0x30, &fields))].concat());
    let skeleton = take_content(octets, After::Nothing, &budget()).unwrap().skeleton;
    let holds = |what: &[u8]| skeleton.windows(what.len()).any(|window| window == what);
    assert!(holds(&tlv(0xa0, strange)));
    // The other oddity is gone.
    assert!(holds(b"\xa0\x81\x02\x05\x00\x30\x00"), "{skeleton:x?}");
}

#[test]
fn lengths_and_strings_become_der() {
    for (ber, der) in [
        (b"\x30\x84\x00\x00\x00\x03\x02\x01\x05".as_slice(), b"\x30\x03\x02\x01\x05".as_slice()),
        (b"\x30\x80\x33\x80\x04\x01a\x13\x01b\x00\x00\x00\x00", b"\x30\x04\x13\x02ab"),
        (b"\x31\x80\x02\x01\x05\x02\x01\x04\x00\x00 and more", b"\x31\x06\x02\x01\x05\x02\x01\x04"),
        (b"\x24\x80\x24\x80\x04\x00\x00\x00\x04\x01x\x00\x00", b"\x04\x01x"),
        (b"\x04\x01x", b"\x04\x01x"),
        (b"\xbf\x81\x00\x80\x9f\x82\x01\x81\x01x\x00\x00", b"\xbf\x81\x00\x05\x9f\x82\x01\x01x"),
    ] {
        assert_eq!(to_der(ber, &budget()).unwrap(), der, "{ber:x?}");
    }
}

#[test]
fn malformed_ber_is_refused_by_name() {
    for (ber, reason) in [
        (b"".as_slice(), "ends early"),
        (b"\x30", "ends early"),
        (b"\x30\x80\x02\x01\x05\x00", "ends early"),
        (b"\x30\x03\x02\x02\x05\x05", "ends early"),
        (b"\x30\x89\x01\x00\x00\x00\x00\x00\x00\x00\x00", "ends early"),
        (b"\x30\xff\x02\x01\x05", "reserved form"),
        (b"\x04\x80x\x00\x00", "has no length"),
        (b"\x30\x02\x00\x00", "unexpected end-of-contents"),
        (b"\x24\x03\x02\x01\x05", "another type"),
        (b"\x1f\x81\x81\x81\x81\x81\x81\x01\x00", "too long"),
    ] {
        let error = to_der(ber, &budget()).unwrap_err().to_string();
        assert!(error.contains(reason), "{ber:x?}: {error}");
    }
    let error =
        take_content(signed(indefinite, &indefinite(0x24, b"\x02\x01\x05")), After::Nothing, &budget()).unwrap_err();
    assert!(error.to_string().contains("other than octet strings"), "{error}");
}

#[test]
fn bombs_are_refused() {
    let deep = b"\x30\x80".repeat(1_000_000);
    assert!(to_der(&deep, &budget()).unwrap_err().to_string().contains("more than 64 elements within"));
    let strings = signed(|_, value| [b"\x30\x80", value].concat(), &b"\x24\x80".repeat(1_000_000));
    assert!(take_content(strings, After::Nothing, &budget()).is_err());
    let content = signed(tlv, &indefinite(0x24, &b"\x24\x80".repeat(100_000)));
    assert!(
        take_content(content, After::Nothing, &budget())
            .unwrap_err()
            .to_string()
            .contains("more than 64 elements within")
    );
    let wide = tlv(0x30, &b"\x05\x00".repeat(1_000_000));
    assert!(to_der(&wide, &budget()).unwrap_err().to_string().contains("more than 250000 elements"));
    // Parts of the content do not count as elements.
    let pieces = signed(tlv, &indefinite(0x24, &b"\x04\x01x".repeat(1_000_000)));
    assert_eq!(
        take_content(pieces, After::Nothing, &budget()).unwrap().content.map(|content| content.len()),
        Some(1_000_000)
    );
}

proptest! {
    #[test]
    fn der_stays_der(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(der) = to_der(&octets, &budget()) {
            prop_assert_eq!(to_der(&der, &budget()).unwrap(), der);
        }
        _ = take_content(octets, After::Nothing, &budget());
    }
}
