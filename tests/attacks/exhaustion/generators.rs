//! Messages that cost as much as they can, each in a size that is asked for. They are not for any real key.

use std::io::{self, Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};

/// What stands on top of every message here.
pub(crate) const FROM: &str = "From: eve@evil.example.org\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\n";

/// OpenPGP packets that mean nothing.
pub(crate) const PACKETS: [(&str, &[u8]); 3] =
    [("unknown", b"\xfc\x00"), ("padding", b"\xd5\x00"), ("marker", b"\xca\x03PGP")];

/// A detached OpenPGP signature that is so many octets of `packet` over and over.
pub(crate) fn packets(packet: &[u8], octets: usize) -> Vec<u8> {
    let head = "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
                Content-Type: application/pgp-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    [FROM.as_bytes(), head.as_bytes(), &packet.repeat(octets / packet.len()), b"\r\n--b--\r\n"].concat()
}

/// A text of so many octets in as many layers of S/MIME, each with 16 signers and 16 hash functions, and with `certificate`, if there is one, as that of all
/// signers. Lines end with LF alone, so that there are two readings of the text.
pub(crate) fn digests(layers: usize, certificate: Option<&[u8]>, octets: usize) -> Vec<u8> {
    let line = [&[b'x'; 70][..], b"\n"].concat();
    let mut message = [b"Content-Type: text/plain\r\n\r\n".to_vec(), line.repeat(octets / line.len())].concat();
    let name = issuer_and_serial(certificate);
    let signers: Vec<Vec<u8>> = DIGESTS.iter().map(|digest| signer(&name, digest)).collect();
    let certificates = certificate.map(|der| tlv(0xa0, &[der])).unwrap_or_default();
    let data =
        [&[2, 1, 1][..], &tlv(0x31, &[]), &sequence(&[&oid(DATA)]), &certificates, &tlv(0x31, &[&signers.concat()])]
            .concat();
    let signature = wrapped(&content_info(SIGNED, &sequence(&[&data])));
    for layer in 0..layers {
        let head = format!(
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b{layer}\r\n\r\n--b{layer}\r\n"
        );
        let tail = format!(
            "\r\n--b{layer}\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--b{layer}--\r\n"
        );
        message = [head.as_bytes(), &message, tail.as_bytes()].concat();
    }
    [FROM.as_bytes(), &message].concat()
}

/// A text of cleartext-signed blocks, one after the other.
pub(crate) fn blocks(octets: usize) -> Vec<u8> {
    let block = "-----BEGIN PGP SIGNED MESSAGE-----\n\nhi\n-----BEGIN PGP SIGNATURE-----\n\n/AA=\n-----END PGP SIGNATURE-----\nand\n";
    format!("{FROM}\nText:\n{}", block.repeat(octets / block.len())).into_bytes()
}

