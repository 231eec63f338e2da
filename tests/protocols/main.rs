//! OpenPGP, S/MIME and PEM: keys, signatures, encryption, and the selection of keys.

mod copies;
mod decrypt_smime;
mod keys_pgp;
mod keys_smime;
mod open_pgp;
mod open_smime;
mod pem;
mod post_quantum;
mod revocation;
mod revocation_order;
mod select;
#[path = "../support/mod.rs"]
mod support;
