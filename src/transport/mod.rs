//! Where mail comes in and an outcome goes out. Every transport calls [`Handler::handle`](crate::engine::Handler) and nothing else.

mod door;
pub mod filter;
mod lines;
mod measured;
pub mod milter;
mod monitor;
mod network;
pub mod sendmail;
pub mod serve;

pub use door::{Connection, Door, Endpoint, Inherited, Listener, Stream};
pub use measured::Measured;
pub use monitor::Monitor;
pub use network::Network;
