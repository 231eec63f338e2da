//! Messages by chance: what programs seal, and everything that tests/support/change and an attacker with a hex editor do to it.

use std::sync::{Arc, OnceLock};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    engine::{HandlerConfig, ReloadableHandler},
    keys::{Keys, Memory, Passphrases, ProtocolName},
    protocol::{Recipient, Seal, Shape, Signer, pgp, smime},
    store,
};

use crate::{
    gateway::rules::one,
    support::change::{self, Change, Dice},
    support::entity::Entity,
    support::handler,
};

/// A message, and what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Oddity {
    pub(crate) name: String,
    pub(crate) octets: Vec<u8>,
}

/// A message by chance.
pub(crate) fn oddity(dice: &mut Dice) -> Oddity {
    let (sealed, open) = seeds();
    let Oddity { name, mut octets } = match dice.below(12) {
        0..=4 => changed(dice, sealed),
        5 | 6 => object(dice),
        7 => inserted(dice, sealed),
        8 => said(dice, sealed),
        9 => one(dice, open).into(),
        10 => changed(dice, open),
        _ => mutated(dice, sealed),
    };
    let author = one(dice, &["alice", "alice", "alice", "alice", "alice", "alice", "mallory", "bob"]);
    if let Some(at) = memchr::memmem::find(&octets, b"From: alice@") {
        octets.splice(at + 6..at + 11, author.bytes());
    }
    if dice.below(4) == 0 {
        octets.splice(..0, b"X-Seal: yes\r\n".iter().copied());
    }
    Oddity { name, octets }
}

/// A message to begin with, and all single changes of it.
#[derive(Clone)]
struct Seed {
    name: String,
    entity: Entity,
    changes: Arc<Vec<Change>>,
}

impl From<Seed> for Oddity {
    fn from(seed: Seed) -> Oddity {
        Oddity { name: seed.name, octets: seed.entity.write() }
    }
}

fn changed(dice: &mut Dice, seeds: &[Seed]) -> Oddity {
    let seed = one(dice, seeds);
    let (mut entity, mut name) = (seed.entity.clone(), seed.name.clone());
    for place in 0..dice.below(4) {
        let change = &seed.changes[dice.below(seed.changes.len())];
        // Whole messages alone can be taken apart and put into something else.
        if place == 0 || change.family() != "wrapped" {
            change.apply(&mut entity);
            name = format!("{name}; {}", change.name);
        }
    }
    Oddity { name, octets: entity.write() }
}

/// Text in one of the places where programs write words of their own.
fn said(dice: &mut Dice, seeds: &[Seed]) -> Oddity {
    let Oddity { mut name, octets } = one(dice, seeds).into();
    let mut text = String::from_utf8(octets).unwrap();
    let places: Vec<&(&str, &str)> = PLACES.iter().filter(|(place, _)| text.contains(place)).collect();
    for _ in 0..=dice.below(2) {
        let (place, words) = one(dice, &places);
        text = match dice.below(2) {
            0 => text.replacen(place, words, 1),
            _ => text.replace(place, words),
        };
        name = format!("{name}; {words:?} for {place:?}");
    }
    Oddity { name, octets: text.into_bytes() }
}

