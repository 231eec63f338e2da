//! Genuine messages in every form, made by this program, by gpg and by openssl, and the keys to judge them.

use std::{io::Write as _, sync::Arc, time::SystemTime};

use postseal::{
    base::{Clock as _, Limits, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Engine, Opening},
    keys::{Binding, Keys as _, Memory, Passphrases, ProtocolName, Query, Record, Want},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{Context, Recipient, Seal, Shape, Signer},
    store,
};
use sequoia_openpgp::{
    Cert,
    parse::Parse as _,
    policy::StandardPolicy,
    serialize::stream::{Armorer, Encryptor, LiteralWriter, Message as Packets},
};

use crate::{
    seal_pgp::gnupg::Gpg,
    seal_smime::openssl::{For, Lab},
};

/// A genuine message.
pub(crate) struct Seed {
    pub(crate) name: String,
    /// What is changed: the message, or what is within its encryption.
    pub(crate) message: Vec<u8>,
    pub(crate) around: Around,
}

impl Seed {
    /// Whether the signature is over a text in the body, and not over a MIME part.
    pub(crate) fn is_inline(&self) -> bool {
        let inline = ["pgp-clear", "gpg-clear", "pgp-around-clear", "pgp-opaque", "pgp-inline", "mic-", "pem-"];
        inline.iter().any(|form| self.name.starts_with(form))
    }
}

/// What is put around it once it was changed, without the ability to sign.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    Pgp,
    Smime,
}

/// Alice, the signer, and Bob, the recipient, in OpenPGP by gpg and in S/MIME and PEM by openssl.
pub(crate) struct Keyring {
    gpg: Gpg,
    lab: Lab,
    keys: Memory,
    bob: Cert,
}

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

