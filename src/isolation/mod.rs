//! Mail is read in processes of their own, which hold no keys and can open nothing: judges.
//!
//! ```text
//! listener ► Pool (a Handler) ═ Order ═► Judge ► engine ► RemoteKeys ═ Question ═► Answers ► Keys
//! ```
//!
//! Both ends are the traits of a service in one process: [`Handler`](crate::engine::Handler) and [`Keys`](crate::keys::Keys). A judge has one connection,
//! to the process that started it, and works for one message at a time. When it ends, by a fault or by a limit, that message is put off, and another judge
//! takes its place.

mod acceptance;
mod answers;
mod channel;
mod forms;
#[cfg(fuzzing)]
pub mod fuzzing;
mod judge;
mod orders;
mod pool;
mod questions;
mod remote_keys;
mod setup;

pub use answers::Answers;
pub use judge::Judge;
pub use pool::{Pool, PoolSettings};
pub use remote_keys::RemoteKeys;
pub use setup::Setup;
