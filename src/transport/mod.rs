//! Where mail comes in and an outcome goes out. Every transport calls [`Handler::handle`](crate::engine::Handler) and nothing else.

mod door;
mod exchangers;
pub mod filter;
mod lines;
mod lmtp;
mod measured;
mod memory;
pub mod milter;
mod monitor;
mod network;
mod quarantine;
pub mod relay;
pub mod sendmail;
pub mod serve;
pub mod smtp;
mod submission;
pub mod tls;

pub use door::{Connection, Door, Endpoint, Inherited, Listener, Stream};
pub use exchangers::Exchangers;
pub use measured::Measured;
pub use memory::MemoryLimit;
pub use monitor::Monitor;
pub use network::Network;
pub use quarantine::Quarantine;
pub use submission::PARTLY_SENT;
