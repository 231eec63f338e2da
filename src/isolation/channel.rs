//! One end of a connection between two processes of the service: values of known types, each as its length and its octets.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::base::{Error, Kind, Result};

/// Sends and receives values over a stream.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
    /// Octets of what is received.
    most: u32,
    /// What was read and belongs to the next value.
    ahead: Zeroizing<Vec<u8>>,
}

impl<S> Channel<S> {
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Read + Write> Channel<S> {
    pub(super) fn new(stream: S) -> Self {
        Channel::within(stream, MAX_LENGTH)
    }

    /// One that receives no value of more than `most` octets.
    pub(super) fn within(stream: S, most: u32) -> Self {
        Channel { stream, most, ahead: Zeroizing::default() }
    }

    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or the value is too long to be sent.
    pub(super) fn send(&mut self, value: &impl Serialize) -> Result<()> {
        // Length and value in one write, because each wakes the other process.
        let mut octets = Zeroizing::new(vec![0; HEAD]);
        let written = postcard::to_extend(value, std::mem::take(&mut *octets)).map_err(|error| gone(&error))?;
        *octets = written;
        let length = u32::try_from(octets.len() - HEAD).ok().filter(|length| *length <= MAX_LENGTH);
        let length = length.ok_or_else(|| gone(&"what is to be said is too long"))?;
        octets.get_mut(..HEAD).into_iter().for_each(|head| head.copy_from_slice(&length.to_le_bytes()));
        let sent = self.stream.write_all(&octets).and_then(|()| self.stream.flush());
        sent.map_err(|error| gone(&error))
    }

    /// Waits for a value.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or what it says is no such value.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.read_to(HEAD)?;
        let length = self.ahead.first_chunk::<HEAD>().copied().map_or(0, u32::from_le_bytes);
        if length > self.most {
            return Err(gone(&"it says more than it may"));
        }
        let end = HEAD + usize::try_from(length).unwrap_or(usize::MAX);
        self.read_to(end)?;
        let value = match postcard::take_from_bytes(self.ahead.get(HEAD..end).unwrap_or_default()) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(gone(&"octets after a value")),
            Err(error) => Err(gone(&error)),
        };
        // One value at a time is on its way, so that next to nothing is moved here.
        let rest = Zeroizing::new(self.ahead.split_off(end));
        self.ahead = rest;
        value
    }

    /// Reads until so many octets are there. Memory is taken as they arrive: a length alone costs nothing.
    fn read_to(&mut self, end: usize) -> Result<()> {
        while self.ahead.len() < end {
            let have = self.ahead.len();
            let room = (end - have).clamp(LEAST_ROOM, MOST_ROOM);
            self.ahead.resize(have + room, 0);
            let read = match self.stream.read(self.ahead.get_mut(have..).unwrap_or_default()) {
                Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                read => read,
            };
            self.ahead.truncate(have + read.as_ref().map_or(0, |read| *read));
            read.map_err(|error| gone(&error))?;
        }
        Ok(())
    }
}

/// The other end cannot be talked to. The mail waits for another process.
pub(super) fn gone(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::TryAgain, format!("another process of the service: {why}").to_lowercase())
}

/// Octets of one value. Source: a message of 64 MiB, encrypted anew for each of more than ten groups of recipients.
const MAX_LENGTH: u32 = 1 << 30;
/// Octets of the length before a value.
const HEAD: usize = 4;
/// Octets for which there is room at each read: most values are shorter.
const LEAST_ROOM: usize = 16 << 10;
/// The most, so that memory is taken for what arrives.
const MOST_ROOM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::{
        super::asked::{Found, Reply},
        *,
    };

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

        #[test]
        fn any_octets_are_a_reply_of_the_network_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (one, mut other) = pair();
            let mut raw = one.stream;
            raw.write_all(&u32::try_from(octets.len()).unwrap().to_le_bytes()).unwrap();
            raw.write_all(&octets).unwrap();
            drop(raw);
            if let Ok(Reply::Answer { answer: Ok(Found::Values(values)), .. }) = other.receive::<Reply>() {
                let octets: usize = values.values().unwrap_or_default().iter().map(Vec::len).sum();
                assert!(octets <= 200);
            }
        }
    }
}
