//! Intercepted messages, and the changes that an attacker without a key makes to them.

use postseal::mail::encoding::base64_encode;

fn armored(octets: &[u8]) -> String {
    String::from_utf8(base64_encode(octets)).unwrap()
}

/// SEIPD version 1 to bob, by gpg: a session key, then a container with a length of one octet.
pub(crate) struct Pgp {
    session: Vec<u8>,
    /// The random prefix (18 octets), the plaintext, the digest (22).
    sealed: Vec<u8>,
}

impl Pgp {
    pub(crate) fn captured() -> Pgp {
        let raw = std::fs::read("testdata/oracle/captured.pgp").unwrap();
        let end = 3 + usize::from(u16::from_be_bytes([raw[1], raw[2]]));
        assert_eq!((raw[end], raw[end + 2]), (0xd2, 1));
        Pgp { session: raw[..end].to_vec(), sealed: raw[end + 3..].to_vec() }
    }

    fn mail(session: &[u8], sealed: &[u8]) -> String {
        let length = u32::try_from(sealed.len() + 1).unwrap().to_be_bytes();
        let packets = [session, &[0xd2, 255], &length, &[1], sealed].concat();
        format!(
            "From: Eve <eve@evil.example.org>\r\nTo: bob@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n\
             --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
             --b\r\nContent-Type: application/octet-stream\r\n\r\n\
             -----BEGIN PGP MESSAGE-----\r\n\r\n{}-----END PGP MESSAGE-----\r\n\r\n--b--\r\n",
            armored(&packets)
        )
    }

    pub(crate) fn unchanged(&self) -> String {
        Self::mail(&self.session, &self.sealed)
    }

    /// Messages whose plaintext begins with the octet `x`, or has it where the next packet begins, after a packet of padding.
    pub(crate) fn beginnings(&self, x: u8) -> Vec<String> {
        let known = [self.sealed[18] ^ 0xcb, self.sealed[19] ^ u8::try_from(self.sealed.len() - 42).unwrap()];
        let first = [&self.sealed[..18], &[known[0] ^ x], &self.sealed[19..]].concat();
        let deeper = |at: u8| {
            let zeros = vec![0; usize::from(at)];
            let head = [&self.sealed[..18], &[known[0] ^ 0xd5, known[1] ^ (28 + at)], &[0; 12]].concat();
            [&head, &self.sealed[16..32], &zeros, &[x], &vec![7; usize::from(15 - at) + 80]].concat()
        };
        let first = Some(first).filter(|first| *first != self.sealed);
        first
            .into_iter()
            .chain([deeper(0), deeper(7), deeper(15)])
            .map(|sealed| Self::mail(&self.session, &sealed))
            .collect()
    }

    /// Messages whose plaintext is good and whose end is not, and ones whose session key is not.
    pub(crate) fn endings(&self) -> Vec<String> {
        let changed = |octets: &[u8], from_end: usize| {
            let mut octets = octets.to_vec();
            let at = octets.len() - from_end;
            octets[at] ^= 1;
            octets
        };
        let mut endings: Vec<String> =
            [1, 20, 21, 22, 23, 60].map(|at| Self::mail(&self.session, &changed(&self.sealed, at))).to_vec();
        endings.extend([1, 10, 100].map(|at| Self::mail(&changed(&self.session, at), &self.sealed)));
        endings
    }

    /// The same with a session key that names another key.
    pub(crate) fn to_somebody_else(&self) -> String {
        let mut session = self.session.clone();
        session[6] ^= 0x55;
        Self::mail(&session, &self.sealed)
    }
}

/// EnvelopedData of AES-256-CBC to bob, by openssl.
pub(crate) struct Cms {
    der: Vec<u8>,
    /// Where the vector is, and where the ciphertext.
    vector: usize,
    sealed: usize,
}

impl Cms {
    pub(crate) fn captured() -> Cms {
        let der = std::fs::read("testdata/oracle/captured.der").unwrap();
        // aes256-CBC (2.16.840.1.101.3.4.1.42), an octet string of 16 octets, an implicit one of the ciphertext.
        let named = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x04\x10";
        let vector = der.windows(named.len()).position(|window| window == named).unwrap() + named.len();
        assert_eq!(der[vector + 16], 0x80);
        let long = usize::from(der[vector + 17].saturating_sub(0x80));
        Cms { vector, sealed: vector + 18 + long, der }
    }

