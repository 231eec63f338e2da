//! What strangers say is read in processes of their own. Mail is read in processes, which hold no keys and can open nothing: judges.
//!
//! ```text
//! listener ► Pool (a Handler) ═ Order ═► Judge ► engine ► RemoteKeys ═ Question ═► Answers ► Keys
//! ```
//!
//! Both ends are the traits of a service in one process: [`Handler`](crate::engine::Handler) and [`Keys`](crate::keys::Keys). A judge has one connection,
//! to the process that started it, and works for one message at a time. When it ends, by a fault or by a limit, that message is put off, and another judge
//! takes its place.
//!
//! ```text
//! Discovery, Statuses ► RemoteAccess (a NetworkAccess) ═ Call ═► NetworkRole ► DirectAccess ► the network
//! ```
//!
//! Keys and revocations on the network are asked for by one process, which has the network and nothing else.

mod acceptance;
mod answers;
mod asked;
mod bounds;
mod channel;
mod foreseen;
mod forms;
mod front;
mod fronts;
#[cfg(fuzzing)]
pub mod fuzzing;
mod judge;
mod limits;
mod network_link;
mod network_process;
mod network_role;
mod orders;
mod passing;
mod pool;
mod posted;
mod processes;
mod questions;
mod remote_keys;
mod requests;
mod setup;
mod starting;
mod supervised;
mod supervisor;

pub use answers::Answers;
pub use front::{Ending, Front, FrontLink, Outgoing, Remote};
pub use fronts::{Backend, Backends, FrontProcess, HandOver, Heard, Mailer, PassedSocket, PostedMail};
pub use judge::Judge;
pub use network_process::{NetworkProcess, RemoteAccess};
pub use network_role::NetworkRole;
pub use passing::GivenSocket;
pub use pool::{Pool, PoolSettings};
pub use processes::{Ends, Process};
pub use remote_keys::RemoteKeys;
pub use requests::{Family, HealthAnswer, HealthQuestion, Loaded, Report};
pub use setup::Setup;
pub use starting::{Told, Wish, Word};
pub use supervised::{KeysLink, Supervised};
pub use supervisor::{HeardOfKeys, KeysProcess, Startable};
