//! One end of a connection between two processes of the service: values of known types, each as its length and its octets.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::base::{Error, Kind, Result};

/// Sends and receives values over a stream.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
}

impl<S: Read + Write> Channel<S> {
    pub(super) fn new(stream: S) -> Self {
        Channel { stream }
    }

    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or the value is too long to be sent.
    pub(super) fn send(&mut self, value: &impl Serialize) -> Result<()> {
        let octets = Zeroizing::new(postcard::to_allocvec(value).map_err(|error| gone(&error))?);
        let length = u32::try_from(octets.len()).ok().filter(|length| *length <= MAX_LENGTH);
        let length = length.ok_or_else(|| gone(&"what is to be said is too long"))?;
        let sent = self.stream.write_all(&length.to_le_bytes()).and_then(|()| self.stream.write_all(&octets));
        sent.and_then(|()| self.stream.flush()).map_err(|error| gone(&error))
    }

    /// Waits for a value.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or what it says is no such value.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(|error| gone(&error))?;
        let length = u32::from_le_bytes(length);
        if length > MAX_LENGTH {
            return Err(gone(&"it says more than it may"));
        }
        // Memory is taken as the octets arrive: the length alone costs nothing.
        let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(FIRST)).unwrap_or(0)));
        let read = (&mut self.stream).take(u64::from(length)).read_to_end(&mut octets).map_err(|error| gone(&error))?;
        if u32::try_from(read) != Ok(length) {
            return Err(gone(&io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        match postcard::take_from_bytes(&octets) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(gone(&"octets after a value")),
            Err(error) => Err(gone(&error)),
        }
    }
}

/// The other end cannot be talked to. The mail waits for another process.
pub(super) fn gone(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::TryAgain, format!("another process of the service: {why}").to_lowercase())
}

/// Octets of one value. Source: a message of 64 MiB, encrypted anew for each of more than ten groups of recipients.
const MAX_LENGTH: u32 = 1 << 30;
/// Octets for which memory is taken before they are there.
const FIRST: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Channel<UnixStream>, Channel<UnixStream>) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[test]
    fn values_arrive_as_they_were_sent() {
        let (mut one, mut other) = pair();
        one.send(&("words", vec![1_u8, 2, 3], Some(7_u64))).unwrap();
        one.send(&()).unwrap();
        let value: (String, Vec<u8>, Option<u64>) = other.receive().unwrap();
        assert_eq!(value, ("words".to_owned(), vec![1, 2, 3], Some(7)));
        other.receive::<()>().unwrap();
        drop(one);
        assert_eq!(other.receive::<()>().unwrap_err().kind(), Kind::TryAgain);
    }

    #[test]
    fn a_length_alone_takes_no_memory_and_too_long_is_refused() {
        let (one, mut other) = pair();
        let mut raw = one.stream;
        raw.write_all(&(MAX_LENGTH + 1).to_le_bytes()).unwrap();
        assert!(other.receive::<()>().unwrap_err().to_string().contains("more than it may"));
        raw.write_all(&MAX_LENGTH.to_le_bytes()).unwrap();
        drop(raw);
        assert_eq!(other.receive::<()>().unwrap_err().kind(), Kind::TryAgain);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_value_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (one, mut other) = pair();
            let mut raw = one.stream;
            raw.write_all(&u32::try_from(octets.len()).unwrap().to_le_bytes()).unwrap();
            raw.write_all(&octets).unwrap();
            drop(raw);
            let _ = other.receive::<Result<super::super::questions::Answer>>();
        }
    }
}
