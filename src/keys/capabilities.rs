//! The ciphers that the mail program of a certificate's owner announced.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Handle;

/// SMIMECapabilities (RFC 8551, section 2.5.2) as they were in a signature; `protocol/smime/capabilities.rs` reads them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Capabilities {
    /// The value of the attribute, DER: supported ciphers, the preferred one first. The list may be incomplete.
    pub list: Vec<u8>,
    /// The signing time, by the signer's clock.
    pub said: SystemTime,
}

/// The capabilities in a message whose signer's certificate is known. Trust them only as far as the signature:
/// [`Verdict::announcements`](crate::verdict::Verdict::announcements) returns those of authentic messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Announcement {
    /// The fingerprint of the certificate that the signature was made with.
    pub certificate: Handle,
    /// The capabilities.
    pub capabilities: Capabilities,
}

impl Capabilities {
    /// Whether they replace the stored ones. Later ones do (RFC 8551, section 2.7.1); the same ones in a later message only after a day, so that not
    /// every message causes a write.
    pub fn is_news(&self, known: Option<&Capabilities>) -> bool {
        let Some(known) = known else { return true };
        match self.said.duration_since(known.said) {
            Ok(since) if known.list == self.list => since >= REFRESHED_AFTER,
            Ok(since) => !since.is_zero(),
            Err(_) => false,
        }
    }

    /// The later of two.
    pub fn later(one: Option<&Capabilities>, other: Option<&Capabilities>) -> Option<Capabilities> {
        [one, other].into_iter().flatten().max_by_key(|word| word.said).cloned()
    }
}

/// The age after which the same capabilities are stored again.
const REFRESHED_AFTER: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn word(list: &[u8], hours: u64) -> Capabilities {
        Capabilities { list: list.to_vec(), said: SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600) }
    }

    #[test]
    fn a_later_word_is_news_and_the_same_one_after_a_day() {
        let known = word(b"gcm", 100);
        assert!(word(b"gcm", 1).is_news(None));
        for (list, hours, is_news) in
            [("cbc", 99, false), ("cbc", 100, false), ("cbc", 101, true), ("gcm", 123, false), ("gcm", 124, true)]
        {
            assert_eq!(word(list.as_bytes(), hours).is_news(Some(&known)), is_news, "{list} {hours}");
        }
        assert_eq!(Capabilities::later(Some(&word(b"a", 2)), Some(&word(b"b", 1))), Some(word(b"a", 2)));
        assert_eq!(Capabilities::later(None, Some(&word(b"b", 1))), Some(word(b"b", 1)));
    }
}
