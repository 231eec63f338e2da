//! What several tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod acme;
pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod change;
pub(crate) mod clients;
pub(crate) mod der;
pub(crate) mod directory;
pub(crate) mod dovecot;
pub(crate) mod entity;
pub(crate) mod handler;
pub(crate) mod lab;
pub(crate) mod names;
pub(crate) mod office;
pub(crate) mod openpgp_programs;
pub(crate) mod pages;
pub(crate) mod ports;
pub(crate) mod postfix;
pub(crate) mod postgres;
pub(crate) mod processes;
pub(crate) mod requirements;
pub(crate) mod schema;
pub(crate) mod served;
pub(crate) mod sockets;
pub(crate) mod token;
pub(crate) mod web;
