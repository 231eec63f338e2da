//! postseal signs, encrypts, verifies and decrypts e-mail with OpenPGP, S/MIME and classic PEM, and tells whether the
//! person in From really wrote a message.
//!
//! It is for programs that read, write or transport mail: clients, gateways, archives, scanners. It works on whole
//! messages rather than on blobs: it finds the signed and encrypted parts, opens them, checks which text and which header
//! fields a signature covers, and compares the signer with the author.
//!
//! # Verify a mail
//!
//! ```
//! use postseal::{keys::{Binding, Handle}, mail::Address, read_keys, verdict::Standing, verify};
//!
//! # fn main() -> postseal::base::Result<()> {
//! # let (file, message) = (include_bytes!("../examples/mail/alice.asc"), include_bytes!("../examples/mail/signed.eml"));
//! // `file` is a key file, and `message` a mail. This is the fingerprint that Alice told you.
//! let told = Handle::parse("9675C363267B92EA32C6E08AB866283CE72E336F")?;
//! let mut keys = read_keys(file)?;
//! keys.bind(&told, &Binding::Address(Address::parse("alice@example.org")?));
//!
//! let opening = verify(message, &keys)?;
//! match opening.verdict().standing() {
//!     Standing::Authentic => println!("{} wrote this", opening.verdict().author().expect("it is authentic")),
//!     _ => println!("not authentic: {}", opening.verdict().reason().expect("there is a reason")),
//! }
//! # assert_eq!(opening.verdict().standing(), Standing::Authentic);
//! # let forged = String::from_utf8_lossy(message).replace("alice@example.org", "mallory@example.org");
//! # assert_ne!(verify(forged.as_bytes(), &keys)?.verdict().standing(), Standing::Authentic);
//! # Ok(())
//! # }
//! ```
//!
//! # What "authentic" means
//!
//! [`Standing`](verdict::Standing) has three values:
//!
//! - [`Authentic`](verdict::Standing::Authentic): a valid signature by a strong algorithm covers the whole message, and its key belongs to the one address
//!   in From. It belongs to it because you said so ([`keys::Binding`]), or in S/MIME because there is a certificate path to a trust anchor that you gave.
//! - [`Signed`](verdict::Standing::Signed): a signature is valid, but it does not prove who From says. [`Verdict::reason`](verdict::Verdict::reason) tells why.
//! - [`Unsigned`](verdict::Standing::Unsigned): everything else. A broken signature counts as none.
//!
//! Nothing in a message, and no file, is trusted by itself. It says who wrote the text, and not that the text is true, that it is new, or that it was meant for
//! the recipient: look at To and Date, which [`Opening::header`](engine::Opening::header) marks as signed or not.
//!
//! # Where to start
//!
//! - [`read_keys`], [`sign`], [`encrypt`], [`verify`] and [`decrypt`] are enough for most programs.
//! - [`engine::Engine`] is for everything else: other options, clocks, limits, one message after the other.
//! - [`store::load`] reads several key files, with passphrases. [`store::Keystore`] is the key store of the program `postseal`.
//! - [`report::json`] and [`report::text`] write a verdict.
//! - [`policy::Policy`] decides what a mail server does with a mail, and [`engine::ReloadableHandler`] does it. [`transport::milter`] and
//!   [`transport::smtp`] serve a [`engine::Handler`], yours or that one; [`service::Service`] serves a configuration file.
//! - [`mailbox`] and [`scan`] read mailboxes, and judge what lies in them. [`acme`] orders S/MIME certificates (RFC 8823).
//!
//! Yours to implement:
//!
//! | trait | for | example |
//! |---|---|---|
//! | [`keys::Keys`] | keys in your own database or directory | `examples/database_keys.rs` |
//! | [`crypto::SecretKey`] | private keys in a token, an agent or another process | `examples/token.rs` |
//! | [`base::Clock`], [`base::Random`] | another time, other randomness | `examples/token.rs` |
//! | [`engine::Handler`] | what a transport does with each mail | `examples/milter.rs` |
//!
//! Other programs in `examples/`: `verify.rs`, `web.rs` (sign in a web handler), `policy.rs` (rules by code), `serve.rs`.
//!
//! # Features
//!
//! | feature | brings | crates |
//! |---|---|---|
//! | (none) | messages, keys in memory, verdicts, policy | 151 |
//! | `pem` | classic PEM; without `smime` for keys without certificates in key files | 151 |
//! | `smime` | S/MIME | 158 |
//! | `pgp` | OpenPGP | 220 |
//! | `pem,pgp,smime` | all mail | 222 |
//! | `store` | the key store on disk (SQLite) | 163 |
//! | `postgres` | the rows of a key store in PostgreSQL, with `store` | 204 |
//! | `mailbox` | mailboxes: Maildir, mbox, folders, IMAP, POP3 | 171 |
//! | `service` | `transport`, with SMTP, LMTP, milter and sendmail, and `config` | 213 |
//! | `discover` | keys on the network: Web Key Directory, key servers; an HTTP client for hosts that strangers name | 223 |
//! | `ldap` | directories as a source of keys, with `discover` | 223 |
//! | `sandbox` | what a process gives up before it reads a stranger's message (Linux) | 160 |
//! | `pkcs11` | private keys on tokens | 157 |
//! | `cli` (default) | the program `postseal`, with all of the above | 353 |
//!
//! The last column counts all crates that are compiled for the feature alone. Most of the first 151 are primitives (ciphers, digests, curves) and Unicode tables.
//!
//! ```toml
//! [dependencies]
//! postseal = { version = "0.1", default-features = false, features = ["pem", "pgp", "smime"] }
//! ```
//!
//! With `default-features = false` name the protocols. Mail of a protocol that is left out
//! is recognized and reported as unread. It is never authentic. Nothing is sealed with that protocol, and policy sends nothing in clear
//! because its keys cannot be asked.
//!
//! The least version of Rust is 1.95. A C compiler builds aws-lc, and SQLite with `store`. `store`, `mailbox` and `service` need a Unix.
//! `AWS_LC_SYS_NO_JITTER_ENTROPY=1` in the build's environment saves 15 to 25 ms at the start of each process.
//!
//! # What it does not do
//!
//! Without `cli`, `discover`, `mailbox`, `pkcs11`, `service` and `store` the library does not use the terminal, the environment, files or the network. Keys, clock, randomness
//! and limits are arguments. Only the functions at the root take the system's clock and randomness.
//!
//! # Modules
//!
//! A message takes this way through the modules:
//!
//! ```text
//!          ┌───────────────────────── engine ─────────────────────────┐
//! mail ──► │ open (protocol, pki) ──► verdict ──► policy ──► seal     │ ──► mail
//!          └──────────▲───────────────────┬──────────────────────────┘
//!          keys, crypto, base             └──► report (text, JSON)
//! ```
//!
//! `store` reads key files and holds the key store on disk. `transport` and `config` make a mail service of it. `mailbox` reads and writes
//! mailboxes, and `scan` judges and converts what lies in them.

#![cfg_attr(
    not(all(feature = "pem", feature = "pgp", feature = "smime")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "what one protocol alone uses; the build with all of them finds what is unused"
    )
)]

#[cfg(all(feature = "pgp", feature = "service", feature = "smime", feature = "store"))]
pub mod acme;
#[cfg(feature = "store")]
pub mod audit;
pub mod base;
#[cfg(feature = "service")]
pub mod config;
pub mod crypto;
#[cfg(any(feature = "discover", feature = "service"))]
pub mod discover;
pub mod engine;
#[cfg(feature = "service")]
pub mod isolation;
pub mod keys;
pub mod mail;
#[cfg(feature = "mailbox")]
pub mod mailbox;
pub mod pki;
pub mod policy;
pub mod protocol;
pub mod report;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "mailbox")]
pub mod scan;
#[cfg(all(feature = "pgp", feature = "service", feature = "smime", feature = "store"))]
pub mod service;
mod simple;
pub mod store;
pub mod token;
#[cfg(feature = "service")]
pub mod transport;
pub mod verdict;

pub use simple::{decrypt, encrypt, read_keys, sign, verify};