/// What stands in a sealed message, and what is put there.
const PLACES: [(&str, &str); 18] = [
    ("PGP/MIME version identification", TEXT),
    ("OpenPGP encrypted message", TEXT),
    ("OpenPGP digital signature", TEXT),
    ("S/MIME message", TEXT),
    ("encrypted.asc", "Please pay Mallory.asc"),
    ("signature.asc", "Pay-Mallory"),
    ("smime.p7m", "Please pay Mallory.p7m"),
    ("Content-Description", "X-Text: Please pay Mallory.\r\nContent-Description"),
    ("Content-Disposition", "Content-ID: <pay@mallory>\r\nContent-Disposition"),
    ("MIME-Version: 1.0", "MIME-Version: 1.0\r\nContent-Location: pay-mallory"),
    ("Version: 1\r\n", "Version: 1\r\nPlease: pay Mallory.\r\n"),
    ("-----BEGIN PGP MESSAGE-----\r\n", "-----BEGIN PGP MESSAGE-----\r\nComment: Please pay Mallory.\r\n"),
    ("-----BEGIN PGP MESSAGE-----\r\n", "-----BEGIN PGP MESSAGE-----\r\nVersion: Please pay Mallory.\r\n"),
    ("-----BEGIN PGP SIGNATURE-----\r\n", "-----BEGIN PGP SIGNATURE-----\r\nComment: Please pay Mallory.\r\n"),
    ("\r\n\r\n--=_", "\r\n\r\nPlease pay Mallory.\r\n--=_"),
    ("--\r\n", "--\r\nPlease pay Mallory.\r\n"),
    ("DEK-Info", "Recipient-Name: Please pay Mallory.\r\nDEK-Info"),
    ("DES-CBC", "Please-pay-Mallory"),
];

/// Text at the beginning of some line below the header.
fn inserted(dice: &mut Dice, seeds: &[Seed]) -> Oddity {
    let Oddity { name, mut octets } = one(dice, seeds).into();
    let header =
        memchr::memmem::find(&octets, b"\n\r\n").or(memchr::memmem::find(&octets, b"\n\n")).unwrap_or_default();
    let lines: Vec<usize> = memchr::memchr_iter(b'\n', &octets).filter(|at| *at > header).map(|at| at + 1).collect();
    let at = one(dice, &lines);
    let text = written(dice);
    octets.splice(at..at, text.iter().copied());
    Oddity { name: format!("{name}; text at {at}: {}", String::from_utf8_lossy(&text)), octets }
}

/// The text in one of the ways to write it.
fn written(dice: &mut Dice) -> Vec<u8> {
    let base64 = BASE64_STANDARD.encode(TEXT);
    let quoted: String = TEXT.bytes().map(|octet| format!("={octet:02X}")).collect();
    let utf16: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lines = [
        TEXT.to_owned(),
        base64.clone(),
        quoted,
        format!("Comment: {TEXT}"),
        format!("Version: {TEXT}"),
        format!("Content-Description: {TEXT}"),
        format!("X-Text: {TEXT}"),
        format!(" {TEXT}"),
        format!("= {TEXT}"),
        format!("={TEXT}"),
        format!("{base64}=\r\n={}", &base64[..4]),
        format!("-----BEGIN PGP SIGNATURE-----\r\n\r\n{base64}\r\n-----END PGP SIGNATURE-----"),
        format!(
            "-----BEGIN PGP MESSAGE-----\r\n\r\n{}\r\n-----END PGP MESSAGE-----",
            BASE64_STANDARD.encode(literal())
        ),
        "34&QE87-E('!A>2!-86QL;W)Y+@``".to_owned(),
        format!("\u{e4} {TEXT}"),
        "\u{41f}\u{43e}\u{436}\u{430}\u{43b}\u{443}\u{439}\u{441}\u{442}\u{430}.".to_owned(),
    ];
    let mut text = if dice.below(lines.len() + 1) == 0 { utf16 } else { one(dice, &lines).into_bytes() };
    text.extend_from_slice(b"\r\n");
    text
}

/// Octets changed, lines doubled, moved or gone.
fn mutated(dice: &mut Dice, seeds: &[Seed]) -> Oddity {
    let Oddity { mut name, octets } = inserted(dice, seeds);
    let mut lines: Vec<Vec<u8>> = octets.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=dice.below(4) {
        let (at, to) = (dice.below(lines.len()), dice.below(lines.len()));
        let what = dice.below(5);
        match what {
            0 => lines[at].clear(),
            1 => lines.insert(to, lines[at].clone()),
            2 => lines.swap(at, to),
            3 => lines[at].retain(|octet| *octet != b'\r'),
            _ => {
                let place = dice.below(lines[at].len());
                let octet = u8::try_from(dice.below(256)).unwrap();
                if let Some(changed) = lines[at].get_mut(place) {
                    *changed = octet;
                }
            }
        }
        name = format!("{name}; mutation {what} of {at} to {to}");
    }
    Oddity { name, octets: lines.concat() }
}

