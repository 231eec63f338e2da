//! Attacks: published ones, and those that were found here (docs/manual/attacks.md).

mod built;
mod exhaustion;
mod front;
mod handler;
mod judges;
mod limits;
mod network;
mod oracle;
mod pgp;
mod pki;
mod post_quantum;
mod published;
mod reach;
mod readers;
mod sandbox;
mod sha1;
mod smime;
#[path = "../support/mod.rs"]
mod support;
