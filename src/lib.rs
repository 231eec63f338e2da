//! postseal seals mail and judges sealed mail.
//!
//! # What it does
//!
//! It signs, encrypts, verifies and decrypts messages in OpenPGP (PGP/MIME of RFC 3156 and the older
//! inline forms), and says of each message who vouches for which bytes.
//!
//! # What it does not do
//!
//! The library never touches the terminal, the environment, a home directory or the network, and it
//! holds no global state: time, keys and randomness are arguments.
//!
//! # One corridor
//!
//! ```text
//!            1 open         2 judge
//!  bytes ──► peel root ──► Verdict ──► report (text, JSON)
//!            layers         (pure)
//!              ▲
//!              └── Keys, Clock, Budget
//! ```
//!
//! The simple face is [`sign`], [`encrypt`], [`verify`] and [`decrypt`]; [`engine::Engine`] is the full
//! one. [`keys::Keys`], [`crypto::SecretKey`] and [`base::Clock`] are the extension points.

pub mod base;
#[cfg(feature = "service")]
pub mod config;
pub mod crypto;
pub mod engine;
pub mod keys;
pub mod mail;
pub mod pki;
pub mod policy;
pub mod protocol;
pub mod report;
#[cfg(all(feature = "service", feature = "store"))]
pub mod service;
mod simple;
pub mod store;
#[cfg(feature = "service")]
pub mod transport;
pub mod verdict;

pub use simple::{decrypt, encrypt, sign, verify};
