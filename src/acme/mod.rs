//! Certificates of S/MIME from an authority that speaks ACME (RFC 8555), for addresses that prove themselves by mail (RFC 8823).
//!
//! ```text
//! Enrolment::order ► Order (in the home) ► mail "ACME: ..." ► Challenge::read ► Order::reply ► mail "Re: ACME: ..." ► Enrolment::answered
//!                                                                                   Enrolment::advance ► Progress::Issued ► Order::install
//! ```
//!
//! The account key and the orders are sealed files of the home, so that an order goes on after a restart, in whichever process of the home.

mod account;
mod challenge;
mod dkim;
mod enrolment;
mod object;
mod order;
mod origin;
mod server;

pub use challenge::{Challenge, Proof, is_challenge};
pub use enrolment::{Enrolment, Progress};
pub use order::{Order, Writing};
pub use server::Refusal;

use std::path::PathBuf;

use crate::{base::Secret, mail::Address};

/// An authority, and what it is told about its subscriber.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL of its directory (RFC 8555, section 7.1.1).
    pub directory: String,
    /// Root certificates of its HTTPS server, in PEM; `None`: those of this machine.
    pub roots: Option<PathBuf>,
    /// An address for news about the account.
    pub contact: Option<Address>,
    /// Whether its terms of service are agreed to.
    pub terms: Terms,
    /// The account at the authority that the new one is bound to, where it asks for that (RFC 8555, section 7.3.4).
    pub binding: Option<ExternalBinding>,
}

/// Whether the terms of service are agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// They are.
    Agreed,
    /// They are not: an authority that has terms is asked for no account.
    NotAgreed,
}

/// What an authority gave its customer to bind an account to.
#[derive(Clone, Debug)]
pub struct ExternalBinding {
    /// The key identifier.
    pub id: String,
    /// The MAC key, in base64url as the authority shows it.
    pub key: Secret,
}