impl Keyring {
    pub(crate) fn new() -> Keyring {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let gpg = Gpg::new(now - 60);
        gpg.generate("Alice <alice@example.org>", "ed25519");
        gpg.generate("Bob <bob@example.org>", "ed25519");
        let lab = Lab::new();
        lab.issue("alice", "alice@example.org", RSA, For::Mail, 3650, "");
        lab.issue("bob", "bob@example.org", RSA, For::Mail, 3650, "");
        let mut files = vec![lab.read("ca.crt")];
        files.extend(
            ["alice", "bob"]
                .iter()
                .map(|name| [lab.read(&format!("{name}.crt")), lab.read(&format!("{name}.key"))].concat()),
        );
        let secret = ["--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys"];
        files.push(gpg.ok(&secret, b""));
        let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("keys", file.as_slice())).collect();
        let load = |files: &[(&str, &[u8])]| store::load(files, &Arc::new(Passphrases::default()), &Limits::default());
        let mut keys = load(&files).unwrap().keys;
        let root = load(&[("root", &lab.read("root.crt"))]).unwrap().keys;
        let root = root.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap();
        keys.add(Record::clone(&root[0]).with_bindings([Binding::Anchor]));
        let bob = Cert::from_bytes(&gpg.ok(&["--export", "bob@example.org"], b"")).unwrap();
        Keyring { gpg, lab, keys, bob }
    }

    /// What this program says of `message`; `None` when it cannot be parsed within bounds.
    pub(crate) fn opened(&self, message: &[u8]) -> Option<Opening> {
        let engine = self.engine();
        let message = Message::parse(message.to_vec(), &mut engine.budget()).ok()?;
        engine.open(message).ok()
    }

    fn engine(&self) -> Engine<'_> {
        let context = Context {
            keys: &self.keys,
            clock: &SystemClock,
            random: &SystemRandom,
            legacy: Legacy::Refuse,
            revocation: Revocation::Soft,
        };
        Engine::new(context, Limits::default())
    }

    /// Key files for the built program: `--keys` and `--anchors`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let secret = ["--passphrase", "", "--pinentry-mode", "loopback", "--armor", "--export-secret-keys"];
        self.lab.write("pgp.asc", self.gpg.ok(&secret, b""));
        self.lab.write("bob.pem", [self.lab.read("bob.crt"), self.lab.read("bob.key")].concat());
        let mut arguments = vec!["--home".to_owned(), self.lab.path("no-home").display().to_string()];
        for (option, file) in
            [("--keys", "pgp.asc"), ("--keys", "bob.pem"), ("--keys", "ca.crt"), ("--anchors", "root.crt")]
        {
            arguments.extend([option.to_owned(), self.lab.path(file).display().to_string()]);
        }
        arguments
    }

    /// `inner` encrypted to Bob as it is, under Alice's name.
    pub(crate) fn around(&self, around: Around, inner: &[u8]) -> Vec<u8> {
        match around {
            Around::Nothing => inner.to_vec(),
            Around::Pgp => {
                let armor =
                    String::from_utf8(self.pgp_encrypted(inner)).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
                format!(
                    "{HEADER}Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"=_around\"\r\n\r\n\
                     --=_around\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
                     --=_around\r\nContent-Type: application/octet-stream\r\n\r\n{armor}\r\n--=_around--\r\n"
                )
                .into_bytes()
            }
            Around::Smime => {
                let file = self.lab.fresh(inner);
                let encrypt =
                    ["cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", &file, "-recip", "bob.crt"];
                opaque("enveloped-data", &self.lab.run(&encrypt)).into_bytes()
            }
        }
    }

    fn pgp_encrypted(&self, inner: &[u8]) -> Vec<u8> {
        let policy = StandardPolicy::new();
        let recipients = self.bob.keys().with_policy(&policy, None).for_transport_encryption();
        let mut armored = Vec::new();
        let message = Armorer::new(Packets::new(&mut armored)).build().unwrap();
        let message = Encryptor::for_recipients(message, recipients).build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        message.write_all(inner).unwrap();
        message.finalize().unwrap();
        armored
    }

    fn sealed(&self, protocol: ProtocolName, shape: Shape, encrypts: bool, message: &str) -> Vec<u8> {
        let engine = self.engine();
        let message = Message::parse(message.into(), &mut engine.budget()).unwrap();
        let bob = Recipient::Named(Address::parse("bob@example.org").unwrap());
        let how = Seal {
            sign: vec![Signer::Author],
            to: encrypts.then_some(bob).into_iter().collect(),
            shape,
            ..Seal::default()
        };
        let mut sealed = Vec::new();
        engine.seal(protocol, &message, &how, &mut sealed).unwrap();
        sealed
    }

    /// multipart/signed by gpg over the entity of `message`, with the boundary that other programs like.
    fn gpg_mime(&self, message: &str) -> Vec<u8> {
        let (header, entity) = halves(message);
        let signature =
            self.gpg.ok(&["--local-user", "alice@example.org", "--armor", "--detach-sign"], entity.as_bytes());
        let signature = String::from_utf8(signature).unwrap().replace('\n', "\r\n");
        format!(
            "{header}Content-Type: multipart/signed; micalg=pgp-sha512; protocol=\"application/pgp-signature\";\r\n \
             boundary=\"------------sig0Nature\"\r\n\r\nThis is an OpenPGP/MIME signed message (RFC 4880 and 3156)\r\n\
             --------------sig0Nature\r\n{entity}\r\n--------------sig0Nature\r\n\
             Content-Type: application/pgp-signature; name=\"OpenPGP_signature.asc\"\r\n\
             Content-Description: OpenPGP digital signature\r\n\
             Content-Disposition: attachment; filename=\"OpenPGP_signature.asc\"\r\n\r\n\
             {signature}\r\n--------------sig0Nature--\r\n"
        )
        .into_bytes()
    }

    /// The text of `message` signed in clear by gpg.
    fn gpg_clear(&self, message: &str) -> Vec<u8> {
        let (header, text) = message.split_once("\r\n\r\n").unwrap();
        let signed = self.gpg.ok(&["--local-user", "alice@example.org", "--clear-sign"], text.as_bytes());
        let signed = String::from_utf8(signed).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
        format!("{header}\r\n\r\n{signed}").into_bytes()
    }

    /// Signed by openssl: in clear, opaque, or opaque with BER.
    fn openssl(&self, message: &str, how: &[&str]) -> Vec<u8> {
        let (header, entity) = halves(message);
        let file = self.lab.fresh(entity);
        let sign = [
            "cms",
            "-sign",
            "-binary",
            "-in",
            &file,
            "-signer",
            "alice.crt",
            "-inkey",
            "alice.key",
            "-certfile",
            "ca.crt",
        ];
        let signed = String::from_utf8(self.lab.run(&[&sign, how].concat())).unwrap();
        // openssl puts LF around a part with CRLF.
        let signed = signed.replace("\r\n", "\n").replace('\n', "\r\n");
        format!("{}{signed}", header.replace("MIME-Version: 1.0\r\n", "")).into_bytes()
    }

    /// The genuine messages, each in some forms.
    pub(crate) fn seeds(&self) -> Vec<Seed> {
        let mut seeds = Vec::new();
        let mut add = |name: String, message: Vec<u8>, around: Around| seeds.push(Seed { name, message, around });
        for (kind, body) in PAYLOADS {
            let message = format!("{HEADER}{body}");
            let pgp = self.sealed(ProtocolName::Pgp, Shape::Mime, false, &message);
            let smime = self.sealed(ProtocolName::Smime, Shape::Mime, false, &message);
            add(format!("pgp-mime/{kind}"), pgp.clone(), Around::Nothing);
            add(format!("gpg-mime/{kind}"), self.gpg_mime(&message), Around::Nothing);
            add(format!("smime-clear/{kind}"), smime.clone(), Around::Nothing);
            add(format!("openssl-clear/{kind}"), self.openssl(&message, &[]), Around::Nothing);
            add(
                format!("smime-opaque/{kind}"),
                self.sealed(ProtocolName::Smime, Shape::Opaque, false, &message),
                Around::Nothing,
            );
            add(
                format!("pgp-combined/{kind}"),
                self.sealed(ProtocolName::Pgp, Shape::Mime, true, &message),
                Around::Nothing,
            );
            add(
                format!("pgp-nested/{kind}"),
                self.sealed(ProtocolName::Pgp, Shape::Nested, true, &message),
                Around::Nothing,
            );
            add(
                format!("smime-encrypted/{kind}"),
                self.sealed(ProtocolName::Smime, Shape::Mime, true, &message),
                Around::Nothing,
            );
            add(
                format!("smime-triple/{kind}"),
                self.sealed(ProtocolName::Smime, Shape::Triple, true, &message),
                Around::Nothing,
            );
            add(format!("pgp-around-pgp/{kind}"), inner(&pgp), Around::Pgp);
            add(format!("pgp-around-smime/{kind}"), inner(&smime), Around::Pgp);
            add(format!("smime-around-smime/{kind}"), inner(&smime), Around::Smime);
            add(format!("openssl-opaque/{kind}"), self.openssl(&message, &["-nodetach"]), Around::Nothing);
            add(
                format!("openssl-ber/{kind}"),
                self.openssl(&message, &["-nodetach", "-stream", "-indef"]),
                Around::Nothing,
            );
        }
        for (kind, body) in PAYLOADS.iter().filter(|(_, body)| body.starts_with("Content-Type: text/plain")) {
            let message = format!("{HEADER}{body}");
            let clear = self.sealed(ProtocolName::Pgp, Shape::Inline, false, &message);
            add(format!("pgp-clear/{kind}"), clear.clone(), Around::Nothing);
            add(format!("pgp-around-clear/{kind}"), inner(&clear), Around::Pgp);
            add(
                format!("pgp-opaque/{kind}"),
                self.sealed(ProtocolName::Pgp, Shape::Opaque, false, &message),
                Around::Nothing,
            );
            add(
                format!("pgp-inline/{kind}"),
                self.sealed(ProtocolName::Pgp, Shape::Inline, true, &message),
                Around::Nothing,
            );
            add(
                format!("mic-clear/{kind}"),
                self.sealed(ProtocolName::Pem, Shape::Mime, false, &message),
                Around::Nothing,
            );
            add(
                format!("mic-only/{kind}"),
                self.sealed(ProtocolName::Pem, Shape::Opaque, false, &message),
                Around::Nothing,
            );
            add(
                format!("pem-encrypted/{kind}"),
                self.sealed(ProtocolName::Pem, Shape::Mime, true, &message),
                Around::Nothing,
            );
        }
        let plain = format!("{HEADER}{}", PAYLOADS[0].1);
        let clear = self.gpg_clear(&plain);
        add("gpg-clear-lf/plain".to_owned(), lf(&clear), Around::Nothing);
        add("gpg-clear/plain".to_owned(), clear, Around::Nothing);
        add("gpg-mime-lf/plain".to_owned(), lf(&self.gpg_mime(&plain)), Around::Nothing);
        seeds
    }
}

