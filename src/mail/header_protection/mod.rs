//! Header protection: RFC 9788 read, written and stripped, the older `protected-headers="v1"` read.

mod confidentiality;
mod display;
mod read;
mod scheme;
mod strip;
mod write;

pub use confidentiality::Confidentiality;
pub use display::{text_without_display, with_legacy_display};
pub use read::{Header, HeaderField, Protection, author};
pub use strip::strip;
pub use write::{Mode, protect};
