//! The mbox: one file, in which a `From ` line stands above each message (RFC 4155, appendix A).

mod format;
mod lock;
mod sink;
mod source;
mod split;

pub use format::Format;
pub use sink::MboxSink;
pub use source::MboxSource;
pub use split::{Content, Piece, Splitter};