/// So many parts whose Content-Type is `pattern` over and over.
pub(crate) fn fields(pattern: &str, parts: usize, octets: usize) -> Vec<u8> {
    let value = pattern.repeat(octets / parts / pattern.len());
    let part = format!("--b\r\nContent-Type: text/plain; name=x{value}\r\n\r\nhi\r\n");
    format!("{FROM}Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(parts)).into_bytes()
}

/// 50 multiparts within one another, and lines that begin like their boundaries.
pub(crate) fn boundaries(octets: usize) -> Vec<u8> {
    let open: String = (0..50)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"))
        .collect();
    format!("{FROM}{open}\r\n{}", "--x\n".repeat(octets / 4)).into_bytes()
}

/// The header of a packet with this tag, new format with a length of five octets, and 128 MiB of zeros, behind the version of a container, packed as often as
/// `times` (RFC 9580, section 5.6: ZIP).
pub(crate) fn packed(tag: u8, times: usize) -> Vec<u8> {
    const SIZE: u32 = 1 << 27;
    let pack = |from: &mut dyn Read| {
        // Old format, tag 8, as long as there is data; algorithm 1.
        let mut deflate = DeflateEncoder::new(vec![0xa3, 1], Compression::fast());
        io::copy(from, &mut deflate).unwrap();
        deflate.finish().unwrap()
    };
    let version = u8::from(tag == 18);
    let header = [&[0xc0 | tag, 0xff], &SIZE.to_be_bytes()[..], &[version]].concat();
    let mut packed = pack(&mut header.as_slice().chain(io::repeat(0).take(u64::from(SIZE) - 1)));
    for _ in 1..times {
        packed = pack(&mut packed.as_slice());
    }
    let armored = wrapped(&packed);
    format!("{FROM}\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n{armored}-----END PGP MESSAGE-----\r\n").into_bytes()
}

/// Parts that are encrypted by S/MIME, each to 900 unknown recipients, without smime-type.
pub(crate) fn envelopes(octets: usize) -> Vec<u8> {
    let readers: Vec<u8> = (0..900_u32).flat_map(|number| transport(&number.to_be_bytes())).collect();
    let body = wrapped(&enveloped(&readers));
    let part =
        format!("--b\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n");
    let parts = part.repeat((octets / part.len()).clamp(1, 900));
    format!("{FROM}Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n").into_bytes()
}

/// One KeyAgreeRecipientInfo with keys for so many readers.
pub(crate) fn agreed(readers: usize) -> Vec<u8> {
    let originator = tlv(0xa0, &[&tlv(0xa1, &[&sequence(&[&oid("1.3.101.110")]), &tlv(3, &[&[0; 33]])])]);
    let wrap = sequence(&[&oid("2.16.840.1.101.3.4.1.45")]);
    let scheme = sequence(&[&oid("1.2.840.113549.1.9.16.3.19"), &wrap]);
    let one = |number: usize| sequence(&[&tlv(0xa0, &[&tlv(4, &[&number.to_be_bytes()])]), &tlv(4, &[&[7; 40]])]);
    let keys: Vec<u8> = (0..readers).flat_map(one).collect();
    let info = tlv(0xa1, &[&[2, 1, 3], &originator, &scheme, &sequence(&[&keys])]);
    let body = wrapped(&enveloped(&info));
    format!(
        "{FROM}Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A signature with certificates and revocation lists of so many octets.
pub(crate) fn attached(certificates: usize, revocations: usize) -> Vec<u8> {
    let filled = |tag: u8, octets: usize| tlv(tag, &[&sequence(&[&tlv(4, &[&vec![0; octets]])])]);
    let signer = signer(&issuer_and_serial(None), "2.16.840.1.101.3.4.2.1");
    let fields = [
        &[2, 1, 1][..],
        &tlv(0x31, &[]),
        &sequence(&[&oid(DATA)]),
        &filled(0xa0, certificates),
        &filled(0xa1, revocations),
        &tlv(0x31, &[&signer]),
    ];
    let signature = wrapped(&content_info(SIGNED, &sequence(&fields)));
    format!(
        "{FROM}Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
         Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--b--\r\n"
    )
    .into_bytes()
}

fn signer(name: &[u8], digest: &str) -> Vec<u8> {
    let attribute = |kind: &str, value: &[u8]| sequence(&[&oid(kind), &tlv(0x31, &[value])]);
    let attributes =
        [attribute("1.2.840.113549.1.9.3", &oid(DATA)), attribute("1.2.840.113549.1.9.4", &tlv(4, &[&[0; 20]]))];
    sequence(&[
        &[2, 1, 1],
        name,
        &sequence(&[&oid(digest)]),
        &tlv(0xa0, &[&attributes.concat()]),
        &sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]),
        &tlv(4, &[&[0; 256]]),
    ])
}

/// IssuerAndSerialNumber of a certificate in DER, or of an unknown one.
fn issuer_and_serial(certificate: Option<&[u8]>) -> Vec<u8> {
    let Some(certificate) = certificate else {
        let name = sequence(&[&tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &tlv(12, &[b"x"])])])]);
        return sequence(&[&name, &[2, 1, 1]]);
    };
    let (_, body, _) = split(certificate);
    let (_, mut fields, _) = split(body);
    let mut elements = Vec::new();
    while !fields.is_empty() {
        let (whole, _, rest) = split(fields);
        elements.push(whole);
        fields = rest;
    }
    // Version, serial number, algorithm, issuer (RFC 5280, section 4.1).
    sequence(&[elements[3], elements[1]])
}

