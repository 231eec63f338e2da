//! Ciphertexts for ML-KEM (RFC 9980, section 4), changed by an attacker who has no key: ML-KEM itself never refuses one (implicit rejection), and neither
//! the program nor its words say what was changed.

mod equal_time;

use std::{collections::BTreeSet, sync::Arc};

use postseal::{
    base::{Limits, SystemClock},
    keys::{Binding, Memory, Passphrases, ProtocolName},
    mail::{
        Address,
        encoding::{base64_decode, base64_encode},
    },
    protocol::pgp::{
        generate::{Algorithm, Profile, Request, generate},
        keyfile::LockedKeys,
    },
};

const ADDRESS: &str = "alice@example.org";
const TEXT: &str = "From: alice@example.org\r\nTo: alice@example.org\r\nSubject: x\r\n\r\nThe launch code.\r\n";

/// Whatever octet of the session key's packet or of the container is changed: nothing opens, and there is one answer.
#[test]
fn a_change_anywhere_is_one_answer() {
    for (algorithm, fields) in [(Algorithm::Curve25519, 32 + 1_088), (Algorithm::Curve448, 56 + 1_568)] {
        let keys = keyring(algorithm);
        let message = Captured::of(&keys);
        assert!(String::from_utf8_lossy(&opened(&message.mail(), &keys).unwrap()).contains("launch code"));
        let start = message.fields();
        let wrapped = start + fields + 1;
        let in_session = (start..wrapped - 1).step_by(29).chain((wrapped..message.session.len()).step_by(3));
        let mut changed: Vec<Captured> = in_session.map(|at| message.with_session(at)).collect();
        // After version, algorithms and the size of a chunk.
        changed.extend((4..message.container.len()).step_by(23).map(|at| message.with_container(at)));
        assert!(changed.len() > 50);
        let answers: BTreeSet<_> = changed.iter().map(|one| opened(&one.mail(), &keys).unwrap_err()).collect();
        assert_eq!(answers, BTreeSet::from([REFUSAL.to_owned()]), "{algorithm:?}");
    }
}

/// What is encrypted to another key, under the name of this one.
#[test]
fn a_capsule_for_another_key_is_the_same_answer() {
    let (keys, others) = (keyring(Algorithm::Curve25519), keyring(Algorithm::Curve25519));
    let (message, other) = (Captured::of(&keys), Captured::of(&others));
    let session = [&message.session[..message.fields()], &other.session[other.fields()..]].concat();
    let spliced = Captured { session, container: other.container.clone() };
    assert_eq!(opened(&spliced.mail(), &keys).unwrap_err(), REFUSAL);
    // To its own name, it is for no key here.
    assert!(opened(&other.mail(), &keys).unwrap_err().contains("no secret key for any recipient"));
}

const REFUSAL: &str = "openpgp message: its integrity check fails: it was damaged or changed";

fn keyring(algorithm: Algorithm) -> Memory {
    let mut request = Request::new(Address::parse(ADDRESS).unwrap());
    request.profile = Profile::Rfc9980;
    request.algorithm = algorithm;
    let mut described = generate(&request, &SystemClock).unwrap().described;
    described.record.bind(Binding::UserIds);
    let mut memory = Memory::new();
    let locked = LockedKeys::new(described.secret.unwrap(), Arc::new(Passphrases::default()), &Limits::default());
    memory.add_locked(described.record.secrets().to_vec(), Arc::new(locked));
    memory.add(described.record);
    memory
}

/// The text, or the words of the error.
fn opened(mail: &str, keys: &Memory) -> Result<Vec<u8>, String> {
    match postseal::decrypt(mail.as_bytes(), keys) {
        Ok((text, _)) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// A session key's packet of version 6, and a container of version 2.
struct Captured {
    session: Vec<u8>,
    container: Vec<u8>,
}

impl Captured {
    fn of(keys: &Memory) -> Captured {
        Captured::of_text(TEXT, keys)
    }

    fn of_text(text: &str, keys: &Memory) -> Captured {
        let to = [Address::parse(ADDRESS).unwrap()];
        let sealed = postseal::encrypt(text.as_bytes(), ProtocolName::Pgp, &to, keys).unwrap();
        let sealed = String::from_utf8(sealed).unwrap();
        let block = sealed.split("-----BEGIN PGP MESSAGE-----").nth(1).unwrap().split("-----END").next().unwrap();
        let octets = base64_decode(block.trim().replace("\r\n", "").as_bytes());
        let [0xc1, high, low, rest @ ..] = octets.as_slice() else { panic!("{octets:?}") };
        let length = (usize::from(*high) - 192) * 256 + usize::from(*low) + 192;
        let (session, rest) = rest.split_at(length);
        // The container has a length of one, two or five octets, or of parts: it is short here.
        let (length, rest) = match rest {
            [0xd2, one @ 0..192, rest @ ..] => (usize::from(*one), rest),
            [0xd2, high @ 192..224, low, rest @ ..] => {
                ((usize::from(*high) - 192) * 256 + usize::from(*low) + 192, rest)
            }
            [0xd2, 255, a, b, c, d, rest @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => panic!("{rest:?}"),
        };
        assert_eq!((session[0], rest[0], rest.len()), (6, 2, length));
        Captured { session: session.to_vec(), container: rest.to_vec() }
    }

    /// Where the fields of the algorithm begin: after version, the named key and the algorithm.
    fn fields(&self) -> usize {
        2 + usize::from(self.session[1]) + 1
    }

    fn with_session(&self, at: usize) -> Captured {
        Captured { session: flipped(&self.session, at), container: self.container.clone() }
    }

    fn with_container(&self, at: usize) -> Captured {
        Captured { session: self.session.clone(), container: flipped(&self.container, at) }
    }

    fn mail(&self) -> String {
        let packet =
            |tag: u8, body: &[u8]| [&[tag, 255], &u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
        let packets = [packet(0xc1, &self.session), packet(0xd2, &self.container)].concat();
        format!(
            "From: {ADDRESS}\r\nTo: {ADDRESS}\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n\
             --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
             --b\r\nContent-Type: application/octet-stream\r\n\r\n\
             -----BEGIN PGP MESSAGE-----\r\n\r\n{}-----END PGP MESSAGE-----\r\n\r\n--b--\r\n",
            String::from_utf8(base64_encode(&packets)).unwrap()
        )
    }
}

fn flipped(octets: &[u8], at: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[at] ^= 1 << (at % 8);
    octets
}
