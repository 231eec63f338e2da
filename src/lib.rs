//! postseal signs, encrypts, verifies and decrypts e-mail with OpenPGP, S/MIME and classic PEM, and tells whether the
//! person in From really wrote a message.
//!
//! It is for programs that read, write or transport mail: clients, gateways, archives, scanners. It works on whole
//! messages rather than on blobs: it finds the signed and encrypted parts, opens them, checks which text and which header
//! fields a signature covers, and compares the signer with the author.
//!
//! ```
//! use postseal::{
//!     base::{Limits, Result, SystemClock},
//!     keys::ProtocolName,
//!     mail::Address,
//!     protocol::pgp::generate::{Request, generate},
//!     store,
//!     verdict::Standing,
//! };
//!
//! # fn main() -> Result<()> {
//! // Usually the octets of a key file; here a new key.
//! let key = generate(&Request::new(Address::parse("alice@example.org")?), &SystemClock)?;
//! let file = key.described.secret.as_ref().expect("a new key has a secret part").expose();
//! let keys = store::load(&[("alice.asc", file)], &Default::default(), &Limits::default())?.keys;
//!
//! let message = b"From: Alice <alice@example.org>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n";
//! let signed = postseal::sign(message, ProtocolName::Pgp, &keys)?;
//! assert_eq!(postseal::verify(&signed, &keys)?.verdict().standing(), Standing::Authentic);
//!
//! let forged = String::from_utf8_lossy(&signed).replace("Alice <alice@", "Alice <mallory@");
//! let opening = postseal::verify(forged.as_bytes(), &keys)?;
//! assert_ne!(opening.verdict().standing(), Standing::Authentic);
//! println!("{}", opening.verdict().reason().expect("it is not authentic"));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start
//!
//! - [`read_keys`], [`sign`], [`encrypt`], [`verify`] and [`decrypt`] are enough for most programs.
//! - [`engine::Engine`] is for everything else: other options, clocks, limits, one message after the other.
//! - [`keys::Keys`] and [`crypto::SecretKey`] are the traits to implement for your own key store or token.
//! - [`policy::Policy`] decides what a mail server does with a mail.
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
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | (none) | everything in the picture but the protocols, with keys in memory |
//! | `pgp` | OpenPGP |
//! | `smime` | S/MIME |
//! | `pem` | classic PEM; without `smime` for keys without certificates in key files |
//! | `store` | the key store on disk (SQLite) |
//! | `discover` | keys on the network: Web Key Directory, key servers; an HTTP client for hosts that strangers name |
//! | `ldap` | directories as a source of keys, with `discover` |
//! | `mailbox` | mailboxes: Maildir, mbox, folders, IMAP, POP3 |
//! | `service` | `transport`, with SMTP, LMTP, milter and sendmail, and `config` |
//! | `cli` (default) | the program `postseal`, with all of the above |
//!
//! With `default-features = false` name the protocols: `features = ["pem", "pgp", "smime"]` reads all mail. Mail of a protocol that is left out
//! is recognized and reported as unread. It is never authentic. Nothing is sealed with that protocol, and policy sends nothing in clear
//! because its keys cannot be asked.
//!
//! # What it does not do
//!
//! Without `cli`, `discover`, `service` and `store` the library does not use the terminal, the environment, files or the network. Keys, clock, randomness
//! and limits are arguments. Only the functions at the root take the system's clock and randomness.

#![cfg_attr(
    not(all(feature = "pem", feature = "pgp", feature = "smime")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "what one protocol alone uses; the build with all of them finds what is unused"
    )
)]

pub mod base;
#[cfg(feature = "service")]
pub mod config;
pub mod crypto;
#[cfg(any(feature = "discover", feature = "service"))]
pub mod discover;
pub mod engine;
pub mod keys;
pub mod mail;
#[cfg(feature = "mailbox")]
pub mod mailbox;
pub mod pki;
pub mod policy;
pub mod protocol;
pub mod report;
#[cfg(feature = "mailbox")]
pub mod scan;
#[cfg(all(feature = "service", feature = "store"))]
pub mod service;
mod simple;
pub mod store;
#[cfg(feature = "service")]
pub mod transport;
pub mod verdict;

pub use simple::{decrypt, encrypt, read_keys, sign, verify};