fn opaque(kind: &str, cms: &[u8]) -> String {
    let base64 = String::from_utf8(postseal::mail::encoding::base64_encode(cms)).unwrap();
    format!(
        "{HEADER}Content-Type: application/pkcs7-mime; smime-type={kind}; name=\"smime.p7m\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n{base64}"
    )
}

/// The fields of the message, and the entity that its Content-* fields begin.
fn halves(message: &str) -> (&str, &str) {
    message.split_at(message.find("Content-").unwrap())
}

/// A message without the fields that are the message's own.
fn inner(message: &[u8]) -> Vec<u8> {
    let mut entity = crate::support::entity::Entity::parse(message);
    entity.fields.retain(|field| field.to_ascii_lowercase().starts_with(b"content-"));
    entity.write()
}

fn lf(message: &[u8]) -> Vec<u8> {
    String::from_utf8(message.to_vec()).unwrap().replace("\r\n", "\n").into_bytes()
}

const HEADER: &str = "From: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\n\
    Subject: =?utf-8?q?Fr=C3=BChst=C3=BCck?=\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n";

/// Name, and Content-* fields with the body.
const PAYLOADS: &[(&str, &str)] = &[
    (
        "plain",
        "Content-Type: text/plain; charset=us-ascii\r\n\r\nLunch is at noon--sharp--today.\r\n--dashes\r\n\r\n-- \r\nAlice\r\n",
    ),
    (
        "nested",
        "Content-Type: multipart/mixed; boundary=\"inner\"\r\n\r\n--inner\r\nContent-Type: text/plain\r\n\r\n\
         I do NOT agree to the following.\r\n--inner\r\nContent-Type: text/plain\r\n\r\nI agree to pay Mallory.\r\n--inner--\r\n",
    ),
    (
        "utf8",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e aus K\u{f6}ln.\r\n",
    ),
    ("html", "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>Lunch is at noon.</p></body></html>\r\n"),
    (
        "alternative",
        "Content-Type: multipart/alternative; boundary=\"=_alt\"\r\n\r\n--=_alt\r\nContent-Type: text/plain\r\n\r\n\
         Lunch is at noon.\r\n--=_alt\r\nContent-Type: text/html\r\n\r\n<p>Lunch is at noon.</p>\r\n--=_alt--\r\n",
    ),
    (
        "attachment",
        "Content-Type: multipart/mixed; boundary=\"=_mixed\"\r\n\r\n--=_mixed\r\nContent-Type: text/plain\r\n\r\n\
         See the menu.\r\n--=_mixed\r\nContent-Type: application/pdf; name=\"menu.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"menu.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         JVBERi0xLjQKJcOkw7zDtsOfCg==\r\n--=_mixed--\r\n",
    ),
    (
        "quoted",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Gr=C3=BC=C3=9Fe aus K=C3=B6ln, =\r\nAlice\r\n",
    ),
    (
        "base64",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgS8O2bG4uDQo=\r\n",
    ),
];
