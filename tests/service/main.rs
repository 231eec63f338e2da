//! Mail through the engine, the service, and the mail servers around it.

mod acme;
mod bare_lf;
mod discover;
mod failures;
mod fetch;
mod forwarding;
mod gateway;
mod handle;
mod isolation;
mod key_uses;
mod library;
mod lists;
mod lmtp;
mod log_only;
mod logging;
mod mail_servers;
mod memory;
mod metrics;
mod milter;
mod mixed_recipients;
mod over_limits;
mod pages;
mod postgres;
mod provisioning;
mod proxy;
mod recipes;
mod reminders;
mod revocations;
mod sendmail;
mod soak;
mod status;
mod submission;
#[path = "../support/mod.rs"]
mod support;
mod tenants;
mod tokens;
