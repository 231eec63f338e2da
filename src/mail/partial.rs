//! message/partial (RFC 2046, section 5.2.2): a message in pieces, and back.

use super::Message;
use crate::base::{Budget, Random, Result};

/// Cuts a finished message into pieces of at most `size` octets each, at line ends. One piece when it fits.
pub fn split(message: &Message, size: usize, random: &dyn Random) -> Result<Vec<Vec<u8>>> {
    let _ = (message, size, random);
    todo!()
}

/// Puts the pieces of one message together, in whatever order they come. Refuses (kind `Malformed`) a mixture of messages, a missing piece,
/// a piece twice with different content, and pieces that disagree on the total.
pub fn join(pieces: &[Message], budget: &mut Budget) -> Result<Message> {
    let _ = (pieces, budget);
    todo!()
}
