//! One end of a connection between two processes of the service: values of known types, each as its length and its octets.

use std::io::{self, Read, Write};

use postcard::{experimental::serialized_size, ser_flavors::Flavor, serialize_with_flavor};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::base::{Error, Kind, Result};

/// Sends and receives values over a stream.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
    /// Octets of what is received.
    most: u32,
    /// What was read is at the beginning of it.
    ahead: Zeroizing<Vec<u8>>,
    /// Octets that were read, and belong to the next value.
    filled: usize,
    /// What waits for the next write, while a value is sent.
    held: Zeroizing<Vec<u8>>,
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
        Channel { stream, most, ahead: Zeroizing::default(), filled: 0, held: Zeroizing::default() }
    }

    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or the value is too long to be sent.
    pub(super) fn send(&mut self, value: &impl Serialize) -> Result<()> {
        let length = serialized_size(value).map_err(|error| gone(&error))?;
        let length = u32::try_from(length).ok().filter(|length| *length <= MAX_LENGTH);
        let length = length.ok_or_else(|| gone(&"what is to be said is too long"))?;
        let mut sending = Sending { stream: &mut self.stream, held: &mut self.held, failed: None };
        let sent = sending.send(&length.to_le_bytes()).and_then(|()| serialize_with_flavor(value, &mut sending));
        let failed = sending.failed.take();
        self.held.fill(0);
        self.held.clear();
        match failed {
            Some(error) => Err(gone(&error)),
            None => sent.map_err(|error| gone(&error)),
        }
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
        self.forget(end);
        value
    }

    /// Reads until so many octets are there. Memory is taken as they arrive: a length alone costs nothing.
    fn read_to(&mut self, end: usize) -> Result<()> {
        while self.filled < end {
            let have = self.filled;
            let room = (have + (end - have).min(MOST_ROOM)).max(LEAST_ROOM);
            if self.ahead.len() < room {
                // Twice what there is, and no more than this value takes: what a vector outgrows stays beside it until it was copied.
                let wanted = (2 * have).min(end).max(room);
                let more = wanted - self.ahead.len();
                self.ahead.reserve_exact(more);
                self.ahead.resize(wanted, 0);
            }
            match self.stream.read(self.ahead.get_mut(have..).unwrap_or_default()) {
                Ok(0) => return Err(gone(&io::Error::from(io::ErrorKind::UnexpectedEof))),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(&error)),
            }
        }
        Ok(())
    }

    /// Wipes a value that ends there. The room for short ones stays, so that it is taken and wiped once.
    fn forget(&mut self, end: usize) {
        // One value at a time is on its way, so that next to nothing is moved here.
        self.ahead.copy_within(end..self.filled, 0);
        let rest = self.filled - end;
        self.ahead.get_mut(rest..self.filled).unwrap_or_default().fill(0);
        self.filled = rest;
        if self.ahead.len() > LEAST_ROOM {
            let mut kept = vec![0; rest.max(LEAST_ROOM)];
            kept.iter_mut().zip(self.ahead.iter()).for_each(|(to, from)| *to = *from);
            self.ahead = Zeroizing::new(kept);
        }
    }
}

/// A value on its way out. Length and value are one write, because each wakes the other process; a message is sent from where it lies.
struct Sending<'s, S> {
    stream: &'s mut S,
    held: &'s mut Vec<u8>,
    /// Why nothing more can be sent.
    failed: Option<io::Error>,
}

impl<S: Write> Sending<'_, S> {
    fn send(&mut self, octets: &[u8]) -> postcard::Result<()> {
        if octets.len() < LEAST_ROOM && self.held.len() + octets.len() <= LEAST_ROOM {
            self.held.extend_from_slice(octets);
            return Ok(());
        }
        let written = self.stream.write_all(self.held).and_then(|()| self.stream.write_all(octets));
        self.held.clear();
        self.noted(written)
    }

    fn noted(&mut self, written: io::Result<()>) -> postcard::Result<()> {
        written.map_err(|error| {
            self.failed.get_or_insert(error);
            postcard::Error::SerializeBufferFull
        })
    }
}

impl<S: Write> Flavor for &mut Sending<'_, S> {
    type Output = ();

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.send(&[octet])
    }

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.send(octets)
    }

    fn finalize(self) -> postcard::Result<()> {
        let written = self.stream.write_all(self.held).and_then(|()| self.stream.flush());
        self.noted(written)
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
    fn long_values_arrive_between_short_ones() {
        let (mut one, mut other) = pair();
        for length in [LEAST_ROOM - 1, LEAST_ROOM, LEAST_ROOM + 1, 3 * MOST_ROOM + 7] {
            let long = serde_bytes::ByteBuf::from((0..=250).cycle().take(length).collect::<Vec<u8>>());
            let value = ("before".to_owned(), long, "behind".to_owned());
            let arrived = std::thread::scope(|scope| {
                scope.spawn(|| one.send(&value).unwrap());
                other.receive::<(String, serde_bytes::ByteBuf, String)>().unwrap()
            });
            assert!(arrived == value, "{length}");
        }
    }

    #[test]
    fn a_long_value_takes_little_more_memory_than_it_has_octets() {
        let (one, mut other) = pair();
        let length = 5 * MOST_ROOM;
        std::thread::scope(|scope| {
            scope.spawn(|| (&one.stream).write_all(&vec![0; length]).unwrap());
            other.read_to(length).unwrap();
        });
        assert!(other.ahead.capacity() <= length + LEAST_ROOM, "{}", other.ahead.capacity());
    }

    /// The writes of one value.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Read for Writes {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Writes {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.push(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_short_value_is_one_write_and_a_message_is_not_copied() {
        let mut channel = Channel::new(Writes::default());
        channel.send(&("words", 7_u64, vec!["x"; 100])).unwrap();
        assert_eq!(channel.stream.0.len(), 1);
        let mut channel = Channel::new(Writes::default());
        let message = serde_bytes::ByteBuf::from(vec![7; 2 * LEAST_ROOM]);
        channel.send(&("words", &message, 7_u64)).unwrap();
        let writes = channel.stream.0;
        assert!(writes.len() == 3 && writes[1] == message.as_slice(), "{} writes", writes.len());
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
