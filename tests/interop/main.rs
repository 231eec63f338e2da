//! Other programs read what postseal writes, and the reverse.

mod ciphers_pgp;
mod import;
mod openpgp;
mod pages;
mod post_quantum;
mod readers;
mod seal_pgp;
mod seal_smime;
#[path = "../support/mod.rs"]
mod support;