    /// The same envelope around another vector and ciphertext.
    fn mail(&self, vector: &[u8], sealed: &[u8]) -> String {
        let body = [&self.der[self.body()..self.vector], vector].concat();
        let content = [&body, &tlv(0x80, sealed)[..]].concat();
        let whole = self.rebuilt(&content);
        format!(
            "From: Eve <eve@evil.example.org>\r\nTo: bob@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
             Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}",
            armored(&whole)
        )
    }

    /// Where the content of EncryptedContentInfo begins: the object identifier of data.
    fn body(&self) -> usize {
        let data = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
        self.der[..self.vector].windows(data.len()).rposition(|window| window == data).unwrap()
    }

    /// All around EncryptedContentInfo, with lengths that fit.
    fn rebuilt(&self, encrypted: &[u8]) -> Vec<u8> {
        let (info, _) = content(&self.der);
        let kind = &info[..11];
        let (explicit, _) = content(&info[11..]);
        let (data, _) = content(explicit);
        let version = &data[..3];
        let (_, recipients) = content(&data[3..]);
        let data = [version, &data[3..3 + recipients], &tlv(0x30, encrypted)].concat();
        tlv(0x30, &[kind, &tlv(0xa0, &tlv(0x30, &data))].concat())
    }

    fn vector(&self) -> &[u8] {
        &self.der[self.vector..self.vector + 16]
    }

    fn sealed(&self) -> &[u8] {
        &self.der[self.sealed..]
    }

    pub(crate) fn unchanged(&self) -> String {
        self.mail(self.vector(), self.sealed())
    }

    /// One block under 256 vectors: one or two of them have a right padding.
    pub(crate) fn paddings(&self) -> Vec<String> {
        let message = |x: u8| {
            let mut vector = self.vector().to_vec();
            vector[15] ^= x;
            self.mail(&vector, &self.sealed()[..16])
        };
        (0..=255).map(message).collect()
    }

    /// The last block does not decrypt to a padding.
    pub(crate) fn damaged(&self) -> String {
        let mut sealed = self.sealed().to_vec();
        let at = sealed.len() - 17;
        sealed[at] ^= 0x80;
        self.mail(self.vector(), &sealed)
    }

    /// For an unknown serial number.
    pub(crate) fn to_somebody_else(&self) -> String {
        let mut other = Cms::captured();
        let serial = other.der.windows(4).position(|window| window == [0x02, 0x01, 0x4d, 0x30]);
        let at = serial.expect("serial 4D") + 2;
        other.der[at] = 0x4e;
        other.unchanged()
    }

    /// Blocks of chosen text around the captured ones (Poddebniak et al. 2018): the first 16 octets of the plaintext are known.
    pub(crate) fn gadget(&self) -> String {
        let xor = |one: &[u8], other: &[u8]| -> Vec<u8> { one.iter().zip(other).map(|(a, b)| a ^ b).collect() };
        let first = &self.sealed()[..16];
        let block = xor(b"Content-Type: te", self.vector());
        let vector = xor(&block, b"Content-Type:  (");
        let mut sealed = first.to_vec();
        for wanted in [&b")text/html\r\n\r\n<b"[..], b" c='>'><img d=' ", b"'  src='//[::1]/"] {
            sealed.extend(xor(&block, wanted));
            sealed.extend(first);
        }
        sealed.extend(&self.sealed()[16..]);
        sealed.extend(xor(&block, b"'>\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e\x0e"));
        sealed.extend(first);
        self.mail(&vector, &sealed)
    }
}

/// The content of the first element, and the length of all of it.
fn content(der: &[u8]) -> (&[u8], usize) {
    let (length, at) = match der[1] {
        short @ ..0x80 => (usize::from(short), 2),
        long => {
            let count = usize::from(long - 0x80);
            (der[2..2 + count].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), 2 + count)
        }
    };
    (&der[at..at + length], at + length)
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    match value.len() {
        short @ ..0x80 => [&[tag, u8::try_from(short).unwrap()], value].concat(),
        _ => [&[tag, 0x84], &length[..], value].concat(),
    }
}
