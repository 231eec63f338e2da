//! Where mail comes in and an outcome goes out. Every transport calls [`Handler::handle`](crate::engine::Handler) and nothing else.

pub mod filter;
mod lines;
pub mod milter;
mod network;
pub mod sendmail;

pub use network::Network;
