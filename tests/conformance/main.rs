//! Test suites of other projects: messages, certificates, keys and test vectors.

mod corpora_pgp;
mod corpora_smime;
mod mail;
mod mbox;
mod pkits;
mod roundtrip;
mod skeleton;
#[path = "../support/mod.rs"]
mod support;
mod wycheproof;
