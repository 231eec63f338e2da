//! The little of BER that LDAP is written in: definite lengths, and tags of one octet (RFC 4511, section 5.1).

/// An element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => octets.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let significant: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
            octets.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            octets.extend(significant);
        }
    }
    octets.extend_from_slice(content);
    octets
}

/// An element with these in it.
pub(super) fn elements(tag: u8, content: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &content.concat())
}

/// An INTEGER or an ENUMERATED.
#[cfg(any(test, feature = "ldap"))]
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    let octets: Vec<u8> = [0].into_iter().chain(value.to_be_bytes()).collect();
    // The shortest form without a sign.
    let is_spare = |pair: &&[u8]| matches!(pair, [0, next] if *next < 0x80);
    let spare = octets.windows(2).take_while(is_spare).count();
    element(tag, octets.get(spare..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_have_their_shortest_form() {
        assert_eq!(element(0x04, b"ab"), [4, 2, b'a', b'b']);
        assert_eq!(element(0x04, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(element(0x04, &[7; 70_000])[..5], [4, 0x83, 1, 0x11, 0x70]);
        assert_eq!(number(0x02, 0), [2, 1, 0]);
        assert_eq!(number(0x02, 127), [2, 1, 127]);
        assert_eq!(number(0x02, 128), [2, 2, 0, 128]);
        assert_eq!(number(0x02, u32::MAX), [2, 5, 0, 255, 255, 255, 255]);
    }
}