/// The first element, its content, and what follows it.
fn split(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (start, length) = match usize::from(der[1]) {
        short @ 0..=127 => (2, short),
        long => {
            let octets = &der[2..2 + (long & 127)];
            (2 + octets.len(), octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        }
    };
    (&der[..start + length], &der[start..start + length], &der[start + length..])
}

fn transport(serial: &[u8]) -> Vec<u8> {
    sequence(&[
        &[2, 1, 0],
        &sequence(&[&sequence(&[]), &tlv(2, &[serial])]),
        &sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]),
        &tlv(4, &[&[1; 16]]),
    ])
}

fn enveloped(recipients: &[u8]) -> Vec<u8> {
    let cipher = sequence(&[&oid("2.16.840.1.101.3.4.1.42"), &tlv(4, &[&[0; 16]])]);
    let content = sequence(&[&oid(DATA), &cipher, &tlv(0x80, &[&[0; 32]])]);
    content_info("1.2.840.113549.1.7.3", &sequence(&[&[2, 1, 2], &tlv(0x31, &[recipients]), &content]))
}

pub(crate) fn content_info(kind: &str, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &tlv(0xa0, &[content])])
}

pub(crate) fn sequence(content: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, content)
}

pub(crate) fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=127) => element.push(short),
        _ => {
            element.push(0x84);
            element.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    [element, content].concat()
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![u8::try_from(arcs[0] * 40 + arcs[1]).unwrap()];
    for arc in &arcs[2..] {
        let groups = (0..5).rev().map(|at| u8::try_from(arc >> (7 * at) & 0x7f).unwrap());
        let mut octets: Vec<u8> = groups.skip_while(|group| *group == 0).collect();
        octets = if octets.is_empty() { vec![0] } else { octets };
        let last = octets.len() - 1;
        octets[..last].iter_mut().for_each(|octet| *octet |= 0x80);
        content.extend(octets);
    }
    tlv(6, &[&content])
}

/// Base64 in lines.
pub(crate) fn wrapped(octets: &[u8]) -> String {
    let encoded = STANDARD.encode(octets);
    encoded.as_bytes().chunks(76).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect()
}

pub(crate) const DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED: &str = "1.2.840.113549.1.7.2";
/// MD2, MD5, RIPEMD-160, SHA-1, SHA-2, SHA-3, SHAKE.
const DIGESTS: [&str; 16] = [
    "1.2.840.113549.2.2",
    "1.2.840.113549.2.5",
    "1.3.36.3.2.1",
    "1.3.14.3.2.26",
    "2.16.840.1.101.3.4.2.4",
    "2.16.840.1.101.3.4.2.1",
    "2.16.840.1.101.3.4.2.2",
    "2.16.840.1.101.3.4.2.3",
    "2.16.840.1.101.3.4.2.5",
    "2.16.840.1.101.3.4.2.6",
    "2.16.840.1.101.3.4.2.7",
    "2.16.840.1.101.3.4.2.8",
    "2.16.840.1.101.3.4.2.9",
    "2.16.840.1.101.3.4.2.10",
    "2.16.840.1.101.3.4.2.11",
    "2.16.840.1.101.3.4.2.12",
];

/// `first`, then `open` as often as it fits, each with a `close`.
pub(crate) fn nested(first: &str, open: &str, close: &str, octets: usize) -> String {
    let count = octets / (open.len() + close.len());
    format!("{first}{}{}</div>", open.repeat(count), close.repeat(count))
}
