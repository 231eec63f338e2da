//! The transports: filter, sendmail, milter, SMTP and LMTP, and the next hop. Every transport calls [`Handler`](crate::engine::Handler), and
//! nothing else of the engine.

mod endpoint;
pub mod filter;
mod forwarding;
mod handing_over;
mod held;
mod hops;
mod line_ends;
mod listener;
mod lmtp;
mod measured;
mod memory;
pub mod milter;
mod monitor;
mod mx;
mod next_hop;
mod notice;
mod posting;
mod quarantine;
mod recent;
mod rejection;
pub mod relay;
pub mod sendmail;
pub mod serve;
mod slots;
pub mod smtp;
mod submission;
mod template;
pub mod tls;
mod trace;

pub use crate::base::Network;
pub use endpoint::{Endpoint, Inherited, ListeningSocket};
pub use handing_over::HandingOver;
pub use held::{Held, HeldFor};
pub use listener::{Connection, Listener, Stream};
pub use measured::Measured;
pub use memory::MemoryLimit;
pub use monitor::{Health, Monitor};
pub use mx::MxResolver;
pub use next_hop::{Blocking, NextHop, SendError, Sending};
pub use notice::{NoticeTo, Notices, PLACEHOLDERS};
pub use quarantine::Quarantine;
pub use rejection::rejection;
pub use slots::Load;
pub use template::{Template, Writer};
pub use trace::SessionId;
