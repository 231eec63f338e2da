//! Header protection: RFC 9788 read and written, the older `protected-headers="v1"` read.

mod read;
mod scheme;
mod strip;
mod write;

pub use read::{Header, HeaderField, Protection, author};
pub use strip::strip;
pub use write::{Mode, protect};
