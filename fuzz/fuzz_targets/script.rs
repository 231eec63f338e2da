//! What a process says, made of real values and of a program of the fuzzer.

/// Values one after the other, each with its length: one of `known` with some changes, or octets of the program itself.
pub fn values(known: &[Vec<u8>], mut program: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let [which, count, rest @ ..] = program {
        let mut value = known.get(usize::from(*which)).cloned().unwrap_or_default();
        program = rest;
        if value.is_empty() {
            let (own, rest) = program.split_at(usize::from(*count).min(program.len()));
            value.extend_from_slice(own);
            program = rest;
        } else {
            for _ in 0..count % 8 {
                let [how, high, low, octet, rest @ ..] = program else { break };
                program = rest;
                let at = usize::from(*high) << 8 | usize::from(*low);
                let at = at % value.len().max(1);
                match how % 4 {
                    _ if value.is_empty() => value.push(*octet),
                    0 => value[at] = *octet,
                    1 => value.insert(at, *octet),
                    2 => _ = value.remove(at),
                    // A string of mallory's in the place of as many octets.
                    _ => value.iter_mut().skip(at).zip(b"mallory@evil.test\r\nRCPT").for_each(|(to, from)| *to = *from),
                }
            }
        }
        all.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        all.extend(value);
    }
    all
}
