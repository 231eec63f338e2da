//! The command line as a user sees it: verbs, options, exit codes, output.

mod audit;
mod cert;
mod cert_fetch;
mod config_init;
mod cookbook;
mod daily;
mod forms;
mod header_protection;
mod html;
mod input;
mod keys;
mod keys_in_mail;
mod large;
mod manual;
mod own_copy;
mod own_key;
mod pages;
mod policy;
mod post_quantum;
mod program;
mod publish;
mod reasons;
mod refusals;
mod revocation_fetch;
mod scan;
mod settings;
mod supply;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tokens;
mod verbs;
mod within;
