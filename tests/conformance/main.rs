//! Test suites of other projects: messages, certificates, keys and test vectors.

mod corpora_pgp;
mod corpora_smime;
mod mail;
mod mbox;
mod pkits;
mod post_quantum;
mod roundtrip;
mod skeleton;
#[path = "../support/mod.rs"]
mod support;
mod wycheproof;