/// A sealed part whose octets hold the text.
fn object(dice: &mut Dice) -> Oddity {
    let (name, octets) = if dice.below(2) == 0 { packets(dice) } else { der(dice) };
    let base64: String = BASE64_STANDARD
        .encode(&octets)
        .as_bytes()
        .chunks(64)
        .map(|line| format!("{}\r\n", str::from_utf8(line).unwrap()))
        .collect();
    let armor = format!("-----BEGIN PGP MESSAGE-----\r\n\r\n{base64}-----END PGP MESSAGE-----\r\n");
    let body = match (name.starts_with("packets"), dice.below(4)) {
        (true, 0) => format!("\r\n{armor}"),
        (true, 1) => format!(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
            armor.replace('=', "=3D")
        ),
        (true, _) => format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n\
             Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n{armor}\r\n--b--\r\n"
        ),
        (false, kind) => format!(
            "MIME-Version: 1.0\r\nContent-Type: application/{}pkcs7-mime; smime-type={}\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}",
            if kind == 0 { "x-" } else { "" },
            if kind == 1 { "authEnveloped-data" } else { "enveloped-data" },
        ),
    };
    Oddity { name, octets: format!("{HEADER}{body}").into_bytes() }
}

/// OpenPGP packets, some of which are no ciphertext.
fn packets(dice: &mut Dice) -> (String, Vec<u8>) {
    let packet = |tag: u8, body: &[u8]| [&[0xc0 | tag, u8::try_from(body.len()).unwrap()], body].concat();
    let (key, container) = pgp_pieces();
    let text = TEXT.repeat(2);
    let words = |before: &[u8]| [before, text.as_bytes()].concat();
    let odd = [
        ("a literal", literal()),
        ("a private packet", packet(60 + u8::try_from(dice.below(4)).unwrap(), text.as_bytes())),
        ("padding", packet(21, text.as_bytes())),
        ("a marker", packet(10, text.as_bytes())),
        ("cipher 0", packet(3, &words(b"\x04\x00\x03\x02saltsalt\xff"))),
        ("a password", packet(3, &words(b"\x04\x09\x03\x02saltsalt\xff"))),
        ("a session key", packet(1, &words(b"\x03\0\0\0\0\0\0\0\0\x01"))),
        ("a container", packet(18, &words(b"\x01"))),
        ("a container of cipher 0", packet(18, &words(b"\x02\x00\x02\x06"))),
        ("a container of old", packet(9, text.as_bytes())),
        ("LibrePGP's of cipher 0", packet(20, &words(b"\x01\x00\x02\x06"))),
        (
            "a stored deflate",
            packet(
                8,
                &[
                    b"\x01\x01",
                    &[u8::try_from(literal().len()).unwrap(), 0, !u8::try_from(literal().len()).unwrap(), 0xff][..],
                    &literal(),
                ]
                .concat(),
            ),
        ),
        ("a signature", packet(2, &words(b"\x04\x00\x16\x08\x00\x00\x00\x40"))),
        ("no length", words(b"\xa7")),
        ("text", text.clone().into_bytes()),
        ("nothing", Vec::new()),
    ];
    let (name, odd) = one(dice, &odd);
    let orders: [(&str, Vec<&[u8]>); 8] = [
        ("behind", vec![key, container, &odd]),
        ("before", vec![&odd, key, container]),
        ("between", vec![key, &odd, container]),
        ("for the container", vec![key, &odd]),
        ("for the key", vec![&odd, container]),
        ("alone", vec![&odd]),
        ("without a key", vec![container]),
        ("twice", vec![key, container, &odd, key, container]),
    ];
    let (place, order) = one(dice, &orders);
    (format!("packets: {name} {place}"), order.concat())
}

/// A CMS object, some of which is no ciphertext.
fn der(dice: &mut Dice) -> (String, Vec<u8>) {
    let tlv = |tag: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], length.as_slice(), &body].concat()
    };
    let text = TEXT.repeat(4);
    let text = &text.as_bytes()[..64];
    let random: Vec<u8> = (0..64).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
    let rsa = tlv(0x30, &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"]);
    let reader = tlv(0x30, &[b"\x02\x01\x02\x80\x04\x01\x02\x03\x04", &rsa, &tlv(4, &[&random])]);
    let other = tlv(0xa4, &[b"\x06\x03\x2a\x03\x04", &tlv(12, &[text])]);
    let aes = tlv(0x30, &[b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a", &tlv(4, &[&random[..16]])]);
    let unknown = tlv(0x30, &[b"\x06\x03\x2a\x03\x04", &tlv(4, &[text])]);
    let data: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    let (octet_string, set) = (tlv(4, &[text]), tlv(0x31, &[&tlv(12, &[text])]));
    let kind = |last: u8| [b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07".as_slice(), &[last]].concat();
    let envelope = |kind: &[u8], readers: &[&[u8]], cipher: &[u8], content: &[u8], attributes: &[u8]| {
        let info = tlv(0x30, &[data, cipher, content]);
        let fields = tlv(0x30, &[b"\x02\x01\x00", &tlv(0x31, readers), &info, attributes]);
        tlv(0x30, &[kind, &tlv(0xa0, &[&fields])])
    };
    let hidden = tlv(0x80, &[&random]);
    let whole = envelope(&kind(3), &[&reader], &aes, &hidden, b"");
    let unprotected = [b"\xa1".as_slice(), &set[1..]].concat();
    let all = [
        ("nobody", envelope(&kind(3), &[], &aes, &tlv(0x80, &[text]), b"")),
        ("text for ciphertext", envelope(&kind(3), &[&reader], &aes, &tlv(0x80, &[text]), b"")),
        ("another kind of reader", envelope(&kind(3), &[&reader, &other], &aes, &hidden, b"")),
        ("an unknown cipher", envelope(&kind(3), &[&reader], &unknown, &hidden, b"")),
        ("attributes", envelope(&kind(3), &[&reader], &aes, &hidden, &unprotected)),
        ("no content", envelope(&kind(3), &[&reader], &aes, b"", &unprotected)),
        ("something behind", [whole.as_slice(), &octet_string].concat()),
        ("text behind", [whole.as_slice(), text].concat()),
        ("signed data", envelope(&kind(2), &[&reader], &aes, &tlv(0x80, &[text]), b"")),
        ("data", tlv(0x30, &[&kind(1), &tlv(0xa0, &[&octet_string])])),
        (
            "encrypted data",
            tlv(
                0x30,
                &[
                    &kind(6),
                    &tlv(0xa0, &[&tlv(0x30, &[b"\x02\x01\x00", &tlv(0x30, &[data, &aes, &tlv(0x80, &[text])])])]),
                ],
            ),
        ),
        (
            "originator",
            tlv(
                0x30,
                &[
                    &kind(3),
                    &tlv(
                        0xa0,
                        &[&tlv(
                            0x30,
                            &[
                                b"\x02\x01\x00",
                                &[b"\xa0", &set[1..]].concat(),
                                &tlv(0x31, &[&reader]),
                                &tlv(0x30, &[data, &aes, &hidden]),
                            ],
                        )],
                    ),
                ],
            ),
        ),
        ("in pieces", envelope(&kind(3), &[&reader], &aes, &tlv(0xa0, &[&octet_string]), b"")),
        ("a whole one", whole),
    ];
    let (name, octets) = one(dice, &all);
    (format!("der: {name}"), octets)
}

/// A literal data packet (RFC 9580, section 5.9).
fn literal() -> Vec<u8> {
    let body = [b"b\0\0\0\0\0", TEXT.as_bytes()].concat();
    [&[0xcb, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

/// The session key and the container of a message to a stranger.
fn pgp_pieces() -> (&'static [u8], &'static [u8]) {
    static PIECES: OnceLock<Vec<u8>> = OnceLock::new();
    let octets = PIECES.get_or_init(|| {
        let sealed = String::from_utf8(to_a_stranger(ProtocolName::Pgp, Shape::Mime, &plain())).unwrap();
        let start = sealed.find("-----BEGIN PGP MESSAGE-----\r\n\r\n").unwrap() + 31;
        let lines = &sealed[start..sealed.find("\r\n=").unwrap()];
        BASE64_STANDARD.decode(lines.replace("\r\n", "")).unwrap()
    });
    octets.split_at(2 + usize::from(octets[1]))
}

fn plain() -> String {
    format!("{HEADER}\r\n{TEXT}\r\n")
}

/// Keys of both protocols that the service does not have, and mallory's own.
fn foreign() -> &'static HandlerConfig {
    static FOREIGN: OnceLock<HandlerConfig> = OnceLock::new();
    FOREIGN.get_or_init(|| {
        let mut files: Vec<Vec<u8>> = Vec::new();
        for who in [STRANGER, "mallory@example.org"] {
            let generated =
                pgp::generate::generate(&pgp::generate::Request::new(handler::address(who)), &SystemClock).unwrap();
            files.push(generated.described.secret.unwrap().expose().to_vec());
            let mut request = smime::generate::Request::new(handler::address(who));
            request.algorithm = smime::generate::Algorithm::P256;
            let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
            files.push(described.record.bytes().to_vec());
            files.push(described.secret.unwrap().expose().to_vec());
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("generated", file.as_slice())).collect();
        let keys: Memory = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
        HandlerConfig { keys: Arc::new(keys) as Arc<dyn Keys>, ..HandlerConfig::clone(&handler::hook().config()) }
    })
}

fn seal(setup: &HandlerConfig, protocol: ProtocolName, how: &Seal, message: &str) -> Vec<u8> {
    let mut sealed = Vec::new();
    setup.engine().seal(protocol, &handler::parse(message), how, &mut sealed).unwrap();
    sealed
}

fn to_a_stranger(protocol: ProtocolName, shape: Shape, message: &str) -> Vec<u8> {
    let seal_to = Seal { to: vec![Recipient::Named(handler::address(STRANGER))], shape, ..Seal::default() };
    seal(foreign(), protocol, &seal_to, message)
}

/// Those that show nothing, and those that show the text.
fn seeds() -> &'static (Vec<Seed>, Vec<Seed>) {
    static SEEDS: OnceLock<(Vec<Seed>, Vec<Seed>)> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let seed = |name: &str, octets: Vec<u8>| {
            let entity = Entity::parse(&octets);
            Seed { name: name.to_owned(), changes: Arc::new(change::all(&entity)), entity }
        };
        let lf = |octets: &[u8]| octets.iter().copied().filter(|octet| *octet != b'\r').collect::<Vec<u8>>();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let alice = ReloadableHandler::config(&handler::hook());
        let signed = |setup: &HandlerConfig, protocol, shape, message: &str| {
            seal(setup, protocol, &Seal { sign: vec![Signer::Author], shape, ..Seal::default() }, message)
        };
        let pgp = to_a_stranger(ProtocolName::Pgp, Shape::Mime, &plain());
        let smime = to_a_stranger(ProtocolName::Smime, Shape::Mime, &plain());
        let inline = to_a_stranger(ProtocolName::Pgp, Shape::Inline, &plain());
        let sealed = vec![
            seed("pgp", pgp.clone()),
            seed("pgp with lf", lf(&pgp)),
            seed("smime", smime.clone()),
            seed("smime with lf", lf(&smime)),
            seed("inline", inline),
            seed("signed pgp", signed(&alice, ProtocolName::Pgp, Shape::Mime, &text(&pgp))),
            seed("signed smime", signed(&alice, ProtocolName::Pgp, Shape::Mime, &text(&smime))),
            seed("pem", format!("{HEADER}\r\n{PEM}").into_bytes()),
        ];
        let by_mallory = |shape| {
            let message = plain().replace("alice@", "mallory@");
            let signed = text(&signed(foreign(), ProtocolName::Pgp, shape, &message));
            signed.replacen("From: mallory@", "From: alice@", 1).into_bytes()
        };
        let html = format!(
            "{HEADER}MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\n{TEXT}\r\n--a\r\nContent-Type: text/html\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--a--\r\n",
            BASE64_STANDARD.encode(TEXT)
        );
        let lie = |kind: &str| {
            format!(
                "{HEADER}MIME-Version: 1.0\r\nContent-Type: {kind}; boundary=b\r\n\r\n--b\r\n\r\n{TEXT}\r\n--b\r\n\r\n{TEXT}\r\n--b--\r\n"
            )
        };
        let open = vec![
            seed("plain", plain().into_bytes()),
            seed("plain with lf", lf(plain().as_bytes())),
            seed("html", html.into_bytes()),
            seed("signed", signed(&alice, ProtocolName::Pgp, Shape::Mime, &plain())),
            seed("signed in clear", signed(&alice, ProtocolName::Pgp, Shape::Inline, &plain())),
            seed("signed and opaque", signed(&alice, ProtocolName::Smime, Shape::Opaque, &plain())),
            seed("signed by smime", signed(&alice, ProtocolName::Smime, Shape::Mime, &plain())),
            seed("signed by mallory", by_mallory(Shape::Mime)),
            seed("signed in clear by mallory", by_mallory(Shape::Inline)),
            seed("says encrypted", lie("multipart/encrypted; protocol=\"application/pgp-encrypted\"").into_bytes()),
            seed("says signed", lie("multipart/signed; protocol=\"application/pgp-signature\"").into_bytes()),
        ];
        (sealed, open)
    })
}

const STRANGER: &str = "stranger@elsewhere.example";
pub(crate) const TEXT: &str = "Please pay 1000 EUR to Mallory, today.";
const HEADER: &str = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: s\r\nMessage-ID: <1@example.org>\r\n";
/// RFC 1421, section 4.6, with the fields of its figure that serve to decrypt.
const PEM: &str = "-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: DES-CBC,BFF968AA74691AC1\r\n\
    Recipient-ID-Asymmetric:\r\n MFExCzAJBgNVBAYTAlVTMSAwHgYDVQQKExdSU0EgRGF0YSBTZWN1cml0eSwgSW5j\r\n LjEPMA0GA1UECxMGQmV0YSAxMQ8wDQYDVQQLEwZOT1RBUlk=,\r\n 66\r\n\
    Key-Info: RSA,\r\n O6BS1ww9CTyHPtS3bMLD+L0hejdvX6Qv1HK2ds2sQPEaXhX8EhvVphHYTjwekdWv\r\n 7x0Z3Jx2vTAhOYHMcqqCjA==\r\n\r\n\
    qeWlj/YJ2Uf5ng9yznPbtD0mYloSwIuV9FRYx+gzY+8iXd/NQrXHfi6/MhPfPF3d\r\njIqCJAxvld2xgqQimUzoS1a4r7kQQ5c/Iua4LqKeq3ciFzEv/MbZhA==\r\n\
    -----END PRIVACY-ENHANCED MESSAGE-----\r\n";
